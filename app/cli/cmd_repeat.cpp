#include <iostream>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "engine.h"
#include "session.h"
#include "sweep_report.h"
#include "table.h"

namespace qw::cli {

namespace {
constexpr int kMismatchStatus = 3; // of a verification; scripts rely on it

void print(const Session& session, const RunResult& result)
{
    if (session.json) {
        printJson(toPublicJson(result, true));
    } else {
        std::cout << runReport(result);
    }
}

/// The number of threads decides the bits: a repetition uses those of the run unless told
/// otherwise. So does the device, which is a setting of the run.
void startAsThen(Session session, const RunResult& stored)
{
    QW_REQUIRE(!session.deviceGiven || session.device == stored.spec.device, ErrorCode::BadInput,
               "--device ", session.device, ": run ", stored.id, " is of ", stored.spec.device,
               " and is repeated there; qw run makes one on another device");
    session.threads = session.threadsGiven ? session.threads : stored.provenance.threads;
    session.device = stored.spec.device;
    session.startEngine();
}

int rerun(const Session& session, const std::string& id, bool verify)
{
    RunStore store = verify ? session.existingStore() : session.storeToChange();
    const RunResult stored = store.get(id);
    startAsThen(session, stored);
    if (!verify) {
        RunOptions options;
        options.workFolder = session.workFolder();
        options.started = [](const RunResult& r) { say("run " + r.id); };
        print(session, repeatRun(stored, store, options, session.context()));
        return 0;
    }
    const VerifyReport report = verifyRun(stored, session.context());
    if (session.json) {
        printJson(Json{{"id", stored.id},
                       {"same", report.same},
                       {"stored_hash", report.storedHash},
                       {"new_hash", report.newHash},
                       {"differences", report.differences}});
    } else {
        std::cout << (report.same ? "same bits: " : "DIFFERENT bits: ") << report.storedHash
                  << (report.same ? "" : " then, " + report.newHash + " now") << '\n';
        for (const std::string& difference : report.differences) {
            std::cout << "  " << difference << '\n';
        }
    }
    return report.same ? 0 : kMismatchStatus;
}

int resume(const Session& session, const std::string& id)
{
    RunStore store = session.storeToChange();
    const RunResult first = firstUnfinished(id, store);
    startAsThen(session, first);
    RunOptions options;
    options.workFolder = session.workFolder();
    const std::vector<RunResult> results = resumeRuns(id, store, options, session.context());
    if (first.sweep.empty()) {
        print(session, results.front());
        return 0;
    }
    return reportSweep(session, results);
}
} // namespace

void addRepeat(CLI::App& app, Session& session)
{
    static std::string id;
    static bool verify = false;
    CLI::App& again = *app.add_subcommand("rerun", "Repeat a stored run");
    session.addTo(again);
    again.add_option("id", id, "Run")->required();
    again.add_flag("--verify", verify, "Only compare the tensors with the stored ones");
    again.footer("Example:\n  qw rerun ID --verify");
    onRun(again, [&session] { return rerun(session, id, verify); });
    CLI::App& further =
        *app.add_subcommand("resume", "Continue a run, or a sweep, that was stopped");
    session.addTo(further);
    further.add_option("id", id, "Run, or sweep")->required();
    further.footer("Example:\n  qw resume ID");
    onRun(further, [&session] { return resume(session, id); });
}

} // namespace qw::cli
