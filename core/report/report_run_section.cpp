#include "report/report_run_section.h"

#include <cmath>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "report/layer_plots.h"
#include "report/number_format.h"
#include "report/run_groups.h"
#include "report/run_tables.h"
#include "report/spec_command.h"

namespace qw {

namespace {
std::string orMissing(const std::string& text)
{
    return text.empty() ? kMissingText : text;
}

ReportTable layerTable(const RunResult& run)
{
    ReportTable table;
    table.header = {"layer",        "shape",    "rank",        "weight error",
                    "output error", "SQNR, dB", "bits/weight", "size, MB"};
    for (const LayerResult& layer : run.layers) {
        table.rows.push_back(
            {layer.name, std::to_string(layer.rows) + " × " + std::to_string(layer.cols),
             rankText(knownRank(layer, run.spec)), formatPercent(layer.weightError),
             formatPercent(layer.outputError), formatNumber(layer.sqnrDb, 1),
             formatNumber(layer.bitsPerWeight, 2),
             layer.bytes > 0 ? formatNumber(static_cast<double>(layer.bytes) / 1e6, 3)
                             : kMissingText});
    }
    return table;
}

ReportTable blockTable(std::vector<std::vector<std::string>> rows)
{
    ReportTable table;
    table.header = std::move(rows.front());
    table.rows.assign(std::make_move_iterator(rows.begin() + 1),
                      std::make_move_iterator(rows.end()));
    return table;
}

ReportTable costTable(const RunResult& run)
{
    ReportTable table;
    table.header = {"", "predicted", "measured"};
    const Estimate& estimate = run.estimate;
    table.rows = {
        {"size", formatMegabytes(estimate.bytes), formatMegabytes(run.bytes)},
        {"peak memory", formatMegabytes(estimate.peakRssBytes), formatMegabytes(run.peakRssBytes)},
        {"time", estimate.seconds > 0 ? formatDuration(estimate.seconds) : kMissingText,
         formatDuration(run.seconds)}};
    for (const PhaseTime& phase : run.phases) {
        table.rows.push_back(
            {"time to " + phase.phase, kMissingText, formatDuration(phase.seconds)});
    }
    return table;
}

ReportTable provenanceTable(const RunResult& run)
{
    const Provenance& of = run.provenance;
    ReportTable table;
    table.header = {"provenance", ""};
    table.textColumns = 2;
    table.rows = {{"started", orMissing(run.started)},
                  {"program", orMissing(of.program)},
                  {"libtorch", orMissing(of.torch)},
                  {"device", orMissing(of.device)},
                  {"processor", orMissing(of.cpu)},
                  {"threads", of.threads > 0 ? std::to_string(of.threads) : kMissingText},
                  {"seed", std::to_string(run.spec.seed)},
                  {"model hash", orMissing(of.modelHash)},
                  {"tokenizer hash", orMissing(of.tokenizerHash)},
                  {"calibration text hash", orMissing(of.calibrationHash)},
                  {"evaluation text hash", orMissing(of.evaluationHash)},
                  {"artifact hash", orMissing(run.artifactHash)}};
    return table;
}

void addWords(ReportSection& section, const ReportEntry& entry)
{
    const RunResult& run = entry.run;
    if (!run.status.empty() && run.status != "finished") {
        section.blocks.push_back(ReportText{"This run is " + run.status +
                                            (run.problem.empty() ? "." : ": " + run.problem)});
    }
    if (!entry.notes.empty()) {
        section.blocks.push_back(ReportText{"Notes: " + entry.notes});
    }
    if (!entry.tags.empty()) {
        std::string tags;
        for (const std::string& tag : entry.tags) {
            tags += (tags.empty() ? "" : ", ") + tag;
        }
        section.blocks.push_back(ReportText{"Tags: " + tags});
    }
    for (const std::string& sentence : run.substitutions) {
        section.blocks.push_back(ReportText{"Done differently: " + sentence});
    }
    const Comparison& of = run.comparison;
    if (std::isfinite(of.klMean)) {
        section.blocks.push_back(ReportText{
            message("KL divergence to full precision: mean ", formatNumber(of.klMean, 5),
                    ", median ", formatNumber(of.klMedian, 5), ", 90 % ", formatNumber(of.klP90, 5),
                    ", 99 % ", formatNumber(of.klP99, 5), " nats per token.")});
    }
}

void addRepetition(ReportSection& section, const RunResult& run)
{
    const std::string command = runCommand(run.spec);
    section.blocks.push_back(ReportText{"To repeat it from the store and compare every tensor:"});
    section.blocks.push_back(ReportCode{"qw rerun " + shellQuoted(run.id) + " --verify"});
    if (!command.empty()) {
        section.blocks.push_back(ReportText{"To repeat it anywhere:"});
        section.blocks.push_back(ReportCode{command});
    }
    section.blocks.push_back(
        ReportText{command.empty() ? "To repeat it anywhere, save this as recipe.json and start "
                                     "qw run recipe.json:"
                                   : "The full configuration (qw run recipe.json does the same):"});
    section.blocks.push_back(
        ReportCode{toJson(run.spec).dump(2, ' ', false, nlohmann::json::error_handler_t::replace)});
}
} // namespace

std::string formatName(const RunSpec& spec)
{
    const WeightSpec& weight = spec.weight;
    std::string name = weight.format + std::to_string(weight.bits);
    const Json group = groupSizeToJson(weight.groupSize);
    if (weight.format == "mxint") {
        name += " b" + std::to_string(weight.groupSize);
    } else {
        name += group.is_string() ? " per " + group.get<std::string>()
                                  : " g" + std::to_string(weight.groupSize);
    }
    if (spec.activation.format != "none") {
        name += ", activations " + spec.activation.format + std::to_string(spec.activation.bits);
    }
    if (spec.kvCache.format != "none") {
        name += ", KV cache " + spec.kvCache.format + std::to_string(spec.kvCache.bits);
    }
    return name;
}

ReportSection sectionOf(const ReportEntry& entry)
{
    const RunResult& run = entry.run;
    ReportSection section{"Run " + run.id + ": " + shortName(run), "run-" + run.id, true, {}};
    addWords(section, entry);
    section.blocks.push_back(costTable(run));
    if (!run.layers.empty()) {
        section.blocks.push_back(layerMap(run, LayerMetric::OutputError));
        section.blocks.push_back(layerTable(run));
    }
    if (!run.blocks.empty()) {
        section.blocks.push_back(blockTable(blockRows(run)));
    }
    section.blocks.push_back(provenanceTable(run));
    addRepetition(section, run);
    return section;
}

} // namespace qw
