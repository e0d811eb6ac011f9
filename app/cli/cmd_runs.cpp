#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "base/files.h"
#include "report/mean_error.h"
#include "report/open_numbers.h"
#include "report/run_tables.h"
#include "session.h"
#include "store/run_activity.h"
#include "table.h"

namespace qw::cli {

namespace {
/// Every artifact folder holds this file from its first moment.
constexpr const char* kArtifactMark = "fingerprint.txt";

struct Options {
    std::string id;
    std::vector<std::string> ids;
    std::string tag;
    std::string other;
    bool remove = false;
    RunFilter filter;
};

/// The runs asked for. Which of those "running" were interrupted is not in the store but found
/// here, so it is asked for here, too.
std::vector<RunSummary> listed(const RunStore& store, RunFilter filter)
{
    const std::string wanted = filter.status;
    const auto limit = static_cast<std::size_t>(filter.limit);
    const bool either = wanted == kInterrupted || wanted == "running";
    if (either) {
        filter.status = "running";
        filter.limit = 0;
    }
    std::vector<RunSummary> runs = store.list(filter);
    for (RunSummary& run : runs) {
        run.result.status = shownStatus(run.result);
    }
    if (either) {
        std::erase_if(runs, [&](const RunSummary& run) { return run.result.status != wanted; });
        runs.resize(limit > 0 ? std::min(limit, runs.size()) : runs.size());
    }
    return runs;
}

int list(const Session& session, const Options& options)
{
    const RunStore store = session.existingStore();
    const std::vector<RunSummary> found = listed(store, options.filter);
    if (session.json) {
        Json runs = Json::array();
        for (const RunSummary& run : found) {
            Json object = toPublicJson(run.result, false);
            object["tags"] = run.tags;
            object["notes"] = run.notes;
            runs.push_back(std::move(object));
        }
        printJson(Json{{"runs", runs}});
        return 0;
    }
    std::vector<RunResult> results;
    for (const RunSummary& run : found) {
        results.push_back(run.result);
    }
    if (results.empty()) {
        std::cout << "no runs yet; qw run makes one\n";
    } else {
        std::cout << runTable(results);
    }
    return 0;
}

int show(const Session& session, const Options& options)
{
    RunResult run = session.existingStore().get(options.id);
    run.status = shownStatus(run);
    if (session.json) {
        printJson(toPublicJson(run, true));
        return 0;
    }
    std::cout << layerTable(run) << blockTable(run) << '\n' << runTable({run}) << "\nspec:\n";
    printJson(toJson(run.spec));
    for (const std::string& sentence : run.substitutions) {
        std::cout << "note: " << sentence << '\n';
    }
    return 0;
}

int compare(const Session& session, const Options& options)
{
    QW_REQUIRE(options.ids.size() >= 2, ErrorCode::BadInput, "compare takes two runs or more");
    const RunStore store = session.existingStore();
    std::vector<RunResult> runs;
    for (const std::string& id : options.ids) {
        runs.push_back(store.get(id));
        runs.back().status = shownStatus(runs.back());
    }
    std::vector<std::string> reasons;
    for (std::size_t i = 1; i < runs.size(); ++i) {
        const std::string reason = incomparableReason(runs.front(), runs[i]);
        if (!reason.empty()) {
            reasons.push_back(runs[i].id + " cannot be compared with " + runs.front().id + ": " +
                              reason);
        }
    }
    if (session.json) {
        Json objects = Json::array();
        for (const RunResult& run : runs) {
            objects.push_back(toPublicJson(run, false));
        }
        Json different = Json::object();
        for (const SettingRow& row : differingSettings(runs)) {
            for (const std::string& value : row.values) {
                different[row.key].push_back(value == kMissingText ? Json(nullptr) : Json(value));
            }
        }
        Json paired = Json::array();
        for (const RunResult& run : runs) {
            const MeanError difference = pairedDifference(runs.front(), run);
            paired.push_back({{"nll_difference", finiteOrNull(difference.mean)},
                              {"nll_difference_stderr", finiteOrNull(difference.standardError)}});
        }
        printJson(Json{{"runs", objects},
                       {"differences", different},
                       {"paired", paired},
                       {"incomparable", reasons}});
        return 0;
    }
    std::vector<std::string> header{"setting"};
    for (const RunResult& run : runs) {
        header.push_back(run.id);
    }
    Table table(header);
    for (const SettingRow& setting : differingSettings(runs)) {
        std::vector<std::string> row{setting.key};
        for (const std::string& value : setting.values) {
            row.push_back(readableValue(setting.key, value));
        }
        table.add(std::move(row));
    }
    std::cout << table.text() << '\n' << runTable(runs);
    for (const std::string& sentence : pairedSentences(runs)) {
        std::cout << sentence << '\n';
    }
    for (const std::string& reason : reasons) {
        std::cout << "warning: " << reason << '\n';
    }
    return 0;
}

/// Answers a change with the ids it touched.
int done(const Session& session, const char* what, const std::vector<std::string>& ids)
{
    if (session.json) {
        printJson(Json{{what, ids}});
    }
    return 0;
}

/// The folders of deleted runs, each with its runs: those of a sweep share one.
std::map<std::filesystem::path, std::vector<std::string>>
foldersOf(const std::vector<RunResult>& removed)
{
    std::map<std::filesystem::path, std::vector<std::string>> folders;
    for (const RunResult& run : removed) {
        // The path may come from another machine's store: only what is an artifact is removed.
        if (!run.artifactFolder.empty() &&
            std::filesystem::exists(std::filesystem::path(run.artifactFolder) / kArtifactMark)) {
            folders[run.artifactFolder].push_back(run.id);
        }
    }
    return folders;
}

std::int64_t bytesIn(const std::filesystem::path& folder)
{
    std::int64_t bytes = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        bytes += entry.is_regular_file() ? static_cast<std::int64_t>(entry.file_size()) : 0;
    }
    return bytes;
}

int purge(const Session& session)
{
    RunStore store = session.storeToChange();
    std::set<std::filesystem::path> needed;
    for (const RunSummary& run : store.list()) {
        QW_REQUIRE(run.result.status != "unreadable", ErrorCode::Store, run.result.problem,
                   "; nothing was purged, since its files cannot be told from those to remove");
        needed.insert(run.result.artifactFolder);
    }
    const std::vector<RunResult> removed = store.removed();
    std::vector<std::string> atWork;
    std::int64_t freed = 0;
    for (const auto& [folder, ids] : foldersOf(removed)) {
        try {
            const FileLock lock(folder / kArtifactLock);
            if (needed.count(folder) == 0) {
                freed += bytesIn(folder);
                std::filesystem::remove_all(folder);
            }
        } catch (const Error& held) {
            if (held.code() != ErrorCode::BadInput) {
                throw;
            }
            atWork.insert(atWork.end(), ids.begin(), ids.end());
        }
    }
    store.purge(atWork);
    const std::size_t gone = removed.size() - atWork.size();
    if (session.json) {
        printJson(Json{{"runs_removed", gone}, {"bytes_freed", freed}, {"at_work", atWork}});
        return 0;
    }
    std::cout << counted(gone, "deleted run") << " removed for good, "
              << (freed > 0 ? formatMegabytes(freed) + " of artifacts freed"
                            : std::string("no artifacts to free"))
              << '\n';
    for (const std::string& id : atWork) {
        std::cout << "kept " << id << ": a process is at work on it\n";
    }
    return 0;
}

int merge(const Session& session, const Options& options)
{
    const MergeReport report = session.openStore().mergeFrom(options.other);
    if (session.json) {
        printJson(Json{{"added", report.added}, {"already_there", report.alreadyThere}});
    } else {
        std::cout << counted(report.added, "run") << " added, " << report.alreadyThere
                  << (report.alreadyThere == 1 ? " was there\n" : " were there\n");
    }
    return 0;
}
} // namespace

void addRuns(CLI::App& app, Session& session)
{
    CLI::App& command = *app.add_subcommand("runs", "List, show, compare and tidy stored runs");
    command.require_subcommand(1);
    session.addTo(command);
    static Options options;
    command.footer("Examples:\n  qw runs list --method l2qer\n  qw runs compare ID ID");
    const auto add = [&](const char* name, const char* help,
                         const std::string& example) -> CLI::App& {
        CLI::App& sub = *command.add_subcommand(name, help);
        sub.footer("Example:\n  qw runs " + example);
        session.addTo(sub);
        return sub;
    };
    CLI::App& listing = add("list", "All runs, newest first", "list --method l2qer --limit 10");
    listing.add_option("--method", options.filter.method, "Only this method");
    listing.add_option("--tag", options.filter.tag, "Only with this tag");
    listing.add_option("--status", options.filter.status,
                       "finished, failed, cancelled, running, interrupted, queued");
    listing.add_option("--sweep", options.filter.sweep, "Only of this sweep");
    listing.add_option("--limit", options.filter.limit, "At most so many")
        ->check(CLI::PositiveNumber);
    onRun(listing, [&session] { return list(session, options); });
    CLI::App& showing = add("show", "One run with its layers", "show ID --json");
    showing.add_option("id", options.id, "Run, or the beginning of its id")->required();
    onRun(showing, [&session] { return show(session, options); });
    CLI::App& comparing = add("compare", "What differs between runs", "compare ID ID");
    comparing.add_option("ids", options.ids, "Two runs or more")->required();
    onRun(comparing, [&session] { return compare(session, options); });
    CLI::App& tagging = add("tag", "Give a run a tag", "tag ID best");
    tagging.add_option("id", options.id, "Run")->required();
    tagging.add_option("tag", options.tag, "Tag")->required();
    tagging.add_flag("--remove", options.remove, "Take the tag away");
    onRun(tagging, [&session] {
        RunStore store = session.storeToChange();
        const std::string id = store.get(options.id).id;
        options.remove ? store.untag(id, options.tag) : store.tag(id, options.tag);
        return done(session, options.remove ? "untagged" : "tagged", {id});
    });
    CLI::App& deleting = add("delete", "Hide runs; purge removes them for good", "delete ID ID");
    deleting.add_option("ids", options.ids, "Runs")->required();
    onRun(deleting, [&session] {
        RunStore store = session.storeToChange();
        std::vector<std::string> ids;
        for (const std::string& id : options.ids) {
            ids.push_back(store.get(id).id);
        }
        for (const std::string& id : ids) {
            store.remove(id);
        }
        return done(session, "deleted", ids);
    });
    CLI::App& merging = add("merge", "Bring in the runs of another store", "merge part0.sqlite");
    merging.add_option("other", options.other, "Its file")->required();
    onRun(merging, [&session] { return merge(session, options); });
    onRun(add("purge", "Remove deleted runs and their artifacts for good", "purge"),
          [&session] { return purge(session); });
}

} // namespace qw::cli
