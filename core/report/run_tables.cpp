#include "report/run_tables.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "report/imported.h"
#include "report/layer_place.h"
#include "report/method_settings.h"
#include "report/number_format.h"

namespace qw {

namespace {
void flatten(const Json& json, const std::string& path, std::map<std::string, std::string>& out)
{
    if (json.is_object()) {
        for (const auto& [key, value] : json.items()) {
            flatten(value, path.empty() ? key : path + "." + key, out);
        }
    } else {
        out[path] = json.is_string() ? json.get<std::string>() : json.dump();
    }
}

std::map<std::string, std::string> settingsAndProvenance(const RunResult& run)
{
    std::map<std::string, std::string> all;
    const Json json = toJson(run);
    flatten(json.at("spec"), "", all);
    flatten(json.at("provenance"), "provenance", all);
    return all;
}

/// "provenance.model_hash": nothing to read; incomparableReason() says what it means.
bool isHash(const std::string& key)
{
    const std::string end = "_hash";
    return key.size() > end.size() && key.compare(key.size() - end.size(), end.size(), end) == 0;
}

/// "q_proj 0.35, k_proj 0.35"
std::string ratiosOf(const BlockResult& block)
{
    std::string text;
    for (const auto& [layer, ratio] : block.awqRatios) {
        text += (text.empty() ? "" : ", ") + layer.substr(layer.rfind('.') + 1) + " " +
                formatNumber(ratio, 2);
    }
    return text.empty() ? kMissingText : text;
}
} // namespace

std::string metricLabel(LayerMetric metric)
{
    switch (metric) {
    case LayerMetric::OutputError:
        return "output error, %";
    case LayerMetric::WeightError:
        return "weight error, %";
    case LayerMetric::Sqnr:
        return "SQNR, dB";
    case LayerMetric::BitsPerWeight:
        return "bits per weight";
    case LayerMetric::Megabytes:
        return "size, MB";
    case LayerMetric::Seconds:
        return "time, s";
    case LayerMetric::Moved:
        return "integers moved, %";
    }
    return {};
}

double metricValue(const LayerResult& layer, LayerMetric metric)
{
    switch (metric) {
    case LayerMetric::OutputError:
        return 100 * layer.outputError;
    case LayerMetric::WeightError:
        return 100 * layer.weightError;
    case LayerMetric::Sqnr:
        return layer.sqnrDb;
    case LayerMetric::BitsPerWeight:
        return layer.bitsPerWeight;
    case LayerMetric::Megabytes:
        return static_cast<double>(layer.bytes) / 1e6;
    case LayerMetric::Seconds:
        return layer.seconds;
    case LayerMetric::Moved:
        return 100 * (layer.moved1 + layer.moved2plus);
    }
    return kMissing;
}

std::vector<LayerDifference> compareLayers(const RunResult& a, const RunResult& b,
                                           LayerMetric metric)
{
    std::map<std::string, const LayerResult*> rest;
    for (const LayerResult& layer : b.layers) {
        rest[layer.name] = &layer;
    }
    std::vector<LayerDifference> rows;
    for (const LayerResult& layer : a.layers) {
        LayerDifference row{layer.name, layer.rows, layer.cols, metricValue(layer, metric)};
        if (const auto other = rest.find(layer.name); other != rest.end()) {
            row.b = metricValue(*other->second, metric);
            row.difference = row.b - row.a;
            rest.erase(other);
        }
        rows.push_back(row);
    }
    for (const LayerResult& layer : b.layers) {
        if (rest.count(layer.name) > 0) {
            rows.push_back(
                {layer.name, layer.rows, layer.cols, kMissing, metricValue(layer, metric)});
        }
    }
    return rows;
}

MovedShares movedShares(const RunResult& run, std::int64_t block)
{
    MovedShares shares;
    double weights = 0;
    for (const LayerResult& layer : run.layers) {
        if (placeOf(layer.name).block != std::to_string(block) || !std::isfinite(layer.moved0)) {
            continue;
        }
        const double before = weights;
        const auto more = static_cast<double>(layer.rows * layer.cols);
        weights += more;
        const auto join = [&](double& share, double next) {
            share = ((before > 0 ? share * before : 0) + next * more) / weights;
        };
        join(shares.none, layer.moved0);
        join(shares.one, layer.moved1);
        join(shares.more, layer.moved2plus);
    }
    return shares;
}

std::vector<std::vector<std::string>> blockRows(const RunResult& run)
{
    struct Column {
        std::string title;
        std::function<std::string(const BlockResult&)> text;
        std::function<bool(const BlockResult&)> has;
    };
    const auto always = [](const BlockResult&) { return true; };
    const auto learned = [](const BlockResult& block) { return !block.losses.empty(); };
    const auto moves = [&](const BlockResult& block) {
        return std::isfinite(movedShares(run, block.block).none);
    };
    const auto error = [](double value) { return formatSignificant(value, 4); };
    const std::vector<Column> columns = {
        {"block", [](const BlockResult& block) { return std::to_string(block.block); }, always},
        {"error before", [=](const BlockResult& block) { return error(block.errorBefore); },
         always},
        {"error after", [=](const BlockResult& block) { return error(block.errorAfter); }, always},
        {"iterations", [](const BlockResult& block) { return std::to_string(block.losses.size()); },
         learned},
        {"learning rate", [](const BlockResult& block) { return formatSignificant(block.lr, 3); },
         learned},
        {"learned numbers",
         [](const BlockResult& block) { return std::to_string(block.trainedParameters); }, learned},
        {"moved by 1",
         [&](const BlockResult& block) { return formatPercent(movedShares(run, block.block).one); },
         moves},
        {"moved by 2+",
         [&](const BlockResult& block) {
             return formatPercent(movedShares(run, block.block).more);
         },
         moves},
        {"AWQ ratios", [](const BlockResult& block) { return ratiosOf(block); },
         [](const BlockResult& block) { return !block.awqRatios.empty(); }},
        {"time", [](const BlockResult& block) { return formatDuration(block.seconds); }, always},
        {"peak memory",
         [](const BlockResult& block) { return formatMegabytes(block.peakRssBytes); }, always},
    };
    std::vector<std::vector<std::string>> rows;
    if (run.blocks.empty()) {
        return rows;
    }
    rows.resize(run.blocks.size() + 1);
    for (const Column& column : columns) {
        if (std::none_of(run.blocks.begin(), run.blocks.end(), column.has)) {
            continue;
        }
        rows.front().push_back(column.title);
        for (std::size_t i = 0; i < run.blocks.size(); ++i) {
            rows[i + 1].push_back(column.text(run.blocks[i]));
        }
    }
    return rows;
}

std::map<std::string, std::string> settingsOf(const RunSpec& spec)
{
    std::map<std::string, std::string> settings;
    flatten(toJson(spec), "", settings);
    return settings;
}

std::vector<SettingRow> differingSettings(const std::vector<RunResult>& runs)
{
    std::vector<std::map<std::string, std::string>> settings;
    std::set<std::string> keys;
    for (const RunResult& run : runs) {
        settings.push_back(settingsAndProvenance(run));
        for (const auto& [key, value] : settings.back()) {
            if (!isHash(key)) {
                keys.insert(key);
            }
        }
    }
    const std::map<std::string, std::string> usual = settingsOf(RunSpec{});
    std::vector<SettingRow> rows;
    for (const std::string& key : keys) {
        SettingRow row{key, {}};
        std::set<std::string> used;
        for (std::size_t i = 0; i < runs.size(); ++i) {
            const RunSpec& spec = runs[i].spec;
            const bool looks =
                spec.method == kImported || looksAt(spec.method, spec.lowRank.correction, key);
            const auto found = settings[i].find(key);
            row.values.push_back(looks && found != settings[i].end() ? found->second
                                                                     : kMissingText);
            if (looks) {
                used.insert(row.values.back());
            }
        }
        // Where only some look, what they were given is told, but not each default.
        const bool some = std::count(row.values.begin(), row.values.end(), kMissingText) > 0;
        const auto known = usual.find(key);
        const bool given =
            !used.empty() && (known == usual.end() || *used.begin() != known->second);
        if (used.size() > 1 || (some && given)) {
            rows.push_back(std::move(row));
        }
    }
    return rows;
}

} // namespace qw
