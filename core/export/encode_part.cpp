#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/ones.h>

#include "export/encode.h"

namespace qw {

namespace {
/// AWQ's layers of GPT-NeoX scale the activation before the second linear; by ones here.
void addAwqScales(TensorMap& tensors, const ModelPart& part, const ModelConfig& config)
{
    if (config.modelType == "gpt_neox" && part.block >= 0) {
        tensors[layerPrefix(config, part.block) + "mlp.act.scales"] =
            at::ones({config.intermediate}, at::kHalf);
    }
}

at::Tensor asStored(const at::Tensor& weight, const ModelConfig& config)
{
    return config.arch->weightStoredInByOut ? weight.t() : weight;
}
} // namespace

TensorMap encodePart(const ModelPart& part, const TargetPlan& plan, const ModelConfig& config)
{
    TensorMap tensors;
    for (const auto& [name, tensor] : part.plain) {
        tensors[name] = tensor.to(plan.dtype).contiguous();
    }
    for (const auto& [module, weight] : part.keptLinears) {
        tensors[module + ".weight"] = asStored(weight, config).to(plan.dtype).contiguous();
    }
    for (const QuantizedLinear& linear : part.linears) {
        if (plan.shown.target == "compressed-tensors") {
            tensors.merge(encodeCompressedTensors(linear, plan));
        } else if (plan.shown.target == "gptq") {
            tensors.merge(encodeGptq(linear, plan));
        } else if (plan.shown.target == "awq") {
            tensors.merge(encodeAwq(linear, plan));
        } else {
            const at::Tensor weight =
                plan.mergeFactors ? linear.dequantized() : linear.dequantizedCodes();
            tensors[linear.name + ".weight"] = asStored(weight, config).to(plan.dtype).contiguous();
        }
    }
    if (plan.shown.target == "awq") {
        addAwqScales(tensors, part, config);
    }
    return tensors;
}

TensorMap encodePeft(const ModelPart& part, std::int64_t rank)
{
    TensorMap tensors;
    for (const QuantizedLinear& linear : part.linears) {
        if (linear.rank() == 0) {
            continue;
        }
        const std::int64_t spare = rank - linear.rank();
        const std::string name = "base_model.model." + linear.name;
        tensors[name + ".lora_A.weight"] =
            at::constant_pad_nd(linear.a.deployed().t(), {0, 0, 0, spare}).contiguous();
        tensors[name + ".lora_B.weight"] =
            at::constant_pad_nd(linear.b.deployed().t(), {0, spare}).contiguous();
    }
    return tensors;
}

} // namespace qw
