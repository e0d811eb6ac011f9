#include "eval/prediction_kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/Parallel.h>

#include "model/simd.h"

namespace qw {

namespace {
constexpr std::int64_t kChunk = 1024;

namespace baseline {
#include "eval/prediction_functions.inc"
} // namespace baseline

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#include "eval/prediction_functions.inc"
} // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
namespace avx512 {
#include "eval/prediction_functions.inc"
} // namespace avx512
#pragma GCC pop_options
#endif

template <class Element>
using ScoreRow = PredictionOfRow (*)(const Element*, const Element*, std::int64_t, std::int64_t);

template <class Element>
ScoreRow<Element> scoreRowFor([[maybe_unused]] Simd simd)
{
#if defined(__x86_64__)
    if (simd >= Simd::Avx512) {
        return avx512::scoreRow<Element>;
    }
    if (simd >= Simd::Avx2) {
        return avx2::scoreRow<Element>;
    }
#endif
    return baseline::scoreRow<Element>;
}
} // namespace

template <class Element>
void scoreLogits(const Element* logits, const Element* reference, const std::int64_t* targets,
                 std::int64_t rows, std::int64_t vocab, PredictionOfRow* results, Simd simd)
{
    const ScoreRow<Element> scoreRow = scoreRowFor<Element>(simd);
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

} // namespace qw
