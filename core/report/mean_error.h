#pragma once

#include <vector>

#include "report/run_result.h"

namespace qw {

/// Mean and standard error of the mean.
struct MeanError {
    double mean = kMissing;
    double standardError = kMissing;
};
MeanError meanError(const std::vector<double>& values);

/// nll of @p b minus nll of @p a: nats a prediction, over the windows that both scored, its error
/// paired by window. Missing where the runs do not compare or a run was stored without its windows.
MeanError pairedDifference(const RunResult& a, const RunResult& b);

/// The differences of @p runs from the first, one sentence for each that has one.
std::vector<std::string> pairedSentences(const std::vector<RunResult>& runs);

} // namespace qw
