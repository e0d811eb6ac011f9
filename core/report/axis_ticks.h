#pragma once

#include <string>
#include <vector>

#include "report/plot_data.h"

namespace qw {

/// Where an axis is marked. @ref minor marks carry no label.
struct AxisTicks {
    std::vector<PlotTick> major;
    std::vector<double> minor;
    bool operator==(const AxisTicks&) const = default;
};

/// About @p wanted multiples of 1, 2 or 5 times a power of ten inside [low, high], low < high.
AxisTicks linearTicks(double low, double high, int wanted);

/// For 0 < low < high: powers of ten where at least two lie inside, with 2 to 9 times them as minor
/// marks; 1, 2 and 5 times powers over a shorter range; linear ones where even these are too few.
AxisTicks logTicks(double low, double high, int wanted);

/// A power of ten in letters: "10⁻³", "10⁰".
std::string powerLabel(int exponent);

/// A number as an axis writes it: "0.05", "−3", "2·10⁻⁷". @p step is the distance of the marks.
std::string tickLabel(double value, double step);

} // namespace qw
