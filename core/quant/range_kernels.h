#pragma once

#include <cstdint>

namespace qw {

/// One group's grid: w is close to scale * (code - zero).
struct GridPoint {
    float scale;
    float zero;
};
/// Smallest and largest code.
struct CodeRange {
    float low;
    float high;
};

/// Sum of |w - q(w)|^p: errors in float32, their powers and the sum in float64.
double gridScore(const float* w, std::int64_t n, GridPoint point, CodeRange codes, double p);

/// Nearly gridScore, many times faster, for |w| <= 1; gives up once the sum is above @p limit and
/// returns what it has. Large values should come first: they are cut most by a narrow range.
/// Off by less than half of nearTolerance(p) of the score and kNearFloor a value.
double gridScoreNear(const float* w, std::int64_t n, GridPoint point, CodeRange codes, float p,
                     double limit);
double nearTolerance(double p);
constexpr double kNearFloor = 1e-37;

} // namespace qw
