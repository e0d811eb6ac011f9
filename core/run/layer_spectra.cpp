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
    const auto add = [&](const std::string& kind, const std::string& decidedBy,
                         const std::function<std::vector<double>()>& compute) {
        run.checkpoint();
        const std::string key =
            hashOf(message(checkpoint.hash(run), "/", layerName, "/", kind, "/", decidedBy));
        std::optional<std::vector<double>> found;
        if (cache != nullptr) {
            found = cache->findSpectrum(key);
        }
        const Spectrum spectrum{kind, found ? *found : compute()};
        if (cache != nullptr && !found) {
            cache->saveSpectrum(key, spectrum.values);
        }
        const double squares = std::inner_product(spectrum.values.begin(), spectrum.values.end(),
                                                  spectrum.values.begin(), 0.0);
        result.curves.push_back({kind, spectrum.values, spectrum.normalized(), std::sqrt(squares)});
        return spectrum;
    };
    const Spectrum ofWeight =
        add("W", "", [&] { return singularValues(w.to(spec.device), {}, run); });
    result.stableRank = stableRank(ofWeight);
    const MarchenkoPastur edge = marchenkoPastur(ofWeight, layer.out, layer.in);
    result.marchenkoPasturEdge = edge.edge;
    result.aboveEdge = edge.above;
    const std::string ofFormat = toJson(decisive).dump();
    add("E", ofFormat, [&] { return singularValues(error, {}, run); });
    if (spec.calibration.text.empty()) {
        return result;
    }

    const Tokenizer tokenizer = Tokenizer::fromFolder(checkpoint.folder());
    const TextWindows windows =
        calibrationWindows(spec.calibration, resolveText(spec.calibration.text).string(),
                           checkpoint.config(), tokenizer, static_cast<std::uint64_t>(spec.seed),
                           run);
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
    const std::string ofData = toJson(decisive).dump() + windows.textHash + tokenizer.hash();
    add("SE", ofData,
        [&] { return singularValues(error, l2qerNorm(spec.lowRank, statistics()), run); });
    add("RE", ofData, [&] {
        return singularValues(error, {{}, statistics().autocorrelation()}, run);
    });
    return result;
}

} // namespace qw
