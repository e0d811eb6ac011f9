#pragma once

#include <string>
#include <vector>

#include "report/svg_frame.h"

/// Places writing inside and beside a plot so that it does not overlap.
namespace qw::svg {

/// The name of a line, beside the plot.
struct EndLabel {
    std::string text;
    double x = 0; ///< where the line ends
    double y = 0;
    Paint paint;
};
/// Names at @p left, each as near to the end of its line as the others let it, joined to it by a
/// thin dotted line where it had to move.
void drawEndLabels(SvgCanvas& canvas, const std::vector<EndLabel>& labels, const Box& area,
                   double left);

/// Heights at least @p distance apart inside [top, bottom] where they fit, near the wanted ones and
/// in their order.
std::vector<double> spread(const std::vector<double>& wanted, double distance, double top,
                           double bottom);

/// Writing beside a point.
struct PointLabel {
    std::string text;
    double x = 0;
    double y = 0;
    bool important = false; ///< in full ink
};
/// In order, each to the right, left, above or below its point; left out where nothing is free of
/// points, labels and @p obstacles.
void drawPointLabels(SvgCanvas& canvas, const std::vector<PointLabel>& labels,
                     const std::vector<Box>& obstacles, const Box& area);

} // namespace qw::svg
