#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "report/run_result.h"

/// Tables made from runs: layers side by side, settings that differ.
namespace qw {

enum class LayerMetric { OutputError, WeightError, Sqnr, BitsPerWeight, Megabytes, Seconds, Moved };
inline constexpr std::array kLayerMetrics = {LayerMetric::OutputError, LayerMetric::WeightError,
                                             LayerMetric::Sqnr,        LayerMetric::BitsPerWeight,
                                             LayerMetric::Megabytes,   LayerMetric::Seconds,
                                             LayerMetric::Moved};

/// "output error, %" and so on.
std::string metricLabel(LayerMetric metric);
/// In the unit of the label (errors in percent); NaN if missing.
double metricValue(const LayerResult& layer, LayerMetric metric);

/// One layer in two runs.
struct LayerDifference {
    std::string name;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    double a = kMissing; ///< NaN where the layer is not in that run
    double b = kMissing;
    double difference = kMissing; ///< b - a
    bool operator==(const LayerDifference&) const = default;
};
/// Layers of a in its order, then those only in b.
std::vector<LayerDifference> compareLayers(const RunResult& a, const RunResult& b,
                                           LayerMetric metric);

/// Shares of a block's weights whose integers moved 0, 1, or 2 and more steps, as LayerResult has
/// them; NaN where the method moves none.
struct MovedShares {
    double none = kMissing;
    double one = kMissing;
    double more = kMissing;
};
MovedShares movedShares(const RunResult& run, std::int64_t block);

/// What a block-wise method did to each block as text, a header first: errors, iterations, learned
/// numbers, moved integers, cost and AWQ's ratios, those that the run has. Empty without blocks.
std::vector<std::vector<std::string>> blockRows(const RunResult& run);

/// Settings by path ("weight.bits") as users write them; lists in one line.
std::map<std::string, std::string> settingsOf(const RunSpec& spec);

/// A setting and its value in each run; kMissingText where a run does not have it, or its method
/// does not look at it.
struct SettingRow {
    std::string key;
    std::vector<std::string> values;
    bool operator==(const SettingRow&) const = default;
};
/// Settings and provenance (program, torch, threads, …; no hashes) on which the runs are not all
/// equal, but those that no run's method looks at. Of those that only some look at, it has what is
/// not the default.
std::vector<SettingRow> differingSettings(const std::vector<RunResult>& runs);

} // namespace qw
