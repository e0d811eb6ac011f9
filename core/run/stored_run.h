#pragma once

#include "base/run_context.h"
#include "model/checkpoint.h"
#include "report/run_result.h"
#include "run/artifact.h"

namespace qw {

/// The artifact of a stored run. @throws Error::BadInput unless it is finished, NotFound if its
/// artifact was not kept or is gone
ArtifactFolder storedArtifact(const RunResult& run);

/// @throws Error::Mismatch if the model is not the one that the run quantized
void requireSameModel(const Checkpoint& checkpoint, const RunResult& run,
                      const RunContext& context);

} // namespace qw
