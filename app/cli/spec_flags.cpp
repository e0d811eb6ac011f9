#include "spec_flags.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/error.h"
#include "engine.h"
#include "report/method_settings.h"
#include "report/spec_command.h"

namespace qw::cli {

namespace {
constexpr const char* kTraining = "Training (lr-qat, lsq, peqa)";
constexpr const char* kLearnedRounding = "Learned rounding (lrq, flexround)";
constexpr const char* kLearning = "Learning (both)";

std::int64_t wholeNumber(const std::string& text, const std::string& what)
{
    std::int64_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    QW_REQUIRE(problem == std::errc() && end == text.data() + text.size(), ErrorCode::BadInput,
               what, ": \"", text, "\" is not a whole number");
    return value;
}

/// The setting that --rank means.
std::string rankSetting(const std::string& method)
{
    if (method == "lrq" || method == "flexround") {
        return "reconstruction.rank";
    }
    return trainsModel(method) ? "training.rank" : "low_rank.rank";
}

/// Whether a flag of the command line means anything to a method.
bool takesFlag(const std::string& method, const std::string& correction, const std::string& flag)
{
    if (flag == "--rank") { // without a correction to have it, the notes of the run say so
        const std::string setting = rankSetting(method);
        return setting == "low_rank.rank" || looksAt(method, correction, setting);
    }
    const std::vector<std::string> settings = settingsOfFlag(flag == "--ranks" ? "--rank" : flag);
    return settings.empty() ||
           std::any_of(settings.begin(), settings.end(), [&](const std::string& setting) {
               return looksAt(method, correction, setting);
           });
}

/// All methods to which it means something.
std::vector<std::string> methodsWithFlag(const std::string& flag)
{
    std::vector<std::string> methods;
    for (const std::string& setting : settingsOfFlag(flag == "--ranks" ? "--rank" : flag)) {
        for (const std::string& method : methodsWith(setting)) {
            methods.push_back(method);
        }
    }
    return methods;
}

/// "a, b and c"
std::string listed(const std::vector<std::string>& words)
{
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        text += (i == 0 ? "" : i + 1 < words.size() ? ", " : " and ") + words[i];
    }
    return text;
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
    command.add_flag("--asym", flags.asym, "Asymmetric grid (default but for lr-qat, lsq, peqa)")
        ->group("Weights");
    add("--scale-dtype", weight.scaleDtype, "f16 | f32 | bf16 (default f16)");
    add("--range", flags.range,
        "minmax | lrq | lp | shrink: where the grid ends (default minmax; lr-qat, lsq, peqa: lp)");
    add("--range-norm", flags.rangeNorm,
        "Norm of the range search (default 2.4; lr-qat, lsq, peqa: 4)");
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
            "official (default: by --rho); lr-qat: of A and B (default 32, or a quarter of the "
            "model's width)");
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
        command.add_option(name, value, help)->group(kLearnedRounding);
    };
    add("--iters", reconstruction.iterations, "Iterations for each block (default 5000)");
    add("--rho", reconstruction.rho,
        "Rank as a share of the full one, 0.05..1: entries of the low-rank terms over those of the "
        "weight (default 0.4)");
    add("--divisor", reconstruction.divisor,
        "exp | product: learn the logarithm of the divisor's factors, or the factors, as "
        "FlexRound's paper does (default exp)");
    add("--without", reconstruction.without,
        "none | row | column | low-rank | scale: what of the divisor is not learned (default "
        "none)");
}

void addTrainingFlags(CLI::App& command, TrainingSpec& training)
{
    const auto add = [&](const char* name, auto& value, const char* help) {
        command.add_option(name, value, help)->group(kTraining);
    };
    add("--train-text", training.text, "Text to train on: a file, or demo:calibration");
    add("--steps", training.steps, "Updates (default 10000)");
    add("--grad-accum", training.gradAccum, "Batches of a step (default 8)");
    add("--train-seqlen", training.seqlen,
        "Tokens of a window (default: 1024, or the model's maximum if that is less)");
    add("--lr-scale", training.lrScale,
        "Learning rate of the scales at its highest; 0: they stay as found (default: by a rule; "
        "see the notes of the result)");
    add("--warmup", training.warmup, "Steps until rates are highest (default: a tenth of all)");
    add("--weight-decay", training.weightDecay, "Of what is no scale (default 0; lsq: 0.1)");
    add("--clip", training.clip, "Largest norm of the gradient; 0: any (default 1)");
    add("--alpha", training.alpha, "lr-qat: A B counts alpha / rank (default 1)");
    add("--phi", training.phi,
        "lr-qat: fixed8 | fp32 | bf16 | fp16 | int: how the frozen part is kept (default fixed8)");
    add("--init", training.init,
        "lr-qat: zero | loftq | lqer | qera-exact: where A and B begin (default zero)");
    add("--save-every", training.saveEvery,
        "Steps between states that a stopped run goes on from (default 100)");
    CLI::Option* again = command.add_flag_callback(
        "--recompute", [&training] { training.recompute = true; },
        "Run each block once more in the backward pass (default)");
    CLI::Option* keep = command.add_flag_callback(
        "--no-recompute", [&training] { training.recompute = false; },
        "Keep what each block made for the backward pass: the same bits, more memory");
    again->group(kTraining)->excludes(keep);
    keep->group(kTraining);
}

/// What both sections have, each with its default.
void addLearningFlags(CLI::App& command, SpecFlags& flags)
{
    const auto add = [&](const char* name, auto& value, const char* help) {
        command.add_option(name, value, help)->group(kLearning);
    };
    add("--lr", flags.lr,
        "Learning rate at its highest, of lr-qat's A and B, of lsq's weights (default: published "
        "ones, or a rule; see the notes of the result)");
    add("--batch-size", flags.batchSize,
        "Windows of one iteration (default 2); training: of one batch (default 4)");
    add("--train-compute", flags.trainCompute,
        "auto | f32 | bf16: products while learning (default auto: bf16 where the processor has "
        "it)");
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

void addFoldingFlags(CLI::App& command, RunSpec& spec)
{
    const auto add = [&](const char* name, auto& value, const char* help) {
        command.add_option(name, value, help)->group("Scaled inputs (awq, smoothquant)");
    };
    add("--awq-ratios", spec.awq.ratios, "awq: scales tried for each input (default 20)");
    add("--awq-clip", spec.awq.clip,
        "awq: search | none: where weights are cut before rounding (default search)");
    add("--smooth-alpha", spec.smooth.alpha,
        "smoothquant: share of the activations' range that goes into the weights, above 0 to 1 "
        "(default: 0.85 for Llama, 0.8 for Mistral, 0.5 otherwise)");
}

void addActivationFlags(CLI::App& command, ActivationSpec& activation)
{
    const auto add = [&](const char* name, auto& value, const char* help) {
        command.add_option(name, value, help)->group("Activations");
    };
    add("--act-format", activation.format, "none | int | mxint (default none)");
    add("--act-bits", activation.bits, "Width of an activation's code (default 8)");
    add("--act-block", activation.blockSize, "mxint: block of activations (default 16)");
    add("--act-zero-point", activation.zeroPoint,
        "int: rounded | float | none: symmetric (default rounded)");
    add("--act-scale", activation.scale,
        "int: token: found for each as the model runs | tensor: one for a layer, from the "
        "calibration; experimental (default token)");
    add("--act-points", activation.points,
        "linear | a8 | a8kv4 | a4: inputs of layers as above, or all places LR-QAT names, with "
        "widths of their own (default linear)");
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

std::string inFlagsOf(const CLI::App& command, const std::string& sentence)
{
    const auto count = [&](const std::string& name) {
        const CLI::Option* option = command.get_option_no_throw(name);
        return option != nullptr ? option->count() : 0;
    };
    std::string said = inFlags(sentence, count("--override"));
    const std::size_t at = said.find("--");
    if (at == std::string::npos) {
        return said;
    }
    const std::string flag = said.substr(at, said.find_first_of(" :,;)", at) - at);
    if (count(flag) == 0 && count(flag + "s") > 0) { // the lists of a sweep: --ranks
        said.insert(at + flag.size(), "s");
    } else if (flag == "--rank" && count(flag) == 0 && count("--correction-rank") > 0) {
        said.replace(at, flag.size(), "--correction-rank");
    }
    return said;
}

void checkFlags(const CLI::App& command, const RunSpec& spec)
{
    try {
        validate(spec);
    } catch (const Error& problem) {
        throw Error(problem.code(), inFlagsOf(command, problem.what()));
    }
}

std::int64_t groupSizeOf(const std::string& flag, const std::string& text)
{
    try {
        return groupSizeFromText(text);
    } catch (const Error& problem) { // "group_size "0" is …"
        const std::string sentence = problem.what();
        throw Error(problem.code(), flag + sentence.substr(sentence.find(' ')));
    }
}

void SpecFlags::addTo(CLI::App& command, bool withGrid)
{
    m_command = &command;
    if (withGrid) {
        command.add_option("--method", spec.method,
                           "rtn | lqer | l2qer | qera-approx | qera-exact | gptq | awq | "
                           "smoothquant | flexround | lrq | lr-qat | lsq | peqa (default rtn)");
        command.add_option("--seed", spec.seed, "Seed of windows and factorization (default 0)");
    }
    addWeightFlags(command, *this, withGrid);
    addCorrectionFlags(command, spec.lowRank, rank, withGrid);
    addLearningFlags(command, *this);
    addReconstructionFlags(command, spec.reconstruction);
    addTrainingFlags(command, spec.training);
    addGptqFlags(command, spec.gptq);
    addFoldingFlags(command, spec);
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
    for (std::string* path :
         {&spec.model, &spec.calibration.text, &spec.evaluation.text, &spec.training.text}) {
        std::error_code ignored;
        if (!path->empty() && *path != "demo" && path->rfind("demo:", 0) != 0 &&
            std::filesystem::exists(*path, ignored)) {
            const auto whole = std::filesystem::absolute(*path).lexically_normal();
            // One spelling for "model" and "model/": runs are found by it.
            *path = (whole.has_filename() ? whole : whole.parent_path()).string();
        }
    }
}

RunSpec SpecFlags::result(const std::string& model, const std::string& device, std::int64_t threads,
                          std::vector<std::string> methods) const
{
    RunSpec made = spec;
    made.model = model;
    made.device = device;
    made.threads = threads;
    if (methods.empty()) {
        methods = {spec.method};
    }
    refuseForeign(methods);
    QW_REQUIRE(!(sym && asym), ErrorCode::BadInput, "--sym and --asym exclude each other");
    const auto trains = std::find_if(methods.begin(), methods.end(), trainsModel);
    QW_REQUIRE(!asym || trains == methods.end(), ErrorCode::BadInput, "--asym does not go with ",
               *trains, ", which trains symmetric grids only");
    if (trainsModel(made.method)) {
        const WeightSpec usual = usualWeight(made.method);
        made.weight.range = usual.range;
        made.weight.rangeNorm = usual.rangeNorm;
    }
    made.weight.sym = sym || trainsModel(made.method);
    takeRange(made);
    if (!groupSize.empty()) {
        made.weight.groupSize = groupSizeOf("--group-size", groupSize);
    } else if (made.weight.format == "mxint") {
        made.weight.groupSize = 16;
    }
    takeRank(made);
    takeShared(made, trains != methods.end(),
               !std::all_of(methods.begin(), methods.end(), trainsModel));
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
    check(made);
    return made;
}

void SpecFlags::check(const RunSpec& made) const
{
    checkFlags(*m_command, made);
}

void SpecFlags::takeRange(RunSpec& made) const
{
    made.weight.range = range.value_or(made.weight.range);
    made.weight.rangeNorm = rangeNorm.value_or(made.weight.rangeNorm);
}

void SpecFlags::takeRank(RunSpec& made) const
{
    if (rank.empty()) {
        return;
    }
    const std::string setting = rankSetting(made.method);
    if (setting == "reconstruction.rank") {
        made.reconstruction.rank = rank;
        return;
    }
    (setting == "training.rank" ? made.training.rank : made.lowRank.rank) =
        wholeNumber(rank, "--rank");
}

void SpecFlags::takeShared(RunSpec& made, bool trains, bool othersToo) const
{
    const auto take = [](const auto& typed, auto& value) { value = typed.value_or(value); };
    if (trains) {
        QW_REQUIRE(!lr || *lr >= 0, ErrorCode::BadInput, "--lr ", *lr, " is below 0");
        take(lr, made.training.lr);
        take(batchSize, made.training.batchSize);
        take(trainCompute, made.training.compute);
    }
    if (othersToo) {
        take(lr, made.reconstruction.lr);
        take(batchSize, made.reconstruction.batchSize);
        take(trainCompute, made.reconstruction.compute);
    }
}

/// A flag that would be lost is most likely a mistake. An unknown method has no flags: that there
/// is none of that name is said by whoever looks for it.
void SpecFlags::refuseForeign(const std::vector<std::string>& methods) const
{
    const std::vector<MethodDescription> known = describeMethods();
    const auto isKnown = [&](const std::string& method) {
        return std::any_of(known.begin(), known.end(),
                           [&](const MethodDescription& one) { return one.id == method; });
    };
    if (!std::all_of(methods.begin(), methods.end(), isKnown)) {
        return;
    }
    for (const CLI::Option* option : m_command->get_options()) {
        const std::string flag = option->get_name();
        QW_REQUIRE(option->count() == 0 ||
                       std::any_of(methods.begin(), methods.end(),
                                   [&](const std::string& method) {
                                       return takesFlag(method, spec.lowRank.correction, flag);
                                   }),
                   ErrorCode::BadInput, flag, " is a setting of ", listed(methodsWithFlag(flag)),
                   ", not of ", listed(methods));
    }
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
