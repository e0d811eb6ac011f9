#include "report/run_spec.h"

#include <charconv>

#include "base/error.h"
#include "report/typed_reader.h"

namespace qw {

namespace {
constexpr std::int64_t kMxintDefaultBlock = 16;

/// A number, "channel" or "tensor"; false on another type.
bool readGroupSize(const Json& json, std::int64_t& value)
{
    if (json.is_string()) {
        value = groupSizeFromText(json.get<std::string>());
        return true;
    }
    return readExactly(json, value);
}

void readWeight(const Json& json, WeightSpec& weight)
{
    TypedReader in(json, "weight");
    in.read("format", weight.format).read("bits", weight.bits);
    if (weight.format == "mxint") {
        weight.groupSize = kMxintDefaultBlock;
    }
    const Json* group = in.find("group_size");
    if (group != nullptr && !readGroupSize(*group, weight.groupSize)) {
        in.wrongType("group_size", *group);
    }
    in.read("sym", weight.sym)
        .read("scale_dtype", weight.scaleDtype)
        .read("range", weight.range)
        .read("range_norm", weight.rangeNorm)
        .read("range_steps", weight.rangeSteps)
        .read("exponent_bits", weight.exponentBits)
        .read("mx_rule", weight.mxRule)
        .finish();
}

void readLowRank(const Json& json, LowRankSpec& lowRank)
{
    TypedReader(json, "low_rank")
        .read("rank", lowRank.rank)
        .read("factor_bits", lowRank.factorBits)
        .read("factor_block", lowRank.factorBlock)
        .read("statistic", lowRank.statistic)
        .read("reduce", lowRank.reduce)
        .read("solver", lowRank.solver)
        .read("correction", lowRank.correction)
        .finish();
}

/// A number or a name.
void readReconstruction(const Json& json, ReconstructionSpec& reconstruction)
{
    TypedReader in(json, "reconstruction");
    in.read("iterations", reconstruction.iterations).read("lr", reconstruction.lr);
    if (const Json* rank = in.find("rank")) {
        std::int64_t number = 0;
        if (readExactly(*rank, number)) {
            reconstruction.rank = std::to_string(number);
        } else if (!readExactly(*rank, reconstruction.rank)) {
            in.wrongType("rank", *rank);
        }
    }
    in.read("rho", reconstruction.rho)
        .read("batch_size", reconstruction.batchSize)
        .read("compute", reconstruction.compute)
        .read("without", reconstruction.without)
        .read("divisor", reconstruction.divisor)
        .finish();
}

void readGptq(const Json& json, GptqSpec& gptq)
{
    TypedReader(json, "gptq")
        .read("act_order", gptq.actOrder)
        .read("true_sequential", gptq.trueSequential)
        .read("static_groups", gptq.staticGroups)
        .read("damp_percent", gptq.dampPercent)
        .finish();
}

void readAwq(const Json& json, AwqSpec& awq)
{
    TypedReader(json, "awq").read("ratios", awq.ratios).read("clip", awq.clip).finish();
}

void readSmooth(const Json& json, SmoothSpec& smooth)
{
    TypedReader(json, "smooth").read("alpha", smooth.alpha).finish();
}

void readActivation(const Json& json, ActivationSpec& activation)
{
    TypedReader(json, "activation")
        .read("format", activation.format)
        .read("bits", activation.bits)
        .read("block_size", activation.blockSize)
        .read("zero_point", activation.zeroPoint)
        .read("scale", activation.scale)
        .read("attention", activation.attention)
        .read("points", activation.points)
        .finish();
}

void readKvCache(const Json& json, KvCacheSpec& kvCache)
{
    TypedReader(json, "kv_cache")
        .read("format", kvCache.format)
        .read("bits", kvCache.bits)
        .finish();
}

void readCalibration(const Json& json, CalibrationSpec& calibration)
{
    TypedReader(json, "calibration")
        .read("text", calibration.text)
        .read("nsamples", calibration.nsamples)
        .read("seqlen", calibration.seqlen)
        .read("windows", calibration.windows)
        .read("stat_batch", calibration.statBatch)
        .finish();
}

void readEvaluation(const Json& json, EvaluationSpec& evaluation)
{
    TypedReader(json, "evaluation")
        .read("text", evaluation.text)
        .read("seqlen", evaluation.seqlen)
        .read("windows", evaluation.windows)
        .read("protocol", evaluation.protocol)
        .read("compute", evaluation.compute)
        .finish();
}

LayerOverride readOverride(const Json& json, std::size_t index)
{
    LayerOverride entry;
    TypedReader in(json, message("overrides[", index, "]"));
    in.read("pattern", entry.pattern).read("bits", entry.bits);
    if (const Json* group = in.find("group_size")) {
        std::int64_t size = 0;
        if (!readGroupSize(*group, size)) {
            in.wrongType("group_size", *group);
        }
        entry.groupSize = size;
    }
    in.read("rank", entry.rank).read("skip", entry.skip).finish();
    return entry;
}

Json overrideToJson(const LayerOverride& entry)
{
    Json json{{"pattern", entry.pattern}};
    if (entry.bits) {
        json["bits"] = *entry.bits;
    }
    if (entry.groupSize) {
        json["group_size"] = groupSizeToJson(*entry.groupSize);
    }
    if (entry.rank) {
        json["rank"] = *entry.rank;
    }
    if (entry.skip) {
        json["skip"] = *entry.skip;
    }
    return json;
}
} // namespace

RunSpec runSpecFromJson(const Json& json)
{
    RunSpec spec;
    TypedReader in(json, "run spec");
    in.read("model", spec.model).read("method", spec.method);
    spec.weight = usualWeight(spec.method);
    if (const Json* part = in.find("weight")) {
        readWeight(*part, spec.weight);
    }
    if (const Json* part = in.find("low_rank")) {
        readLowRank(*part, spec.lowRank);
    }
    if (const Json* part = in.find("reconstruction")) {
        readReconstruction(*part, spec.reconstruction);
    }
    if (const Json* part = in.find("training")) {
        readTraining(*part, spec.training);
    }
    if (const Json* part = in.find("gptq")) {
        readGptq(*part, spec.gptq);
    }
    if (const Json* part = in.find("awq")) {
        readAwq(*part, spec.awq);
    }
    if (const Json* part = in.find("smooth")) {
        readSmooth(*part, spec.smooth);
    }
    if (const Json* part = in.find("activation")) {
        readActivation(*part, spec.activation);
    }
    if (const Json* part = in.find("kv_cache")) {
        readKvCache(*part, spec.kvCache);
    }
    if (const Json* part = in.find("calibration")) {
        readCalibration(*part, spec.calibration);
    }
    if (const Json* part = in.find("evaluation")) {
        readEvaluation(*part, spec.evaluation);
    }
    if (const Json* part = in.find("overrides")) {
        if (!part->is_array()) {
            in.wrongType("overrides", *part);
        }
        for (const Json& entry : *part) {
            spec.overrides.push_back(readOverride(entry, spec.overrides.size()));
        }
    }
    in.read("seed", spec.seed)
        .read("adjust", spec.adjust)
        .read("artifacts", spec.artifacts)
        .read("device", spec.device)
        .read("threads", spec.threads)
        .finish();
    return spec;
}

Json toJson(const RunSpec& spec)
{
    Json json;
    json["model"] = spec.model;
    json["method"] = spec.method;
    json["weight"] = {{"format", spec.weight.format},
                      {"bits", spec.weight.bits},
                      {"group_size", groupSizeToJson(spec.weight.groupSize)},
                      {"sym", spec.weight.sym},
                      {"scale_dtype", spec.weight.scaleDtype},
                      {"range", spec.weight.range},
                      {"range_norm", finiteOrNull(spec.weight.rangeNorm)},
                      {"range_steps", spec.weight.rangeSteps},
                      {"exponent_bits", spec.weight.exponentBits},
                      {"mx_rule", spec.weight.mxRule}};
    json["low_rank"] = {{"rank", spec.lowRank.rank},
                        {"factor_bits", spec.lowRank.factorBits},
                        {"factor_block", spec.lowRank.factorBlock},
                        {"statistic", spec.lowRank.statistic},
                        {"reduce", spec.lowRank.reduce},
                        {"solver", spec.lowRank.solver},
                        {"correction", spec.lowRank.correction}};
    json["reconstruction"] = {{"iterations", spec.reconstruction.iterations},
                              {"lr", finiteOrNull(spec.reconstruction.lr)},
                              {"rank", spec.reconstruction.rank},
                              {"rho", finiteOrNull(spec.reconstruction.rho)},
                              {"batch_size", spec.reconstruction.batchSize},
                              {"compute", spec.reconstruction.compute},
                              {"without", spec.reconstruction.without},
                              {"divisor", spec.reconstruction.divisor}};
    json["training"] = toJson(spec.training);
    json["gptq"] = {{"act_order", spec.gptq.actOrder},
                    {"true_sequential", spec.gptq.trueSequential},
                    {"static_groups", spec.gptq.staticGroups},
                    {"damp_percent", finiteOrNull(spec.gptq.dampPercent)}};
    json["awq"] = {{"ratios", spec.awq.ratios}, {"clip", spec.awq.clip}};
    json["smooth"] = {{"alpha", finiteOrNull(spec.smooth.alpha)}};
    json["activation"] = {
        {"format", spec.activation.format},        {"bits", spec.activation.bits},
        {"block_size", spec.activation.blockSize}, {"zero_point", spec.activation.zeroPoint},
        {"scale", spec.activation.scale},          {"attention", spec.activation.attention},
        {"points", spec.activation.points}};
    json["kv_cache"] = {{"format", spec.kvCache.format}, {"bits", spec.kvCache.bits}};
    json["calibration"] = {{"text", spec.calibration.text},
                           {"nsamples", spec.calibration.nsamples},
                           {"seqlen", spec.calibration.seqlen},
                           {"windows", spec.calibration.windows},
                           {"stat_batch", spec.calibration.statBatch}};
    json["evaluation"] = {{"text", spec.evaluation.text},
                          {"seqlen", spec.evaluation.seqlen},
                          {"windows", spec.evaluation.windows},
                          {"protocol", spec.evaluation.protocol},
                          {"compute", spec.evaluation.compute}};
    Json overrides = Json::array();
    for (const LayerOverride& entry : spec.overrides) {
        overrides.push_back(overrideToJson(entry));
    }
    json["overrides"] = std::move(overrides);
    json["seed"] = spec.seed;
    json["adjust"] = spec.adjust;
    json["artifacts"] = spec.artifacts;
    json["device"] = spec.device;
    json["threads"] = spec.threads;
    return json;
}

WeightSpec usualWeight(const std::string& method)
{
    WeightSpec weight;
    if (trainsModel(method)) {
        weight.sym = true;
        weight.range = "lp";
        weight.rangeNorm = 4;
    }
    return weight;
}

RunSpec withMethod(RunSpec spec, const std::string& method)
{
    if (trainsModel(method) != trainsModel(spec.method)) {
        const WeightSpec usual = usualWeight(method);
        spec.weight.sym = usual.sym;
        spec.weight.range = usual.range;
        spec.weight.rangeNorm = usual.rangeNorm;
    }
    spec.method = method;
    const TrainingSpec usual;
    if (method == "lsq" || method == "peqa") {
        spec.training.rank = usual.rank;
        spec.training.alpha = usual.alpha;
        spec.training.phi = usual.phi;
        spec.training.init = usual.init;
    }
    if (method == "peqa") {
        spec.training.lr = usual.lr;
    }
    return spec;
}

Json groupSizeToJson(std::int64_t groupSize)
{
    if (groupSize == kPerChannel) {
        return "channel";
    }
    if (groupSize == kPerTensor) {
        return "tensor";
    }
    return groupSize;
}

std::int64_t groupSizeFromText(const std::string& text)
{
    if (text == "channel") {
        return kPerChannel;
    }
    if (text == "tensor") {
        return kPerTensor;
    }
    std::int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, problem] = std::from_chars(text.data(), end, value);
    QW_REQUIRE(problem == std::errc{} && stop == end && value > 0, ErrorCode::BadInput,
               "group_size \"", text, "\" is neither a positive number nor channel nor tensor");
    return value;
}

} // namespace qw
