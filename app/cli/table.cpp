#include "table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "report/run_groups.h"
#include "report/run_tables.h"

namespace qw::cli {

namespace {
/// Characters shown: continuation bytes of UTF-8 do not count.
std::size_t shownWidth(const std::string& text)
{
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

/// "12 MB (predicted 11 MB)"; an unknown prediction is left out.
std::string beside(const std::string& actual, const std::string& predicted, bool known)
{
    return actual + (known ? " (predicted " + predicted + ")" : "");
}
} // namespace

Table::Table(std::vector<std::string> header)
{
    m_rows.push_back(std::move(header));
}

void Table::add(std::vector<std::string> row)
{
    m_rows.push_back(std::move(row));
}

std::string Table::text() const
{
    std::vector<std::size_t> widths(m_rows.front().size(), 0);
    for (const auto& row : m_rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], shownWidth(row[i]));
        }
    }
    std::string out;
    for (const auto& row : m_rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string gap(widths[i] - shownWidth(row[i]), ' ');
            const bool last = i + 1 == row.size();
            out += i == 0 ? row[i] + (last ? "" : gap) : "  " + gap + row[i];
        }
        out += '\n';
    }
    return out;
}

std::string formatCsv(double value)
{
    if (!std::isfinite(value)) {
        return {};
    }
    char text[64];
    std::snprintf(text, sizeof text, "%.9g", value);
    return text;
}

std::string runTable(const std::vector<RunResult>& runs)
{
    Table table({"run", "method", "format", "rank", "bits/weight", "size", "perplexity", "Δnll",
                 "KL", "top-1", "time", "peak memory"});
    for (const RunResult& run : runs) {
        const WeightSpec& weight = run.spec.weight;
        const Json group = groupSizeToJson(weight.groupSize);
        const std::string groupText =
            group.is_string() ? group.get<std::string>() : "g" + std::to_string(weight.groupSize);
        std::string format = weight.format + std::to_string(weight.bits) + " " + groupText;
        if (run.spec.activation.format != "none") {
            format += " A" + std::to_string(run.spec.activation.bits);
        }
        const double perplexity = run.score.perplexity;
        table.add({run.id + (run.status == "finished" ? "" : " (" + run.status + ")"),
                   run.spec.method, format, rankText(knownRank(run)),
                   formatNumber(run.bitsPerWeight, 2), formatMegabytes(run.bytes),
                   formatWithError(perplexity, perplexity * run.score.nllStderr, 3),
                   formatWithError(run.comparison.deltaNll, run.comparison.deltaNllStderr, 4),
                   formatNumber(run.comparison.klMean, 4),
                   formatPercent(run.comparison.top1Agreement), formatDuration(run.seconds),
                   formatMegabytes(run.peakRssBytes)});
    }
    return table.text();
}

std::string measureLine(const RunResult& run)
{
    if (run.score.tokens == 0) {
        return {};
    }
    const TextScore& score = run.score;
    return "full precision: perplexity " + formatNumber(run.comparison.fpPerplexity, 3) + "; " +
           score.protocol + " protocol, " + counted(score.tokens, "prediction") + ", " +
           counted(score.windows, "window") + " of " + std::to_string(score.seqlen) + ", " +
           score.compute + '\n';
}

std::string blockTable(const RunResult& run)
{
    const std::vector<std::vector<std::string>> rows = blockRows(run);
    if (rows.empty()) {
        return {};
    }
    Table table(rows.front());
    for (std::size_t i = 1; i < rows.size(); ++i) {
        table.add(rows[i]);
    }
    return '\n' + table.text();
}

std::string layerTable(const RunResult& run)
{
    Table table({"layer", "shape", "rank", "weight error", "output error", "SQNR", "bits/weight"});
    for (const LayerResult& layer : run.layers) {
        table.add({layer.name, std::to_string(layer.rows) + " x " + std::to_string(layer.cols),
                   rankText(knownRank(layer, run.spec)), formatPercent(layer.weightError),
                   formatPercent(layer.outputError),
                   formatNumber(layer.sqnrDb, 1) + (std::isfinite(layer.sqnrDb) ? " dB" : ""),
                   formatNumber(layer.bitsPerWeight, 2)});
    }
    return table.text();
}

std::string runReport(const RunResult& run)
{
    const Estimate& estimate = run.estimate;
    std::string text = layerTable(run) + blockTable(run) + '\n' + runTable({run}) + '\n';
    text += measureLine(run) + "size " +
            beside(formatMegabytes(run.bytes), formatMegabytes(estimate.bytes), true) +
            ", peak memory " +
            beside(formatMegabytes(run.peakRssBytes), formatMegabytes(estimate.peakRssBytes),
                   estimate.peakRssBytes > 0) +
            ", time " +
            beside(formatDuration(run.seconds), formatDuration(estimate.seconds),
                   estimate.seconds > 0) +
            '\n';
    for (const std::string& sentence : run.substitutions) {
        text += "note: " + sentence + '\n';
    }
    return text;
}

} // namespace qw::cli
