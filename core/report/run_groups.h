#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "report/learned_rank.h"
#include "report/run_result.h"
#include "report/run_tables.h"

/// Which runs may share an axis, and what they are called on it.
namespace qw {

/// Why the qualities of two runs must not share an axis, or empty: incomparableReason() and
/// different models.
std::string qualityMismatch(const RunResult& a, const RunResult& b);

/// Why this metric of their layers must not, or empty: different models, and for what is measured
/// on calibration inputs different texts. Runs that did not finish or were never evaluated may.
std::string layerMismatch(const RunResult& a, const RunResult& b, LayerMetric metric);

struct LeftOut {
    std::string run; ///< id
    std::string reason;
    bool operator==(const LeftOut&) const = default;
};

struct RunGroup {
    std::vector<std::size_t> runs; ///< indices, in order
    std::string reason;            ///< why it is not the first group, or empty
};

struct Grouping {
    std::vector<RunGroup> groups;
    std::vector<LeftOut> leftOut; ///< runs that cannot be drawn even alone
};

using Mismatch = std::function<std::string(const RunResult&, const RunResult&)>;
/// Runs that match share a group; the group of the first drawable run comes first.
Grouping groupRuns(const std::vector<RunResult>& runs, const Mismatch& mismatch);

KnownRank knownRank(const RunSpec& spec); ///< as asked for
KnownRank knownRank(const RunResult& run);
/// Of a layer of a finished run with this spec.
KnownRank knownRank(const LayerResult& layer, const RunSpec& spec);
/// For axes, sorting and filters: missing where it is full, or learned and not known.
double rankNumber(const KnownRank& known);
/// For tables: "8", "24 (learned)", "full (learned)".
std::string rankText(const KnownRank& known);
/// The run as if it had no rank, its layers left out: the same for all runs that differ in the
/// rank they are known by alone.
RunResult withoutRank(RunResult run);

/// "L²QER W3 g128 r8", "RTN MXINT4 b16 A8", "GPTQ W3 channel + QERA-exact r16", "LRQ W3 channel
/// r24".
std::string shortName(const RunSpec& spec);
/// The same with the rank that was deployed or learned.
std::string shortName(const RunResult& run);
/// Short names made distinct by the settings that differ ("… seed 1"), else by the id.
std::vector<std::string> distinctNames(const std::vector<RunResult>& runs);

} // namespace qw
