#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>

#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "base/hash.h"
#include "engine.h"
#include "eval/text_windows.h"
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
/// Statistics of one layer's input: the model runs up to its block.
std::unique_ptr<InputStatistics> statisticsOf(const Checkpoint& checkpoint, const RunSpec& spec,
                                              const at::Tensor& ids, const LinearInfo& layer,
                                              const StatisticsNeeds& needs, const RunContext& run)
{
    const Decoder decoder(checkpoint, {at::kFloat, spec.device});
    BlockCalibration calibration(decoder, ids, spec.calibration.statBatch, {}, run);
    run.beginPhase("calibrate", layer.block + 1);
    for (std::int64_t index = 0;; ++index) {
        auto statistics = calibration.advance(
            decoder.loadBlock(index), index == layer.block ? needs : StatisticsNeeds{}, run);
        checkpoint.releaseBlock(index);
        run.checkpoint(index + 1);
        if (index == layer.block) {
            return std::move(statistics.at(layer.inputGroup));
        }
    }
}
} // namespace

LayerSpectra layerSpectra(const RunSpec& spec, const std::string& layerName, RunStore* cache,
                          const RunContext& run)
{
    const at::NoGradGuard noGrad;
    const Checkpoint checkpoint(resolveModel(spec.model));
    const LinearInfo& layer = findLayer(checkpoint, layerName);
    RunSpec decisive;              // of the spec, what decides a curve and no more
    std::vector<std::string> said; // with the run, not with each look at a layer
    decisive.weight = settledSettings(spec, layer, said).weight;
    const at::Tensor w = checkpoint.linearWeight(layer).to(at::kFloat);
    const at::Tensor error = (w - roundToNearest(layerName, w, weightFormat(decisive.weight),
                                                 gridOptions(decisive.weight), run)
                                      .dequantizedCodes())
                                 .to(spec.device);

    LayerSpectra result;
    result.layer = layerName;
    const auto cached = [&](const std::string& kind, const std::string& decidedBy,
                            const std::function<std::vector<double>()>& compute) {
        run.checkpoint();
        const std::string key =
            hashOf(message(checkpoint.hash(run), "/", layerName, "/", kind, "/", decidedBy));
        std::optional<std::vector<double>> found;
        if (cache != nullptr) {
            found = cache->findSpectrum(key);
        }
        const std::vector<double> values = found ? *found : compute();
        if (cache != nullptr && cache->writable() && !found) {
            cache->saveSpectrum(key, values);
        }
        return values;
    };
    const auto add = [&](const Spectrum& spectrum, double weightNorm) {
        const double squares = std::inner_product(spectrum.values.begin(), spectrum.values.end(),
                                                  spectrum.values.begin(), 0.0);
        result.curves.push_back({spectrum.kind, spectrum.values, spectrum.normalized(),
                                 std::sqrt(squares), weightNorm});
    };
    const double weightNorm = w.to(at::kDouble).norm().item<double>();
    const Spectrum ofWeight{
        "W", cached("W", "", [&] { return singularValues(w.to(spec.device), {}, run); })};
    add(ofWeight, weightNorm);
    result.stableRank = stableRank(ofWeight);
    const MarchenkoPastur edge = marchenkoPastur(ofWeight, layer.out, layer.in);
    result.marchenkoPasturEdge = edge.edge;
    result.aboveEdge = edge.above;
    const std::string ofFormat = toJson(decisive).dump();
    add({"E", cached("E", ofFormat, [&] { return singularValues(error, {}, run); })}, weightNorm);
    if (spec.calibration.text.empty()) {
        return result;
    }

    const Tokenizer tokenizer = Tokenizer::fromFolder(checkpoint.folder());
    const TextWindows windows = calibrationWindows(
        spec.calibration, resolveText(spec.calibration.text).string(), checkpoint.config(),
        tokenizer, static_cast<std::uint64_t>(spec.seed), run);
    std::unique_ptr<InputStatistics> collected; // only if a curve is not kept already
    const auto statistics = [&]() -> const InputStatistics& {
        if (!collected) {
            StatisticsNeeds needs = l2qerNeeds(spec.lowRank);
            needs.autocorrelation = true;
            collected = statisticsOf(checkpoint, spec, windows.ids, layer, needs, run);
        }
        return *collected;
    };
    decisive.seed = spec.seed;
    decisive.calibration = spec.calibration;
    decisive.lowRank.statistic = spec.lowRank.statistic;
    decisive.lowRank.reduce = spec.lowRank.reduce;
    const auto addOfData = [&](const std::string& kind, const std::function<ErrorNorm()>& norm) {
        const std::string text = windows.textHash + tokenizer.hash();
        const Spectrum spectrum{kind, cached(kind, toJson(decisive).dump() + text,
                                             [&] { return singularValues(error, norm(), run); })};
        RunSpec data = decisive; // the format does not decide it
        data.weight = {};
        const std::vector<double> ofWeights =
            cached("norm of W for " + kind, toJson(data).dump() + text,
                   [&] { return std::vector{normUnder(w.to(spec.device), norm(), run)}; });
        add(spectrum, ofWeights.at(0));
    };
    addOfData("SE", [&] { return l2qerNorm(spec.lowRank, statistics()); });
    addOfData("RE", [&] { return ErrorNorm{{}, statistics().autocorrelation()}; });
    return result;
}

} // namespace qw
