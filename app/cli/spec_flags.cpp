#include "spec_flags.h"

#include <charconv>
#include <filesystem>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"

namespace qw::cli {

namespace {
std::int64_t wholeNumber(const std::string& text, const std::string& what)
{
    std::int64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    QW_REQUIRE(problem == std::errc() && end == text.data() + text.size(), ErrorCode::BadInput,
               what, ": \"", text, "\" is not a whole number");
    return value;
}

void addWeightFlags(CLI::App& command, SpecFlags& flags, bool withGrid)
{
    WeightSpec& weight = flags.spec.weight;
    const auto add = [&](const char* name, auto& value, const char* help) {
        command.add_option(name, value, help)->group("Weights");
    };
    add("--format", weight.format, "int | mxint (default int)");
    if (withGrid) {
        add("--bits", weight.bits, "Width of a weight's code, 2..8 (default 4)");
        add("--group-size", flags.groupSize,
            "Columns per scale: a number, channel or tensor (default 128); mxint: the block "
            "(default 16)");
    }
    command.add_flag("--sym", flags.sym, "Symmetric grid")->group("Weights");
    command.add_flag("--asym", flags.asym, "Asymmetric grid (default)")->group("Weights");
    add("--scale-dtype", weight.scaleDtype, "f16 | f32 | bf16 (default f16)");
    add("--range", weight.range, "minmax | lrq | lp: where the grid ends (default minmax)");
    add("--range-norm", weight.rangeNorm, "Norm of the range search (default 2.4)");
    add("--range-steps", weight.rangeSteps, "Candidates of the range search (default 100)");
    add("--exponent-bits", weight.exponentBits, "mxint: 4 | 8 (default 8)");
    add("--mx-rule", weight.mxRule, "mxint: lqer | qera (default lqer)");
}

void addCorrectionFlags(CLI::App& command, LowRankSpec& lowRank, std::string& rank, bool withGrid)
{
    const auto add = [&](const char* name, auto& value, const char* help) {
        command.add_option(name, value, help)->group("Low-rank correction");
    };
    if (withGrid) {
        add("--rank", rank,
            "Rank of the correction (default 0); lrq: of the learned divisor, a number, full or "
            "official (default: by --rho)");
        add("--correction-rank", lowRank.rank, "Rank of --correction (default 0)");
    }
    add("--correction", lowRank.correction,
        "none | lqer | l2qer | qera-approx | qera-exact: a low-rank correction of what another "
        "method leaves (default none)");
    add("--factor-bits", lowRank.factorBits,
        "MXINT width of A and B (default 0: unquantized float32)");
    add("--factor-block", lowRank.factorBlock, "Block of A and B (default 16)");
    add("--statistic", lowRank.statistic, "l2qer: mean-abs | rms (default mean-abs)");
    add("--reduce", lowRank.reduce, "l2qer: max | mean over batches (default max)");
    add("--solver", lowRank.solver, "randomized | full (default randomized)");
}

void addReconstructionFlags(CLI::App& command, ReconstructionSpec& reconstruction)
{
    const auto add = [&](const char* name, auto& value, const char* help) {
        command.add_option(name, value, help)->group("Learned rounding (lrq, flexround)");
    };
    add("--iters", reconstruction.iterations, "Iterations for each block (default 5000)");
    add("--lr", reconstruction.lr,
        "Learning rate at the start (default: that of LRQ's scripts, or a rule; see the notes of "
        "the result)");
    add("--rho", reconstruction.rho,
        "Rank as a share of the full one, 0.05..1: entries of the low-rank terms over those of the "
        "weight (default 0.4)");
    add("--batch-size", reconstruction.batchSize, "Windows of one iteration (default 2)");
    add("--train-compute", reconstruction.compute,
        "auto | f32 | bf16: products while learning (default auto: bf16 where the processor has "
        "it)");
    add("--without", reconstruction.without,
        "none | row | column | low-rank | scale: what of the divisor is not learned (default "
        "none)");
}

void addGptqFlags(CLI::App& command, GptqSpec& gptq)
{
    const auto add = [&](const char* name, bool& value, const char* help) {
        command.add_flag(name, value, help)->group("GPTQ");
    };
    add("--act-order", gptq.actOrder, "Columns in the order of the size of their inputs");
    add("--true-sequential", gptq.trueSequential,
        "Within a block, look at what the layers already quantized make");
    add("--static-groups", gptq.staticGroups, "Grids of all groups before the first column");
    command
        .add_option("--damp-percent", gptq.dampPercent,
                    "Damping, of the mean of the Hessian's diagonal (default 1)")
        ->group("GPTQ");
}

void addActivationFlags(CLI::App& command, ActivationSpec& activation)
{
    const auto add = [&](const char* name, auto& value, const char* help) {
        command.add_option(name, value, help)->group("Activations");
    };
    add("--act-format", activation.format, "none | int | mxint (default none)");
    add("--act-bits", activation.bits, "Width of an activation's code (default 8)");
    add("--act-block", activation.blockSize, "mxint: block of activations (default 16)");
    add("--act-zero-point", activation.zeroPoint, "int: rounded | float (default rounded)");
    command
        .add_flag("--act-attention", activation.attention,
                  "mxint: quantize the operands of QK^T and PV too")
        ->group("Activations");
}

void addCalibrationFlags(CLI::App& command, CalibrationSpec& calibration)
{
    const auto add = [&](const char* name, auto& value, const char* help) {
        command.add_option(name, value, help)->group("Calibration");
    };
    add("--calibration", calibration.text, "Text file, or demo:calibration");
    add("--nsamples", calibration.nsamples, "Calibration windows (default 32)");
    add("--calibration-seqlen", calibration.seqlen,
        "Tokens of one (default: 2048, or the model's maximum if that is less)");
    add("--calibration-windows", calibration.windows, "random | sequential (default random)");
    add("--stat-batch", calibration.statBatch, "Windows per batch of L2QER's maximum (default 2)");
}
} // namespace

void addEvaluationFlags(CLI::App& command, EvaluationSpec& evaluation)
{
    const auto add = [&](const char* name, auto& value, const char* help) {
        command.add_option(name, value, help)->group("Evaluation");
    };
    add("--text", evaluation.text, "Text to measure on: a file, or demo:evaluation");
    add("--seqlen", evaluation.seqlen,
        "Tokens of one window (default: 2048, or the model's maximum if that is less; "
        "llama.cpp: 512)");
    add("--windows", evaluation.windows, "Windows (default: all)");
    add("--protocol", evaluation.protocol, "gptq | llama.cpp (default gptq)");
    add("--compute", evaluation.compute, "f32 | bf16: products of the evaluation (default f32)");
}

void SpecFlags::addTo(CLI::App& command, bool withGrid)
{
    if (withGrid) {
        command.add_option("--method", spec.method,
                           "rtn | lqer | l2qer | qera-approx | qera-exact | gptq | flexround | "
                           "lrq (default rtn)");
        command.add_option("--seed", spec.seed, "Seed of windows and factorization (default 0)");
    }
    addWeightFlags(command, *this, withGrid);
    addCorrectionFlags(command, spec.lowRank, rank, withGrid);
    addReconstructionFlags(command, spec.reconstruction);
    addGptqFlags(command, spec.gptq);
    addActivationFlags(command, spec.activation);
    command
        .add_option(
            "--kv-bits", kvBits,
            "Quantize keys, before RoPE, and values to codes of this width, 2..8, per token "
            "(default: not quantized)")
        ->group("Activations");
    addCalibrationFlags(command, spec.calibration);
    addEvaluationFlags(command, spec.evaluation);
    command
        .add_option("--override", overrides,
                    "'REGEX:bits=8,rank=0,group_size=64': settings of some layers; may be repeated")
        ->take_all();
    command.add_option("--skip", skips, "REGEX of layers to leave alone; may be repeated")
        ->take_all();
    command.add_flag("--adjust", spec.adjust, "Take the nearest group size that divides");
    command.add_option("--artifacts", spec.artifacts, "keep | discard (default keep)");
}

void makePathsAbsolute(RunSpec& spec)
{
    for (std::string* path : {&spec.model, &spec.calibration.text, &spec.evaluation.text}) {
        std::error_code ignored;
        if (!path->empty() && *path != "demo" && path->rfind("demo:", 0) != 0 &&
            std::filesystem::exists(*path, ignored)) {
            *path = std::filesystem::absolute(*path).lexically_normal().string();
        }
    }
}

RunSpec SpecFlags::result(const std::string& model, const std::string& device,
                          std::int64_t threads) const
{
    RunSpec made = spec;
    made.model = model;
    made.device = device;
    made.threads = threads;
    QW_REQUIRE(!(sym && asym), ErrorCode::BadInput, "--sym and --asym exclude each other");
    made.weight.sym = sym;
    if (!groupSize.empty()) {
        made.weight.groupSize = groupSizeFromText(groupSize);
    } else if (made.weight.format == "mxint") {
        made.weight.groupSize = 16;
    }
    takeRank(made);
    if (kvBits) {
        made.kvCache = {"int", *kvBits};
    }
    for (const std::string& text : overrides) {
        made.overrides.push_back(parseOverride(text));
    }
    for (const std::string& pattern : skips) {
        LayerOverride skip;
        skip.pattern = pattern;
        skip.skip = true;
        made.overrides.push_back(skip);
    }
    makePathsAbsolute(made);
    validate(made);
    return made;
}

void SpecFlags::takeRank(RunSpec& made) const
{
    if (rank.empty()) {
        return;
    }
    if (made.method == "lrq" || made.method == "flexround") {
        made.reconstruction.rank = rank;
        return;
    }
    made.lowRank.rank = wholeNumber(rank, "--rank");
}

LayerOverride parseOverride(const std::string& text)
{
    const auto colon = text.rfind(':');
    QW_REQUIRE(colon != std::string::npos && colon > 0, ErrorCode::BadInput, "--override \"", text,
               "\" is not of the form REGEX:bits=8,rank=0");
    LayerOverride result;
    result.pattern = text.substr(0, colon);
    std::size_t at = colon + 1;
    while (at <= text.size()) {
        const auto comma = std::min(text.find(',', at), text.size());
        const std::string part = text.substr(at, comma - at);
        const auto equals = part.find('=');
        QW_REQUIRE(equals != std::string::npos, ErrorCode::BadInput, "--override \"", text,
                   "\": \"", part, "\" is not of the form key=value");
        const std::string key = part.substr(0, equals);
        const std::string value = part.substr(equals + 1);
        if (key == "bits") {
            result.bits = wholeNumber(value, "--override bits");
        } else if (key == "rank") {
            result.rank = wholeNumber(value, "--override rank");
        } else if (key == "group_size") {
            result.groupSize = groupSizeFromText(value);
        } else {
            throw Error(ErrorCode::BadInput, message("--override: unknown key \"", key,
                                                     "\"; use bits, rank or group_size"));
        }
        at = comma + 1;
    }
    return result;
}

} // namespace qw::cli
