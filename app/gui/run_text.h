#pragma once

#include <QString>

#include "report/run_result.h"

namespace qw {
struct QueueEntry;
}

/// How the window speaks of a run, and of where it lies.
namespace qw::run_text {

/// "l2qer W4 r32 · 12.310": method, format, rank and perplexity.
QString title(const RunResult& run);
/// Method, format and rank, as asked for.
QString settings(const RunSpec& spec);
/// The same with the rank that was deployed or learned.
QString settings(const RunResult& run);
/// Several lines: id, date, model, numbers.
QString tip(const RunResult& run);
/// "quantize · block 2/4 · 1:12 left"
QString progress(const QueueEntry& entry);
/// State and, once finished, what came out; nothing while it works: the line of the queue tells.
QString state(const QueueEntry& entry);
/// "finished blocks are kept", or steps of a method that trains the whole model.
QString kept(const RunSpec& spec);
/// What of a long block, or step, quitting now would lose.
QString lost(const RunSpec& spec);
/// What the button does to a run that works or waits, and to one that can go on.
QString pauses(const RunSpec& spec);
QString resumes(const RunSpec& spec);
/// "2026-05-06 07:08" in the user's time zone.
QString localTime(const std::string& utc);
/// With ~ for the user's home folder.
QString path(const QString& file);

} // namespace qw::run_text
