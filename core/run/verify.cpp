#include <filesystem>

#include <unistd.h>

#include "base/error.h"
#include "engine.h"
#include "store/run_store.h"

namespace qw {

VerifyReport verifyRun(const RunResult& stored, const RunContext& run)
{
    QW_REQUIRE(!stored.artifactHash.empty(), ErrorCode::BadInput, "run ", stored.id,
               " never finished, so there is nothing to compare with");
    struct Scratch {
        std::filesystem::path folder =
            std::filesystem::temp_directory_path() / ("qw-verify-" + std::to_string(::getpid()));
        Scratch() { std::filesystem::create_directories(folder); }
        ~Scratch()
        {
            std::error_code ignored;
            std::filesystem::remove_all(folder, ignored);
        }
    } scratch;
    RunResult unmeasured = stored; // only tensors are compared
    unmeasured.spec.evaluation = {};
    RunOptions options;
    options.workFolder = scratch.folder / "runs";
    RunStore store(scratch.folder / "store.sqlite");
    const RunResult again = repeatRun(unmeasured, store, options, run);
    VerifyReport report;
    report.storedHash = stored.artifactHash;
    report.newHash = again.artifactHash;
    report.same = report.storedHash == report.newHash;
    const auto differs = [&](const char* what, const std::string& before,
                             const std::string& after) {
        if (before != after) {
            report.differences.push_back(message(what, ": ", before, " then, ", after, " now"));
        }
    };
    const Provenance& then = stored.provenance;
    const Provenance& now = again.provenance;
    differs("program", then.program, now.program);
    differs("libtorch", then.torch, now.torch);
    differs("model", then.modelHash, now.modelHash);
    differs("tokenizer", then.tokenizerHash, now.tokenizerHash);
    differs("calibration text", then.calibrationHash, now.calibrationHash);
    differs("training text", then.trainingHash, now.trainingHash);
    differs("device", then.device, now.device);
    differs("threads", std::to_string(then.threads), std::to_string(now.threads));
    differs("processor", then.cpu, now.cpu);
    return report;
}

} // namespace qw
