#include "store/run_activity.h"

#include <filesystem>
#include <system_error>

#include "base/files.h"

namespace qw {

bool isAtWork(const RunResult& run)
{
    const std::filesystem::path folder = run.artifactFolder;
    return run.status == "running" && !folder.empty() && FileLock::held(folder / kArtifactLock);
}

bool isInterrupted(const RunResult& run)
{
    const std::filesystem::path folder = run.artifactFolder;
    std::error_code unreadable; // of another user, perhaps: then there is nothing to resume
    return run.status == "running" && !folder.empty() &&
           std::filesystem::exists(folder, unreadable) && !isAtWork(run);
}

std::string shownStatus(const RunResult& run)
{
    return isInterrupted(run) ? kInterrupted : run.status;
}

} // namespace qw
