#pragma once

#include <cstdint>

namespace qw {

/// Colours of heat maps as 0xRRGGBB. NaN is a light grey that neither map contains.

/// Dark blue over green to yellow, even in lightness and safe for the colour-blind.
/// @param share 0..1, clamped
/// Source: viridis (S. van der Walt and N. Smith, matplotlib), linear between ten of its colours.
std::uint32_t sequentialColour(double share);

/// Blue over white to orange, for signed values. @param share -1..1, clamped
std::uint32_t divergingColour(double share);

/// True if black writing is easier to read on this colour than white.
bool wantsDarkText(std::uint32_t colour);

} // namespace qw
