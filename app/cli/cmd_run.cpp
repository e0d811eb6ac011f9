#include <iostream>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "base/json_io.h"
#include "engine.h"
#include "session.h"
#include "spec_flags.h"
#include "table.h"

namespace qw::cli {

namespace {
constexpr std::int64_t kMostSpecBytes = 1 << 20;

bool isSpecFile(const std::string& name)
{
    return name.size() > 5 && name.compare(name.size() - 5, 5, ".json") == 0;
}

/// A spec file says everything; flags beside it would be silently lost.
void refuseFlagsBesideSpec(const CLI::App& command, const std::string& file)
{
    for (const CLI::Option* option : command.get_options()) {
        QW_REQUIRE(option->count() == 0 || option->get_positional() ||
                       option->get_group() == "Everywhere",
                   ErrorCode::BadInput, option->get_name(), ": the settings come from ", file,
                   "; change them there");
    }
}

RunSpec specOf(Session& session, const CLI::App& command, const std::string& target,
               const SpecFlags& flags)
{
    if (!isSpecFile(target)) {
        return flags.result(target, session.device, session.threads);
    }
    refuseFlagsBesideSpec(command, target);
    RunSpec spec = runSpecFromJson(readJsonFile(target, kMostSpecBytes));
    makePathsAbsolute(spec);
    spec.threads = session.threadsGiven ? session.threads : spec.threads;
    spec.device = session.deviceGiven ? session.device : spec.device;
    validate(spec);
    session.threads = spec.threads;
    session.device = spec.device;
    return spec;
}

void announce(const RunResult& run)
{
    const Estimate& estimate = run.estimate;
    say("run " + run.id + ": will take " + formatMegabytes(estimate.bytes) + " (" +
        formatNumber(estimate.bitsPerWeight, 2) + " bits/weight)" +
        (estimate.peakRssBytes > 0
             ? ", about " + formatMegabytes(estimate.peakRssBytes) + " of memory"
             : "") +
        (estimate.seconds > 0 ? ", about " + formatDuration(estimate.seconds) : ""));
}

int run(Session& session, const CLI::App& command, const std::string& target,
        const SpecFlags& flags)
{
    const RunSpec spec = specOf(session, command, target, flags);
    session.startEngine();
    RunStore store = session.openStore();
    RunOptions options;
    options.workFolder = session.workFolder();
    options.started = announce;
    const auto quantize = [&] { return runQuantization(spec, store, options, session.context()); };
    const RunResult result = isSpecFile(target) ? quantize() : flags.naming(quantize);
    if (session.json) {
        printJson(toPublicJson(result, true));
        return 0;
    }
    std::cout << runReport(result);
    return 0;
}
} // namespace

void addRun(CLI::App& app, Session& session)
{
    CLI::App& command = *app.add_subcommand("run", "Quantize a model, measure it, store the run");
    session.addTo(command);
    static std::string target;
    static SpecFlags flags;
    command.add_option("model", target, "Model folder, demo, or a spec ending in .json")
        ->required();
    flags.addTo(command, true);
    command.footer("Examples:\n  qw run demo --method l2qer --format mxint --bits 4 --rank 32 "
                   "--calibration demo:calibration --text demo:evaluation\n"
                   "  qw run demo --bits 3 --group-size 64 --override 'down_proj:bits=8' --json\n"
                   "  qw run spec.json --threads 4");
    onRun(command, [&session, &command] { return run(session, command, target, flags); });
}

} // namespace qw::cli
