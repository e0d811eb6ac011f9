#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/json_io.h"
#include "base/run_context.h"
#include "store/run_store.h"

namespace CLI {
class App;
}

namespace qw::cli {

/// What every subcommand shares: the common flags and what follows from them.
struct Session {
    std::string storeFile; ///< empty: the default place
    std::int64_t threads = 0;
    std::string device = "cpu";
    bool json = false;

    /// Whether the user gave --threads or --device, which then win over a spec or a stored run.
    bool threadsGiven = false;
    bool deviceGiven = false;

    /// Adds --store, --threads, --device, --json.
    void addTo(CLI::App& command);
    /// Sets threads and warns about a slow BLAS. Call before engine work.
    void startEngine() const;
    /// Made if it is not there.
    RunStore openStore() const;
    /// For whoever looks for runs: it has to be there, but for the default one.
    RunStore existingStore() const;
    /// As existingStore(), for whoever changes it. @throws Error::Store if it can only be read
    RunStore storeToChange() const;
    /// Where runs keep their artifacts, absolute: a stored run is used from anywhere.
    std::filesystem::path workFolder() const;
    /// Progress on standard error, stopped by Ctrl+C.
    RunContext context() const;

private:
    RunStore store(StoreAccess access) const;
};

/// One object on standard output; text that is no UTF-8 is repaired rather than refused.
void printJson(const Json& object);
/// One line on standard error; a progress bar makes way for it.
void say(const std::string& line);

/// Subcommands add themselves to the application; their callbacks return the exit status through
/// setExit().
using Callback = std::function<int()>;
void onRun(CLI::App& command, Callback callback);
int exitStatus();

void addInspect(CLI::App& app, Session& session);
void addRun(CLI::App& app, Session& session);
void addSweep(CLI::App& app, Session& session);
void addEval(CLI::App& app, Session& session);
void addGenerate(CLI::App& app, Session& session);
void addRuns(CLI::App& app, Session& session);
void addRepeat(CLI::App& app, Session& session); ///< rerun and resume
void addEstimate(CLI::App& app, Session& session);
void addReport(CLI::App& app, Session& session);
void addExport(CLI::App& app, Session& session);
void addImport(CLI::App& app, Session& session);
void addTokenize(CLI::App& app, Session& session);
void addCompletion(CLI::App& app, Session& session);

} // namespace qw::cli
