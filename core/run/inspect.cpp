#include <ATen/core/grad_mode.h>

#include "engine.h"
#include "methods/method.h"
#include "model/checkpoint.h"
#include "run/layer_overview.h"

namespace qw {

namespace {
void measureWeights(const Checkpoint& checkpoint, ModelOverview& overview, const RunContext& run)
{
    run.beginPhase("inspect", static_cast<std::int64_t>(overview.layers.size()));
    std::int64_t done = 0;
    for (const LinearInfo& linear : checkpoint.linears()) {
        LayerOverview& layer = overview.layers[static_cast<std::size_t>(done)];
        measureWeight(layer, checkpoint.linearWeight(linear).to(at::kFloat));
        if (done + 1 == static_cast<std::int64_t>(overview.layers.size()) ||
            checkpoint.linears()[static_cast<std::size_t>(done) + 1].block != linear.block) {
            checkpoint.releaseBlock(linear.block);
        }
        run.checkpoint(++done, linear.name);
    }
}
} // namespace

ModelOverview inspectModel(const std::string& model, bool withWeights, const RunContext& run)
{
    const at::NoGradGuard noGrad;
    const Checkpoint checkpoint(resolveModel(model));
    const ModelConfig& c = checkpoint.config();
    ModelOverview overview;
    overview.folder = checkpoint.folder().string();
    overview.architecture = c.modelType;
    overview.parameters = checkpoint.parameters();
    overview.bytes = checkpoint.bytes();
    overview.vocabSize = c.vocabSize;
    overview.hidden = c.hidden;
    overview.intermediate = c.intermediate;
    overview.blocks = c.layers;
    overview.heads = c.heads;
    overview.kvHeads = c.kvHeads;
    overview.headDim = c.headDim;
    overview.maxPositions = c.maxPositions;
    overview.tiedEmbeddings = c.tiedEmbeddings;
    overview.remarks = checkpoint.remarks();
    for (const LinearInfo& linear : checkpoint.linears()) {
        overview.layers.push_back(overviewOf(linear));
    }
    if (withWeights) {
        measureWeights(checkpoint, overview, run);
    }
    return overview;
}

std::vector<MethodDescription> describeMethods()
{
    std::vector<MethodDescription> result;
    for (const auto& method : builtinMethods()) {
        const MethodInfo& info = method->info();
        result.push_back({info.id, info.title, info.source, info.summary, info.params,
                          info.needsCalibration, info.lowRank});
    }
    return result;
}

} // namespace qw
