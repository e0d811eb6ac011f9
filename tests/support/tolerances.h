#pragma once

namespace qw::test {

/// Logits against the reference library, as a share of the largest logit. Both compute in float32
/// (eps 6e-8); two blocks of sums in another order leave well under a thousand eps.
constexpr double kLogitGap = 1e-4;

/// The same products in another grouping (blocked or whole, cached or at once) in float32.
constexpr double kRegroupGap = 2e-6;

/// Logits with bfloat16 products against float32: eps 2^-8 an operand, a few in a row add up.
constexpr double kBfloat16Gap = 5e-2;

/// LQER's code adds this before it rounds a magnitude; error bounds of its rule grow by as much.
constexpr double kMxNudge = 1.0001e-9;

/// Largest error of a value inside an integer grid, in steps: half a step, and at 8 bits the
/// float32 rounding of value / scale and code * scale (255 * 2^-25 of a step).
constexpr double kHalfStep = 0.50001;

/// A range search against min-max of the same family, relative and for each level of the grid: the
/// candidate of the whole range has its scale from another order of the same float32 operations.
/// An error of 2^-23 in the scale moves a value of code c by c * 2^-23 steps, of an error of about
/// a quarter of a step, and the norm multiplies by p.
constexpr double kSearchGap = 1.2e-7 * 4 * 2.4;
/// On rows already on the grid both scores are rounding noise, of this share of the largest value.
constexpr double kSearchNoise = 1e-6;
} // namespace qw::test
