#include "report/run_spec.h"

#include <algorithm>
#include <cmath>
#include <regex>

#include "base/error.h"

namespace qw {

namespace {
constexpr std::int64_t kMinBits = 2;
constexpr std::int64_t kMaxBits = 8;

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
    checkChoice("weight.range", weight.range, {"minmax", "lrq", "lp"});
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
    checkAtLeast("low_rank.factor_block", lowRank.factorBlock, 1);
    checkChoice("low_rank.statistic", lowRank.statistic, {"mean-abs", "rms"});
    checkChoice("low_rank.reduce", lowRank.reduce, {"max", "mean"});
    checkChoice("low_rank.solver", lowRank.solver, {"randomized", "full"});
    checkChoice("low_rank.correction", lowRank.correction,
                {"none", "lqer", "l2qer", "qera-approx", "qera-exact"});
}

void checkReconstruction(const ReconstructionSpec& reconstruction)
{
    checkRange("reconstruction.iterations", reconstruction.iterations, 0, 100000000);
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
    checkAtLeast("reconstruction.batch_size", reconstruction.batchSize, 1);
    checkChoice("reconstruction.compute", reconstruction.compute, {"auto", "f32", "bf16"});
    checkChoice("reconstruction.without", reconstruction.without,
                {"none", "row", "column", "low-rank", "scale"});
}

void checkGptq(const GptqSpec& gptq)
{
    if (!(gptq.dampPercent > 0 && gptq.dampPercent <= 100)) {
        refuse(message("gptq.damp_percent ", gptq.dampPercent, " is not above 0 and at most 100"));
    }
}

void checkActivation(const ActivationSpec& activation)
{
    checkChoice("activation.format", activation.format, {"none", "int", "mxint"});
    checkRange("activation.bits", activation.bits, kMinBits, kMaxBits);
    checkAtLeast("activation.block_size", activation.blockSize, 1);
    checkChoice("activation.zero_point", activation.zeroPoint, {"rounded", "float"});
    if (activation.attention && activation.format != "mxint") {
        refuse(
            message("activation.attention needs activation.format mxint, not ", activation.format));
    }
}

void checkKvCache(const KvCacheSpec& kvCache)
{
    checkChoice("kv_cache.format", kvCache.format, {"none", "int"});
    checkRange("kv_cache.bits", kvCache.bits, kMinBits, kMaxBits);
}

void checkTexts(const CalibrationSpec& calibration, const EvaluationSpec& evaluation)
{
    checkAtLeast("calibration.nsamples", calibration.nsamples, 1);
    checkAtLeast("calibration.seqlen", calibration.seqlen, 0);
    checkChoice("calibration.windows", calibration.windows, {"random", "sequential"});
    checkAtLeast("calibration.stat_batch", calibration.statBatch, 1);
    checkAtLeast("evaluation.seqlen", evaluation.seqlen, 0);
    checkAtLeast("evaluation.windows", evaluation.windows, 0);
    checkChoice("evaluation.protocol", evaluation.protocol, {"gptq", "llama.cpp"});
    checkChoice("evaluation.compute", evaluation.compute, {"f32", "bf16"});
    if (evaluation.seqlen == 1) {
        refuse("evaluation.seqlen 1 leaves nothing to predict; it must be at least 2");
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
    checkWeight(spec.weight);
    checkLowRank(spec.lowRank);
    checkReconstruction(spec.reconstruction);
    checkGptq(spec.gptq);
    checkActivation(spec.activation);
    checkKvCache(spec.kvCache);
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
