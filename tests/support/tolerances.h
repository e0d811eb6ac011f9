#pragma once

namespace qw::test {

/// Logits against the reference library, as a share of the largest logit. Both compute in float32
/// (eps 6e-8); two blocks of sums in another order leave well under a thousand eps.
constexpr double kLogitGap = 1e-4;

/// The same products in another grouping (blocked or whole, cached or at once) in float32.
constexpr double kRegroupGap = 2e-6;

/// Logits with bfloat16 products against float32: eps 2^-8 an operand, a few in a row add up.
constexpr double kBfloat16Gap = 5e-2;

} // namespace qw::test
