#include "methods/folding_method.h"

#include <algorithm>

#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "methods/awq_search.h"
#include "methods/block_error.h"
#include "methods/settings.h"

namespace qw {

namespace {
QuantizedLinear rounded(const LayerTask& layer, const at::Tensor& weight, const RunContext& run)
{
    const WeightSpec& spec = layer.settings.weight;
    return roundToNearest(layer.name, weight, weightFormat(spec), gridOptions(spec), run);
}
} // namespace

const LayerTask& layerOf(const BlockTask& task, const std::string& name)
{
    const auto found = std::find_if(task.layers.begin(), task.layers.end(),
                                    [&](const LayerTask& layer) { return layer.name == name; });
    QW_REQUIRE(found != task.layers.end(), ErrorCode::Internal, name, ": is not to be quantized");
    return *found;
}

FoldedBlock foldedBlock(const BlockTask& task, const std::vector<FoldGroup>& groups,
                        const std::map<std::int64_t, at::Tensor>& scales)
{
    FoldedBlock block(*task.block, task.decoder->config());
    for (const FoldGroup& group : groups) {
        if (const auto found = scales.find(group.inputGroup); found != scales.end()) {
            block.divideInputs(group, found->second);
        }
    }
    return block;
}

std::int64_t FoldingMethod::replacedBytes(const std::vector<LinearInfo>& linears,
                                          const ModelConfig& config,
                                          const std::set<std::string>& quantized) const
{
    return foldedBytes(groups(linears, config, quantized), linears, config);
}

BlockOutcome FoldingMethod::quantize(const BlockTask& task, const RunContext& run) const
{
    const at::NoGradGuard noGrad;
    std::vector<LinearInfo> linears;
    for (const LinearWeights& linear : task.block->linears) {
        linears.push_back(linear.info);
    }
    std::set<std::string> quantized;
    std::map<std::string, at::Tensor> deployed;
    for (const LayerTask& layer : task.layers) {
        quantized.insert(layer.name);
        deployed[layer.name] =
            rounded(layer, layer.weight, run).dequantizedCodes().to(layer.weight.device());
    }
    BlockOutcome outcome;
    outcome.result.errorBefore = blockError(task, deployed, run);
    const std::vector<FoldGroup> groups = this->groups(linears, task.decoder->config(), quantized);
    const Folding folding = fold(task, groups, run);
    const FoldedBlock block = foldedBlock(task, groups, folding.scales);
    for (const LinearWeights& linear : block.weights().linears) {
        if (quantized.count(linear.info.name) == 0) {
            continue;
        }
        const LayerTask& layer = layerOf(task, linear.info.name);
        LayerOutcome& made = outcome.layers.emplace_back();
        const auto bounds = folding.bounds.find(layer.name);
        made.linear = rounded(
            layer,
            bounds == folding.bounds.end() ? linear.weight : clipped(linear.weight, bounds->second),
            run);
        made.fold = block.foldOf(layer.name);
        if (const auto ratio = folding.ratios.find(linear.info.inputGroup);
            ratio != folding.ratios.end()) {
            outcome.result.awqRatios[layer.name] = ratio->second;
        }
    }
    outcome.replaced = block.replaced();
    for (const FoldGroup& group : groups) {
        if (!group.problem.empty() && (!group.everywhere || task.block->index == 0)) {
            outcome.substitutions.push_back(problemOf(group));
        }
    }
    return outcome;
}

} // namespace qw
