#include "quant/range_search.h"

#include <cmath>
#include <limits>

#include <ATen/ops/clamp.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

namespace qw {

namespace {
/// Mean |w - q(w)|^p of each group on an asymmetric grid.
at::Tensor asymmetricScore(const at::Tensor& groups, const GridParams& params,
                           const GridOptions& options)
{
    const at::Tensor scale = params.scale.unsqueeze(2);
    const at::Tensor zero = params.zero.unsqueeze(2);
    const at::Tensor codes =
        (at::round(groups / scale) + zero).clamp_(0, static_cast<double>(codeMax(options)));
    return ((codes - zero) * scale - groups).abs_().pow_(options.rangeNorm).mean(2);
}
} // namespace

GridParams searchLrqRange(const at::Tensor& groups, const GridOptions& options)
{
    constexpr float kStartScore = 1e10F; // as the official code
    const at::Tensor low = groups.amin(2).clamp_max(0);
    const at::Tensor high = groups.amax(2).clamp_min(0);
    const bool onlyPositive = groups.min().item<float>() >= 0;
    const bool onlyNegative = groups.max().item<float>() <= 0;
    at::Tensor best = at::full_like(low, kStartScore);
    at::Tensor bestLow = low.clone();
    at::Tensor bestHigh = high.clone();
    const auto consider = [&](const at::Tensor& candidateLow, const at::Tensor& candidateHigh) {
        const at::Tensor score =
            asymmetricScore(groups, paramsFromRange(candidateLow, candidateHigh, options), options);
        const at::Tensor better = score.lt(best);
        best = at::where(better, score, best);
        bestLow = at::where(better, candidateLow, bestLow);
        bestHigh = at::where(better, candidateHigh, bestHigh);
    };
    const auto steps = static_cast<double>(options.rangeSteps);
    if (onlyPositive || onlyNegative) {
        const at::Tensor bound = groups.abs().amax(2);
        const at::Tensor none = at::zeros_like(bound);
        for (std::int64_t i = 1; i <= options.rangeSteps; ++i) {
            const at::Tensor limit = bound / steps * static_cast<double>(i);
            onlyPositive ? consider(none, limit) : consider(-limit, none);
        }
    } else {
        const double levels = static_cast<double>(codeMax(options));
        const at::Tensor range = high - low;
        for (std::int64_t i = 1; i <= options.rangeSteps; ++i) {
            const at::Tensor width = range / steps * static_cast<double>(i);
            const at::Tensor step = width / levels;
            for (std::int64_t zero = 0; zero <= codeMax(options); ++zero) {
                const at::Tensor candidateLow = step * static_cast<double>(-zero);
                consider(candidateLow, width + candidateLow);
            }
        }
    }
    return paramsFromRange(bestLow, bestHigh, options);
}

at::Tensor searchSymmetricRange(const at::Tensor& groups, const GridOptions& options)
{
    const at::Tensor largest = groups.abs().amax(2);
    const auto steps = static_cast<double>(options.rangeSteps);
    at::Tensor best = at::full_like(largest, std::numeric_limits<float>::infinity());
    at::Tensor bestBound = largest.clone();
    for (std::int64_t i = 1; i <= options.rangeSteps; ++i) {
        const at::Tensor bound = largest / steps * static_cast<double>(i);
        const at::Tensor scale =
            representableScale(bound / static_cast<double>(codeMax(options)), options.scaleDtype)
                .unsqueeze(2);
        const at::Tensor codes = at::round(groups / scale)
                                     .clamp_(static_cast<double>(codeMin(options)),
                                             static_cast<double>(codeMax(options)));
        const at::Tensor score = (codes * scale - groups).abs_().pow_(options.rangeNorm).sum(2);
        const at::Tensor better = score.lt(best);
        best = at::where(better, score, best);
        bestBound = at::where(better, bound, bestBound);
    }
    return bestBound;
}

} // namespace qw
