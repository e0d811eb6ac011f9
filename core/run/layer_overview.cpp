#include "run/layer_overview.h"

#include <algorithm>
#include <cmath>

namespace qw {

LayerOverview overviewOf(const LinearInfo& linear)
{
    LayerOverview layer;
    layer.name = linear.name;
    layer.rows = linear.out;
    layer.cols = linear.in;
    layer.parameters = linear.in * linear.out;
    layer.dtype = linear.dtype;
    layer.minimum = layer.maximum = layer.standardDeviation = layer.outlierRatio = kMissing;
    return layer;
}

void measureWeight(LayerOverview& layer, const at::Tensor& w)
{
    layer.minimum = w.min().item<double>();
    layer.maximum = w.max().item<double>();
    layer.standardDeviation = w.to(at::kDouble).std().item<double>();
    layer.outlierRatio =
        std::max(std::abs(layer.minimum), std::abs(layer.maximum)) / layer.standardDeviation;
}

void eachWeight(const Checkpoint& checkpoint, const std::string& phase, const RunContext& run,
                const std::function<void(std::size_t, const at::Tensor&)>& visit)
{
    const std::vector<LinearInfo>& linears = checkpoint.linears();
    run.beginPhase(phase, static_cast<std::int64_t>(linears.size()));
    for (std::size_t i = 0; i < linears.size(); ++i) {
        visit(i, checkpoint.linearWeight(linears[i]).to(at::kFloat).contiguous());
        if (i + 1 == linears.size() || linears[i + 1].block != linears[i].block) {
            checkpoint.releaseBlock(linears[i].block);
        }
        run.checkpoint(static_cast<std::int64_t>(i) + 1, linears[i].name);
    }
}

} // namespace qw
