#include "methods/awq_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include "base/error.h"

namespace qw {

namespace {
constexpr double kSmallestScale = 1e-4;
constexpr double kClipStep = 1.0 / 20;
/// Multiplications of one product between two looks at the stop token.
constexpr std::int64_t kProduct = std::int64_t{1} << 32;

at::Tensor rounded(const at::Tensor& weight, const GridOptions& grid, const RunContext& run)
{
    const GridParams params = fitGrid(weight, grid, run);
    return gridValues(gridCodes(weight, params, grid), params);
}
} // namespace

at::Tensor awqScale(const at::Tensor& size, double ratio)
{
    const at::Tensor scale = size.to(at::kFloat).pow(ratio).clamp_min(kSmallestScale);
    return scale / (scale.max() * scale.min()).sqrt();
}

ScaleChoice
searchScale(const std::vector<ScaledLayer>& layers, const at::Tensor& size, std::int64_t ratios,
            const std::function<double(const std::map<std::string, at::Tensor>&)>& error,
            const std::function<void(std::int64_t)>& tried, const RunContext& run)
{
    ScaleChoice best;
    best.error = std::numeric_limits<double>::infinity();
    for (std::int64_t i = 0; i < ratios; ++i) {
        tried(i);
        const double ratio = static_cast<double>(i) / static_cast<double>(ratios);
        const at::Tensor scale = awqScale(size, ratio);
        std::map<std::string, at::Tensor> weights;
        for (const ScaledLayer& layer : layers) {
            weights[layer.name] =
                rounded(layer.weight * scale.unsqueeze(0), layer.grid, run).div_(scale);
        }
        const double found = error(weights);
        if (i == 0) {
            best.unscaledError = found;
        }
        if (found < best.error) {
            best.ratio = ratio;
            best.scale = scale;
            best.error = found;
        }
    }
    QW_REQUIRE(best.scale.defined(), ErrorCode::NonFinite, layers.front().name,
               ": its calibration inputs are not finite");
    return best;
}

double meanOutputError(const at::Tensor& difference, const at::Tensor& autocorrelation,
                       const RunContext& run)
{
    const at::Tensor r = autocorrelation.to(at::kFloat);
    const std::int64_t out = difference.size(0);
    const std::int64_t in = difference.size(1);
    const std::int64_t step = std::max<std::int64_t>(32, kProduct / (in * in));
    double sum = 0;
    for (std::int64_t first = 0; first < out; first += step) {
        run.checkpoint();
        const at::Tensor rows = difference.narrow(0, first, std::min(step, out - first));
        sum += (at::mm(rows, r) * rows).sum(at::kDouble).item<double>();
    }
    return sum / static_cast<double>(out);
}

at::Tensor searchClip(const at::Tensor& weight, const at::Tensor& tokens, const GridOptions& grid,
                      const RunContext& run)
{
    const std::int64_t width = grid.groupSize > 0 ? grid.groupSize : weight.size(1);
    GridOptions whole = grid;
    whole.groupSize = 0;
    std::vector<at::Tensor> bounds;
    for (std::int64_t first = 0; first < weight.size(1); first += width) {
        const at::Tensor part = weight.narrow(1, first, width).contiguous();
        const at::Tensor x = tokens.narrow(1, first, width);
        const at::Tensor largest = part.abs().amax(1, true);
        at::Tensor best = largest;
        at::Tensor least = at::full_like(largest, std::numeric_limits<float>::infinity());
        for (int i = 0; i < kAwqClipSteps; ++i) {
            run.checkpoint();
            const at::Tensor bound = largest * (1 - i * kClipStep);
            const at::Tensor difference = rounded(clipped(part, bound), whole, run) - part;
            const at::Tensor error =
                at::mm(difference, x.t()).square().mean(1, true); // over the tokens
            const at::Tensor better = error < least;
            best = at::where(better, bound, best);
            least = at::where(better, error, least);
        }
        bounds.push_back(best.squeeze(1));
    }
    return at::stack(bounds, 1);
}

at::Tensor clipped(const at::Tensor& weight, const at::Tensor& bounds)
{
    const at::Tensor shaped = weight.reshape({weight.size(0), bounds.size(1), -1});
    const at::Tensor bound = bounds.unsqueeze(2);
    return at::minimum(at::maximum(shaped, -bound), bound).reshape(weight.sizes());
}

} // namespace qw
