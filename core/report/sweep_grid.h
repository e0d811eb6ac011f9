#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "report/run_spec.h"

namespace qw {

/// Settings of which a sweep tries every combination. An empty list: as in the base.
struct SweepGrid {
    std::vector<std::string> methods;
    std::vector<std::int64_t> bits;
    std::vector<std::int64_t> groupSizes;
    std::vector<std::int64_t> seeds;
    std::vector<std::int64_t> ranks;
    bool operator==(const SweepGrid&) const = default;
};

/// All points of the grid, each once. Ranks vary fastest, so that neighbours share calibration and
/// factors. A rank is that of the correction, or else of what a method learns (lrq, lr-qat), where
/// 0 leaves it as in the base; methods without a rank are run once.
/// @param hasRank  whether a spec corrects errors
std::vector<RunSpec> sweepSpecs(const RunSpec& base, const SweepGrid& grid,
                                const std::function<bool(const RunSpec&)>& hasRank);

/// "8, 16,32" as numbers. @throws Error::BadInput naming @p what
std::vector<std::int64_t> numbersFromText(const std::string& text, const std::string& what);
/// The same of group sizes: numbers, "channel", "tensor".
std::vector<std::int64_t> groupSizesFromText(const std::string& text);

} // namespace qw
