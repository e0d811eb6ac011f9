#include <algorithm>
#include <regex>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "engine.h"
#include "report/run_groups.h"
#include "report/sweep_grid.h"
#include "session.h"
#include "spec_flags.h"
#include "sweep_report.h"

namespace qw::cli {

namespace {
struct Options {
    std::vector<std::string> methods{"rtn"};
    std::vector<std::int64_t> bits{4};
    std::vector<std::int64_t> ranks;
    std::vector<std::string> groupSizes;
    std::vector<std::int64_t> seeds{0};
    std::string shard;
};

bool correctsErrors(const RunSpec& spec)
{
    const std::vector<MethodDescription> methods = describeMethods();
    const auto found =
        std::find_if(methods.begin(), methods.end(),
                     [&](const MethodDescription& method) { return method.id == spec.method; });
    return found == methods.end() || found->lowRank || spec.lowRank.correction != "none";
}

SweepGrid gridOf(const Options& options)
{
    SweepGrid grid{options.methods, options.bits, {}, options.seeds, options.ranks};
    for (const std::string& text : options.groupSizes) {
        grid.groupSizes.push_back(groupSizeOf("--group-sizes", text));
    }
    return grid;
}

/// "I/N", I from 0: every N-th group of points that share factors.
std::vector<RunSpec> shareOf(const std::vector<RunSpec>& specs, const std::string& shard)
{
    if (shard.empty()) {
        return specs;
    }
    std::smatch parts;
    const bool form = std::regex_match(shard, parts, std::regex("([0-9]{1,9})/([0-9]{1,9})"));
    const long long index = form ? std::stoll(parts[1]) : -1;
    const long long count = form ? std::stoll(parts[2]) : 0;
    QW_REQUIRE(index >= 0 && index < count, ErrorCode::BadInput, "--shard \"", shard,
               "\" is not of the form I/N with I from 0 to N-1");
    std::vector<RunSpec> share;
    long long group = -1;
    for (std::size_t i = 0; i < specs.size(); ++i) {
        RunSpec previous = i > 0 ? specs[i - 1] : RunSpec{};
        previous.lowRank.rank = specs[i].lowRank.rank;
        if (i == 0 || !(previous == specs[i])) {
            ++group;
        }
        if (group % count == index) {
            share.push_back(specs[i]);
        }
    }
    return share;
}

int sweep(const Session& session, const std::string& model, const SpecFlags& flags,
          const Options& options)
{
    const RunSpec base = flags.result(model, session.device, session.threads, options.methods);
    std::vector<RunSpec> all = sweepSpecs(base, gridOf(options), correctsErrors);
    for (RunSpec& spec : all) {
        flags.takeRange(spec);
        flags.check(spec);
    }
    const std::vector<RunSpec> specs = shareOf(all, options.shard);
    session.startEngine();
    RunStore store = session.openStore();
    RunOptions how;
    how.workFolder = session.workFolder();
    how.sweep = store.newRunId();
    how.started = [count = std::size_t{0}, all = specs.size()](const RunResult& r) mutable {
        say(message("run ", r.id, " (", ++count, " of ", all, "): ", shortName(r.spec)));
    };
    return reportSweep(
        session, flags.naming([&] { return runSweep(specs, store, how, session.context()); }));
}
} // namespace

void addSweep(CLI::App& app, Session& session)
{
    CLI::App& command = *app.add_subcommand("sweep", "Run a grid of settings");
    session.addTo(command);
    static std::string model;
    static SpecFlags flags;
    static Options options;
    command.add_option("model", model, "Model folder, or demo")->required();
    const auto add = [&](const char* name, auto& values, const char* help) {
        command.add_option(name, values, help)->delimiter(',')->group("Grid, comma-separated");
    };
    add("--methods", options.methods,
        "rtn, lqer, l2qer, qera-approx, qera-exact, gptq, awq, smoothquant, flexround, lrq, "
        "lr-qat, lsq, peqa "
        "(default rtn)");
    add("--bits", options.bits, "Widths of the codes, 2..8 (default 4)");
    add("--ranks", options.ranks,
        "Ranks of the correction, whose factors are computed once, at the largest (default 0), of "
        "lrq's divisor or of lr-qat's A and B (0: as --rank of qw run has it)");
    add("--group-sizes", options.groupSizes, "Numbers, channel, tensor (default 128; mxint 16)");
    add("--seeds", options.seeds, "Seeds (default 0)");
    command.add_option("--shard", options.shard,
                       "I/N, I from 0 to N-1: only this share of the grid, for job arrays");
    flags.addTo(command, false);
    command.footer("Examples:\n  qw sweep demo --methods lqer,l2qer --bits 3,4 --ranks 0,4,8,16 "
                   "--calibration demo:calibration --text demo:evaluation\n"
                   "  qw sweep demo --bits 2,3,4 --shard 0/3 --store part0.sqlite\n"
                   "  qw runs merge part0.sqlite");
    onRun(command, [&session] { return sweep(session, model, flags, options); });
}

} // namespace qw::cli
