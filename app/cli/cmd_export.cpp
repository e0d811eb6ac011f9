#include <iostream>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "engine_export.h"
#include "session.h"
#include "table.h"

namespace qw::cli {

namespace {
struct Options {
    std::string runId;
    bool plan = false;
    std::string out;
    ExportOptions options;
};

Json toJson(const ExportPlan& plan)
{
    return {{"target", plan.target},   {"title", plan.title},     {"possible", plan.possible},
            {"refusal", plan.refusal}, {"nearest", plan.nearest}, {"lossless", plan.lossless},
            {"lost", plan.lost},       {"notes", plan.notes},     {"storage", plan.storage},
            {"bytes", plan.bytes}};
}

void printPlan(const ExportPlan& plan)
{
    std::cout << plan.target << ": " << plan.title << '\n';
    if (!plan.possible) {
        std::cout << "  not possible: " << plan.refusal << "\n  nearest: " << plan.nearest << '\n';
        return;
    }
    std::cout << "  " << plan.storage << ", " << formatMegabytes(plan.bytes) << ", "
              << (plan.lossless ? "lossless" : "not lossless") << '\n';
    for (const std::string& sentence : plan.lost) {
        std::cout << "  lost: " << sentence << '\n';
    }
    for (const std::string& sentence : plan.notes) {
        std::cout << "  note: " << sentence << '\n';
    }
}

int showPlans(const Session& session, const Options& options, const RunResult& run)
{
    const std::vector<ExportPlan> plans =
        options.options.target.empty()
            ? planExports(run, options.options, session.context())
            : std::vector{planExport(run, options.options, session.context())};
    if (!session.json) {
        for (const ExportPlan& plan : plans) {
            printPlan(plan);
        }
        return 0;
    }
    Json all = Json::array();
    for (const ExportPlan& plan : plans) {
        all.push_back(toJson(plan));
    }
    printJson(Json{{"plans", all}});
    return 0;
}

int exportOne(const Session& session, Options& options)
{
    RunStore store = session.existingStore();
    const RunResult run = store.get(options.runId);
    session.startEngine();
    if (options.plan) {
        return showPlans(session, options, run);
    }
    QW_REQUIRE(!options.options.target.empty(), ErrorCode::BadInput,
               "give --to with the format to export to");
    QW_REQUIRE(!options.out.empty(), ErrorCode::BadInput, "give --out with the folder to write");
    options.options.out = options.out;
    const ExportReport report = exportRun(run, &store, options.options, session.context());
    if (session.json) {
        printJson(Json{{"files", report.files},
                       {"bytes", report.bytes},
                       {"lossless", report.lossless},
                       {"max_abs_difference", finiteOrNull(report.maxAbsDifference)},
                       {"verdict", report.verdict},
                       {"max_logit_difference", finiteOrNull(report.maxLogitDifference)},
                       {"target", report.plan.target},
                       {"out", options.out},
                       {"storage", report.plan.storage},
                       {"lost", report.plan.lost},
                       {"notes", report.plan.notes}});
        return 0;
    }
    printPlan(report.plan);
    std::cout << options.out << ": " << counted(report.files.size(), "file") << ", "
              << formatMegabytes(report.bytes) << "; " << report.verdict << '\n';
    return 0;
}
} // namespace

void addExport(CLI::App& app, Session& session)
{
    CLI::App& command =
        *app.add_subcommand("export", "Write a stored run as other programs' files");
    session.addTo(command);
    static Options options;
    command.add_option("run", options.runId, "The run, or the beginning of its id")->required();
    command.add_option("--to", options.options.target,
                       "gguf: for llama.cpp | compressed-tensors: transformers, vLLM | gptq | awq: "
                       "GPTQModel | peft: the low-rank correction as an adapter | safetensors: "
                       "every weight as a number");
    command.add_option(
        "--out", options.out,
        "The folder to write, which must not be there yet; gguf: or the file, ending "
        "in .gguf, with its card and adapter beside it");
    command.add_option(
        "--dtype", options.options.dtype,
        "f32 | f16 | bf16: type of what is no code (default: the target's own); gguf: of all "
        "weights, which are then plain numbers and no blocks");
    command.add_option("--gptq-version", options.options.gptqVersion,
                       "1 | 2 (default 1, which every client reads)");
    command.add_option(
        "--lora", options.options.lora,
        "The low-rank correction: separate: an adapter | merge: into the weights, "
        "which gguf then holds as plain numbers (default: merged where they are that "
        "anyway)");
    command.add_option("--base", options.options.base,
                       "peft: folder or name of the quantized base, for adapter_config.json");
    command.add_flag("--plan", options.plan,
                     "Only say what would be written, kept and lost; for all formats without --to");
    command.footer(
        "GGUF holds codes in blocks of the same values: Q4_0, Q5_0 or Q8_0 by their width, "
        "Q6_K for MXINT in\nblocks of 16. What no block holds (8 bits asymmetric, groups "
        "that are no multiple of 32) is refused;\n--dtype f16 writes it as plain numbers. "
        "--plan says all this of a run before anything is written.\n"
        "Examples:\n  qw export 2n7ze3nz --plan\n"
        "  qw export 2n7ze3nz --to gguf --out model.gguf\n"
        "  qw export 2n7ze3nz --to compressed-tensors --out model-w4\n"
        "  qw export 2n7ze3nz --to gptq --gptq-version 2 --out model-gptq --json\n"
        "  qw export 2n7ze3nz --to safetensors --dtype f16 --out model-f16");
    onRun(command, [&session] { return exportOne(session, options); });
}

} // namespace qw::cli
