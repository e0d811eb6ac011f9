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

/// A range search against min-max of the same family, relative and for each power of its norm: the
/// candidate of the whole range is min-max but for the last digit of its scale (seen: 7.5e-6, at 8
/// bits).
constexpr double kSearchGap = 8e-6;
/// On rows already on the grid both scores are rounding noise, of this share of the largest value.
constexpr double kSearchNoise = 1e-6;

/// One result rounded to bfloat16 (half of 2^-7 of its size), with room for a second rounding of
/// what it was made of, as attention does with its probabilities.
constexpr double kBfloat16RoundingGap = 8e-3;

/// e^x of the kernels: 2 units in the last place of float32.
constexpr double kExponentialGap = 1.2e-7;

/// A prediction's nll from float32 logits, as a share of 1 + nll: float32 exponentials, float64
/// sums.
constexpr double kNllGap = 1e-6;

/// KL divergence of one prediction, nats: float32 terms around zero, float64 sums.
constexpr double kKlGap = 3e-7;
/// The same through float32 log-probabilities, whose differences lose digits.
constexpr double kPlainKlGap = 3e-6;

/// Scores of a text from a float32 model against float64 ones, as a share of 1 + score: errors of
/// logits of either sign, averaged over hundreds of predictions. A top-1 flip would be 1e-3.
constexpr double kScoreGap = 1e-5;

/// What bfloat16 products may change of a mean nll of a few hundred predictions, nats.
constexpr double kBfloat16NllGap = 2e-2;
/// Stable rank from block power iterations against the exact one: eight vectors and twelve steps
/// leave the largest singular value well under a thousandth off; its square doubles that.
constexpr double kPowerIterationGap = 2e-3;

/// Sums of float32 |x| and x^2 in float64: one float32 rounding a term, 2^-24, and that of a
/// square.
constexpr double kStatisticGap = 2e-7;
/// x^T x by float32 products of up to 2048 tokens, as a share of sqrt(R_ii R_jj): rounding errors
/// of either sign, eps 6e-8 times the root of the number of terms.
constexpr double kAutocorrelationGap = 3e-6;

/// A correction from float32 errors in float32 factors against the float64 one, as a share of its
/// largest entry: a few eps of 6e-8, over a gap between singular values of at least 3 percent.
constexpr double kCorrectionGap = 2e-5;
/// What is left of an error after its correction in float32 factors, as a share of the error: the
/// rounding of the factors, which nothing corrects.
constexpr double kFactorRounding = 1e-6;
/// The same in float64 by two routes, through a root of a matrix of condition 1e5.
constexpr double kOracleGap = 1e-8;
/// Share of the energy of the best rank k that a factorization promises to leave uncaptured.
constexpr double kUncaptured = 0.01;
/// Products of a factorization after a stop was asked for: two blocks made orthonormal, four
/// products a pass, and what lies around them.
constexpr int kProductsAfterStop = 20;
/// Rows of an orthonormal float32 basis, largest entry of Q Q^T - 1.
constexpr double kOrthonormalGap = 1e-5;
/// Errors of a layer from traces of thin products against the matrix itself, both float64.
constexpr double kMeasureGap = 1e-6;
/// An output error through R = E[x^T x] in float64 against one of the inputs themselves, as a share
/// of the error before correction: the root of eps.
constexpr double kOutputFloor = 3e-8;
/// Largest singular value of a few hundred Gaussian rows around the Marchenko-Pastur edge: it
/// fluctuates by n^(-2/3) and lies somewhat below.
constexpr double kEdgeFluctuation = 0.04;
/// Standard deviation of 10^5 Gaussian entries against the true one, four standard errors.
constexpr double kSampledDeviation = 0.01;
/// A spectrum weighted by statistics of the inputs, sums of float32 terms or products: as a share
/// of the largest value, or of its square where R decides.
constexpr double kInputScaleGap = 1e-6;
/// Singular values from a float64 Gram matrix, as a share of the largest: the root of eps.
constexpr double kGramGap = 2e-8;

/// Learned rounding in float32 against float64: the scale and its exponential, 2 units in the last
/// place, and the product with a code of up to 15.
constexpr double kRoundingGap = 1e-6;
/// Its gradients: sums of up to a few hundred float32 terms of either sign, whose total may be
/// small beside them.
constexpr double kRoundingGradientGap = 2e-5;
/// A divisor whose row and column factors are shifted against each other: of sums of up to 2, three
/// additions, the exponential, and what its measuring resolves.
constexpr double kGaugeShiftGap = 5e-7;
/// The same with its low-rank factors multiplied by a matrix and its inverse, both float32.
constexpr double kGaugeMixGap = 4e-5;
/// Losses of twenty steps of learned rounding against the reference library's, relative: float32 in
/// another order, through roundings that a last digit may tip.
constexpr double kTrajectoryGap = 2e-3;
/// The final error of a block of a few thousand weights, learned with other last digits: each way
/// it takes ends at other roundings, of which so few do not average out (seen: -11 to 14 %). Of the
/// sums over a dozen ways about 1 % was seen, which is half of what chance makes of it.
constexpr double kTinyBlockGap = 0.04;
/// Gradients of a block through fused operations against plain ones, as a share of the largest.
constexpr double kBlockGradientGap = 2e-5;
/// Scales of groups that GPTQ finds on float32 weights, updated by many float32 columns, against
/// float64 ones.
constexpr double kGptqScaleGap = 1e-4;
/// Scales of inputs from float32 means, and weights times or over them: a few roundings, and a
/// power that multiplies them.
constexpr double kFoldedGap = 5e-6;
/// Squared errors of a module that AWQ compares: sums of float32 differences, a few of which lie
/// beside a rounding that a last digit may tip.
constexpr double kSearchedErrorGap = 1e-3;
/// A block with scales folded in against the block as it was, as a share of the largest value.
constexpr double kFoldedFunctionGap = 1e-5;

/// Gradients with bfloat16 products against another grouping of the same: each factor's gradient is
/// a product of values rounded to bfloat16 and is itself rounded, 2^-8.
constexpr double kBfloat16GradientGap = 2e-2;
/// A slope from the difference of two float32 losses over an eighth of the argument.
constexpr double kSlopeGap = 1e-4;

} // namespace qw::test
