#include "run/block_quantizer.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/hash.h"
#include "run/layer_measure.h"

namespace qw {

namespace {
std::uint64_t layerSeed(std::int64_t seed, const std::string& layer)
{
    return std::stoull(hashOf(message(seed, "/", layer)).substr(0, 16), nullptr, 16);
}

/// One linear: its outcome at the largest rank and a result for each spec.
void quantizeLayer(const RunGroup& group, const LayerMethod& method, const LayerPlan& plan,
                   const at::Tensor& weight, const InputStatistics* statistics,
                   BlockArtifact& artifact, const RunContext& run)
{
    const auto start = std::chrono::steady_clock::now();
    LayerTask task;
    task.name = plan.info.name;
    task.weight = weight;
    task.statistics = statistics;
    task.settings = plan.settings;
    task.spec = &group.factorSpec;
    task.seed = layerSeed(task.spec->seed, task.name);
    const LayerOutcome outcome = method.quantize(task, run);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    run.checkpoint();
    const LayerMeasure measure(weight,
                               statistics != nullptr ? statistics->autocorrelation() : at::Tensor(),
                               outcome.linear, run);
    for (std::size_t i = 0; i < group.specs.size(); ++i) {
        run.checkpoint();
        const std::int64_t rank =
            std::min(outcome.linear.rank(), settingsFor(group.specs[i], task.name).rank);
        LayerResult result = measure.atRank(rank, run);
        result.seconds = seconds;
        result.singularValues = outcome.singularValues;
        result.errorNorm =
            outcome.minimisesOutputError ? measure.codesOutputNorm() : outcome.errorNorm;
        artifact.results[i].push_back(std::move(result));
    }
    artifact.substitutions.insert(artifact.substitutions.end(), outcome.substitutions.begin(),
                                  outcome.substitutions.end());
    // Factors that several ranks are sliced from stay as computed until they are cut.
    artifact.linears.push_back(group.specs.size() == 1
                                   ? outcome.linear.withRank(artifact.results[0].back().rank)
                                   : outcome.linear);
}
} // namespace

RunGroup planGroup(std::vector<RunSpec> specs, const Checkpoint& checkpoint,
                   std::int64_t factorRank)
{
    RunGroup group;
    group.specs = std::move(specs);
    for (std::size_t i = 0; i < group.specs.size(); ++i) {
        group.plans.push_back(planRun(group.specs[i], checkpoint));
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

BlockArtifact quantizeBlock(const RunGroup& group, const LayerMethod& method, BlockWeights block,
                            BlockStatistics statistics, const RunContext& run)
{
    BlockArtifact artifact;
    artifact.block = block.index;
    artifact.results.resize(group.specs.size());
    const std::vector<LayerPlan> plans = group.factorPlan.ofBlock(block.index);
    for (LinearWeights& linear : block.linears) {
        const auto plan = std::find_if(plans.begin(), plans.end(), [&](const LayerPlan& p) {
            return p.info.name == linear.info.name;
        });
        const std::int64_t inputs = linear.info.inputGroup;
        if (plan != plans.end()) {
            const auto found = statistics.find(inputs);
            run.checkpoint();
            quantizeLayer(group, method, *plan, linear.weight,
                          found == statistics.end() ? nullptr : found->second.get(), artifact, run);
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

} // namespace qw
