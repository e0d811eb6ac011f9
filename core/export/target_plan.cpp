#include "export/target_plan.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "export/gguf_model.h"
#include "quant/activation_quantizer.h"

namespace qw {

namespace {
struct Target {
    const char* id;
    const char* title;
    std::function<TargetPlan(const RunFacts&, const ExportOptions&)> plan;
};

const std::vector<Target>& targets()
{
    static const std::vector<Target> kTargets{
        {"compressed-tensors", "compressed-tensors for transformers and vLLM",
         planCompressedTensors},
        {"gguf", "GGUF for llama.cpp", planGguf},
        {"gptq", "GPTQ checkpoint", planGptq},
        {"awq", "AWQ checkpoint", planAwq},
        {"peft", "PEFT LoRA adapter", planPeft},
        {"safetensors", "Dequantized safetensors", planSafetensors},
    };
    return kTargets;
}

std::string choices()
{
    std::string text;
    for (const Target& target : targets()) {
        if (!text.empty()) {
            text += ", ";
        }
        text += target.id;
    }
    return text;
}

at::ScalarType typeNamed(const std::string& name)
{
    return name == "f16" ? at::kHalf : name == "bf16" ? at::kBFloat16 : at::kFloat;
}

bool holds(at::ScalarType type, const LayerFacts& layer)
{
    return type == at::kFloat || (type == at::kHalf ? layer.f16Scales : layer.bf16Scales);
}
} // namespace

std::vector<std::string> exportTargets()
{
    std::vector<std::string> ids;
    for (const Target& target : targets()) {
        ids.emplace_back(target.id);
    }
    return ids;
}

TargetPlan planTarget(const RunFacts& facts, const ExportOptions& options)
{
    const auto found = std::find_if(targets().begin(), targets().end(), [&](const Target& target) {
        return target.id == options.target;
    });
    QW_REQUIRE(found != targets().end(), ErrorCode::BadInput, "cannot export to \"", options.target,
               "\": use one of ", choices());
    const auto oneOf = [](const std::string& value, std::initializer_list<const char*> known) {
        return value.empty() || std::find(known.begin(), known.end(), value) != known.end();
    };
    QW_REQUIRE(oneOf(options.dtype, {"f32", "f16", "bf16"}), ErrorCode::BadInput, "dtype \"",
               options.dtype, "\" is not f32, f16 or bf16");
    QW_REQUIRE(oneOf(options.lora, {"separate", "merge"}), ErrorCode::BadInput, "lora \"",
               options.lora, "\" is not separate or merge");
    QW_REQUIRE(options.gptqVersion == 1 || options.gptqVersion == 2, ErrorCode::BadInput,
               "there is no GPTQ version ", options.gptqVersion, ", only 1 and 2");
    TargetPlan plan = found->plan(facts, options);
    plan.shown.target = found->id;
    plan.shown.title = found->title;
    return plan;
}

at::ScalarType typeOfPlain(const TargetPlan& plan, const ModelConfig& config,
                           const std::string& name, const at::Tensor& tensor)
{
    const std::string positions =
        std::string(config.arch->prefixes.front()) + std::string(config.arch->positions);
    const bool wide = tensor.dim() == 1 || name == positions;
    return plan.shown.target == "gguf" && wide ? at::kFloat : plan.dtype;
}

bool writesCodes(const TargetPlan& plan, const std::string& layer)
{
    const auto type = plan.ggufTypes.find(layer);
    return plan.layers.contains(layer) ||
           (type != plan.ggufTypes.end() && ggufBlock(type->second) > 1);
}

void refuse(TargetPlan& plan, const std::string& reason, const std::string& nearest)
{
    plan.shown.possible = false;
    plan.shown.lossless = false;
    plan.shown.refusal = reason;
    plan.shown.nearest = nearest;
}

void lose(TargetPlan& plan, const std::string& sentence)
{
    plan.shown.lossless = false;
    plan.shown.lost.push_back(sentence);
}

void loseActivations(TargetPlan& plan, const RunFacts& facts)
{
    for (const LayerFacts& layer : facts.layers) {
        if (layer.activation.active()) {
            lose(plan, "the quantization of activations (" + describe(layer.activation) +
                           "): inputs of layers stay as they are");
            break;
        }
    }
    if (facts.attentionQuantized) {
        lose(plan, "the quantization of the operands of attention");
    }
    if (facts.kvCacheQuantized) {
        lose(plan, "the quantization of keys and values");
    }
}

void chooseFactors(TargetPlan& plan, const RunFacts& facts, const ExportOptions& options,
                   bool mergedByDefault)
{
    const bool merge = options.lora.empty() ? mergedByDefault : options.lora == "merge";
    plan.mergeFactors = facts.rank > 0 && merge;
    plan.separateFactors = facts.rank > 0 && !merge;
    if (plan.separateFactors) {
        plan.shown.notes.emplace_back(
            "the low-rank correction is a LoRA adapter in the subfolder adapter; without it the "
            "model is the quantized base alone");
    }
}

bool requireFactorsApart(TargetPlan& plan, const RunFacts& facts, const ExportOptions& options)
{
    chooseFactors(plan, facts, options, false);
    if (plan.mergeFactors) {
        refuse(plan,
               "codes cannot take up the low-rank correction; leave it separate, or choose "
               "safetensors, where it is merged",
               "safetensors");
        return false;
    }
    return true;
}

at::ScalarType dtypeFor(const RunFacts& facts, const ExportOptions& options)
{
    if (!options.dtype.empty()) {
        return typeNamed(options.dtype);
    }
    for (const at::ScalarType type : {facts.stored, at::kHalf}) {
        if (std::all_of(facts.layers.begin(), facts.layers.end(),
                        [&](const LayerFacts& layer) { return holds(type, layer); })) {
            return type;
        }
    }
    return at::kFloat;
}

void loseRoundedTensors(TargetPlan& plan, const RunFacts& facts)
{
    const bool exact =
        plan.dtype == at::kFloat || (plan.dtype == at::kHalf ? facts.f16Plain : facts.bf16Plain);
    if (!exact) {
        lose(plan,
             message("embeddings, norms and biases are rounded from ", typeTitle(facts.stored),
                     " to ", typeTitle(plan.dtype), "; the type F32 keeps them"));
    }
}

void loseRoundedScales(TargetPlan& plan, const RunFacts& facts, at::ScalarType type)
{
    const auto rounded =
        std::count_if(facts.layers.begin(), facts.layers.end(),
                      [&](const LayerFacts& layer) { return !holds(type, layer); });
    if (rounded > 0) {
        lose(plan,
             message("scales of ", counted(rounded, "layer"), " are rounded to ", typeTitle(type)));
    }
}

std::int64_t codedBytes(const LayerFacts& layer, const LayerStorage& storage,
                        std::int64_t scaleBytes)
{
    const std::int64_t groups = layer.info.in / storage.group * layer.info.out;
    const std::int64_t zeros = storage.symmetric ? 0 : groups * storage.bits / 8;
    return layer.info.out * layer.info.in * storage.bits / 8 + groups * scaleBytes + zeros;
}

std::int64_t factorBytes(const RunFacts& facts)
{
    std::int64_t bytes = 0;
    for (const LayerFacts& layer : facts.layers) {
        bytes += layer.rank > 0 ? 4 * facts.rank * (layer.info.in + layer.info.out) : 0;
    }
    return bytes;
}

const char* typeTitle(at::ScalarType type)
{
    return type == at::kHalf ? "F16" : type == at::kBFloat16 ? "BF16" : "F32";
}

} // namespace qw
