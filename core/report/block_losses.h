#pragma once

#include <cstdint>
#include <vector>

namespace qw {

/// Losses of some iterations in a row, told while a block-wise method learns.
struct BlockLosses {
    std::int64_t block = 0;
    std::int64_t first = 0; ///< iteration of the first of them
    std::vector<double> losses;
    bool operator==(const BlockLosses&) const = default;
};

} // namespace qw
