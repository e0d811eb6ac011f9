#include "spec_flags.h"

#include <charconv>

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
    command.add_option("--format", weight.format, "int | mxint");
    if (withGrid) {
        command.add_option("--bits", weight.bits, "Width of a weight's code, 2..8");
        command.add_option("--group-size", flags.groupSize,
                           "Columns per scale: a number, channel or tensor; mxint: the block");
    }
    command.add_flag("--sym", flags.sym, "Symmetric grid");
    command.add_flag("--asym", flags.asym, "Asymmetric grid (default)");
    command.add_option("--scale-dtype", weight.scaleDtype, "f16 | f32 | bf16");
    command.add_option("--range", weight.range, "minmax | lrq | lp: where the grid ends");
    command.add_option("--range-norm", weight.rangeNorm, "Norm of the range search");
    command.add_option("--exponent-bits", weight.exponentBits, "mxint: 4 | 8");
    command.add_option("--mx-rule", weight.mxRule, "mxint: lqer | qera");
}

void addDataFlags(CLI::App& command, RunSpec& spec)
{
    CalibrationSpec& calibration = spec.calibration;
    command.add_option("--calibration", calibration.text, "Text file, or demo:calibration");
    command.add_option("--nsamples", calibration.nsamples, "Calibration windows");
    command.add_option("--calibration-seqlen", calibration.seqlen, "Tokens of one");
    command.add_option("--calibration-windows", calibration.windows, "random | sequential");
    command.add_option("--stat-batch", calibration.statBatch,
                       "Windows per batch of L2QER's maximum");
    EvaluationSpec& evaluation = spec.evaluation;
    command.add_option("--text", evaluation.text, "Text to measure on, or demo:evaluation");
    command.add_option("--seqlen", evaluation.seqlen, "Tokens of one window");
    command.add_option("--windows", evaluation.windows, "Windows (default: all)");
    command.add_option("--protocol", evaluation.protocol, "gptq | llama.cpp");
    command.add_option("--compute", evaluation.compute, "f32 | bf16: products of the evaluation");
}
} // namespace

void SpecFlags::addTo(CLI::App& command, bool withGrid)
{
    if (withGrid) {
        command.add_option("--method", spec.method,
                           "rtn | lqer | l2qer | qera-approx | qera-exact");
        command.add_option("--rank", spec.lowRank.rank, "Rank of the correction");
        command.add_option("--seed", spec.seed, "Seed of windows and factorization");
    }
    addWeightFlags(command, *this, withGrid);
    command.add_option("--factor-bits", spec.lowRank.factorBits,
                       "MXINT width of A and B; 0 keeps them float32");
    command.add_option("--factor-block", spec.lowRank.factorBlock, "Block of A and B");
    command.add_option("--statistic", spec.lowRank.statistic, "l2qer: mean-abs | rms");
    command.add_option("--reduce", spec.lowRank.reduce, "l2qer: max | mean over batches");
    command.add_option("--solver", spec.lowRank.solver, "randomized | full");
    command.add_option("--act-format", spec.activation.format, "none | int | mxint");
    command.add_option("--act-bits", spec.activation.bits, "Width of activations");
    command.add_option("--act-block", spec.activation.blockSize, "mxint: block of activations");
    command.add_option("--act-zero-point", spec.activation.zeroPoint, "int: rounded | float");
    command.add_flag("--act-attention", spec.activation.attention,
                     "mxint: quantize the operands of QK^T and PV too");
    addDataFlags(command, spec);
    command.add_option("--override", overrides, "'REGEX:bits=8,rank=0,group_size=64': some layers")
        ->take_all();
    command.add_option("--skip", skips, "REGEX of layers to leave alone")->take_all();
    command.add_flag("--adjust", spec.adjust, "Take the nearest group size that divides");
    command.add_option("--artifacts", spec.artifacts, "keep | discard");
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
    for (const std::string& text : overrides) {
        made.overrides.push_back(parseOverride(text));
    }
    for (const std::string& pattern : skips) {
        LayerOverride skip;
        skip.pattern = pattern;
        skip.skip = true;
        made.overrides.push_back(skip);
    }
    return made;
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
