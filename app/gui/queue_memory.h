#pragma once

#include "base/json_io.h"

namespace qw {

class RunQueue;

/// What of the queue a later start has to know: everything not finished, failed or cancelled.
Json rememberedQueue(const RunQueue& queue);
/// Adds them to the queue, paused. Entries of another store are left out.
/// @throws Error::BadInput, BadFile for text that is none of ours
void restoreQueue(const Json& remembered, const std::string& storeFile, RunQueue& queue);

} // namespace qw
