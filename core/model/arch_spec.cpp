#include "model/arch_spec.h"

#include <algorithm>

namespace qw {

namespace {
std::vector<LinearName> llamaLinears()
{
    return {{LinearRole::Query, "self_attn.q_proj"}, {LinearRole::Key, "self_attn.k_proj"},
            {LinearRole::Value, "self_attn.v_proj"}, {LinearRole::AttentionOut, "self_attn.o_proj"},
            {LinearRole::Gate, "mlp.gate_proj"},     {LinearRole::Up, "mlp.up_proj"},
            {LinearRole::Down, "mlp.down_proj"}};
}

/// Llama, and with another id its close relatives.
ArchSpec llama(std::string_view id)
{
    ArchSpec spec;
    spec.id = id;
    spec.prefixes = {"model.", ""};
    spec.layers = "layers.";
    spec.embedding = "embed_tokens.weight";
    spec.attentionNorm = "input_layernorm";
    spec.mlpNorm = "post_attention_layernorm";
    spec.finalNorm = "norm";
    spec.lmHead = "lm_head.weight";
    spec.linears = llamaLinears();
    return spec;
}

ArchSpec qwen3()
{
    ArchSpec spec = llama("qwen3");
    spec.queryKeyNorm = true;
    return spec;
}

ArchSpec opt()
{
    ArchSpec spec;
    spec.id = "opt";
    spec.norm = Norm::Layer;
    spec.mlp = Mlp::Relu;
    spec.position = Position::Learned;
    spec.positionOffset = 2;
    spec.prefixes = {"model.decoder.", "decoder.", ""};
    spec.layers = "layers.";
    spec.embedding = "embed_tokens.weight";
    spec.positions = "embed_positions.weight";
    spec.attentionNorm = "self_attn_layer_norm";
    spec.mlpNorm = "final_layer_norm";
    spec.finalNorm = "final_layer_norm";
    spec.lmHead = "lm_head.weight";
    spec.linears = {{LinearRole::Query, "self_attn.q_proj"},
                    {LinearRole::Key, "self_attn.k_proj"},
                    {LinearRole::Value, "self_attn.v_proj"},
                    {LinearRole::AttentionOut, "self_attn.out_proj"},
                    {LinearRole::Up, "fc1"},
                    {LinearRole::Down, "fc2"}};
    return spec;
}

ArchSpec gpt2()
{
    ArchSpec spec;
    spec.id = "gpt2";
    spec.norm = Norm::Layer;
    spec.mlp = Mlp::GeluTanh;
    spec.position = Position::Learned;
    spec.weightStoredInByOut = true;
    spec.prefixes = {"transformer.", ""};
    spec.layers = "h.";
    spec.embedding = "wte.weight";
    spec.positions = "wpe.weight";
    spec.attentionNorm = "ln_1";
    spec.mlpNorm = "ln_2";
    spec.finalNorm = "ln_f";
    spec.lmHead = "lm_head.weight";
    spec.linears = {{LinearRole::FusedQkv, "attn.c_attn"},
                    {LinearRole::AttentionOut, "attn.c_proj"},
                    {LinearRole::Up, "mlp.c_fc"},
                    {LinearRole::Down, "mlp.c_proj"}};
    return spec;
}

ArchSpec gptNeoX()
{
    ArchSpec spec;
    spec.id = "gpt_neox";
    spec.norm = Norm::Layer;
    spec.mlp = Mlp::GeluErf;
    spec.qkvInterleavedPerHead = true;
    spec.prefixes = {"gpt_neox.", ""};
    spec.layers = "layers.";
    spec.embedding = "embed_in.weight";
    spec.attentionNorm = "input_layernorm";
    spec.mlpNorm = "post_attention_layernorm";
    spec.finalNorm = "final_layer_norm";
    spec.lmHead = "embed_out.weight";
    spec.linears = {{LinearRole::FusedQkv, "attention.query_key_value"},
                    {LinearRole::AttentionOut, "attention.dense"},
                    {LinearRole::Up, "mlp.dense_h_to_4h"},
                    {LinearRole::Down, "mlp.dense_4h_to_h"}};
    return spec;
}
} // namespace

std::span<const ArchSpec> knownArchitectures()
{
    static const std::vector<ArchSpec> kArchs = {
        llama("llama"), llama("mistral"), llama("qwen2"), qwen3(), opt(), gpt2(), gptNeoX()};
    return kArchs;
}

const ArchSpec* findArchitecture(std::string_view modelType)
{
    const auto all = knownArchitectures();
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const ArchSpec& spec) { return spec.id == modelType; });
    return found == all.end() ? nullptr : &*found;
}

} // namespace qw
