#include "report/run_groups.h"
#include "report/open_numbers.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "report/imported.h"
#include "report/method_settings.h"
#include "report/method_style.h"
#include "report/number_format.h"
#include "report/rank_prediction.h"

namespace qw {

namespace {
std::string weightName(const WeightSpec& weight)
{
    const std::string bits = std::to_string(weight.bits);
    if (weight.format == "mxint") {
        return "MXINT" + bits + " b" + std::to_string(weight.groupSize);
    }
    const Json group = groupSizeToJson(weight.groupSize);
    return "W" + bits + " " +
           (group.is_string() ? group.get<std::string>() : "g" + std::to_string(weight.groupSize));
}

/// Settings that cannot change a result, and those the short name already tells.
bool toldAlready(const std::string& key)
{
    for (const char* known : {"method", "weight.format", "weight.bits", "weight.group_size",
                              "activation.format", "activation.bits", "kv_cache.format",
                              "kv_cache.bits", "low_rank.rank", "threads", "artifacts"}) {
        if (key == known) {
            return true;
        }
    }
    return false;
}

/// A setting for a name: of models and texts what their path ends in.
std::string shortSetting(const std::string& key, const std::string& value)
{
    const std::string last = key.substr(key.rfind('.') + 1);
    const std::string end = std::filesystem::path(value).filename().string();
    const bool path = (last == "model" || last == "text") && !end.empty();
    return last + " " + (path ? end : readableValue(key, value));
}

/// What tells runs of one name apart, for each of them: "seed 1, scale_dtype f32", or empty.
std::vector<std::string> distinctions(const std::vector<const RunResult*>& runs)
{
    std::vector<std::map<std::string, std::string>> settings;
    std::set<std::string> differing;
    for (const RunResult* run : runs) {
        settings.push_back(settingsOf(run->spec));
        const RunSpec& spec = run->spec;
        for (const auto& [key, value] : settings.back()) {
            if (settings.front()[key] != value && !toldAlready(key) &&
                looksAt(spec.method, spec.lowRank.correction, key)) {
                differing.insert(key);
            }
        }
    }
    std::vector<std::string> result;
    for (auto& of : settings) {
        result.emplace_back();
        for (const std::string& key : differing) {
            result.back() += (result.back().empty() ? "" : ", ") + shortSetting(key, of[key]);
        }
    }
    return result;
}

bool corrects(const RunSpec& spec)
{
    return !minimisedMatrix(spec).name.empty() || spec.method == kImported;
}

/// Whether its method, and not a correction, is what a rank would be of.
bool learnsOnly(const RunSpec& spec)
{
    return !corrects(spec) && (looksAt(spec.method, "none", "reconstruction.rank") ||
                               looksAt(spec.method, "none", "training.rank"));
}

std::string nameWith(const KnownRank& known, const RunSpec& spec)
{
    std::string name = methodStyle(spec.method).title + " " + weightName(spec.weight);
    if (spec.activation.points != "linear") {
        std::string points = spec.activation.points; // a8kv4
        std::transform(points.begin(), points.end(), points.begin(),
                       [](unsigned char letter) { return std::toupper(letter); });
        name += " " + points;
    } else if (spec.activation.format != "none") {
        name += " A" + std::to_string(spec.activation.bits);
    }
    if (spec.kvCache.format != "none") {
        name += " KV" + std::to_string(spec.kvCache.bits);
    }
    if (spec.lowRank.correction != "none") {
        name += " + " + methodStyle(spec.lowRank.correction).title;
    }
    if (known.full) {
        return name + " full rank";
    }
    return known.rank > 0 && (known.learned || corrects(spec))
               ? name + " r" + std::to_string(known.rank)
               : name;
}
} // namespace

std::string qualityMismatch(const RunResult& a, const RunResult& b)
{
    if (std::string reason = incomparableReason(a, b); !reason.empty()) {
        return reason;
    }
    return a.provenance.modelHash != b.provenance.modelHash ? "they are of different models" : "";
}

std::string layerMismatch(const RunResult& a, const RunResult& b, LayerMetric metric)
{
    for (const RunResult* run : {&a, &b}) {
        if (std::none_of(run->layers.begin(), run->layers.end(), [&](const LayerResult& layer) {
                return std::isfinite(metricValue(layer, metric));
            })) {
            return "run " + run->id + " has no layer with a known " + metricLabel(metric);
        }
    }
    if (a.provenance.modelHash != b.provenance.modelHash) {
        return "they are of different models";
    }
    const bool onInputs = metric == LayerMetric::OutputError || metric == LayerMetric::Sqnr;
    if (onInputs && a.provenance.calibrationHash != b.provenance.calibrationHash) {
        return "their layers were measured on different calibration texts";
    }
    return {};
}

Grouping groupRuns(const std::vector<RunResult>& runs, const Mismatch& mismatch)
{
    Grouping result;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        if (const std::string reason = mismatch(runs[i], runs[i]); !reason.empty()) {
            result.leftOut.push_back({runs[i].id, reason});
            continue;
        }
        bool placed = false;
        for (RunGroup& group : result.groups) {
            if (!placed && mismatch(runs[group.runs.front()], runs[i]).empty()) {
                group.runs.push_back(i);
                placed = true;
            }
        }
        if (!placed) {
            const std::string reason =
                result.groups.empty() ? ""
                                      : mismatch(runs[result.groups.front().runs.front()], runs[i]);
            result.groups.push_back({{i}, reason});
        }
    }
    return result;
}

KnownRank knownRank(const RunSpec& spec)
{
    if (!learnsOnly(spec)) {
        return {spec.lowRank.rank, false, false};
    }
    if (!learnsRank(spec)) {
        return {0, true, false};
    }
    if (looksAt(spec.method, "none", "training.rank")) {
        return {spec.training.rank, true, false};
    }
    const std::string& rank = spec.reconstruction.rank; // a number or a name
    const bool number = !rank.empty() && std::isdigit(static_cast<unsigned char>(rank[0])) != 0;
    return {number ? std::atoll(rank.c_str()) : 0, true, rank == "full"};
}

KnownRank knownRank(const RunResult& run)
{
    KnownRank known = knownRank(run.spec);
    if (run.status != "finished") {
        return known;
    }
    if (!known.learned) {
        known.rank = run.rank;
    } else if (learnsRank(run.spec)) {
        const TrainedTotals trained = trainedTotals(run);
        known = {trained.rank, true, trained.rank == 0 && trained.parameters > 0};
    }
    return known;
}

KnownRank knownRank(const LayerResult& layer, const RunSpec& spec)
{
    const bool learned = layer.rank == 0 && layer.trainedParameters > 0 && learnsOnly(spec);
    if (!learned) {
        return {layer.rank, false, false};
    }
    return learnsRank(spec) ? KnownRank{layer.trainRank, true, layer.trainRank == 0}
                            : KnownRank{0, true, false};
}

double rankNumber(const KnownRank& known)
{
    return known.learned && (known.full || known.rank == 0) ? kMissing
                                                            : static_cast<double>(known.rank);
}

std::string rankText(const KnownRank& known)
{
    if (!known.learned) {
        return std::to_string(known.rank);
    }
    if (known.rank == 0 && !known.full) {
        return kMissingText;
    }
    return (known.full ? std::string("full") : std::to_string(known.rank)) + " (learned)";
}

RunResult withoutRank(RunResult run)
{
    const RunSpec usual;
    if (knownRank(run.spec).learned) {
        run.spec.reconstruction.rank = usual.reconstruction.rank;
        run.spec.reconstruction.rho = usual.reconstruction.rho;
        run.spec.training.rank = usual.training.rank;
    }
    run.spec.lowRank.rank = 0;
    run.rank = 0;
    run.layers.clear();
    run.listedTotals = {};
    return run;
}

std::string shortName(const RunSpec& spec)
{
    return nameWith(knownRank(spec), spec);
}

std::string shortName(const RunResult& run)
{
    return nameWith(knownRank(run), run.spec);
}

std::vector<std::string> distinctNames(const std::vector<RunResult>& runs)
{
    std::map<std::string, std::vector<std::size_t>> same;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        same[shortName(runs[i])].push_back(i);
    }
    std::vector<std::string> names(runs.size());
    for (const auto& [name, indices] : same) {
        if (indices.size() == 1) {
            names[indices.front()] = name;
            continue;
        }
        std::vector<const RunResult*> alike;
        for (const std::size_t i : indices) {
            alike.push_back(&runs[i]);
        }
        std::map<std::string, int> seen;
        std::vector<std::string> full;
        for (const std::string& more : distinctions(alike)) {
            full.push_back(more.empty() ? name : name + ", " + more);
            ++seen[full.back()];
        }
        for (std::size_t i = 0; i < alike.size(); ++i) {
            names[indices[i]] = seen[full[i]] > 1 ? full[i] + ", " + alike[i]->id : full[i];
        }
    }
    return names;
}

} // namespace qw
