#include "spec_flags.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

/// The flags of a run by their groups, as `qw run --help` lists them.
namespace qw::cli {

namespace {
constexpr const char* kTraining = "Training (lr-qat, lsq, peqa)";
constexpr const char* kLearnedRounding = "Learned rounding (lrq, flexround)";
constexpr const char* kLearning = "Learning (both)";

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

} // namespace qw::cli
