#pragma once

#include <string>
#include <vector>

#include "report/axis_ticks.h"
#include "report/label_places.h"
#include "report/svg_canvas.h"

/// What all SVG plots share: sizes, heading, legend, axes.
namespace qw::svg {

constexpr double kTitleSize = 14;
constexpr double kTextSize = 12;
constexpr double kSmallSize = 11;
constexpr double kRowHeight = 18;
constexpr double kMarkerRadius = 4;
constexpr double kEdge = 12; ///< free space along the picture's edges

/// Data to pixels.
struct Scale {
    double low = 0, high = 1;
    bool log = false;
    double from = 0, to = 1; ///< pixels of low and high
    double at(double value) const;
    AxisTicks ticks(int wanted) const;
};

/// Widens an empty range; leaves @p margin (a share of the length) at both ends.
void settle(Scale& scale, double margin);

/// An entry of a legend.
struct LegendEntry {
    std::string name;
    std::string method; ///< of the marker; empty with a line only
    std::string dashes;
    bool line = true;
    bool marker = true;
};
/// Dashes of the nth series of one method.
std::string dashesOf(int variant);

/// Words broken into lines no wider than that.
std::vector<std::string> wrapped(const std::string& text, double width, double fontSize);

/// Title, and why the plot stands apart. @return the y where the rest begins
double drawHeading(SvgCanvas& canvas, const std::string& title, const std::string& apart);

/// Rows of entries. @return the y below; entries that do not fit in @p maxRows are counted in words
double drawLegend(SvgCanvas& canvas, const std::vector<LegendEntry>& entries, double top,
                  int maxRows);

/// What would fill the plot, in its middle.
void drawEmpty(SvgCanvas& canvas, const std::string& sentence, double top);

} // namespace qw::svg
