#include "run/block_quantizer.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "methods/error_correction.h"
#include "methods/settings.h"
#include "run/activation_points.h"
#include "run/layer_measure.h"
#include "run/quantized_variant.h"

namespace qw {

namespace {
std::uint64_t layerSeed(std::int64_t seed, const std::string& layer)
{
    return std::stoull(hashOf(message(seed, "/", layer)).substr(0, 16), nullptr, 16);
}

double secondsSince(std::chrono::steady_clock::time_point start)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

LayerTask taskOf(const RunGroup& group, const LayerPlan& plan, const at::Tensor& weight,
                 const InputStatistics* statistics)
{
    LayerTask task;
    task.name = plan.info.name;
    task.role = plan.info.role;
    task.weight = weight;
    task.statistics = statistics;
    task.settings = plan.settings;
    task.spec = &group.factorSpec;
    task.seed = layerSeed(task.spec->seed, task.name);
    return task;
}

/// Puts a correction on top if one is asked for, and measures the layer for each spec.
void finishLayer(const RunGroup& group, const LayerTask& task, LayerOutcome outcome, double seconds,
                 BlockArtifact& artifact, const RunContext& run)
{
    run.checkpoint();
    if (task.spec->lowRank.correction != "none") {
        correctErrors(task.spec->lowRank.correction, task, outcome, run);
    }
    outcome.linear.activation = task.spec->activation.scale == "tensor"
                                    ? staticQuantizer(task.spec->activation, *task.statistics)
                                    : inputQuantizer(*task.spec, task.role);
    const LayerMeasure measure(
        task.weight, task.statistics != nullptr ? task.statistics->autocorrelation() : at::Tensor(),
        outcome.linear, run);
    for (std::size_t i = 0; i < group.specs.size(); ++i) {
        run.checkpoint();
        const std::int64_t rank =
            std::min(outcome.linear.rank(), group.rules[i].of(task.name).rank);
        LayerResult result = measure.atRank(rank, run);
        result.seconds = seconds;
        result.singularValues = outcome.singularValues;
        result.errorNorm =
            outcome.minimisesOutputError ? measure.codesOutputNorm() : outcome.errorNorm;
        result.trainRank = outcome.trainRank;
        result.trainedParameters = outcome.trainedParameters;
        if (!outcome.moved.empty()) {
            result.moved0 = outcome.moved[0];
            result.moved1 = outcome.moved[1];
            result.moved2plus = outcome.moved[2];
        }
        artifact.results[i].push_back(std::move(result));
    }
    artifact.substitutions.insert(artifact.substitutions.end(), outcome.substitutions.begin(),
                                  outcome.substitutions.end());
    // Factors that several ranks are sliced from stay as computed until they are cut.
    artifact.linears.push_back(group.specs.size() == 1
                                   ? outcome.linear.withRank(artifact.results[0].back().rank)
                                   : outcome.linear);
}

const LayerPlan* planOf(const std::vector<LayerPlan>& plans, const std::string& layer)
{
    const auto plan = std::find_if(plans.begin(), plans.end(),
                                   [&](const LayerPlan& p) { return p.info.name == layer; });
    return plan == plans.end() ? nullptr : &*plan;
}

const InputStatistics* statisticsOf(const BlockStatistics& statistics, std::int64_t inputGroup)
{
    const auto found = statistics.find(inputGroup);
    return found == statistics.end() ? nullptr : found->second.get();
}

/// From here on all layers are seen as folded: weights, and once for each group its statistics.
void followFolds(const std::vector<LayerOutcome>& outcomes, const BlockWeights& block,
                 const BlockStatistics& statistics, BlockTask& task, BlockArtifact& artifact)
{
    std::set<std::int64_t> followed;
    for (std::size_t i = 0; i < task.layers.size(); ++i) {
        LayerTask& layer = task.layers[i];
        const LayerFold& fold = outcomes[i].fold;
        if (!fold.defined()) {
            continue;
        }
        layer.weight = fold.apply(layer.weight);
        artifact.folds[layer.name] = {fold.columns.defined() ? fold.columns.cpu() : fold.columns,
                                      fold.rows.defined() ? fold.rows.cpu() : fold.rows};
        const auto linear =
            std::find_if(block.linears.begin(), block.linears.end(),
                         [&](const LinearWeights& l) { return l.info.name == layer.name; });
        const auto found = statistics.find(linear->info.inputGroup);
        if (fold.columns.defined() && found != statistics.end() &&
            followed.insert(linear->info.inputGroup).second) {
            found->second->divideBy(fold.columns);
        }
    }
}

BlockArtifact emptyArtifact(const RunGroup& group, const BlockWeights& block)
{
    BlockArtifact artifact;
    artifact.block = block.index;
    artifact.results.resize(group.specs.size());
    return artifact;
}
} // namespace

RunGroup planGroup(std::vector<RunSpec> specs, const Checkpoint& checkpoint,
                   std::int64_t factorRank)
{
    RunGroup group;
    group.specs = std::move(specs);
    for (std::size_t i = 0; i < group.specs.size(); ++i) {
        group.plans.push_back(planRun(group.specs[i], checkpoint));
        group.rules.emplace_back(group.specs[i]);
        if (group.specs[i].lowRank.rank > group.specs[group.largest].lowRank.rank) {
            group.largest = i;
        }
    }
    group.factorSpec = group.specs[group.largest];
    group.factorPlan = group.plans[group.largest];
    if (factorRank > group.factorSpec.lowRank.rank) {
        group.factorSpec.lowRank.rank = factorRank;
        group.factorPlan = planRun(group.factorSpec, checkpoint);
    }
    return group;
}

StatisticsNeeds statisticsNeeds(const RunGroup& group)
{
    StatisticsNeeds needs;
    for (const std::string& id : {group.factorSpec.method, group.factorSpec.lowRank.correction}) {
        if (id == "none") {
            continue;
        }
        StatisticsNeeds more; // a method that trains the model sees to its own
        const QuantMethod& method = findMethod(id);
        if (const auto* layerwise = dynamic_cast<const LayerMethod*>(&method)) {
            more = layerwise->needs(group.factorSpec);
        } else if (const auto* blockwise = dynamic_cast<const BlockMethod*>(&method)) {
            more = blockwise->needs(group.factorSpec);
        }
        needs.meanAbs = needs.meanAbs || more.meanAbs;
        needs.meanSquare = needs.meanSquare || more.meanSquare;
        needs.range = needs.range || more.range;
    }
    needs.autocorrelation = true;
    needs.range = needs.range || group.factorSpec.activation.scale == "tensor";
    return needs;
}

std::vector<LayerTask> layerTasks(const RunGroup& group, const BlockWeights& block,
                                  const BlockStatistics& statistics)
{
    const std::vector<LayerPlan> plans = group.factorPlan.ofBlock(block.index);
    std::vector<LayerTask> tasks;
    for (const LinearWeights& linear : block.linears) {
        if (const LayerPlan* plan = planOf(plans, linear.info.name)) {
            tasks.push_back(taskOf(group, *plan, linear.weight,
                                   statisticsOf(statistics, linear.info.inputGroup)));
        }
    }
    return tasks;
}

BlockArtifact quantizeBlock(const RunGroup& group, const LayerMethod& method, BlockWeights block,
                            BlockStatistics statistics, const RunContext& run)
{
    BlockArtifact artifact = emptyArtifact(group, block);
    const std::vector<LayerPlan> plans = group.factorPlan.ofBlock(block.index);
    for (LinearWeights& linear : block.linears) {
        const std::int64_t inputs = linear.info.inputGroup;
        if (const LayerPlan* plan = planOf(plans, linear.info.name)) {
            run.checkpoint();
            const auto start = std::chrono::steady_clock::now();
            const LayerTask task =
                taskOf(group, *plan, linear.weight, statisticsOf(statistics, inputs));
            LayerOutcome outcome = method.quantize(task, run);
            finishLayer(group, task, std::move(outcome), secondsSince(start), artifact, run);
        }
        linear.weight = at::Tensor();
        const bool last = std::none_of(
            &linear + 1, block.linears.data() + block.linears.size(),
            [&](const LinearWeights& later) { return later.info.inputGroup == inputs; });
        if (last) {
            statistics.erase(inputs);
        }
    }
    return artifact;
}

BlockHooks pathHooks(BlockArtifact artifact, const BlockWeights& block, const Decoder& decoder)
{
    for (QuantizedLinear& linear : artifact.linears) {
        linear.a = Factor{};
        linear.b = Factor{};
        linear.activation = {};
    }
    return quantizedHooks(artifact, {}, block, decoder);
}

BlockArtifact quantizeBlock(const RunGroup& group, const BlockMethod& method, BlockWeights block,
                            BlockStatistics statistics, const BlockPaths& paths,
                            const RunContext& run)
{
    const auto start = std::chrono::steady_clock::now();
    BlockArtifact artifact = emptyArtifact(group, block);
    BlockTask task;
    task.decoder = paths.decoder;
    task.block = &block;
    task.inputs = &paths.inputs->states();
    task.targets = paths.targets;
    task.spec = &group.factorSpec;
    task.seed = layerSeed(task.spec->seed, message("block ", block.index));
    task.stateFile = paths.stateFile;
    task.scratch = paths.scratch;
    task.lossesCame = paths.lossesCame;
    task.layers = layerTasks(group, block, statistics);
    BlockOutcome outcome = method.quantize(task, run);
    artifact.replaced = std::move(outcome.replaced);
    artifact.substitutions = std::move(outcome.substitutions);
    followFolds(outcome.layers, block, statistics, task, artifact);
    for (std::size_t i = 0; i < task.layers.size(); ++i) {
        finishLayer(group, task.layers[i], std::move(outcome.layers[i]), kMissing, artifact, run);
    }
    statistics.clear(); // the weights as deployed take their room
    outcome.result.errorAfter = paths.inputs->advanceTowards(
        *paths.targets, block, run, pathHooks(artifact, block, *paths.decoder));
    outcome.result.block = block.index;
    outcome.result.seconds = secondsSince(start);
    outcome.result.peakRssBytes = recentPeakRssBytes(); // restarted by whoever began the block
    artifact.result = std::move(outcome.result);
    return artifact;
}

} // namespace qw
