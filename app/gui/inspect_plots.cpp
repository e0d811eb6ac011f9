#include "app/gui/inspect_plots.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <QCoreApplication>

#include "report/layer_plots.h"
#include "report/plot_reduce.h"

namespace qw::inspect_plots {

namespace {
constexpr std::size_t kMaxPoints = 2000;

std::string say(const char* text)
{
    return QCoreApplication::translate("inspect_plots", text).toStdString();
}
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
    plot.xLabel = say("rank");
    plot.yLabel = say("singular value / norm");
    plot.logY = true;
    plot.empty = say("The singular values of the selected layer");
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
    plot.xLabel = say("weight");
    plot.yLabel = say("weights in a bin");
    plot.logY = true;
    Series before;
    before.name = say("W");
    before.draw = Series::Draw::Bars;
    Series after;
    after.name = say("on the grid");
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
    plot.xLabel = say("input channels, largest first");
    plot.yLabel = say("mean |x|");
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
    line.name = say("all channels");
    line.draw = Series::Draw::Line;
    Series named;
    named.name = QCoreApplication::translate("inspect_plots", "above %1 \u00d7 the median")
                     .arg(kOutlierFactor)
                     .toStdString();
    named.draw = Series::Draw::Points;
    for (std::size_t place = 0; place < order.size(); ++place) {
        const std::size_t channel = order[place];
        line.x.push_back(static_cast<double>(place + 1));
        line.y.push_back(channels.meanAbs[channel]);
        line.labels.push_back(
            QCoreApplication::translate("inspect_plots", "channel %1").arg(channel).toStdString());
        if (std::find(out.begin(), out.end(), channel) != out.end()) {
            named.x.push_back(line.x.back());
            named.y.push_back(line.y.back());
            named.labels.push_back(QCoreApplication::translate(
                                       "inspect_plots", "channel %1, stands out in %2 of %3 inputs")
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

CorrectionSpectrum correction(const RunSpec& spec, const LayerResult* stored,
                              const LayerSpectra* spectra, const LayerView* view)
{
    if (stored != nullptr && !stored->singularValues.empty()) {
        return correctionSpectrum(*stored, spec);
    }
    CorrectionSpectrum result;
    if (spectra == nullptr || view == nullptr) {
        return result;
    }
    const std::string kind = minimisedKind(spec);
    for (const LayerSpectra::Curve& curve : spectra->curves) {
        if (curve.kind == kind) {
            result.singularValues = curve.values;
            result.errorNorm = curve.frobenius;
        }
    }
    result.rows = view->rows;
    result.cols = view->cols;
    result.baseBits = view->codeBits;
    result.lowRank = spec.lowRank;
    result.exponentBits = spec.weight.exponentBits;
    if (kind == "E" && !view->fromRun) {
        result.measuredWeightError = view->relativeError;
    }
    return result;
}

} // namespace qw::inspect_plots
