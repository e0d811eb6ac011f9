#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qw {

enum class Marker { Circle, Square, Diamond, TriangleUp, TriangleDown, Cross };

/// How a method looks in every plot of the window and of the report. Colours are those of Okabe and
/// Ito ("Color Universal Design", 2008), told apart under all common kinds of colour blindness;
/// methods of one family share a hue and differ in marker and filling.
struct MethodStyle {
    std::string method;             ///< id
    std::string title;              ///< for people
    std::uint32_t light = 0x000000; ///< 0xRRGGBB on a light ground
    std::uint32_t dark = 0x000000;  ///< and on a dark one
    Marker marker = Marker::Circle;
    bool filled = true;
};

/// All known methods, families together.
const std::vector<MethodStyle>& methodStyles();

/// An unknown or empty id looks neutral: black or white crosses, its id as the title.
MethodStyle methodStyle(const std::string& method);

} // namespace qw
