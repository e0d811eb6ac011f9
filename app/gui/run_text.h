#pragma once

#include <QString>

#include "report/run_result.h"

/// How the window speaks of a run.
namespace qw::run_text {

/// "l2qer W4 r32 · 12.310": method, format, rank and perplexity.
QString title(const RunResult& run);
/// Method, format and rank.
QString settings(const RunSpec& spec);
/// Several lines: id, date, model, numbers.
QString tip(const RunResult& run);
/// "2026-05-06 07:08" in the user's time zone.
QString localTime(const std::string& utc);

} // namespace qw::run_text
