#include "report/report_content.h"
#include "report/open_numbers.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "report/layer_plots.h"
#include "report/method_style.h"
#include "report/number_format.h"
#include "report/report_run_section.h"
#include "report/run_groups.h"
#include "report/run_plots.h"

namespace qw {

namespace {
constexpr std::size_t kOverlaid = 6; ///< more runs than this do not fit into one plot of layers

std::string counted(std::size_t count, const std::string& thing)
{
    return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

std::string subtitleOf(const std::vector<RunResult>& runs)
{
    std::string first = runs.front().started;
    std::string last = first;
    std::map<std::string, bool> models;
    for (const RunResult& run : runs) {
        first = std::min(first, run.started);
        last = std::max(last, run.started);
        models[run.spec.model] = true;
    }
    std::string text = counted(runs.size(), "run") + " of ";
    text += models.size() == 1 ? models.begin()->first : counted(models.size(), "model");
    if (!first.empty()) {
        text += first == last ? ", made " + first : ", made from " + first + " to " + last;
    }
    return text + ". Written by Quant Workbench " QW_VERSION ".";
}

std::string protocolOf(const RunResult& run)
{
    const TextScore& score = run.score;
    std::string text =
        message("Measured by the ", score.protocol, " protocol on ",
                counted(score.windows, "window"), " of ", score.seqlen, " tokens (",
                counted(score.tokens, "scored prediction"), "), products in ", score.compute, ".");
    if (std::isfinite(run.comparison.fpPerplexity)) {
        text += " Full precision: perplexity " + formatNumber(run.comparison.fpPerplexity, 3) + ".";
    }
    return text + " ± is one standard error; that of Δnll is paired, over the same windows.";
}

ReportTable headline(const std::vector<RunResult>& runs)
{
    ReportTable table;
    table.header = {"run",        "method",     "format",   "rank",  "bits/weight", "size, MB",
                    "perplexity", "Δnll, nats", "KL, nats", "top-1", "time",        "peak memory"};
    table.textColumns = 3;
    table.linkPrefix = "run-";
    for (const RunResult& run : runs) {
        table.rows.push_back(
            {run.id, methodStyle(run.spec.method).title, formatName(run.spec),
             rankText(knownRank(run)), formatNumber(run.bitsPerWeight, 2),
             run.bytes > 0 ? formatNumber(static_cast<double>(run.bytes) / 1e6, 2) : kMissingText,
             formatWithError(run.score.perplexity, qualityError(run, Quality::Perplexity), 3),
             formatWithError(run.comparison.deltaNll, run.comparison.deltaNllStderr, 4),
             formatNumber(run.comparison.klMean, 4), formatPercent(run.comparison.top1Agreement),
             formatDuration(run.seconds), formatMegabytes(run.peakRssBytes)});
    }
    return table;
}

std::vector<RunResult> pick(const std::vector<RunResult>& runs, const std::vector<std::size_t>& of)
{
    std::vector<RunResult> picked;
    for (const std::size_t i : of) {
        picked.push_back(runs[i]);
    }
    return picked;
}

ReportTable reasons(const std::vector<RunResult>& runs, const std::vector<LeftOut>& leftOut)
{
    ReportTable table;
    table.header = {"run", "method", "format", "why"};
    table.textColumns = table.header.size();
    table.linkPrefix = "run-";
    for (const LeftOut& one : leftOut) {
        const auto run = std::find_if(runs.begin(), runs.end(), [&](const RunResult& candidate) {
            return candidate.id == one.run;
        });
        table.rows.push_back(
            {one.run, methodStyle(run->spec.method).title, formatName(run->spec), one.reason});
    }
    return table;
}

ReportSection results(const std::vector<RunResult>& runs)
{
    ReportSection section{"Results", "results", false, {}};
    const Grouping grouping = groupRuns(runs, qualityMismatch);
    for (const RunGroup& group : grouping.groups) {
        const std::vector<RunResult> members = pick(runs, group.runs);
        if (!group.reason.empty()) {
            section.blocks.push_back(
                ReportText{"Not to be compared with the first table: " + group.reason + "."});
        }
        section.blocks.push_back(ReportText{protocolOf(members.front())});
        section.blocks.push_back(headline(members));
    }
    if (!grouping.leftOut.empty()) {
        section.blocks.push_back(ReportText{"Without a quality that could be compared:"});
        section.blocks.push_back(reasons(runs, grouping.leftOut));
    }
    return section;
}

template <class Plot>
void addPlots(ReportSection& section, const PlotSet<Plot>& set)
{
    for (const Plot& plot : set.plots) {
        if (plot.empty.empty()) {
            section.blocks.push_back(plot);
        }
    }
}

ReportSection qualityPlots(const std::vector<RunResult>& runs)
{
    ReportSection section{"Quality, size and rank", "plots", false, {}};
    if (runs.size() < 2) {
        return section;
    }
    addPlots(section, paretoPlot(runs, Quality::Perplexity, SizeAxis::Megabytes));
    addPlots(section, paretoPlot(runs, Quality::Kl, SizeAxis::BitsPerWeight));
    const bool ranks = std::any_of(runs.begin(), runs.end(), [&](const RunResult& run) {
        return knownRank(run) != knownRank(runs.front());
    });
    if (ranks) {
        addPlots(section, rankPlot(runs, Quality::Perplexity));
        addPlots(section, rankPlot(runs, Quality::Kl));
    }
    addPlots(section, parallelPlot(runs));
    return section;
}

/// Of many runs the best of each method, in the number format that most methods share.
std::vector<RunResult> representatives(const std::vector<RunResult>& runs)
{
    std::map<std::string, std::map<std::string, std::size_t>> best; // by format and method
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const double divergence = runs[i].comparison.klMean;
        if (std::isnan(divergence) || runs[i].status != "finished") {
            continue;
        }
        const auto [found, isNew] =
            best[formatName(runs[i].spec)].try_emplace(runs[i].spec.method, i);
        if (!isNew && divergence < runs[found->second].comparison.klMean) {
            found->second = i;
        }
    }
    std::vector<std::size_t> kept;
    for (const auto& [format, methods] : best) {
        if (methods.size() > kept.size()) {
            kept.clear();
            for (const auto& [method, index] : methods) {
                kept.push_back(index);
            }
        }
    }
    std::sort(kept.begin(), kept.end());
    return pick(runs, kept);
}

/// The layer with the largest output error (else weight error) of all that stored a spectrum.
std::string worstLayer(const std::vector<RunResult>& runs)
{
    std::string name;
    double worst = -1;
    for (const RunResult& run : runs) {
        for (const LayerResult& layer : run.layers) {
            const double error =
                std::isfinite(layer.outputError) ? layer.outputError : layer.weightError;
            if (!layer.singularValues.empty() && error > worst) {
                worst = error;
                name = layer.name;
            }
        }
    }
    return name;
}

ReportSection layerPlots(const std::vector<RunResult>& runs)
{
    ReportSection section{"Layers", "layers", false, {}};
    const std::vector<RunResult> shown = representatives(runs);
    if (shown.size() < runs.size()) {
        section.blocks.push_back(ReportText{message(
            "Of ", runs.size(), " runs, the one of each method with the lowest KL divergence.")});
    }
    addPlots(section, layerPlot(shown, LayerMetric::OutputError));
    addPlots(section, layerPlot(shown, LayerMetric::WeightError));
    if (const std::string worst = worstLayer(shown); !worst.empty()) {
        addPlots(section, spectraPlot(shown, worst));
        addPlots(section, predictionPlot(shown, worst, Prediction::Energy));
    }
    return section;
}

/// Few runs are columns, many are rows.
ReportSection differences(const std::vector<RunResult>& runs)
{
    constexpr std::size_t kColumns = 4;
    ReportSection section{"What differs", "differences", false, {}};
    const std::vector<SettingRow> settings = differingSettings(runs);
    if (runs.size() < 2) {
        return section;
    }
    if (settings.empty()) {
        section.blocks.push_back(ReportText{"The runs have the same settings and provenance."});
        return section;
    }
    ReportTable table;
    if (runs.size() <= kColumns) {
        table.header = {"setting"};
        for (const RunResult& run : runs) {
            table.header.push_back(run.id);
        }
        for (const SettingRow& setting : settings) {
            table.rows.push_back({setting.key});
            for (const std::string& value : setting.values) {
                table.rows.back().push_back(readableValue(setting.key, value));
            }
        }
    } else {
        table.header = {"run"};
        table.linkPrefix = "run-";
        for (const SettingRow& setting : settings) {
            table.header.push_back(setting.key);
        }
        for (std::size_t i = 0; i < runs.size(); ++i) {
            table.rows.push_back({runs[i].id});
            for (const SettingRow& setting : settings) {
                table.rows.back().push_back(readableValue(setting.key, setting.values[i]));
            }
        }
    }
    table.textColumns = table.header.size();
    section.blocks.push_back(std::move(table));
    return section;
}
} // namespace

ReportDocument reportOf(const std::vector<ReportEntry>& entries, const std::string& title)
{
    QW_REQUIRE(!entries.empty(), ErrorCode::BadInput, "a report needs one run or more");
    std::vector<RunResult> runs;
    for (const ReportEntry& entry : entries) {
        runs.push_back(entry.run);
    }
    ReportDocument document;
    document.title = !title.empty()     ? title
                     : runs.size() == 1 ? shortName(runs.front())
                                        : "Comparison of " + counted(runs.size(), "run");
    document.subtitle = subtitleOf(runs);
    for (ReportSection& section :
         std::vector{results(runs), differences(runs), qualityPlots(runs), layerPlots(runs)}) {
        if (!section.blocks.empty()) {
            document.sections.push_back(std::move(section));
        }
    }
    for (const ReportEntry& entry : entries) {
        document.sections.push_back(sectionOf(entry));
    }
    return document;
}

} // namespace qw
