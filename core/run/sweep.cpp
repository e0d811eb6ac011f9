#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <set>

#include <ATen/Parallel.h>

#include "base/error.h"
#include "base/utc_time.h"
#include "engine.h"
#include "report/imported.h"
#include "run/group_run.h"
#include "store/run_store.h"

namespace qw {

namespace {
constexpr const char* kFinished = "finished";
constexpr const char* kQueued = "queued";

RunResult newRun(const RunSpec& spec, const RunStore& store, const RunOptions& options)
{
    RunResult run;
    run.id = store.newRunId();
    run.spec = spec;
    run.sweep = options.sweep;
    run.status = kQueued;
    run.started = utcNow();
    run.provenance.threads = at::get_num_threads(); // a resume needs as many
    return run;
}

/// Runs that share factors, in the order of their first member.
std::vector<std::vector<RunResult>> grouped(const std::vector<RunResult>& runs)
{
    std::vector<std::vector<RunResult>> groups;
    for (const RunResult& run : runs) {
        const auto found =
            std::find_if(groups.begin(), groups.end(), [&](const std::vector<RunResult>& group) {
                RunSpec sliced = run.spec;
                sliced.lowRank.rank = group.front().spec.lowRank.rank;
                return sliced == group.front().spec;
            });
        (found == groups.end() ? groups.emplace_back() : *found).push_back(run);
    }
    return groups;
}

/// The deleted runs of a sweep whose group began: its folder, fingerprint and blocks are of all.
std::vector<RunResult> deletedOf(const std::string& sweep, const RunStore& store)
{
    std::vector<RunResult> runs;
    for (RunResult& run : store.removed()) {
        if (!sweep.empty() && run.sweep == sweep && !run.artifactFolder.empty()) {
            runs.push_back(std::move(run));
        }
    }
    return runs;
}

/// Runs of a cancelled sweep that did not begin are no longer at work.
void closeWaiting(const std::vector<RunResult>& runs, RunStore& store)
{
    for (const RunResult& one : runs) {
        const std::optional<RunResult> stored = store.find(one.id);
        if (stored && stored->status == kQueued) {
            store.setStatus(one.id, "cancelled", "cancelled before it began; qw resume continues");
        }
    }
}

/// Executes the groups that have unfinished runs; one that fails does not keep the others from
/// being done. @param deleted  they only go along with the others of their group
/// @return all other runs, in order of id, which is the order in which they were asked for
std::vector<RunResult> executeAll(std::vector<RunResult> runs, bool resume, RunStore& store,
                                  const RunOptions& options, const RunContext& run,
                                  const std::vector<RunResult>& deleted = {})
{
    const auto byId = [](const RunResult& a, const RunResult& b) { return a.id < b.id; };
    std::set<std::string> deletedIds;
    for (const RunResult& one : deleted) {
        deletedIds.insert(one.id);
        runs.push_back(one);
    }
    std::sort(runs.begin(), runs.end(), byId);
    const auto finished = [&](const std::vector<RunResult>& group) {
        return std::all_of(group.begin(), group.end(), [&](const RunResult& one) {
            return one.status == kFinished || deletedIds.count(one.id) > 0;
        });
    };
    std::vector<std::vector<RunResult>> groups = grouped(runs);
    SharedWork shared(options.workFolder);
    const bool several = std::count_if(groups.begin(), groups.end(), std::not_fn(finished)) > 1;
    std::vector<RunResult> results;
    for (std::vector<RunResult>& group : groups) {
        if (!finished(group)) {
            try {
                group =
                    GroupRun(group, true, resume, store, options, run, several ? &shared : nullptr)
                        .execute();
            } catch (const Cancelled&) {
                closeWaiting(runs, store);
                throw;
            } catch (const std::exception& problem) {
                if (group.front().sweep.empty()) {
                    throw;
                }
                run.log(message(group.size() > 1 ? "runs " : "run ", group.front().id,
                                group.size() > 1 ? " to " + group.back().id : "", ": ",
                                firstLine(problem)));
                for (RunResult& one : group) {              // as they were stored
                    one = store.find(one.id).value_or(one); // unless deleted
                }
            }
        }
        std::copy_if(group.begin(), group.end(), std::back_inserter(results),
                     [&](const RunResult& one) { return deletedIds.count(one.id) == 0; });
    }
    std::sort(results.begin(), results.end(), byId);
    return results;
}

/// All that can be wrong with what was asked for, before hours are spent on the first run, and once
/// what is most likely not meant.
void checkAll(const std::vector<RunSpec>& specs, const RunContext& run)
{
    std::optional<Checkpoint> checkpoint;
    std::optional<Tokenizer> tokenizer;
    const RunSpec* before = nullptr;
    std::set<std::string> said;
    for (const RunSpec& spec : specs) {
        run.checkpoint();
        validate(spec);
        requireDevice(spec.device);
        const bool sameModel = before != nullptr && before->model == spec.model;
        if (!sameModel) {
            checkpoint.emplace(resolveModel(spec.model));
            tokenizer.emplace(Tokenizer::fromFolder(checkpoint->folder()));
        }
        planRun(spec, *checkpoint);
        for (const std::string& sentence : unusedOverrides(spec, *checkpoint)) {
            if (said.insert(sentence).second) {
                run.log("warning: " + sentence);
            }
        }
        requireTexts(spec);
        if (!sameModel || before->calibration != spec.calibration ||
            before->evaluation != spec.evaluation || before->training != spec.training) {
            readTexts(spec, checkpoint->config(), *tokenizer, run);
        }
        before = &spec;
    }
}

/// The run, or all of the sweep it belongs to, in order of id.
std::vector<RunResult> runsOf(const std::string& id, const RunStore& store)
{
    const std::optional<RunResult> one = store.find(id);
    if (one && one->sweep.empty()) {
        return {*one};
    }
    RunFilter filter;
    filter.sweep = one ? one->sweep : id;
    std::vector<RunResult> runs;
    for (const RunSummary& summary : store.list(filter)) {
        runs.push_back(store.get(summary.result.id));
    }
    QW_REQUIRE(!runs.empty(), ErrorCode::NotFound, "no run and no sweep \"", id, "\" in ",
               store.file().string());
    std::sort(runs.begin(), runs.end(),
              [](const RunResult& a, const RunResult& b) { return a.id < b.id; });
    return runs;
}
} // namespace

RunResult runQuantization(const RunSpec& spec, RunStore& store, const RunOptions& options,
                          const RunContext& run)
{
    validate(spec);
    requireDevice(spec.device);
    return GroupRun({newRun(spec, store, options)}, false, false, store, options, run)
        .execute()
        .front();
}

RunResult repeatRun(const RunResult& stored, RunStore& store, const RunOptions& options,
                    const RunContext& run)
{
    QW_REQUIRE(stored.spec.method != kImported, ErrorCode::BadInput, "run ", stored.id,
               " was imported from files, so there is nothing to repeat; import them again");
    validate(stored.spec);
    requireDevice(stored.spec.device);
    RunResult again = newRun(stored.spec, store, options);
    again.provenance.factorRank = stored.provenance.factorRank;
    return GroupRun({again}, false, false, store, options, run).execute().front();
}

std::vector<RunResult> runSweep(const std::vector<RunSpec>& specs, RunStore& store,
                                const RunOptions& options, const RunContext& run)
{
    checkAll(specs, run);
    std::vector<RunResult> runs;
    for (const RunSpec& spec : specs) { // stored at once, so that a killed sweep can go on
        runs.push_back(newRun(spec, store, options));
        store.save(runs.back());
    }
    return executeAll(runs, false, store, options, run);
}

RunResult firstUnfinished(const std::string& id, const RunStore& store)
{
    const std::vector<RunResult> runs = runsOf(id, store);
    const auto found = std::find_if(runs.begin(), runs.end(),
                                    [](const RunResult& one) { return one.status != kFinished; });
    QW_REQUIRE(found != runs.end(), ErrorCode::BadInput, runs.size() > 1 ? "sweep " : "run ",
               runs.size() > 1 ? runs.front().sweep : runs.front().id,
               " is finished; qw rerun repeats a run");
    return *found;
}

std::vector<RunResult> resumeRuns(const std::string& id, RunStore& store, const RunOptions& options,
                                  const RunContext& run)
{
    requireDevice(firstUnfinished(id, store).spec.device);
    std::vector<RunResult> runs = runsOf(id, store);
    const std::vector<RunResult> deleted = deletedOf(runs.front().sweep, store);
    return executeAll(std::move(runs), true, store, options, run, deleted);
}

} // namespace qw
