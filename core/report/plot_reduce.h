#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "report/plot_data.h"

/// Many values brought down to what a screen can show.
namespace qw {

/// At most about @p maxPoints of a series, in order: of each stretch the first and last point and
/// those with the smallest and largest y, so that no extreme is lost; a stretch of NaN keeps one,
/// so that gaps stay. @param maxPoints at least 4
Series thinned(const Series& series, std::size_t maxPoints);

/// At most @p maxRows x @p maxCols cells, each holding the value of largest magnitude it covers.
Heatmap thinned(const Heatmap& map, std::int64_t maxRows, std::int64_t maxCols);

struct Histogram {
    std::vector<double> edges;        ///< bins + 1, ascending
    std::vector<std::int64_t> counts; ///< per bin; the last one includes its upper edge
    std::int64_t nonFinite = 0;       ///< values left out
    bool operator==(const Histogram&) const = default;
};
/// Equal bins from the smallest to the largest finite value; equal values get one bin around them.
/// @throws Error::BadInput if @p bins is below 1
Histogram histogram(std::span<const float> values, std::int64_t bins);

} // namespace qw
