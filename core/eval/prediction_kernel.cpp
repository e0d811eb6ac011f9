#include "eval/prediction_kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/Parallel.h>

#include "model/simd.h"

namespace qw {

namespace {
constexpr std::int64_t kChunk = 1024;

#define QW_SIMD_FUNCTIONS "eval/prediction_functions.inc"
#include "model/simd_versions.inc"

} // namespace

template <class Element>
void scoreLogits(const Element* logits, const Element* reference, const std::int64_t* targets,
                 std::int64_t rows, std::int64_t vocab, PredictionOfRow* results,
                 [[maybe_unused]] Simd simd)
{
    const auto scoreRow = QW_SIMD_PICK(simd, scoreRow<Element>);
    at::parallel_for(0, rows, 1, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t r = from; r < to; ++r) {
            results[r] =
                scoreRow(logits + r * vocab, reference == nullptr ? nullptr : reference + r * vocab,
                         targets[r], vocab);
        }
    });
}

template void scoreLogits(const float*, const float*, const std::int64_t*, std::int64_t,
                          std::int64_t, PredictionOfRow*, Simd);
template void scoreLogits(const std::uint16_t*, const std::uint16_t*, const std::int64_t*,
                          std::int64_t, std::int64_t, PredictionOfRow*, Simd);

template <class Element>
void lossGradient(Element* logits, const std::int64_t* targets, std::int64_t rows,
                  std::int64_t vocab, float scale, double* nll, [[maybe_unused]] Simd simd)
{
    const auto gradientRow = QW_SIMD_PICK(simd, gradientRow<Element>);
    at::parallel_for(0, rows, 1, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t r = from; r < to; ++r) {
            nll[r] = gradientRow(logits + r * vocab, targets[r], vocab, scale);
        }
    });
}

template void lossGradient(float*, const std::int64_t*, std::int64_t, std::int64_t, float, double*,
                           Simd);
template void lossGradient(std::uint16_t*, const std::int64_t*, std::int64_t, std::int64_t, float,
                           double*, Simd);

} // namespace qw
