#include "run/stored_run.h"

#include "base/error.h"

namespace qw {

ArtifactFolder storedArtifact(const RunResult& run)
{
    QW_REQUIRE(run.status == "finished", ErrorCode::BadInput, "run ", run.id, " is ", run.status,
               ", not finished; ", run.status == "running" ? "if it was interrupted, " : "",
               "qw resume ", run.id, " goes on with it");
    QW_REQUIRE(!run.artifactFolder.empty(), ErrorCode::NotFound, "run ", run.id,
               " kept no artifact (--artifacts discard); qw rerun makes it again");
    ArtifactFolder artifact(run.artifactFolder, "");
    QW_REQUIRE(artifact.finished(), ErrorCode::NotFound, run.artifactFolder,
               ": the artifact of run ", run.id, " is gone");
    return artifact;
}

void requireSameModel(const Checkpoint& checkpoint, const RunResult& run, const RunContext& context)
{
    QW_REQUIRE(checkpoint.hash(context) == run.provenance.modelHash, ErrorCode::Mismatch,
               checkpoint.folder().string(), ": is not the model that run ", run.id,
               " quantized, or it changed since");
}

} // namespace qw
