#include "quant/range_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ops/clamp.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/round.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

namespace qw {

namespace {
/// A true division on every device; that by a plain number may become a product elsewhere.
at::Tensor divided(const at::Tensor& value, double by)
{
    return value / at::scalar_tensor(by, value.options());
}

/// Sum over each group of |w - q(w)|^p: errors in float32, their powers in float64.
at::Tensor scoreOf(const at::Tensor& groups, const GridParams& params, const GridOptions& options)
{
    const at::Tensor scale = params.scale.unsqueeze(2);
    const at::Tensor zero = params.zero.unsqueeze(2);
    const at::Tensor codes =
        (at::round(groups / scale) + zero)
            .clamp_(static_cast<double>(codeMin(options)), static_cast<double>(codeMax(options)));
    return ((codes - zero) * scale - groups).abs_().to(at::kDouble).pow_(options.rangeNorm).sum(2);
}

/// Keeps the first candidate of least score.
struct Best {
    at::Tensor score;
    at::Tensor low;
    at::Tensor high;

    void consider(const at::Tensor& candidate, const at::Tensor& candidateLow,
                  const at::Tensor& candidateHigh)
    {
        const at::Tensor better = candidate.lt(score);
        score = at::where(better, candidate, score);
        low = at::where(better, candidateLow, low);
        high = at::where(better, candidateHigh, high);
    }
};
} // namespace

at::Tensor representableScale(const at::Tensor& scale, at::ScalarType dtype)
{
    const at::Tensor floored = scale.clamp_min(kScaleFloor);
    return dtype == at::kHalf       ? floored.clamp_min(kSmallestHalf).to(dtype).to(at::kFloat)
           : dtype == at::kBFloat16 ? floored.to(dtype).to(at::kFloat) // 1e-8 is normal in it
                                    : floored;
}

GridParams paramsFromRange(const at::Tensor& low, const at::Tensor& high,
                           const GridOptions& options)
{
    const auto levels = static_cast<double>(codeMax(options));
    GridParams params;
    params.scale = representableScale(divided(high - low, levels), options.scaleDtype);
    params.zero = at::clamp(at::round(-low / params.scale), 0, levels);
    return params;
}

GridParams paramsFromBound(const at::Tensor& bound, const GridOptions& options)
{
    GridParams params;
    params.scale = representableScale(divided(bound, static_cast<double>(codeMax(options))),
                                      options.scaleDtype);
    params.zero = at::zeros_like(params.scale);
    return params;
}

GridParams searchLrqRangeByOps(const at::Tensor& groups, const GridOptions& options,
                               const RunContext& run)
{
    const at::Tensor low = groups.amin(2).clamp_max(0);
    const at::Tensor high = groups.amax(2).clamp_min(0);
    const bool onlyPositive = groups.min().item<float>() >= 0;
    const bool onlyNegative = groups.max().item<float>() <= 0;
    const double start = kLrqStartScore * static_cast<double>(groups.size(2));
    Best best{at::full_like(low, start, low.options().dtype(at::kDouble)), low, high};
    const auto consider = [&](const at::Tensor& candidateLow, const at::Tensor& candidateHigh) {
        run.checkpoint();
        best.consider(
            scoreOf(groups, paramsFromRange(candidateLow, candidateHigh, options), options),
            candidateLow, candidateHigh);
    };
    const auto steps = static_cast<double>(options.rangeSteps);
    if (onlyPositive || onlyNegative) {
        const at::Tensor step = divided(groups.abs().amax(2), steps);
        const at::Tensor none = at::zeros_like(step);
        for (std::int64_t i = 1; i <= options.rangeSteps; ++i) {
            const at::Tensor limit = step * static_cast<double>(i);
            onlyPositive ? consider(none, limit) : consider(-limit, none);
        }
    } else {
        const at::Tensor step = divided(high - low, steps);
        for (std::int64_t i = 1; i <= options.rangeSteps; ++i) {
            const at::Tensor width = step * static_cast<double>(i);
            const at::Tensor level = divided(width, static_cast<double>(codeMax(options)));
            for (std::int64_t zero = 0; zero <= codeMax(options); ++zero) {
                const at::Tensor candidateLow = level * static_cast<double>(-zero);
                consider(candidateLow, width + candidateLow);
            }
        }
    }
    return paramsFromRange(best.low, best.high, options);
}

at::Tensor searchSymmetricRangeByOps(const at::Tensor& groups, const GridOptions& options,
                                     const RunContext& run)
{
    const at::Tensor largest = groups.abs().amax(2);
    const at::Tensor step = divided(largest, static_cast<double>(options.rangeSteps));
    Best best{at::full_like(largest, std::numeric_limits<double>::infinity(),
                            largest.options().dtype(at::kDouble)),
              largest, largest};
    for (std::int64_t i = 1; i <= options.rangeSteps; ++i) {
        run.checkpoint();
        const at::Tensor bound = step * static_cast<double>(i);
        best.consider(scoreOf(groups, paramsFromBound(bound, options), options), bound, bound);
    }
    return best.high;
}

GridParams searchShrunkRangeByOps(const at::Tensor& groups, const GridOptions& options,
                                  const RunContext& run)
{
    const at::Tensor bound = groups.abs().amax(2);
    const at::Tensor low = options.sym ? -bound : groups.amin(2).clamp_max(0);
    const at::Tensor high = options.sym ? bound : groups.amax(2).clamp_min(0);
    const auto paramsOf = [&](const at::Tensor& from, const at::Tensor& to) {
        return options.sym ? paramsFromBound(to, options) : paramsFromRange(from, to, options);
    };
    Best best{at::full_like(low, std::numeric_limits<double>::infinity(),
                            low.options().dtype(at::kDouble)),
              low, high};
    for (std::int64_t i = 0; i < shrinkSteps(options); ++i) {
        run.checkpoint();
        const double factor = shrinkFactor(options, i);
        best.consider(scoreOf(groups, paramsOf(low * factor, high * factor), options), low * factor,
                      high * factor);
    }
    return paramsOf(best.low, best.high);
}

} // namespace qw
