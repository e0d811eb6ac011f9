#include <iostream>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/json_io.h"
#include "engine.h"
#include "session.h"
#include "spec_flags.h"
#include "table.h"

namespace qw::cli {

namespace {
bool isSpecFile(const std::string& name)
{
    return name.size() > 5 && name.compare(name.size() - 5, 5, ".json") == 0;
}

int run(const Session& session, const std::string& target, const SpecFlags& flags)
{
    const RunSpec spec = isSpecFile(target) ? runSpecFromJson(readJsonFile(target, 1 << 20))
                                            : flags.result(target, session.device, session.threads);
    session.startEngine();
    RunStore store = session.openStore();
    RunOptions options;
    options.workFolder = session.workFolder();
    options.started = [](const RunResult& result) { std::cerr << "run " << result.id << '\n'; };
    const RunResult result = runQuantization(spec, store, options, session.context());
    if (session.json) {
        std::cout << toPublicJson(result, true).dump(2) << '\n';
        return 0;
    }
    std::cout << layerTable(result) << '\n' << runTable({result});
    std::cout << "\nfull precision: perplexity " << formatNumber(result.comparison.fpPerplexity, 3)
              << ", " << result.score.protocol << " protocol, " << result.score.tokens
              << " predictions, windows of " << result.score.seqlen << '\n';
    for (const std::string& sentence : result.substitutions) {
        std::cout << "note: " << sentence << '\n';
    }
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
    command.footer("Example:\n  qw run demo --method l2qer --format mxint --bits 4 --rank 32 "
                   "--calibration demo:calibration --text demo:evaluation");
    onRun(command, [&session] { return run(session, target, flags); });
}

} // namespace qw::cli
