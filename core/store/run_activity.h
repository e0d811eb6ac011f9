#pragma once

#include <string>

#include "report/run_result.h"

/// What the store cannot know of a run: whether the process that made it is still there.
namespace qw {

/// The status shown of a run whose process was killed; the store says "running".
constexpr const char* kInterrupted = "interrupted";

/// Whether it says that it is running, and a process is at work on its files.
bool isAtWork(const RunResult& run);
/// Whether it says that it is running, has begun its files here, and no process is at work on them:
/// it was killed, and can be resumed.
bool isInterrupted(const RunResult& run);
/// That of the store, but for a run whose process was killed.
std::string shownStatus(const RunResult& run);

} // namespace qw
