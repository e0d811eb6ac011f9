#include "app/gui/inspect_plots.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <QCoreApplication>

#include "report/layer_plots.h"
#include "report/layer_rules.h"
#include "report/plot_reduce.h"
#include "widgets/number_text.h"

namespace qw::inspect_plots {

namespace {
constexpr std::size_t kMaxPoints = 2000;

struct Text {
    Q_DECLARE_TR_FUNCTIONS(InspectPlots)
};
} // namespace

QString kindTitle(const std::string& kind)
{
    return kind == "SE"   ? QStringLiteral("S\u00b7E")
           : kind == "RE" ? QStringLiteral("R\u00bd\u00b7E")
                          : QString::fromStdString(kind);
}

PlotData spectra(const LayerSpectra& spectra)
{
    PlotData plot;
    plot.xLabel = Text::tr("rank").toStdString();
    plot.yLabel = Text::tr("singular value / norm").toStdString();
    plot.logY = true;
    plot.empty = Text::tr("The singular values of the selected layer").toStdString();
    for (const LayerSpectra::Curve& curve : spectra.curves) {
        Series series =
            spectrumSeries(kindTitle(curve.kind).toStdString(), {}, curve.values, curve.frobenius);
        series.draw = Series::Draw::Line;
        // Values at the level of rounding say nothing and would stretch the axis.
        const double floor = curve.values.empty() ? 0 : curve.values.front() * 1e-7;
        for (std::size_t i = 0; i < curve.values.size() && i < series.y.size(); ++i) {
            if (curve.values[i] <= floor) {
                series.y[i] = kMissing;
            }
        }
        plot.series.push_back(thinned(series, kMaxPoints));
    }
    return plot;
}

PlotData histogram(const LayerView& view)
{
    PlotData plot;
    plot.xLabel = Text::tr("weight").toStdString();
    plot.yLabel = Text::tr("weights in a bin").toStdString();
    plot.logY = true;
    Series before;
    before.name = Text::tr("W").toStdString();
    before.draw = Series::Draw::Bars;
    Series after;
    after.name = Text::tr("on the grid").toStdString();
    after.draw = Series::Draw::Steps;
    for (std::size_t i = 0; i < view.weights.counts.size(); ++i) {
        const double center = (view.weights.edges[i] + view.weights.edges[i + 1]) / 2;
        before.x.push_back(center);
        before.y.push_back(static_cast<double>(view.weights.counts[i]));
        after.x.push_back(center);
        after.y.push_back(view.deployed[i] > 0 ? static_cast<double>(view.deployed[i]) : kMissing);
    }
    plot.series = {before, after};
    return plot;
}

std::vector<std::size_t> outliers(const std::vector<double>& sizes)
{
    std::vector<double> sorted = sizes;
    if (sorted.empty()) {
        return {};
    }
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (sizes[i] > kOutlierFactor * *middle) {
            found.push_back(i);
        }
    }
    return found;
}

PlotData channels(const ChannelStatistics& channels, const std::vector<ChannelStatistics>& all)
{
    PlotData plot;
    plot.xLabel = Text::tr("input channels, largest first").toStdString();
    plot.yLabel = Text::tr("mean |x|, largest batch").toStdString();
    std::vector<std::size_t> order(channels.meanAbs.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return channels.meanAbs[a] > channels.meanAbs[b];
    });
    std::map<std::size_t, int> seen; // channel -> inputs of this width it stands out in
    int inputs = 0;
    for (const ChannelStatistics& other : all) {
        if (other.meanAbs.size() == channels.meanAbs.size()) {
            ++inputs;
            for (const std::size_t channel : outliers(other.meanAbs)) {
                ++seen[channel];
            }
        }
    }
    const std::vector<std::size_t> out = outliers(channels.meanAbs);
    Series line;
    line.name = Text::tr("all channels").toStdString();
    line.draw = Series::Draw::Line;
    Series named;
    named.name = Text::tr("above %1 \u00d7 the median").arg(kOutlierFactor).toStdString();
    named.draw = Series::Draw::Points;
    for (std::size_t place = 0; place < order.size(); ++place) {
        const std::size_t channel = order[place];
        line.x.push_back(static_cast<double>(place + 1));
        line.y.push_back(channels.meanAbs[channel]);
        line.labels.push_back(Text::tr("channel %1").arg(channel).toStdString());
        if (std::find(out.begin(), out.end(), channel) != out.end()) {
            named.x.push_back(line.x.back());
            named.y.push_back(line.y.back());
            named.labels.push_back(Text::tr("channel %1, stands out in %2 of %3 inputs")
                                       .arg(channel)
                                       .arg(seen[channel])
                                       .arg(inputs)
                                       .toStdString());
        }
    }
    plot.series.push_back(line);
    if (!named.x.empty()) {
        plot.series.push_back(named);
    }
    plot.logY = wantsLog(plot.series);
    return plot;
}

std::string minimisedKind(const RunSpec& spec)
{
    const std::string name = minimisedMatrix(spec).name;
    return name.empty() ? "E" : name;
}

namespace {
constexpr double kSameMatrix = 1e-3; // relative: both are exact, of inputs that may be rounded

bool near(double a, double b)
{
    return std::abs(a / b - 1) < kSameMatrix;
}

/// Takes what @p curve knows of @p result's matrix: values past those stored, and the measure of W.
/// Of another matrix (a run that did not round to nearest, or saw other inputs) it takes nothing.
void complete(CorrectionSpectrum& result, const LayerSpectra::Curve& curve)
{
    auto& stored = result.singularValues;
    if (curve.values.size() < stored.size() || !near(curve.frobenius, result.errorNorm) ||
        !near(curve.values.front(), stored.front())) {
        return;
    }
    stored.insert(stored.end(), curve.values.begin() + static_cast<std::ptrdiff_t>(stored.size()),
                  curve.values.end());
    result.weightNorm = curve.weightNorm;
}
} // namespace

CorrectionSpectrum correction(const RunSpec& spec, const LayerResult* stored,
                              const LayerSpectra* spectra, const LayerView* view)
{
    const std::string kind = minimisedKind(spec);
    const LayerSpectra::Curve* curve = nullptr;
    if (spectra != nullptr) {
        const auto found = std::find_if(spectra->curves.begin(), spectra->curves.end(),
                                        [&](const auto& each) { return each.kind == kind; });
        curve = found == spectra->curves.end() ? nullptr : &*found;
    }
    CorrectionSpectrum result;
    if (stored != nullptr && !stored->singularValues.empty()) {
        result = correctionSpectrum(*stored, spec);
        if (curve != nullptr) {
            complete(result, *curve);
        }
        return result;
    }
    if (curve == nullptr || view == nullptr) {
        return result;
    }
    result.singularValues = curve->values;
    result.errorNorm = curve->frobenius;
    const bool same = near(view->relativeError, curve->frobenius / curve->weightNorm);
    if (!view->fromRun || (kind == "E" && same)) { // else the run did not round to nearest
        result.weightNorm = curve->weightNorm;
    }
    result.rows = view->rows;
    result.cols = view->cols;
    result.baseBits = view->codeBits;
    result.lowRank = spec.lowRank;
    result.exponentBits = spec.weight.exponentBits;
    return result;
}

QString errorText(const RankPoint& point, const std::string& kind)
{
    const auto withDecibel = [](double error) {
        return QStringLiteral("%1 (%2)").arg(text::percent(error),
                                             text::decibel(-20 * std::log10(error)));
    };
    if (std::isfinite(point.outputError)) {
        return Text::tr("output error %1").arg(withDecibel(point.outputError));
    }
    if (std::isfinite(point.weightError)) {
        return Text::tr("weight error %1").arg(text::percent(point.weightError));
    }
    if (!std::isfinite(point.shareOfWeight)) {
        return {};
    }
    if (kind == "E") {
        return Text::tr("weight error %1").arg(text::percent(point.shareOfWeight));
    }
    // Of the calibration text: with unquantized factors what a run would measure there.
    return kind == "RE"
               ? Text::tr("output error %1").arg(withDecibel(point.shareOfWeight))
               : Text::tr("S\u00b7E left: %1 of S\u00b7W").arg(text::percent(point.shareOfWeight));
}

std::int64_t modelBytes(const RunSpec& spec, const ModelOverview& model, std::int64_t plainBytes,
                        std::int64_t rank)
{
    const LayerRules rules(spec);
    std::int64_t bytes = plainBytes;
    for (const LayerOverview& layer : model.layers) {
        const LayerSettings settings = rules.of(layer.name);
        if (!settings.skip) {
            const std::int64_t bits =
                factorBits(layer.rows, layer.cols, std::min({rank, layer.rows, layer.cols}),
                           spec.lowRank, settings.weight.exponentBits);
            bytes += (bits + 7) / 8;
        }
    }
    return bytes;
}

} // namespace qw::inspect_plots
