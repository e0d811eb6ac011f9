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

const LinearInfo& findLayer(const Checkpoint& checkpoint, const std::string& name)
{
    std::vector<std::string> names;
    for (const LinearInfo& linear : checkpoint.linears()) {
        if (linear.name == name) {
            return linear;
        }
        names.push_back(linear.name);
    }
    const std::string nearest = nearestName(name, names);
    throw Error(ErrorCode::BadInput,
                message("the model has no linear layer \"", name, "\"",
                        nearest.empty() ? std::string() : "; did you mean \"" + nearest + "\"?"));
}

/// R of one layer's input: the model runs up to its block.
std::unique_ptr<InputStatistics> statisticsOf(const Checkpoint& checkpoint, const RunSpec& spec,
                                              const LinearInfo& layer, const RunContext& run)
{
    const Tokenizer tokenizer = Tokenizer::fromFolder(checkpoint.folder());
    const Decoder decoder(checkpoint, {at::kFloat, spec.device});
    const TextWindows windows =
        calibrationWindows(spec.calibration, resolveText(spec.calibration.text).string(),
                           checkpoint.config(), tokenizer, static_cast<std::uint64_t>(spec.seed));
    BlockCalibration calibration(decoder, windows.ids, spec.calibration.statBatch, {}, run);
    run.beginPhase("calibrate", layer.block + 1);
    for (std::int64_t index = 0;; ++index) {
        StatisticsNeeds needs;
        needs.meanAbs = needs.autocorrelation = index == layer.block;
        auto statistics = calibration.advance(decoder.loadBlock(index), needs, run);
        checkpoint.releaseBlock(index);
        run.checkpoint(index + 1);
        if (index == layer.block) {
            return std::move(statistics.at(layer.inputGroup));
        }
    }
}

std::vector<double> values(const at::Tensor& spectrum)
{
    const auto* data = spectrum.data_ptr<double>();
    return {data, data + spectrum.numel()};
}

/// Singular values of R^(1/2) E^T: roots of the eigenvalues of E R E^T.
at::Tensor exactSpectrum(const at::Tensor& error, const at::Tensor& autocorrelation)
{
    const at::Tensor e = error.to(at::kDouble);
    const at::Tensor product = at::matmul(at::matmul(e, autocorrelation), e.t());
    return at::linalg_eigvalsh(product).clamp_min(0).sqrt().flip(0).contiguous();
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

LayerSpectra layerSpectra(const RunSpec& spec, const std::string& layerName, RunStore* cache,
                          const RunContext& run)
{
    const at::NoGradGuard noGrad;
    const Checkpoint checkpoint(resolveModel(spec.model));
    const LinearInfo& layer = findLayer(checkpoint, layerName);
    const WeightSpec weight = settingsFor(spec, layerName).weight;
    const at::Tensor w = checkpoint.linearWeight(layer).to(at::kFloat);
    const at::Tensor error =
        w -
        roundToNearest(layerName, w, weightFormat(weight), gridOptions(weight)).dequantizedCodes();
    std::unique_ptr<InputStatistics> statistics;
    if (!spec.calibration.text.empty()) {
        statistics = statisticsOf(checkpoint, spec, layer, run);
    }
    RunSpec keyed = spec;
    keyed.evaluation = {};
    const std::string key = checkpoint.hash() + toJson(keyed).dump() + layerName;
    LayerSpectra result;
    result.layer = layerName;
    const auto add = [&](const std::string& kind, const std::function<at::Tensor()>& compute) {
        run.checkpoint();
        const std::string cacheKey = hashOf(key + kind);
        std::optional<std::vector<double>> found;
        if (cache != nullptr) {
            found = cache->findSpectrum(cacheKey);
        }
        Spectrum spectrum{kind, found ? *found : values(compute())};
        if (cache != nullptr && !found) {
            cache->saveSpectrum(cacheKey, spectrum.values);
        }
        double squares = 0;
        for (const double value : spectrum.values) {
            squares += value * value;
        }
        result.curves.push_back({kind, spectrum.values, spectrum.normalized(), std::sqrt(squares)});
        return spectrum;
    };
    const Spectrum ofWeight = add("W", [&] { return singularValues(w); });
    result.stableRank = stableRank(ofWeight);
    const MarchenkoPastur edge = marchenkoPastur(ofWeight, layer.out, layer.in);
    result.marchenkoPasturEdge = edge.edge;
    result.aboveEdge = edge.above;
    add("E", [&] { return singularValues(error); });
    if (statistics) {
        add("SE", [&] {
            return singularValues(error.to(at::kDouble) *
                                  lqerScale(statistics->scaleMeanAbs(true)));
        });
        add("RE", [&] { return exactSpectrum(error, statistics->autocorrelation()); });
    }
    return result;
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
