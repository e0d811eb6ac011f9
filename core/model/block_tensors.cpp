#include "model/block_tensors.h"

#include "model/arch_spec.h"

namespace qw {

std::map<std::string, at::Tensor*> tensorsOf(BlockWeights& block, const ArchSpec& arch)
{
    std::map<std::string, at::Tensor*> tensors;
    for (LinearWeights& linear : block.linears) {
        tensors[linear.info.name + ".weight"] = &linear.weight;
        tensors[linear.info.name + ".bias"] = &linear.bias;
    }
    const std::string layer = std::string(arch.prefixes.front()) + std::string(arch.layers) +
                              std::to_string(block.index) + ".";
    const auto addNorm = [&](const std::string& name, NormWeights& norm) {
        tensors[layer + name + ".weight"] = &norm.weight;
        if (arch.norm == Norm::Layer) {
            tensors[layer + name + ".bias"] = &norm.bias;
        }
    };
    addNorm(std::string(arch.attentionNorm), block.attentionNorm);
    addNorm(std::string(arch.mlpNorm), block.mlpNorm);
    if (arch.queryKeyNorm) {
        addNorm("self_attn.q_norm", block.queryNorm);
        addNorm("self_attn.k_norm", block.keyNorm);
    }
    return tensors;
}

} // namespace qw
