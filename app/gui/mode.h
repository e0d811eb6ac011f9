#pragma once

namespace qw {

/// Pages of the window, in the order of the mode bar.
enum class Mode { Start, Inspect, Quantize, Compare };
constexpr int kModeCount = 4;

} // namespace qw
