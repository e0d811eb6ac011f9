#pragma once

#include <cstdint>

namespace qw {

/// Of a spec: iterations of a block, steps of a training.
constexpr std::int64_t kMostUpdates = 100000000;

} // namespace qw
