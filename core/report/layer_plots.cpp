#include "report/layer_plots.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "report/layer_place.h"
#include "report/rank_prediction.h"

namespace qw {

namespace {
/// All layers of the runs, each once, in the order of their first run.
std::vector<std::string> layerNames(const std::vector<RunResult>& runs)
{
    std::vector<std::string> names;
    std::set<std::string> seen;
    for (const RunResult& run : runs) {
        for (const LayerResult& layer : run.layers) {
            if (seen.insert(layer.name).second) {
                names.push_back(layer.name);
            }
        }
    }
    return names;
}

/// Few layers are named; of many, the first of each block carries the block's number.
void nameLayers(PlotData& plot, const std::vector<std::string>& names)
{
    constexpr std::size_t kNamed = 8;
    plot.xLabel = names.size() <= kNamed ? "layer" : "block";
    std::string last;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const LayerPlace place = placeOf(names[i]);
        if (names.size() <= kNamed) {
            plot.xTicks.push_back(
                {static_cast<double>(i), names[i].substr(names[i].rfind('.') + 1)});
        } else if (place.block != last && !place.block.empty()) {
            plot.xTicks.push_back({static_cast<double>(i), place.block});
        }
        last = place.block;
    }
}

const LayerResult* layerNamed(const RunResult& run, const std::string& name)
{
    const auto found = std::find_if(run.layers.begin(), run.layers.end(),
                                    [&](const LayerResult& layer) { return layer.name == name; });
    return found == run.layers.end() ? nullptr : &*found;
}

/// Whether two runs corrected the same matrix: their settings differ in the rank alone, and one's
/// singular values begin the other's, as near as a factorization at another rank finds them.
bool correctTheSame(const RunResult& a, const RunResult& b, const std::string& layer)
{
    constexpr double kClose = 0.02;
    const std::vector<double>& first = layerNamed(a, layer)->singularValues;
    const std::vector<double>& second = layerNamed(b, layer)->singularValues;
    const std::size_t both = std::min(first.size(), second.size());
    LowRankSpec ranked = a.spec.lowRank;
    ranked.rank = b.spec.lowRank.rank;
    return a.spec.method == b.spec.method && a.spec.weight == b.spec.weight &&
           ranked == b.spec.lowRank && a.spec.calibration == b.spec.calibration &&
           a.spec.seed == b.spec.seed &&
           std::equal(
               first.begin(), first.begin() + static_cast<std::ptrdiff_t>(both), second.begin(),
               [](double x, double y) { return std::abs(x - y) <= kClose * std::max(x, y); });
}

/// Runs that stored a spectrum of this layer, each spectrum once where it is longest, their rank
/// taken out of the name.
std::vector<RunResult> withSpectrum(const std::vector<RunResult>& runs, const std::string& layer)
{
    std::vector<RunResult> result;
    for (const RunResult& run : runs) {
        const auto same = std::find_if(result.begin(), result.end(), [&](const RunResult& other) {
            return correctTheSame(run, other, layer);
        });
        if (same == result.end()) {
            result.push_back(run);
        } else if (layerNamed(run, layer)->singularValues.size() >
                   layerNamed(*same, layer)->singularValues.size()) {
            *same = run;
        }
    }
    for (RunResult& run : result) {
        run.rank = 0;
        run.spec.lowRank.rank = 0;
    }
    return result;
}

Mismatch spectrumMismatch(const std::string& layer)
{
    return [layer](const RunResult& a, const RunResult& b) -> std::string {
        for (const RunResult* run : {&a, &b}) {
            const LayerResult* found = layerNamed(*run, layer);
            if (found == nullptr || found->singularValues.empty() || !(found->errorNorm > 0)) {
                return "no singular values of this layer are stored";
            }
        }
        return a.provenance.modelHash != b.provenance.modelHash ? "they are of different models"
                                                                : "";
    };
}

const char* const kFillSpectra =
    "Runs with LQER, L²QER or QERA store the singular values of what they correct.";

std::string nameWithMatrix(const std::string& name, const RunResult& run)
{
    const std::string matrix = minimisedMatrix(run.spec).writing;
    return matrix.empty() ? name : name + ", " + matrix;
}

std::string predictionLabel(Prediction prediction)
{
    switch (prediction) {
    case Prediction::Energy:
        return "energy captured, %";
    case Prediction::OutputError:
        return "predicted output error, %";
    case Prediction::BitsPerWeight:
        return "bits per weight";
    }
    return {};
}

std::string predictionTitle(Prediction prediction)
{
    switch (prediction) {
    case Prediction::Energy:
        return "Energy captured";
    case Prediction::OutputError:
        return "Predicted output error";
    case Prediction::BitsPerWeight:
        return "Bits per weight";
    }
    return {};
}

double predicted(const RankPoint& point, Prediction prediction)
{
    switch (prediction) {
    case Prediction::Energy:
        return 100 * point.energy;
    case Prediction::OutputError:
        return 100 * point.outputError;
    case Prediction::BitsPerWeight:
        return point.bitsPerWeight;
    }
    return kMissing;
}
} // namespace

PlotSet<PlotData> layerPlot(const std::vector<RunResult>& runs, LayerMetric metric)
{
    const auto mismatch = [metric](const RunResult& a, const RunResult& b) {
        return layerMismatch(a, b, metric);
    };
    const auto make = [metric](const std::vector<RunResult>& members) {
        PlotData plot;
        plot.title = "Layer by layer";
        plot.yLabel = metricLabel(metric);
        const std::vector<std::string> layers = layerNames(members);
        nameLayers(plot, layers);
        const std::vector<std::string> names = distinctNames(members);
        for (std::size_t r = 0; r < members.size(); ++r) {
            Series series;
            series.name = names[r];
            series.method = members[r].spec.method;
            series.draw = members.size() == 1 ? Series::Draw::Bars : Series::Draw::LineAndPoints;
            std::map<std::string, double> values;
            for (const LayerResult& layer : members[r].layers) {
                values[layer.name] = metricValue(layer, metric);
            }
            for (std::size_t i = 0; i < layers.size(); ++i) {
                const auto found = values.find(layers[i]);
                series.x.push_back(static_cast<double>(i));
                series.y.push_back(found == values.end() ? kMissing : found->second);
                series.labels.push_back(layers[i]);
                series.keys.push_back(layers[i]);
            }
            plot.series.push_back(std::move(series));
        }
        numberVariants(plot.series);
        plot.logY = members.size() > 1 && wantsLog(plot.series); // bars start at zero
        return plot;
    };
    return plotGroups<PlotData>(runs, mismatch, "Select a run to see its layers.", make);
}

Heatmap layerMap(const RunResult& run, LayerMetric metric)
{
    Heatmap map;
    map.title = shortName(run) + ": " + metricLabel(metric);
    map.xLabel = "kind of layer";
    map.yLabel = "block";
    map.valueLabel = metricLabel(metric);
    map.empty = run.layers.empty() ? "This run has no results of layers." : "";
    std::map<std::string, std::int64_t> rows;
    std::map<std::string, std::int64_t> cols;
    for (const LayerResult& layer : run.layers) {
        const LayerPlace place = placeOf(layer.name);
        if (rows.try_emplace(place.block, map.rows).second) {
            ++map.rows;
            map.rowNames.push_back(place.block);
        }
        if (cols.try_emplace(place.kind, map.cols).second) {
            ++map.cols;
            map.columnNames.push_back(place.kind.substr(place.kind.rfind('.') + 1));
        }
    }
    map.values.assign(static_cast<std::size_t>(map.rows * map.cols), kMissing);
    for (const LayerResult& layer : run.layers) {
        const LayerPlace place = placeOf(layer.name);
        map.values[static_cast<std::size_t>(rows[place.block] * map.cols + cols[place.kind])] =
            metricValue(layer, metric);
    }
    return map;
}

Series spectrumSeries(const std::string& name, const std::string& method,
                      const std::vector<double>& singularValues, double frobenius)
{
    Series series;
    series.name = name;
    series.method = method;
    series.draw = Series::Draw::Line;
    for (std::size_t i = 0; i < singularValues.size(); ++i) {
        series.x.push_back(static_cast<double>(i + 1));
        series.y.push_back(singularValues[i] / frobenius);
    }
    return series;
}

PlotSet<PlotData> spectraPlot(const std::vector<RunResult>& runs, const std::string& layer)
{
    const auto make = [&layer](const std::vector<RunResult>& members) {
        PlotData plot;
        plot.title = "Singular values of what is corrected, " + layer;
        plot.xLabel = "index";
        plot.yLabel = "σ / Frobenius norm";
        plot.logY = true;
        const std::vector<RunResult> once = withSpectrum(members, layer);
        const std::vector<std::string> names = distinctNames(once);
        for (std::size_t i = 0; i < once.size(); ++i) {
            const LayerResult& found = *layerNamed(once[i], layer);
            plot.series.push_back(spectrumSeries(nameWithMatrix(names[i], once[i]),
                                                 once[i].spec.method, found.singularValues,
                                                 found.errorNorm));
        }
        numberVariants(plot.series);
        return plot;
    };
    return plotGroups<PlotData>(runs, spectrumMismatch(layer), kFillSpectra, make);
}

PlotSet<PlotData> predictionPlot(const std::vector<RunResult>& runs, const std::string& layer,
                                 Prediction prediction)
{
    const auto make = [&](const std::vector<RunResult>& members) {
        PlotData plot;
        plot.title = predictionTitle(prediction) + " over rank, " + layer;
        plot.xLabel = "rank of the correction";
        plot.yLabel = predictionLabel(prediction);
        const std::vector<RunResult> once = withSpectrum(members, layer);
        const std::vector<std::string> names = distinctNames(once);
        for (std::size_t i = 0; i < once.size(); ++i) {
            const CorrectionSpectrum spectrum =
                correctionSpectrum(*layerNamed(once[i], layer), once[i].spec);
            Series series;
            series.name = nameWithMatrix(names[i], once[i]);
            series.method = once[i].spec.method;
            series.draw = Series::Draw::Line;
            const auto most = static_cast<std::int64_t>(spectrum.singularValues.size());
            for (std::int64_t rank = 0; rank <= most; ++rank) {
                series.x.push_back(static_cast<double>(rank));
                series.y.push_back(predicted(atRank(spectrum, rank), prediction));
            }
            plot.series.push_back(std::move(series));
        }
        numberVariants(plot.series);
        return plot;
    };
    return plotGroups<PlotData>(runs, spectrumMismatch(layer), kFillSpectra, make);
}

} // namespace qw
