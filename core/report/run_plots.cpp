#include "report/run_plots.h"

#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "report/method_style.h"
#include "report/number_format.h"
#include "report/run_groups.h"

namespace qw {

namespace {
void addFullPrecision(PlotData& plot, const std::vector<RunResult>& runs, Quality quality)
{
    const auto known = std::find_if(runs.begin(), runs.end(), [](const RunResult& run) {
        return std::isfinite(run.comparison.fpPerplexity);
    });
    if (known == runs.end()) {
        return;
    }
    if (quality == Quality::Perplexity) {
        plot.references.push_back({"full precision", known->comparison.fpPerplexity});
    } else if (quality == Quality::DeltaNll) {
        plot.references.push_back({"full precision", 0});
    }
}

std::string qualityTitle(Quality quality)
{
    switch (quality) {
    case Quality::Perplexity:
        return "Perplexity";
    case Quality::DeltaNll:
        return "Loss over full precision";
    case Quality::Kl:
        return "KL divergence";
    case Quality::Top1:
        return "Top-1 agreement";
    }
    return {};
}

/// The error that matters on axes shared with full precision: where it is known, that of the
/// difference to it on the same windows, a fraction of that of the perplexity itself.
double plottedError(const RunResult& run, Quality quality)
{
    const double paired = run.score.perplexity * run.comparison.deltaNllStderr;
    return quality == Quality::Perplexity && std::isfinite(paired) ? paired
                                                                   : qualityError(run, quality);
}

std::string axisLabel(const std::vector<RunResult>& runs, Quality quality)
{
    const bool paired = std::any_of(runs.begin(), runs.end(), [](const RunResult& run) {
        return std::isfinite(run.comparison.deltaNllStderr);
    });
    const std::string label = qualityLabel(quality);
    if (quality == Quality::Perplexity) {
        return label + (paired ? ", ± error of the difference to full precision" : ", ± error");
    }
    return quality == Quality::DeltaNll ? label + ", ± paired error" : label;
}

/// Everything that decides the result but rank.
std::string curveKey(const RunResult& run)
{
    RunSpec spec = withoutRank(run).spec;
    spec.artifacts = "";
    spec.threads = 0;
    return toJson(spec).dump();
}

std::string rankAxis(const std::vector<RunResult>& runs)
{
    const auto any = [&](const auto& is) {
        return std::any_of(runs.begin(), runs.end(),
                           [&](const RunResult& run) { return is(knownRank(run)); });
    };
    if (!any([](const KnownRank& known) { return known.learned; })) {
        return "rank of the correction";
    }
    return any([](const KnownRank& known) { return !known.learned && known.rank > 0; })
               ? "rank of the correction, or learned rank"
               : "learned rank";
}

std::string rankMismatch(const RunResult& a, const RunResult& b)
{
    for (const RunResult* run : {&a, &b}) {
        if (knownRank(*run).full) {
            return "run " + run->id + " learned full matrices, which have no rank";
        }
    }
    return qualityMismatch(a, b);
}

PlotData rankCurves(std::vector<RunResult> runs, Quality quality)
{
    PlotData plot;
    plot.title = qualityTitle(quality) + " over rank";
    plot.xLabel = rankAxis(runs);
    plot.yLabel = axisLabel(runs, quality);
    std::stable_sort(runs.begin(), runs.end(), [](const RunResult& a, const RunResult& b) {
        return knownRank(a).rank < knownRank(b).rank;
    });
    std::vector<RunResult> firsts; // one of each curve, its rank taken away: they carry the names
    std::map<std::string, std::size_t> curves;
    std::set<std::int64_t> ranks;
    for (const RunResult& run : runs) {
        const auto [found, isNew] = curves.try_emplace(curveKey(run), firsts.size());
        if (isNew) {
            firsts.push_back(withoutRank(run));
            plot.series.emplace_back();
            plot.series.back().method = run.spec.method;
        }
        Series& series = plot.series[found->second];
        const std::int64_t rank = knownRank(run).rank;
        series.x.push_back(static_cast<double>(rank));
        series.y.push_back(qualityValue(run, quality));
        series.yError.push_back(plottedError(run, quality));
        series.labels.push_back(shortName(run));
        series.keys.push_back(run.id);
        ranks.insert(rank);
    }
    const std::vector<std::string> names = distinctNames(firsts);
    for (std::size_t i = 0; i < names.size(); ++i) {
        plot.series[i].name = names[i];
    }
    for (const std::int64_t rank : ranks) {
        plot.xTicks.push_back({static_cast<double>(rank), std::to_string(rank)});
    }
    numberVariants(plot.series);
    addFullPrecision(plot, runs, quality);
    plot.logY = wantsLog(plot.series);
    return plot;
}

PlotData sizeAndQuality(const std::vector<RunResult>& runs, Quality quality, SizeAxis size)
{
    PlotData plot;
    const bool bits = size == SizeAxis::BitsPerWeight;
    plot.title = qualityTitle(quality) + (bits ? " over bits per weight" : " over size");
    plot.xLabel = bits ? "bits per weight" : "size of the quantized layers, MB";
    plot.yLabel = axisLabel(runs, quality);
    plot.labelPoints = true;
    std::map<std::string, std::size_t> byMethod;
    const std::vector<std::string> names = distinctNames(runs);
    std::vector<double> x;
    std::vector<double> y;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const RunResult& run = runs[i];
        const auto [found, isNew] = byMethod.try_emplace(run.spec.method, plot.series.size());
        if (isNew) {
            plot.series.emplace_back();
            plot.series.back().name = methodStyle(run.spec.method).title;
            plot.series.back().method = run.spec.method;
            plot.series.back().draw = Series::Draw::Points;
        }
        x.push_back(bits ? run.bitsPerWeight : static_cast<double>(run.bytes) / 1e6);
        y.push_back(qualityValue(run, quality));
        Series& series = plot.series[found->second];
        series.x.push_back(x.back());
        series.y.push_back(y.back());
        series.yError.push_back(plottedError(run, quality));
        series.labels.push_back(names[i]);
        series.keys.push_back(run.id);
    }
    plot.logY = wantsLog(plot.series);
    addFullPrecision(plot, runs, quality);
    std::vector<double> badness = y;
    if (!lowerIsBetter(quality)) {
        std::transform(y.begin(), y.end(), badness.begin(), std::negate<>());
    }
    Series front;
    front.name = "best for its size";
    front.draw = Series::Draw::Steps;
    for (const std::size_t i : paretoFront(x, badness)) {
        front.x.push_back(x[i]);
        front.y.push_back(y[i]);
        front.labels.push_back(names[i]);
        front.keys.push_back(runs[i].id);
    }
    if (!front.x.empty()) {
        plot.series.push_back(std::move(front));
    }
    return plot;
}

/// An axis and the values of all runs on it, NaN where missing.
struct AxisValues {
    ParallelAxis axis;
    std::vector<double> values;
};

AxisValues namedAxis(const std::string& label, const std::vector<std::string>& texts)
{
    AxisValues result;
    result.axis.label = label;
    std::vector<std::string> names;
    for (const std::string& text : texts) {
        const auto found = std::find(names.begin(), names.end(), text);
        const auto place = static_cast<double>(found - names.begin());
        result.values.push_back(place);
        if (found == names.end()) {
            names.push_back(text);
            result.axis.ticks.push_back({place, text});
        }
    }
    result.axis.high = std::max(1.0, static_cast<double>(names.size()) - 1);
    return result;
}

AxisValues numberAxis(const std::string& label, std::vector<double> values)
{
    AxisValues result;
    result.axis.label = label;
    Series series;
    series.y = values;
    result.axis.log = wantsLog({series});
    result.values = std::move(values);
    double low = INFINITY;
    double high = -INFINITY;
    for (const double value : result.values) {
        if (std::isfinite(value)) {
            low = std::min(low, value);
            high = std::max(high, value);
        }
    }
    if (low <= high) {
        result.axis.low = low;
        result.axis.high = high;
    }
    return result;
}

/// A scale of settings: marked at the few values that occur.
AxisValues settingAxis(const std::string& label, const std::vector<double>& values)
{
    constexpr std::size_t kFew = 7;
    AxisValues result = numberAxis(label, values);
    const std::set<double> distinct(values.begin(), values.end());
    for (const double value : distinct) {
        if (distinct.size() <= kFew) {
            result.axis.ticks.push_back({value, formatNumber(value, 0)});
        }
    }
    return result;
}

bool varies(const AxisValues& axis)
{
    const double* first = nullptr;
    for (const double& value : axis.values) {
        if (std::isfinite(value)) {
            first = first == nullptr ? &value : first;
            if (value != *first) {
                return true;
            }
        }
    }
    return false;
}

std::vector<AxisValues> parallelAxes(const std::vector<RunResult>& runs)
{
    const auto texts = [&](const std::function<std::string(const RunResult&)>& of) {
        std::vector<std::string> result;
        std::transform(runs.begin(), runs.end(), std::back_inserter(result), of);
        return result;
    };
    const auto numbers = [&](const std::function<double(const RunResult&)>& of) {
        std::vector<double> result;
        std::transform(runs.begin(), runs.end(), std::back_inserter(result), of);
        return result;
    };
    const auto quality = [&](Quality which) {
        return numberAxis(qualityLabel(which), numbers([which](const RunResult& run) {
                              return qualityValue(run, which);
                          }));
    };
    return {
        namedAxis("method",
                  texts([](const RunResult& run) { return methodStyle(run.spec.method).title; })),
        namedAxis("format", texts([](const RunResult& run) { return run.spec.weight.format; })),
        settingAxis("bits", numbers([](const RunResult& run) {
                        return static_cast<double>(run.spec.weight.bits);
                    })),
        namedAxis("group", texts([](const RunResult& run) {
                      const Json group = groupSizeToJson(run.spec.weight.groupSize);
                      return group.is_string() ? group.get<std::string>() : group.dump();
                  })),
        settingAxis("rank",
                    numbers([](const RunResult& run) { return rankNumber(knownRank(run)); })),
        numberAxis("bits per weight",
                   numbers([](const RunResult& run) { return run.bitsPerWeight; })),
        quality(Quality::Perplexity),
        quality(Quality::Kl),
        quality(Quality::Top1),
        numberAxis("time, s", numbers([](const RunResult& run) { return run.seconds; })),
    };
}

ParallelPlot parallelCoordinates(const std::vector<RunResult>& runs)
{
    ParallelPlot plot;
    plot.title = "Settings and qualities";
    const std::vector<std::string> names = distinctNames(runs);
    for (std::size_t i = 0; i < runs.size(); ++i) {
        plot.lines.push_back({names[i], runs[i].spec.method, runs[i].id, {}});
    }
    for (const AxisValues& axis : parallelAxes(runs)) {
        if (varies(axis)) {
            plot.axes.push_back(axis.axis);
            for (std::size_t i = 0; i < runs.size(); ++i) {
                plot.lines[i].values.push_back(axis.values[i]);
            }
        }
    }
    return plot;
}

const char* const kFillQuality =
    "Runs that were measured on a text appear here; select some, or give a run an evaluation text.";
} // namespace

std::string qualityLabel(Quality quality)
{
    switch (quality) {
    case Quality::Perplexity:
        return "perplexity";
    case Quality::DeltaNll:
        return "Δnll, nats per token";
    case Quality::Kl:
        return "KL divergence, nats per token";
    case Quality::Top1:
        return "top-1 agreement, %";
    }
    return {};
}

double qualityValue(const RunResult& run, Quality quality)
{
    switch (quality) {
    case Quality::Perplexity:
        return run.score.perplexity;
    case Quality::DeltaNll:
        return run.comparison.deltaNll;
    case Quality::Kl:
        return run.comparison.klMean;
    case Quality::Top1:
        return 100 * run.comparison.top1Agreement;
    }
    return kMissing;
}

double qualityError(const RunResult& run, Quality quality)
{
    switch (quality) {
    case Quality::Perplexity: // of exp(nll), to first order
        return run.score.perplexity * run.score.nllStderr;
    case Quality::DeltaNll:
        return run.comparison.deltaNllStderr;
    default:
        return kMissing;
    }
}

bool lowerIsBetter(Quality quality)
{
    return quality != Quality::Top1;
}

PlotSet<PlotData> rankPlot(const std::vector<RunResult>& runs, Quality quality)
{
    return plotGroups<PlotData>(
        runs, rankMismatch, kFillQuality,
        [quality](const std::vector<RunResult>& members) { return rankCurves(members, quality); });
}

PlotSet<PlotData> paretoPlot(const std::vector<RunResult>& runs, Quality quality, SizeAxis size)
{
    return plotGroups<PlotData>(runs, qualityMismatch, kFillQuality,
                                [=](const std::vector<RunResult>& members) {
                                    return sizeAndQuality(members, quality, size);
                                });
}

std::vector<std::size_t> paretoFront(const std::vector<double>& x, const std::vector<double>& y)
{
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (!std::isnan(x[i]) && !std::isnan(y[i])) {
            order.push_back(i);
        }
    }
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return std::pair(x[a], y[a]) < std::pair(x[b], y[b]);
    });
    std::vector<std::size_t> front;
    for (const std::size_t i : order) {
        const bool equal = !front.empty() && x[i] == x[front.back()] && y[i] == y[front.back()];
        if (front.empty() || y[i] < y[front.back()] || equal) {
            front.push_back(i);
        }
    }
    return front;
}

PlotSet<ParallelPlot> parallelPlot(const std::vector<RunResult>& runs)
{
    return plotGroups<ParallelPlot>(runs, qualityMismatch, kFillQuality, parallelCoordinates);
}

} // namespace qw
