#include <ATen/core/grad_mode.h>

#include "engine.h"
#include "methods/method.h"
#include "model/checkpoint.h"
#include "run/layer_overview.h"

namespace qw {

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
        eachWeight(checkpoint, "inspect", run, [&](std::size_t i, const at::Tensor& w) {
            measureWeight(overview.layers[i], w);
        });
    }
    return overview;
}

std::vector<MethodDescription> describeMethods()
{
    std::vector<MethodDescription> result;
    for (const auto& method : builtinMethods()) {
        const MethodInfo& info = method->info();
        result.push_back({info.id, info.title, info.source, info.summary, info.params,
                          info.needsCalibration, info.lowRank, info.integerGridsOnly,
                          info.findsRange});
    }
    return result;
}

} // namespace qw
