#include "report/plot_reduce.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace qw {

namespace {
template <class T>
void keepOnly(std::vector<T>& values, const std::vector<std::size_t>& kept)
{
    if (values.empty()) {
        return;
    }
    for (std::size_t i = 0; i < kept.size(); ++i) {
        if (kept[i] != i) { // otherwise it is larger
            values[i] = std::move(values[kept[i]]);
        }
    }
    values.resize(kept.size());
}

/// The points worth drawing of y[begin, end), ascending.
std::vector<std::size_t> landmarks(const std::vector<double>& y, std::size_t begin, std::size_t end)
{
    std::vector<std::size_t> kept{begin, end - 1};
    std::size_t lowest = end;
    std::size_t highest = end;
    std::size_t gap = end;
    for (std::size_t i = begin; i < end; ++i) {
        if (std::isnan(y[i])) {
            gap = i;
            continue;
        }
        if (lowest == end || y[i] < y[lowest]) {
            lowest = i;
        }
        if (highest == end || y[i] > y[highest]) {
            highest = i;
        }
    }
    for (const std::size_t i : {lowest, highest, gap}) {
        if (i != end) {
            kept.push_back(i);
        }
    }
    std::sort(kept.begin(), kept.end());
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
    return kept;
}

double larger(double a, double b)
{
    return std::isnan(a) || std::abs(b) > std::abs(a) ? b : a;
}
} // namespace

Series thinned(const Series& series, std::size_t maxPoints)
{
    constexpr std::size_t kPerStretch = 4;
    const std::size_t points = series.x.size();
    QW_REQUIRE(maxPoints >= kPerStretch, ErrorCode::BadInput, "a series cannot be thinned to ",
               maxPoints, " points");
    if (points <= maxPoints) {
        return series;
    }
    const std::size_t stretches = maxPoints / kPerStretch;
    std::vector<std::size_t> kept;
    for (std::size_t s = 0; s < stretches; ++s) {
        const auto some = landmarks(series.y, points * s / stretches, points * (s + 1) / stretches);
        kept.insert(kept.end(), some.begin(), some.end());
    }
    Series result = series;
    keepOnly(result.x, kept);
    keepOnly(result.y, kept);
    keepOnly(result.yError, kept);
    keepOnly(result.labels, kept);
    keepOnly(result.keys, kept);
    return result;
}

Heatmap thinned(const Heatmap& map, std::int64_t maxRows, std::int64_t maxCols)
{
    QW_REQUIRE(maxRows > 0 && maxCols > 0, ErrorCode::BadInput, "a heat map cannot be thinned to ",
               maxRows, " x ", maxCols, " cells");
    const std::int64_t rows = std::min(map.rows, maxRows);
    const std::int64_t cols = std::min(map.cols, maxCols);
    if (rows == map.rows && cols == map.cols) {
        return map;
    }
    Heatmap result = map;
    result.rows = rows;
    result.cols = cols;
    result.values.assign(static_cast<std::size_t>(rows * cols),
                         std::numeric_limits<double>::quiet_NaN());
    for (std::int64_t r = 0; r < map.rows; ++r) {
        for (std::int64_t c = 0; c < map.cols; ++c) {
            double& cell = result.values[static_cast<std::size_t>(r * rows / map.rows * cols +
                                                                  c * cols / map.cols)];
            cell = larger(cell, map.values[static_cast<std::size_t>(r * map.cols + c)]);
        }
    }
    if (rows != map.rows) {
        result.rowNames.clear();
    }
    if (cols != map.cols) {
        result.columnNames.clear();
    }
    return result;
}

Histogram histogram(std::span<const float> values, std::int64_t bins)
{
    QW_REQUIRE(bins >= 1, ErrorCode::BadInput, "a histogram of ", bins, " bins");
    Histogram result;
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    for (const float value : values) {
        if (std::isfinite(value)) {
            low = std::min(low, static_cast<double>(value));
            high = std::max(high, static_cast<double>(value));
        } else {
            ++result.nonFinite;
        }
    }
    if (low > high) {
        return result;
    }
    if (low == high) {
        bins = 1;
        const double half = low == 0 ? 0.5 : std::abs(low) / 2;
        low -= half;
        high += half;
    }
    const double width = (high - low) / static_cast<double>(bins);
    for (std::int64_t i = 0; i <= bins; ++i) {
        result.edges.push_back(i == bins ? high : low + static_cast<double>(i) * width);
    }
    result.counts.assign(static_cast<std::size_t>(bins), 0);
    for (const float value : values) {
        if (std::isfinite(value)) {
            const auto bin = static_cast<std::int64_t>((value - low) / width);
            ++result.counts[static_cast<std::size_t>(std::clamp(bin, std::int64_t{0}, bins - 1))];
        }
    }
    return result;
}

} // namespace qw
