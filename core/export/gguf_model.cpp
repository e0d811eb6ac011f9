#include "export/gguf_model.h"

#include <cmath>
#include <map>
#include <numbers>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include "base/error.h"

namespace qw {

namespace {
/// Parts of a layer, whatever the architecture: no two of them share a name.
const std::map<std::string, std::string>& layerParts()
{
    static const std::map<std::string, std::string> kParts{
        {"input_layernorm", "attn_norm"},
        {"ln_1", "attn_norm"},
        {"self_attn.q_proj", "attn_q"},
        {"self_attn.k_proj", "attn_k"},
        {"self_attn.v_proj", "attn_v"},
        {"attn.c_attn", "attn_qkv"},
        {"attention.query_key_value", "attn_qkv"},
        {"self_attn.o_proj", "attn_output"},
        {"attn.c_proj", "attn_output"},
        {"attention.dense", "attn_output"},
        {"self_attn.q_norm", "attn_q_norm"},
        {"self_attn.k_norm", "attn_k_norm"},
        {"post_attention_layernorm", "ffn_norm"},
        {"ln_2", "ffn_norm"},
        {"mlp.gate_proj", "ffn_gate"},
        {"mlp.up_proj", "ffn_up"},
        {"mlp.c_fc", "ffn_up"},
        {"mlp.dense_h_to_4h", "ffn_up"},
        {"mlp.down_proj", "ffn_down"},
        {"mlp.c_proj", "ffn_down"},
        {"mlp.dense_4h_to_h", "ffn_down"},
    };
    return kParts;
}

std::uint32_t u32(std::int64_t value)
{
    return static_cast<std::uint32_t>(value);
}

bool rotatesNeighbours(const ModelConfig& config)
{
    return ggufArchitecture(config) == "llama";
}
} // namespace

std::string ggufArchitecture(const ModelConfig& config)
{
    static const std::map<std::string, std::string> kNames{
        {"llama", "llama"}, {"mistral", "llama"}, {"qwen2", "qwen2"},
        {"qwen3", "qwen3"}, {"gpt2", "gpt2"},     {"gpt_neox", "gptneox"}};
    const auto found = kNames.find(config.modelType);
    return found == kNames.end() ? "" : found->second;
}

std::string ggufProblem(const ModelConfig& config)
{
    if (ggufArchitecture(config).empty()) {
        return config.modelType == "opt" ? "OPT is not supported by llama.cpp"
                                         : config.modelType + " is not supported by llama.cpp";
    }
    if (config.rope.type == "dynamic") {
        return "llama.cpp has no dynamic scaling of rotary positions";
    }
    if (config.modelType == "qwen3" && (config.attentionOutBias || config.qkvBias)) {
        return "llama.cpp has no biases in Qwen3's attention";
    }
    if (config.modelType == "qwen2" && config.heads * config.headDim != config.hidden) {
        return "llama.cpp needs Qwen2's heads to fill the hidden size";
    }
    if (config.scaleByInverseLayer || !config.scaleAttention) {
        return "llama.cpp scales GPT-2's attention in the usual way only, and this model does not";
    }
    if (config.mlp == Mlp::Relu) {
        return "llama.cpp has no ReLU in this architecture";
    }
    return {};
}

std::string ggufName(const ModelConfig& config, const std::string& tensor)
{
    const ArchSpec& arch = *config.arch;
    const std::string prefix(arch.prefixes.front());
    if (tensor == arch.lmHead) {
        return "output.weight";
    }
    if (tensor == prefix + std::string(arch.embedding)) {
        return "token_embd.weight";
    }
    if (!arch.positions.empty() && tensor == prefix + std::string(arch.positions)) {
        return "position_embd.weight";
    }
    const std::size_t dot = tensor.rfind('.');
    const std::string kind = tensor.substr(dot);
    const std::string module = tensor.substr(0, dot);
    if (module == prefix + std::string(arch.finalNorm)) {
        return "output_norm" + kind;
    }
    const std::string layers = prefix + std::string(arch.layers);
    const std::size_t end = module.find('.', layers.size());
    const auto part = layerParts().find(end == std::string::npos ? "" : module.substr(end + 1));
    QW_REQUIRE(module.rfind(layers, 0) == 0 && part != layerParts().end(), ErrorCode::Internal,
               tensor, ": has no name in GGUF");
    return "blk." + module.substr(layers.size(), end - layers.size()) + "." + part->second + kind;
}

at::Tensor ggufRows(const ModelConfig& config, LinearRole role)
{
    const std::int64_t width = config.headDim;
    if (role == LinearRole::FusedQkv && config.arch->qkvInterleavedPerHead) {
        return at::arange(3 * config.heads * width, at::kLong)
            .view({config.heads, 3, width})
            .transpose(0, 1)
            .flatten();
    }
    if (rotatesNeighbours(config) && (role == LinearRole::Query || role == LinearRole::Key)) {
        const std::int64_t heads = role == LinearRole::Query ? config.heads : config.kvHeads;
        return at::arange(heads * width, at::kLong)
            .view({heads, 2, width / 2})
            .transpose(1, 2)
            .flatten();
    }
    return {};
}

at::Tensor ggufRopeFactors(const RopeSettings& rope)
{
    if (rope.type != "llama3") {
        return {};
    }
    at::Tensor factors = at::empty({rope.rotaryDims / 2}, at::kFloat);
    const auto original = static_cast<double>(rope.originalMaxPositions);
    for (std::int64_t i = 0; i < factors.numel(); ++i) {
        const double frequency = std::pow(rope.theta, -2.0 * static_cast<double>(i) /
                                                          static_cast<double>(rope.rotaryDims));
        const double wavelength = 2 * std::numbers::pi / frequency;
        double factor = 1;
        if (wavelength > original / rope.lowFreqFactor) {
            factor = rope.factor;
        } else if (wavelength >= original / rope.highFreqFactor) {
            const double blend = (original / wavelength - rope.lowFreqFactor) /
                                 (rope.highFreqFactor - rope.lowFreqFactor);
            factor = 1 / ((1 - blend) / rope.factor + blend);
        }
        factors.data_ptr<float>()[i] = static_cast<float>(factor);
    }
    return factors;
}

GgufMetadata ggufHyperParameters(const RunFacts& facts, const std::string& name,
                                 std::uint32_t fileType)
{
    const ModelConfig& c = facts.config;
    const std::string arch = ggufArchitecture(c);
    GgufMetadata keys{{"general.architecture", arch},
                      {"general.type", std::string("model")},
                      {"general.name", name},
                      {"general.quantization_version", std::uint32_t{2}},
                      {"general.file_type", fileType}};
    const auto add = [&](const char* key, GgufValue value) {
        keys.emplace_back(arch + "." + key, std::move(value));
    };
    add("context_length", u32(c.maxPositions));
    add("embedding_length", u32(c.hidden));
    add("block_count", u32(c.layers));
    add("feed_forward_length", u32(c.intermediate));
    add("attention.head_count", u32(c.heads));
    add("attention.head_count_kv", u32(c.kvHeads));
    add("vocab_size", u32(c.vocabSize));
    add(c.arch->norm == Norm::Rms ? "attention.layer_norm_rms_epsilon"
                                  : "attention.layer_norm_epsilon",
        static_cast<float>(c.normEps));
    if (c.headDim * c.heads != c.hidden || c.modelType == "qwen3") {
        add("attention.key_length", u32(c.headDim));
        add("attention.value_length", u32(c.headDim));
    }
    if (c.arch->position == Position::Rotary) {
        add("rope.freq_base", static_cast<float>(c.rope.theta));
        add("rope.dimension_count", u32(c.rope.rotaryDims));
        if (c.rope.type == "linear") {
            add("rope.scaling.type", std::string("linear"));
            add("rope.scaling.factor", static_cast<float>(c.rope.factor));
        }
    }
    if (arch == "gptneox") {
        add("use_parallel_residual", c.parallelResidual);
    }
    return keys;
}

} // namespace qw
