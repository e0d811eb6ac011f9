#include <map>
#include <memory>
#include <set>

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>

#include "base/error.h"
#include "methods/block_error.h"
#include "methods/builtin.h"
#include "methods/gptq.h"
#include "methods/method_params.h"
#include "methods/settings.h"
#include "model/matrix_product.h"

namespace qw {

namespace {
using Weights = std::map<std::string, at::Tensor>;
using Statistics = std::map<std::int64_t, std::unique_ptr<InputStatistics>>;

std::int64_t inputGroupOf(const BlockTask& task, const std::string& layer)
{
    for (const LinearWeights& linear : task.block->linears) {
        if (linear.info.name == layer) {
            return linear.info.inputGroup;
        }
    }
    throw Error(ErrorCode::Internal, message("block ", task.block->index, " has no ", layer));
}

/// Inputs of the groups asked for, on the quantized path, with @p weights in the place of those
/// layers that are done.
Statistics inputsOf(const BlockTask& task, const std::set<std::int64_t>& groups,
                    const Weights& weights, const RunContext& run)
{
    Statistics statistics;
    StatisticsNeeds needs;
    needs.autocorrelation = true;
    BlockHooks hooks;
    hooks.run = &run;
    hooks.input = [&](const LinearInfo& linear, const at::Tensor& input) {
        if (groups.count(linear.inputGroup) == 0) {
            return;
        }
        auto& entry = statistics[linear.inputGroup];
        if (!entry) {
            entry = std::make_unique<InputStatistics>(linear.in, needs, task.spec->device);
        }
        entry->add(input, true, run);
    };
    hooks.linear = [&](const LinearWeights& linear, const at::Tensor& x) {
        const auto found = weights.find(linear.info.name);
        return linearProduct(x, found == weights.end() ? linear.weight : found->second,
                             linear.bias);
    };
    for (std::int64_t window = 0; window < task.inputs->windows(); ++window) {
        task.decoder->forwardBlock(*task.block, task.inputs->load(window, 1), hooks);
    }
    return statistics;
}

/// The grid that a weight was rounded on.
GridParams gridOf(const QuantizedLinear& linear)
{
    return {linear.scale,
            linear.zero.defined() ? linear.zero.to(at::kFloat) : at::zeros_like(linear.scale)};
}

/// @param nearest  the weight rounded to nearest, which gives the form of the result and its grid
LayerOutcome quantizeLayer(const LayerTask& task, QuantizedLinear nearest,
                           const at::Tensor& autocorrelation, const RunContext& run)
{
    const GridOptions grid = gridOptions(task.settings.weight);
    const at::Tensor nearestCodes = nearest.codes;
    LayerOutcome outcome;
    outcome.linear = std::move(nearest);
    GptqCodes found;
    try {
        found =
            gptq(task.weight, autocorrelation, gridOf(outcome.linear), grid, task.spec->gptq, run);
    } catch (const Error& problem) {
        throw Error(problem.code(), message(task.name, ": ", problem.what()));
    }
    outcome.linear.codes = found.codes.to(nearestCodes.scalar_type()).cpu();
    outcome.linear.scale = found.params.scale.cpu();
    if (!grid.sym) {
        outcome.linear.zero = found.params.zero.to(at::kByte).cpu();
    }
    if (found.groupIndex.defined()) {
        outcome.linear.groupIndex = found.groupIndex.cpu();
    }
    if (found.dampPercent > task.spec->gptq.dampPercent) {
        outcome.substitutions.push_back(message(task.name, ": damping ", found.dampPercent,
                                                " % instead of ", task.spec->gptq.dampPercent,
                                                " %, which left the Hessian indefinite"));
    }
    if (grid.groupSize <= 0 || task.spec->gptq.staticGroups) { // the grid is round to nearest's
        const at::Tensor steps =
            (outcome.linear.codes.to(at::kShort) - nearestCodes.cpu().to(at::kShort)).abs();
        const auto share = [&](const at::Tensor& which) {
            return which.to(at::kDouble).mean().item<double>();
        };
        outcome.moved = {share(steps == 0), share(steps == 1), share(steps > 1)};
    }
    return outcome;
}

class Gptq final : public BlockMethod
{
public:
    const MethodInfo& info() const override
    {
        static const MethodInfo kInfo = [] {
            MethodInfo info{"gptq",
                            "GPTQ",
                            "arXiv:2210.17323",
                            "Rounds column by column and makes up for each error in the columns "
                            "still to come.",
                            weightParams(),
                            true,
                            false,
                            true};
            for (ParamSpec& param : gptqParams()) {
                info.params.push_back(std::move(param));
            }
            return info;
        }();
        return kInfo;
    }
    std::int64_t steps(const RunSpec& /*spec*/) const override { return 1; }
    void check(const RunSpec& spec) const override
    {
        QW_REQUIRE(spec.weight.format == "int", ErrorCode::BadInput, "weight.format ",
                   spec.weight.format,
                   " does not go with gptq, which rounds to integer grids; use int");
        QW_REQUIRE(spec.weight.groupSize != kPerTensor, ErrorCode::BadInput,
                   "weight.group_size tensor does not go with gptq, which needs a scale per row or "
                   "group; use channel or a number");
    }
    BlockOutcome quantize(const BlockTask& task, const RunContext& run) const override;
};

BlockOutcome Gptq::quantize(const BlockTask& task, const RunContext& run) const
{
    BlockOutcome outcome;
    std::map<std::string, QuantizedLinear> nearest;
    Weights before;
    for (const LayerTask& layer : task.layers) {
        const WeightSpec& weight = layer.settings.weight;
        QuantizedLinear& rounded = nearest[layer.name];
        rounded = roundToNearest(layer.name, layer.weight, weightFormat(weight),
                                 gridOptions(weight), run);
        before[layer.name] = rounded.dequantizedCodes().to(layer.weight.device());
    }
    outcome.result.errorBefore = blockError(task, before, run);
    before.clear();
    std::vector<std::set<std::int64_t>> stages; // input groups seen in one pass
    for (const LayerTask& layer : task.layers) {
        const std::int64_t group = inputGroupOf(task, layer.name);
        if (stages.empty() || (task.spec->gptq.trueSequential && stages.back().count(group) == 0)) {
            stages.emplace_back();
        }
        stages.back().insert(group);
    }
    Weights done;
    for (const std::set<std::int64_t>& stage : stages) {
        const Statistics statistics = inputsOf(task, stage, done, run);
        for (const LayerTask& layer : task.layers) {
            const std::int64_t group = inputGroupOf(task, layer.name);
            if (stage.count(group) == 0) {
                continue;
            }
            outcome.layers.push_back(quantizeLayer(layer, std::move(nearest.at(layer.name)),
                                                   statistics.at(group)->autocorrelation(), run));
            done[layer.name] =
                outcome.layers.back().linear.dequantizedCodes().to(layer.weight.device());
        }
    }
    return outcome;
}
} // namespace

std::unique_ptr<BlockMethod> makeGptq()
{
    return std::make_unique<Gptq>();
}

} // namespace qw
