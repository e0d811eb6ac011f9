#pragma once

#include <vector>

#include "report/run_result.h"
#include "session.h"

namespace qw::cli {

/// What a sweep, or its continuation, ends with: all its runs, and on standard error how many of
/// them failed. @return the exit status, 1 if any did
int reportSweep(const Session& session, const std::vector<RunResult>& runs);

} // namespace qw::cli
