#include "report/run_spec.h"

#include <algorithm>
#include <cmath>
#include <regex>

#include "base/error.h"
#include "report/spec_limits.h"

namespace qw {

namespace {
constexpr std::int64_t kMinBits = 2;
constexpr std::int64_t kMaxBits = 8;
/// More than any model or text has, and few enough for products of counts to be counted.
constexpr std::int64_t kMostColumns = 1 << 20;
constexpr std::int64_t kMostWindows = 1 << 20;
constexpr std::int64_t kMostInBatch = 1 << 16;

[[noreturn]] void refuse(const std::string& sentence)
{
    throw Error(ErrorCode::BadInput, sentence);
}

void checkChoice(const std::string& key, const std::string& value,
                 const std::vector<std::string>& choices)
{
    if (std::find(choices.begin(), choices.end(), value) != choices.end()) {
        return;
    }
    std::string list;
    for (const std::string& choice : choices) {
        list += (list.empty() ? "" : ", ") + choice;
    }
    const std::string near = nearestName(value, choices);
    refuse(message(key, " \"", value, "\" is not known; choose one of ", list,
                   near.empty() ? std::string() : " (did you mean \"" + near + "\"?)"));
}

void checkRange(const std::string& key, std::int64_t value, std::int64_t low, std::int64_t high)
{
    if (value < low || value > high) {
        refuse(message(key, " ", value, " is not in ", low, "..", high));
    }
}

void checkAtLeast(const std::string& key, std::int64_t value, std::int64_t low)
{
    if (value < low) {
        refuse(message(key, " ", value, " is too small; it must be at least ", low));
    }
}

void checkGroupSize(const std::string& key, std::int64_t value, const std::string& format)
{
    if (format == "mxint") {
        if (value < 1) {
            refuse(message(key, " ", groupSizeToJson(value).dump(),
                           " does not fit format mxint; it needs a block of 1 or more columns"));
        }
    } else if (value < kPerTensor) {
        refuse(message(key, " ", value, " is not a positive number, channel or tensor"));
    }
}

void checkWeight(const WeightSpec& weight)
{
    checkChoice("weight.format", weight.format, {"int", "mxint"});
    checkRange("weight.bits", weight.bits, kMinBits, kMaxBits);
    checkGroupSize("weight.group_size", weight.groupSize, weight.format);
    checkChoice("weight.scale_dtype", weight.scaleDtype, {"f32", "f16", "bf16"});
    checkChoice("weight.range", weight.range, {"minmax", "lrq", "lp", "shrink"});
    if (weight.format == "mxint" && weight.range != "minmax") {
        refuse(message("weight.range \"", weight.range,
                       "\" needs format int; MXINT scales follow from the block's maximum"));
    }
    if (weight.range == "lrq" && weight.sym) {
        refuse("weight.range \"lrq\" searches asymmetric grids; use sym false, or range lp");
    }
    if (weight.range == "lp" && !weight.sym) {
        refuse("weight.range \"lp\" searches symmetric grids; use sym true, or range lrq");
    }
    if (!std::isfinite(weight.rangeNorm) || weight.rangeNorm <= 0) {
        refuse(message("weight.range_norm ", weight.rangeNorm, " is not a number above 0"));
    }
    checkRange("weight.range_steps", weight.rangeSteps, 1, 100000);
    if (weight.exponentBits != 4 && weight.exponentBits != 8) {
        refuse(message("weight.exponent_bits ", weight.exponentBits, " is not 4 or 8"));
    }
    checkChoice("weight.mx_rule", weight.mxRule, {"lqer", "qera"});
}

void checkLowRank(const LowRankSpec& lowRank)
{
    checkAtLeast("low_rank.rank", lowRank.rank, 0);
    if (lowRank.factorBits != 0) {
        if (lowRank.factorBits < kMinBits || lowRank.factorBits > kMaxBits) {
            refuse(message("low_rank.factor_bits ", lowRank.factorBits,
                           " is neither 0 (not quantized) nor in 2..8"));
        }
    }
    checkRange("low_rank.factor_block", lowRank.factorBlock, 1, kMostColumns);
    checkChoice("low_rank.statistic", lowRank.statistic, {"mean-abs", "rms"});
    checkChoice("low_rank.reduce", lowRank.reduce, {"max", "mean"});
    checkChoice("low_rank.solver", lowRank.solver, {"randomized", "full"});
    checkChoice("low_rank.correction", lowRank.correction,
                {"none", "lqer", "l2qer", "qera-approx", "qera-exact"});
}

void checkReconstruction(const ReconstructionSpec& reconstruction)
{
    checkRange("reconstruction.iterations", reconstruction.iterations, 1, kMostUpdates);
    if (!std::isfinite(reconstruction.lr) || reconstruction.lr < 0) {
        refuse(message("reconstruction.lr ", reconstruction.lr, " is not a number of 0 or more"));
    }
    if (!std::regex_match(reconstruction.rank,
                          std::regex("relative|full|official|[1-9][0-9]{0,8}"))) {
        refuse(message("reconstruction.rank \"", reconstruction.rank,
                       "\" is not relative, full, official or a number above 0"));
    }
    if (!(reconstruction.rho >= 0.05 && reconstruction.rho <= 1)) {
        refuse(message("reconstruction.rho ", reconstruction.rho, " is not in 0.05..1"));
    }
    checkRange("reconstruction.batch_size", reconstruction.batchSize, 1, kMostInBatch);
    checkChoice("reconstruction.compute", reconstruction.compute, {"auto", "f32", "bf16"});
    checkChoice("reconstruction.without", reconstruction.without,
                {"none", "row", "column", "low-rank", "scale"});
    checkChoice("reconstruction.divisor", reconstruction.divisor, {"exp", "product"});
}

void checkNumber(const std::string& key, double value)
{
    if (!std::isfinite(value)) {
        refuse(message(key, " ", value, " is not a number"));
    }
}

void checkTraining(const TrainingSpec& training)
{
    checkRange("training.steps", training.steps, 1, kMostUpdates);
    checkRange("training.batch_size", training.batchSize, 1, kMostInBatch);
    checkRange("training.grad_accum", training.gradAccum, 1, kMostInBatch);
    checkAtLeast("training.seqlen", training.seqlen, 0);
    if (training.seqlen == 1) {
        refuse("training.seqlen 1 leaves nothing to predict; it must be at least 2");
    }
    checkNumber("training.lr", training.lr);
    checkNumber("training.lr_scale", training.lrScale);
    checkNumber("training.weight_decay", training.weightDecay);
    if (training.warmup > training.steps) {
        refuse(message("training.warmup ", training.warmup, " is longer than the ",
                       counted(training.steps, "step")));
    }
    if (!std::isfinite(training.clip) || training.clip < 0) {
        refuse(message("training.clip ", training.clip, " is not a number of 0 or more"));
    }
    checkAtLeast("training.rank", training.rank, 0);
    if (!std::isfinite(training.alpha) || training.alpha <= 0) {
        refuse(message("training.alpha ", training.alpha, " is not a number above 0"));
    }
    checkChoice("training.phi", training.phi, {"fp32", "bf16", "fp16", "fixed8", "int"});
    checkChoice("training.init", training.init, {"zero", "loftq", "lqer", "qera-exact"});
    checkChoice("training.compute", training.compute, {"auto", "f32", "bf16"});
    checkAtLeast("training.save_every", training.saveEvery, 1);
}

/// What methods that train the whole model do not do, or one of them does not have.
void checkTrainingMethod(const RunSpec& spec)
{
    const std::string& method = spec.method;
    const TrainingSpec& training = spec.training;
    if (!trainsModel(method)) {
        return;
    }
    if (spec.weight.format != "int") {
        refuse(message("weight.format \"", spec.weight.format, "\" does not go with ", method,
                       ", which trains on integer grids; use int"));
    }
    if (!spec.weight.sym) {
        refuse(message("weight.sym false does not go with ", method,
                       ", which trains symmetric grids only; use sym true"));
    }
    if (spec.weight.groupSize == kPerTensor) {
        refuse(message("weight.group_size \"tensor\" does not go with ", method,
                       ", which needs a scale per row or group; use channel or a number"));
    }
    if (spec.activation.format == "mxint") {
        refuse(message("activation.format \"mxint\" does not go with ", method,
                       ", which trains with integer activations; use int or none"));
    }
    if (spec.activation.scale == "tensor") {
        refuse(message("activation.scale \"tensor\" does not go with ", method,
                       ", which trains with a scale for each token; use token"));
    }
    const TrainingSpec usual;
    if (method != "lr-qat" && (training.rank != usual.rank || training.alpha != usual.alpha ||
                               training.phi != usual.phi || training.init != usual.init)) {
        refuse(message("training.",
                       training.rank != usual.rank     ? "rank"
                       : training.alpha != usual.alpha ? "alpha"
                       : training.phi != usual.phi     ? "phi"
                                                       : "init",
                       " is a setting of lr-qat, not of ", method));
    }
    if (method == "peqa" && training.lr >= 0) {
        refuse(
            "training.lr is no setting of peqa, which trains scales alone; use training.lr_scale");
    }
    if (method == "lr-qat" && training.phi == "fixed8" && spec.weight.bits == kMaxBits) {
        refuse("training.phi \"fixed8\" has no room for 8 bits; use fp32, bf16, fp16 or int");
    }
}

void checkGptq(const GptqSpec& gptq)
{
    if (!(gptq.dampPercent > 0 && gptq.dampPercent <= 100)) {
        refuse(message("gptq.damp_percent ", gptq.dampPercent, " is not above 0 and at most 100"));
    }
}

void checkAwq(const AwqSpec& awq)
{
    checkRange("awq.ratios", awq.ratios, 1, 1000);
    checkChoice("awq.clip", awq.clip, {"search", "none"});
}

void checkSmooth(const SmoothSpec& smooth)
{
    if (!(smooth.alpha >= 0 && smooth.alpha <= 1)) {
        refuse(message("smooth.alpha ", smooth.alpha, " is not in 0..1"));
    }
}

void checkActivation(const ActivationSpec& activation)
{
    checkChoice("activation.format", activation.format, {"none", "int", "mxint"});
    checkRange("activation.bits", activation.bits, kMinBits, kMaxBits);
    checkRange("activation.block_size", activation.blockSize, 1, kMostColumns);
    checkChoice("activation.zero_point", activation.zeroPoint, {"rounded", "float", "none"});
    checkChoice("activation.scale", activation.scale, {"token", "tensor"});
    if (activation.scale == "tensor") {
        if (activation.format != "int") {
            refuse(message("activation.scale tensor needs activation.format int, not ",
                           activation.format));
        }
        if (activation.zeroPoint == "float") {
            refuse("activation.scale tensor has an integer zero point; use zero_point rounded or "
                   "none");
        }
    }
    if (activation.attention && activation.format != "mxint") {
        refuse(
            message("activation.attention needs activation.format mxint, not ", activation.format));
    }
    checkChoice("activation.points", activation.points, {"linear", "a8", "a8kv4", "a4"});
}

/// LR-QAT's places name every width themselves.
void checkPoints(const RunSpec& spec)
{
    if (spec.activation.points == "linear") {
        return;
    }
    for (const auto& [key, format] : {std::pair{"activation.format", spec.activation.format},
                                      std::pair{"kv_cache.format", spec.kvCache.format}}) {
        if (format != "none") {
            refuse(message(key, " \"", format, "\" does not go with activation.points ",
                           spec.activation.points,
                           ", which says what is quantized; leave it none"));
        }
    }
}

void checkKvCache(const KvCacheSpec& kvCache)
{
    checkChoice("kv_cache.format", kvCache.format, {"none", "int"});
    checkRange("kv_cache.bits", kvCache.bits, kMinBits, kMaxBits);
}

void checkTexts(const CalibrationSpec& calibration, const EvaluationSpec& evaluation)
{
    checkRange("calibration.nsamples", calibration.nsamples, 1, kMostWindows);
    checkAtLeast("calibration.seqlen", calibration.seqlen, 0);
    checkChoice("calibration.windows", calibration.windows, {"random", "sequential"});
    checkRange("calibration.stat_batch", calibration.statBatch, 1, kMostWindows);
    checkAtLeast("evaluation.seqlen", evaluation.seqlen, 0);
    checkAtLeast("evaluation.windows", evaluation.windows, 0);
    checkChoice("evaluation.protocol", evaluation.protocol, {"gptq", "llama.cpp"});
    checkChoice("evaluation.compute", evaluation.compute, {"f32", "bf16"});
    if (evaluation.seqlen == 1) {
        refuse("evaluation.seqlen 1 leaves nothing to predict; it must be at least 2");
    }
    if (evaluation.seqlen == 2 && evaluation.protocol == "llama.cpp") {
        refuse("evaluation.seqlen 2 leaves nothing to predict in the second half of a window, "
               "which protocol llama.cpp scores; it must be at least 3");
    }
}

void checkOverride(const LayerOverride& entry, std::size_t index, const std::string& format)
{
    const std::string where = message("overrides[", index, "]");
    if (entry.pattern.empty()) {
        refuse(where + " has no pattern; use \".\" for all layers");
    }
    if (!entry.bits && !entry.groupSize && !entry.rank && !entry.skip) {
        refuse(where + " changes nothing; give bits, group_size, rank or skip");
    }
    if (entry.bits) {
        checkRange(where + ".bits", *entry.bits, kMinBits, kMaxBits);
    }
    if (entry.groupSize) {
        checkGroupSize(where + ".group_size", *entry.groupSize, format);
    }
    if (entry.rank) {
        checkAtLeast(where + ".rank", *entry.rank, 0);
    }
}
} // namespace

void validate(const RunSpec& spec)
{
    if (spec.model.empty()) {
        refuse("model is missing; give a folder, or demo");
    }
    if (spec.method.empty()) {
        refuse("method is missing; rtn is the simplest");
    }
    checkTrainingMethod(spec);
    checkWeight(spec.weight);
    checkLowRank(spec.lowRank);
    checkReconstruction(spec.reconstruction);
    checkTraining(spec.training);
    checkGptq(spec.gptq);
    checkAwq(spec.awq);
    checkSmooth(spec.smooth);
    checkActivation(spec.activation);
    checkKvCache(spec.kvCache);
    checkPoints(spec);
    checkTexts(spec.calibration, spec.evaluation);
    for (std::size_t i = 0; i < spec.overrides.size(); ++i) {
        checkOverride(spec.overrides[i], i, spec.weight.format);
    }
    settingsFor(spec, ""); // every pattern compiles
    checkAtLeast("seed", spec.seed, 0);
    checkChoice("artifacts", spec.artifacts, {"keep", "discard"});
    if (!std::regex_match(spec.device, std::regex("cpu|cuda(:[0-9]{1,3})?"))) {
        refuse(message("device \"", spec.device, "\" is not cpu, cuda or cuda:N"));
    }
    checkRange("threads", spec.threads, 0, 4096);
}

} // namespace qw
