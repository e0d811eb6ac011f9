#include <filesystem>
#include <iostream>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "engine.h"
#include "engine_import.h"
#include "session.h"
#include "spec_flags.h"
#include "table.h"

namespace qw::cli {

namespace {
struct Options {
    std::string source;
    std::string adapter;
    RunSpec spec; ///< model and evaluation
};

int importOne(const Session& session, Options& options)
{
    makePathsAbsolute(options.spec);
    ImportOptions wanted;
    wanted.source = std::filesystem::absolute(options.source).lexically_normal();
    wanted.model = options.spec.model;
    wanted.adapter = options.adapter;
    wanted.evaluation = options.spec.evaluation;
    wanted.device = session.device;
    wanted.workFolder = session.workFolder();
    session.startEngine();
    RunStore store = session.openStore();
    const RunResult run = importRun(wanted, store, session.context());
    if (session.json) {
        printJson(toPublicJson(run, true));
        return 0;
    }
    std::cout << layerTable(run) << '\n' << runTable({run}) << '\n' << measureLine(run);
    for (const std::string& sentence : run.substitutions) {
        std::cout << "note: " << sentence << '\n';
    }
    return 0;
}
} // namespace

void addImport(CLI::App& app, Session& session)
{
    CLI::App& command =
        *app.add_subcommand("import", "Make a stored run of another program's quantized model");
    session.addTo(command);
    static Options options;
    command
        .add_option("path", options.source,
                    "A folder (GPTQ, AWQ, compressed-tensors) or a GGUF file")
        ->required();
    command.add_option("--model", options.spec.model,
                       "What it was made of, to compare with: a folder or demo (default: the "
                       "values of the codes)");
    command.add_option("--adapter", options.adapter,
                       "Its low-rank correction: a PEFT folder or a GGUF file");
    addEvaluationFlags(command, options.spec.evaluation);
    command.footer("Examples:\n  qw import model-gptq --model model --text book.txt\n"
                   "  qw import model-awq\n"
                   "  qw import model.gguf --text book.txt\n"
                   "  qw import model.gguf --model model --adapter adapter.gguf --json");
    onRun(command, [&session] { return importOne(session, options); });
}

} // namespace qw::cli
