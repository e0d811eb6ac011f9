#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "engine.h"
#include "eval/text_windows.h"
#include "methods/settings.h"
#include "model/decoder.h"
#include "model/tokenizer.h"
#include "quant/quantized_linear.h"
#include "run/artifact.h"
#include "run/block_calibration.h"
#include "run/layer_overview.h"
#include "run/run_plan.h"

namespace qw {

namespace {
constexpr std::int64_t kPowerVectors = 8;
constexpr int kPowerSteps = 12;

/// Block power iteration on the smaller Gram side; the start is fixed, so the answer is, too.
double largestSingularValue(const at::Tensor& w)
{
    const std::int64_t vectors = std::min({kPowerVectors, w.size(0), w.size(1)});
    at::Tensor basis =
        at::arange(w.size(1) * vectors, at::kFloat).mul(0.618034F).sin().view({w.size(1), vectors});
    for (int step = 0; step < kPowerSteps; ++step) {
        basis = std::get<0>(at::linalg_qr(basis));
        basis = at::matmul(w.t(), at::matmul(w, basis));
    }
    basis = std::get<0>(at::linalg_qr(basis));
    return at::linalg_svdvals(at::matmul(w, basis)).max().item<double>();
}

/// A layer of a run, and how the weight it stands for was folded.
struct DeployedLayer {
    QuantizedLinear linear;
    LayerFold fold;
};

/// The layer as the run deployed it, or nothing if the run kept no artifact.
std::optional<DeployedLayer> fromArtifact(const RunResult& run, const LinearInfo& layer)
{
    if (run.artifactFolder.empty()) {
        return std::nullopt;
    }
    const ArtifactFolder folder(run.artifactFolder, {});
    if (!folder.hasBlock(layer.block)) {
        return std::nullopt;
    }
    BlockArtifact block = folder.readBlock(layer.block);
    for (QuantizedLinear& linear : block.linears) {
        if (linear.name == layer.name) {
            const std::int64_t rank = settingsFor(run.spec, layer.name).rank;
            return DeployedLayer{linear.withRank(std::min(linear.rank(), rank)),
                                 block.folds[layer.name]};
        }
    }
    return std::nullopt;
}

std::vector<std::int64_t> countIn(const std::vector<double>& edges, const at::Tensor& values)
{
    std::vector<std::int64_t> counts(edges.size() - 1, 0);
    const at::Tensor flat = values.to(at::kFloat).contiguous();
    const auto* data = flat.data_ptr<float>();
    const double low = edges.front();
    const double width = (edges.back() - low) / static_cast<double>(counts.size());
    for (std::int64_t i = 0; i < flat.numel(); ++i) {
        const double place = (static_cast<double>(data[i]) - low) / width;
        const auto bin = std::clamp(static_cast<std::int64_t>(std::floor(place)), std::int64_t{0},
                                    static_cast<std::int64_t>(counts.size()) - 1);
        ++counts[static_cast<std::size_t>(bin)];
    }
    return counts;
}

/// Scale of the group whose scale is the median, and its zero point.
std::pair<double, double> medianGroup(const at::Tensor& scale, const at::Tensor& zero)
{
    const at::Tensor order = scale.reshape(-1).argsort();
    const at::Tensor middle = order[order.numel() / 2];
    const double chosen = scale.reshape(-1)[middle.item<std::int64_t>()].item<double>();
    const double offset =
        zero.defined()
            ? zero.reshape(-1)[middle.item<std::int64_t>()].to(at::kDouble).item<double>()
            : 0;
    return {chosen, offset};
}

std::vector<double> gridPoints(const QuantizedLinear& linear)
{
    const std::int64_t count = std::int64_t{1} << linear.format.bits;
    std::vector<double> points;
    if (linear.format.kind == WeightFormat::Kind::Mx) {
        // The step between two codes of a block, seen in the codes themselves.
        const at::Tensor codes = linear.codes.to(at::kFloat);
        const at::Tensor values = linear.dequantizedCodes();
        const at::Tensor used = codes.ne(0);
        const at::Tensor steps = (values.masked_select(used) / codes.masked_select(used)).abs();
        if (steps.numel() == 0) {
            return points;
        }
        const double step = steps.median().item<double>();
        for (std::int64_t code = 1 - count / 2; code < count / 2; ++code) {
            points.push_back(step * static_cast<double>(code));
        }
        return points;
    }
    const auto [scale, zero] = medianGroup(linear.scale, linear.zero);
    const std::int64_t first = linear.format.sym ? -count / 2 : 0;
    for (std::int64_t i = 0; i < count; ++i) {
        points.push_back(scale * (static_cast<double>(first + i) - zero));
    }
    return points;
}

Heatmap mapOf(const at::Tensor& matrix, const LayerViewRequest& request, LayerView& view)
{
    view.firstRow = std::clamp(request.firstRow, std::int64_t{0}, view.rows - 1);
    view.firstCol = std::clamp(request.firstCol, std::int64_t{0}, view.cols - 1);
    view.mapRows = std::min(request.rows > 0 ? request.rows : view.rows, view.rows - view.firstRow);
    view.mapCols = std::min(request.cols > 0 ? request.cols : view.cols, view.cols - view.firstCol);
    const at::Tensor part = matrix.narrow(0, view.firstRow, view.mapRows)
                                .narrow(1, view.firstCol, view.mapCols)
                                .to(at::kDouble)
                                .contiguous();
    Heatmap map;
    map.rows = view.mapRows;
    map.cols = view.mapCols;
    map.values.assign(part.data_ptr<double>(), part.data_ptr<double>() + part.numel());
    map.xLabel = "input channel";
    map.yLabel = "output channel";
    map.diverging = true;
    map.valueLabel = request.map == LayerViewRequest::Map::Weight  ? "weight"
                     : request.map == LayerViewRequest::Map::Error ? "error of the weight"
                                                                   : "error times input size";
    return thinned(map, request.maxRows, request.maxCols);
}
} // namespace

void weightStatistics(const std::string& model,
                      const std::function<void(const WeightStatistics&)>& layerDone,
                      const RunContext& run)
{
    const at::NoGradGuard noGrad;
    const Checkpoint checkpoint(resolveModel(model));
    eachWeight(checkpoint, "weights", run, [&](std::size_t i, const at::Tensor& w) {
        WeightStatistics statistics;
        statistics.overview = overviewOf(checkpoint.linears()[i]);
        measureWeight(statistics.overview, w);
        const double top = largestSingularValue(w);
        const double norm = w.to(at::kDouble).norm().item<double>();
        statistics.stableRank = top > 0 ? norm * norm / (top * top) : kMissing;
        layerDone(statistics);
    });
}

void channelStatistics(const RunSpec& spec,
                       const std::function<void(const ChannelStatistics&)>& groupDone,
                       const RunContext& run)
{
    const at::NoGradGuard noGrad;
    QW_REQUIRE(!spec.calibration.text.empty(), ErrorCode::BadInput,
               "the inputs of a layer are known from data: give a calibration text");
    const Checkpoint checkpoint(resolveModel(spec.model));
    const Tokenizer tokenizer = Tokenizer::fromFolder(checkpoint.folder());
    const Decoder decoder(checkpoint, {at::kFloat, spec.device});
    const TextWindows windows = calibrationWindows(
        spec.calibration, resolveText(spec.calibration.text).string(), checkpoint.config(),
        tokenizer, static_cast<std::uint64_t>(spec.seed), run);
    BlockCalibration calibration(decoder, windows.ids, spec.calibration.statBatch, {}, run);
    run.beginPhase("calibrate", decoder.blockCount());
    StatisticsNeeds needs;
    needs.meanAbs = true;
    for (std::int64_t index = 0; index < decoder.blockCount(); ++index) {
        const auto groups = calibration.advance(decoder.loadBlock(index), needs, run);
        for (const auto& [group, statistics] : groups) {
            ChannelStatistics channels;
            for (const LinearInfo& linear : checkpoint.linearsOf(index)) {
                if (linear.inputGroup == group) {
                    channels.layers.push_back(linear.name);
                }
            }
            const at::Tensor size = statistics->scaleMeanAbs(true).cpu().contiguous();
            channels.meanAbs.assign(size.data_ptr<double>(),
                                    size.data_ptr<double>() + size.numel());
            groupDone(channels);
        }
        checkpoint.releaseBlock(index);
        run.checkpoint(index + 1);
    }
}

LayerView layerView(const RunSpec& spec, const RunResult* stored, const LayerViewRequest& request,
                    const RunContext& run)
{
    const at::NoGradGuard noGrad;
    const Checkpoint checkpoint(resolveModel(spec.model));
    const LinearInfo& layer = findLayer(checkpoint, request.layer);
    const at::Tensor kept = checkpoint.linearWeight(layer);
    at::Tensor w = kept.to(at::kFloat).contiguous();
    run.checkpoint();
    LayerView view;
    view.rows = w.size(0);
    view.cols = w.size(1);
    std::optional<QuantizedLinear> linear;
    at::Tensor columns; // what the layer's inputs were divided by
    view.skipped = settingsFor(stored != nullptr ? stored->spec : spec, request.layer).skip;
    if (view.skipped) {
        view.fromRun = stored != nullptr;
    } else if (stored != nullptr) {
        if (const auto deployed = fromArtifact(*stored, layer)) {
            linear = deployed->linear;
            columns = deployed->fold.columns;
            w = deployed->fold.apply(w); // the codes stand for that
        }
        view.fromRun = linear.has_value();
    }
    if (!linear && !view.skipped) {
        std::vector<std::string> said;
        const WeightSpec weight = settledSettings(spec, layer, said).weight;
        linear = roundToNearest(request.layer, w, weightFormat(weight), gridOptions(weight), run);
    }
    run.checkpoint();
    view.weights =
        histogram({w.data_ptr<float>(), static_cast<std::size_t>(w.numel())}, request.bins);
    at::Tensor error;
    if (linear) {
        view.deployed = countIn(view.weights.edges, linear->dequantizedCodes());
        view.gridPoints = gridPoints(*linear);
        view.codeBits = storedBits(linear->withRank(0));
        error = w - linear->dequantized();
    } else {
        view.deployed = view.weights.counts;
        view.codeBits = kept.numel() * static_cast<std::int64_t>(kept.element_size()) * 8;
        error = at::zeros_like(w);
    }
    view.relativeError = (error.to(at::kDouble).norm() / w.to(at::kDouble).norm()).item<double>();
    run.checkpoint();
    if (request.map == LayerViewRequest::Map::ScaledError) {
        QW_REQUIRE(static_cast<std::int64_t>(request.inputScale.size()) == view.cols,
                   ErrorCode::BadShape, request.layer, ": ", request.inputScale.size(),
                   " input sizes for ", view.cols, " columns");
        const at::Tensor sizes = at::tensor(request.inputScale, at::kFloat);
        error = error * (columns.defined() ? sizes / columns : sizes);
    }
    view.map = mapOf(request.map == LayerViewRequest::Map::Weight ? w : error, request, view);
    checkpoint.releaseBlock(layer.block);
    return view;
}

} // namespace qw
