#include "methods/awq.h"

#include <algorithm>
#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include "base/error.h"
#include "methods/builtin.h"
#include "methods/folding_method.h"
#include "methods/method_params.h"
#include "methods/module_replay.h"
#include "methods/settings.h"
#include "model/block_title.h"

namespace qw {

namespace {
constexpr std::int64_t kGroups = 4; ///< of inputs, each searched once

/// The part of the block whose output judges the scales of a group, or nothing where the layer's
/// own output does. OPT's fc1 stands in the block itself, not in a module.
std::optional<BlockModule> judgeOf(const FoldGroup& group, const ModelConfig& config)
{
    if (group.source == FoldGroup::Source::AttentionNorm) {
        return BlockModule::Attention;
    }
    if (group.source == FoldGroup::Source::MlpNorm && config.arch->id != "opt") {
        return BlockModule::Mlp;
    }
    return std::nullopt;
}

ScaleChoice chooseScale(const BlockTask& task, const FoldGroup& group,
                        const std::function<void(std::int64_t)>& tried, const RunContext& run)
{
    std::vector<ScaledLayer> layers;
    for (const std::string& name : group.layers) {
        const LayerTask& layer = layerOf(task, name);
        layers.push_back({name, layer.weight, gridOptions(layer.settings.weight)});
    }
    const LayerTask& first = layerOf(task, group.layers.front());
    QW_REQUIRE(first.statistics != nullptr, ErrorCode::Internal, first.name,
               ": no input statistics were collected");
    const at::Tensor size = first.statistics->meanAbs();
    const std::int64_t ratios = task.spec->awq.ratios;
    if (const auto module = judgeOf(group, task.decoder->config())) {
        const ModuleReplay replay(task, *module, run);
        return searchScale(
            layers, size, ratios, [&](const auto& weights) { return replay.error(weights, run); },
            tried, run);
    }
    const at::Tensor r = first.statistics->autocorrelation();
    return searchScale(
        layers, size, ratios,
        [&](const auto& weights) {
            return meanOutputError(weights.at(first.name) - first.weight, r, run);
        },
        tried, run);
}

/// Every n-th token of each group's inputs, at least 512 if there are as many.
std::map<std::int64_t, at::Tensor> sampledInputs(const BlockTask& task, const RunContext& run)
{
    const std::int64_t seqlen = task.inputs->seqlen();
    const std::int64_t stride =
        std::max<std::int64_t>(1, task.inputs->windows() * seqlen / kAwqClipTokens);
    std::map<std::int64_t, std::vector<at::Tensor>> parts;
    std::int64_t passed = 0; // tokens of earlier windows
    BlockHooks hooks;
    hooks.run = &run;
    hooks.input = [&](const LinearInfo& linear, const at::Tensor& input) {
        const std::int64_t skipped = (stride - passed % stride) % stride;
        if (skipped < input.size(0)) {
            parts[linear.inputGroup].push_back(
                input.slice(0, skipped, input.size(0), stride).clone());
        }
    };
    for (std::int64_t window = 0; window < task.inputs->windows(); ++window, passed += seqlen) {
        task.decoder->forwardBlock(*task.block, task.inputs->load(window, 1), hooks);
    }
    std::map<std::int64_t, at::Tensor> tokens;
    for (const auto& [group, some] : parts) {
        tokens[group] = at::cat(some);
    }
    return tokens;
}

/// The products of queries and keys pass on what a cut does to either.
bool cuts(LinearRole role)
{
    return role != LinearRole::Query && role != LinearRole::Key && role != LinearRole::FusedQkv;
}

class Awq final : public FoldingMethod
{
public:
    const MethodInfo& info() const override
    {
        static const MethodInfo kInfo = [] {
            MethodInfo info{"awq",
                            "AWQ",
                            "arXiv:2306.00978",
                            "Scales up the input channels that matter before rounding and undoes "
                            "it in the layer before.",
                            weightParams(),
                            true,
                            false,
                            true,
                            true};
            for (ParamSpec& param : awqParams()) {
                info.params.push_back(std::move(param));
            }
            return info;
        }();
        return kInfo;
    }
    std::int64_t steps(const RunSpec& spec) const override { return kGroups * spec.awq.ratios; }
    StatisticsNeeds needs(const RunSpec& /*spec*/) const override
    {
        StatisticsNeeds needs;
        needs.meanAbs = true;
        needs.autocorrelation = true;
        return needs;
    }
    void check(const RunSpec& spec) const override
    {
        QW_REQUIRE(spec.weight.format == "int", ErrorCode::BadInput, "weight.format ",
                   spec.weight.format,
                   " does not go with awq, which rounds to integer grids; use int");
        QW_REQUIRE(spec.weight.groupSize != kPerTensor, ErrorCode::BadInput,
                   "weight.group_size tensor does not go with awq, which needs a scale per row or "
                   "group; use channel or a number");
        QW_REQUIRE(spec.weight.range == "minmax", ErrorCode::BadInput, "weight.range ",
                   spec.weight.range,
                   " does not go with awq, which searches where to cut the weights itself; use "
                   "minmax");
    }

protected:
    std::vector<FoldGroup> groups(const std::vector<LinearInfo>& linears, const ModelConfig& config,
                                  const std::set<std::string>& quantized) const override
    {
        return foldGroups(linears, config, quantized);
    }
    Folding fold(const BlockTask& task, const std::vector<FoldGroup>& groups,
                 const RunContext& run) const override;
};

Folding Awq::fold(const BlockTask& task, const std::vector<FoldGroup>& groups,
                  const RunContext& run) const
{
    const std::int64_t all = steps(*task.spec);
    const std::string title = blockTitle(task.decoder->checkpoint(), task.block->index);
    const AwqChoices choices = chooseAwq(
        task, groups,
        [&](std::int64_t done) {
            run.checkpoint(task.block->index * all + done,
                           message(title, ", scale ", done, " of ", all));
        },
        run);
    Folding folding;
    folding.bounds = choices.bounds;
    for (const auto& [group, choice] : choices.scales) {
        folding.scales[group] = choice.scale;
        folding.ratios[group] = choice.ratio;
    }
    return folding;
}
} // namespace

AwqChoices chooseAwq(const BlockTask& task, const std::vector<FoldGroup>& groups,
                     const std::function<void(std::int64_t)>& done, const RunContext& run)
{
    const at::NoGradGuard noGrad;
    AwqChoices choices;
    std::map<std::int64_t, at::Tensor> scales;
    for (const FoldGroup& group : groups) {
        if (group.problem.empty()) {
            const auto tried = [&](std::int64_t ratios) {
                done(group.inputGroup * task.spec->awq.ratios + ratios);
            };
            const ScaleChoice choice = chooseScale(task, group, tried, run);
            choices.scales[group.inputGroup] = choice;
            scales[group.inputGroup] = choice.scale;
        }
    }
    if (task.spec->awq.clip != "search") {
        return choices;
    }
    std::map<std::int64_t, at::Tensor> tokens = sampledInputs(task, run);
    for (const auto& [group, scale] : scales) {
        tokens.at(group).div_(scale);
    }
    const FoldedBlock folded = foldedBlock(task, groups, scales);
    for (const LayerTask& layer : task.layers) {
        for (const LinearWeights& linear : folded.weights().linears) {
            if (linear.info.name == layer.name && cuts(linear.info.role)) {
                choices.bounds[layer.name] =
                    searchClip(linear.weight, tokens.at(linear.info.inputGroup),
                               gridOptions(layer.settings.weight), run);
            }
        }
    }
    return choices;
}

std::unique_ptr<BlockMethod> makeAwq()
{
    return std::make_unique<Awq>();
}

} // namespace qw
