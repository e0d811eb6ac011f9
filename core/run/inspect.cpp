#include <cmath>

#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "base/hash.h"
#include "engine.h"
#include "eval/text_windows.h"
#include "methods/low_rank.h"
#include "methods/method.h"
#include "methods/settings.h"
#include "methods/spectra.h"
#include "model/decoder.h"
#include "model/tokenizer.h"
#include "quant/quantized_linear.h"
#include "run/block_calibration.h"
#include "run/run_plan.h"
#include "store/run_store.h"

namespace qw {

namespace {
void measureWeights(const Checkpoint& checkpoint, ModelOverview& overview, const RunContext& run)
{
    run.beginPhase("inspect", static_cast<std::int64_t>(overview.layers.size()));
    std::int64_t done = 0;
    for (const LinearInfo& linear : checkpoint.linears()) {
        LayerOverview& layer = overview.layers[static_cast<std::size_t>(done)];
        const at::Tensor w = checkpoint.linearWeight(linear).to(at::kFloat);
        layer.minimum = w.min().item<double>();
        layer.maximum = w.max().item<double>();
        layer.standardDeviation = w.to(at::kDouble).std().item<double>();
        layer.outlierRatio =
            std::max(std::abs(layer.minimum), std::abs(layer.maximum)) / layer.standardDeviation;
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
        LayerOverview layer;
        layer.name = linear.name;
        layer.rows = linear.out;
        layer.cols = linear.in;
        layer.parameters = linear.in * linear.out;
        layer.dtype = linear.dtype;
        layer.minimum = layer.maximum = layer.standardDeviation = layer.outlierRatio = kMissing;
        overview.layers.push_back(std::move(layer));
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
