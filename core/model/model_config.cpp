#include "model/model_config.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace qw {

namespace {
constexpr std::int64_t kLargestDimension = std::int64_t{1} << 28;

/// config.json with the class defaults of each architecture; a present null is kept apart from a
/// missing key where the difference matters.
class ConfigReader
{
public:
    ConfigReader(const Json& json, std::string where) : m_json(json), m_where(std::move(where)) {}

    bool present(const char* key) const
    {
        const auto found = m_json.find(key);
        return found != m_json.end() && !found->is_null();
    }
    bool isNull(const char* key) const
    {
        const auto found = m_json.find(key);
        return found != m_json.end() && found->is_null();
    }
    std::int64_t dimension(const char* key, std::int64_t fallback, std::int64_t minimum = 1) const
    {
        if (!present(key)) {
            return fallback;
        }
        const Json& value = m_json.at(key);
        QW_REQUIRE(value.is_number_integer(), ErrorCode::BadFile, m_where, ": \"", key,
                   "\" is not a whole number: ", value.dump());
        const auto number = value.get<std::int64_t>();
        QW_REQUIRE(number >= minimum && number <= kLargestDimension, ErrorCode::BadFile, m_where,
                   ": \"", key, "\" is ", value.dump(), ", outside ", minimum, "..",
                   kLargestDimension);
        return number;
    }
    double number(const char* key, double fallback) const
    {
        if (!present(key)) {
            return fallback;
        }
        const Json& value = m_json.at(key);
        QW_REQUIRE(value.is_number(), ErrorCode::BadFile, m_where, ": \"", key,
                   "\" is not a number: ", value.dump());
        const auto result = value.get<double>();
        QW_REQUIRE(std::isfinite(result), ErrorCode::BadFile, m_where, ": \"", key,
                   "\" is not finite");
        return result;
    }
    bool flag(const char* key, bool fallback) const
    {
        if (!present(key)) {
            return fallback;
        }
        const Json& value = m_json.at(key);
        QW_REQUIRE(value.is_boolean(), ErrorCode::BadFile, m_where, ": \"", key,
                   "\" is not true or false: ", value.dump());
        return value.get<bool>();
    }
    std::string text(const char* key, const std::string& fallback) const
    {
        if (!present(key)) {
            return fallback;
        }
        const Json& value = m_json.at(key);
        QW_REQUIRE(value.is_string(), ErrorCode::BadFile, m_where, ": \"", key,
                   "\" is not a string: ", value.dump());
        return value.get<std::string>();
    }
    const Json& json() const { return m_json; }
    const std::string& where() const { return m_where; }

private:
    const Json& m_json;
    std::string m_where;
};

Mlp activation(const std::string& name, bool gated, const std::string& where)
{
    if (gated) {
        QW_REQUIRE(name == "silu" || name == "swish", ErrorCode::Unsupported, where,
                   ": hidden_act \"", name, "\" is not supported here, only silu");
        return Mlp::GatedSilu;
    }
    if (name == "relu") {
        return Mlp::Relu;
    }
    if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast") {
        return Mlp::GeluTanh;
    }
    QW_REQUIRE(name == "gelu", ErrorCode::Unsupported, where, ": activation \"", name,
               "\" is not supported, only relu, gelu and gelu_new");
    return Mlp::GeluErf;
}

/// v4: rope_theta and rope_scaling; v5: rope_parameters.
void readRope(const ConfigReader& config, ModelConfig& out, double defaultTheta, double defaultPct)
{
    RopeSettings& rope = out.rope;
    rope.theta = config.number("rope_theta", config.number("rotary_emb_base", defaultTheta));
    double pct = config.number("partial_rotary_factor", config.number("rotary_pct", defaultPct));
    const Json* scaling = nullptr;
    for (const char* key : {"rope_parameters", "rope_scaling"}) {
        if (config.present(key)) {
            scaling = &config.json().at(key);
            break;
        }
    }
    if (scaling != nullptr) {
        QW_REQUIRE(scaling->is_object(), ErrorCode::BadFile, config.where(),
                   ": the rope settings are not an object");
        const ConfigReader nested(*scaling, config.where() + ": rope settings");
        rope.type = nested.text("rope_type", nested.text("type", "default"));
        QW_REQUIRE(rope.type == "default" || rope.type == "linear" || rope.type == "dynamic" ||
                       rope.type == "llama3",
                   ErrorCode::Unsupported, config.where(), ": rope type \"", rope.type,
                   "\" is not supported, only default, linear, dynamic and llama3");
        rope.theta = nested.number("rope_theta", rope.theta);
        pct = nested.number("partial_rotary_factor", pct);
        rope.factor = nested.number("factor", 1);
        rope.lowFreqFactor = nested.number("low_freq_factor", 1);
        rope.highFreqFactor = nested.number("high_freq_factor", 4);
        rope.originalMaxPositions =
            nested.dimension("original_max_position_embeddings", out.maxPositions);
    }
    rope.originalMaxPositions = config.dimension(
        "original_max_position_embeddings",
        rope.originalMaxPositions > 0 ? rope.originalMaxPositions : out.maxPositions);
    QW_REQUIRE(rope.theta > 0 && rope.factor > 0 && pct > 0 && pct <= 1, ErrorCode::BadFile,
               config.where(), ": rope theta, factor or rotary share is out of range");
    rope.rotaryDims = static_cast<std::int64_t>(static_cast<double>(out.headDim) * pct);
    QW_REQUIRE(rope.rotaryDims % 2 == 0 && rope.rotaryDims > 0, ErrorCode::Unsupported,
               config.where(), ": ", rope.rotaryDims,
               " rotary dimensions; an even number is needed");
}

void readSlidingWindow(const ConfigReader& config, ModelConfig& out)
{
    out.slidingWindow.assign(static_cast<std::size_t>(out.layers), 0);
    std::int64_t window = 0;
    std::int64_t firstLayer = 0;
    if (out.modelType == "mistral") {
        window = config.isNull("sliding_window") ? 0 : config.dimension("sliding_window", 4096);
    } else if (out.modelType == "qwen2" || out.modelType == "qwen3") {
        if (!config.flag("use_sliding_window", false)) {
            return;
        }
        window = config.isNull("sliding_window") ? 0 : config.dimension("sliding_window", 4096);
        firstLayer = config.dimension("max_window_layers", 28, 0);
    }
    if (window == 0) {
        return;
    }
    const bool typed = config.present("layer_types") && config.json().at("layer_types").is_array();
    for (std::int64_t i = 0; i < out.layers; ++i) {
        bool slides = i >= firstLayer;
        if (typed && i < static_cast<std::int64_t>(config.json().at("layer_types").size())) {
            slides = config.json().at("layer_types").at(static_cast<std::size_t>(i)) ==
                     "sliding_attention";
        }
        out.slidingWindow[static_cast<std::size_t>(i)] = slides ? window : 0;
    }
    out.remarks.push_back(message("attention looks back ", window, " tokens in some layers"));
}

void readLlamaFamily(const ConfigReader& config, ModelConfig& out)
{
    const std::string& type = out.modelType;
    out.vocabSize = config.dimension("vocab_size", type.rfind("qwen", 0) == 0 ? 151936 : 32000);
    out.hidden = config.dimension("hidden_size", 4096);
    out.intermediate = config.dimension("intermediate_size", type == "mistral" ? 14336
                                                             : type == "llama" ? 11008
                                                                               : 22016);
    out.layers = config.dimension("num_hidden_layers", 32);
    out.heads = config.dimension("num_attention_heads", 32);
    const std::int64_t defaultKv = type == "llama" ? out.heads : type == "mistral" ? 8 : 32;
    out.kvHeads = config.isNull("num_key_value_heads")
                      ? out.heads
                      : config.dimension("num_key_value_heads", defaultKv);
    const bool qwen3Default = type == "qwen3" && !config.isNull("head_dim");
    out.headDim = config.dimension("head_dim", qwen3Default ? 128 : out.hidden / out.heads);
    out.maxPositions = config.dimension("max_position_embeddings", type == "llama"     ? 2048
                                                                   : type == "mistral" ? 131072
                                                                                       : 32768);
    out.normEps = config.number("rms_norm_eps", 1e-6);
    out.mlp = activation(config.text("hidden_act", "silu"), true, config.where());
    out.tiedEmbeddings = config.flag("tie_word_embeddings", false);
    const bool attentionBias = type != "mistral" && config.flag("attention_bias", false);
    out.qkvBias = type == "qwen2" || attentionBias;
    out.attentionOutBias = type != "qwen2" && attentionBias;
    out.mlpBias = type == "llama" && config.flag("mlp_bias", false);
    readRope(config, out, 10000, 1);
}

void readOpt(const ConfigReader& config, ModelConfig& out)
{
    out.vocabSize = config.dimension("vocab_size", 50272);
    out.hidden = config.dimension("hidden_size", 768);
    out.layers = config.dimension("num_hidden_layers", 12);
    out.intermediate = config.dimension("ffn_dim", 3072);
    out.heads = config.dimension("num_attention_heads", 12);
    out.maxPositions = config.dimension("max_position_embeddings", 2048);
    out.mlp = activation(config.text("activation_function", "relu"), false, config.where());
    out.preNorm = config.flag("do_layer_norm_before", true);
    out.finalNorm = out.preNorm && !config.flag("_remove_final_layer_norm", false);
    out.embeddingDim = config.dimension("word_embed_proj_dim", out.hidden);
    QW_REQUIRE(config.flag("layer_norm_elementwise_affine", true), ErrorCode::Unsupported,
               config.where(), ": layer norms without weights are not supported");
    const bool bias = config.flag("enable_bias", true);
    out.qkvBias = out.attentionOutBias = out.mlpBias = bias;
    out.tiedEmbeddings = config.flag("tie_word_embeddings", true);
}

void readGpt2(const ConfigReader& config, ModelConfig& out)
{
    out.vocabSize = config.dimension("vocab_size", 50257);
    out.hidden = config.dimension("n_embd", 768);
    out.layers = config.dimension("n_layer", 12);
    out.heads = config.dimension("n_head", 12);
    out.intermediate = config.dimension("n_inner", 4 * out.hidden);
    out.maxPositions = config.dimension("n_positions", config.dimension("n_ctx", 1024));
    out.mlp = activation(config.text("activation_function", "gelu_new"), false, config.where());
    out.normEps = config.number("layer_norm_epsilon", 1e-5);
    out.scaleAttention = config.flag("scale_attn_weights", true);
    out.scaleByInverseLayer = config.flag("scale_attn_by_inverse_layer_idx", false);
    out.qkvBias = out.attentionOutBias = out.mlpBias = true;
    out.tiedEmbeddings = config.flag("tie_word_embeddings", true);
}

void readNeoX(const ConfigReader& config, ModelConfig& out)
{
    out.vocabSize = config.dimension("vocab_size", 50432);
    out.hidden = config.dimension("hidden_size", 6144);
    out.layers = config.dimension("num_hidden_layers", 44);
    out.heads = config.dimension("num_attention_heads", 64);
    out.intermediate = config.dimension("intermediate_size", 24576);
    out.maxPositions = config.dimension("max_position_embeddings", 2048);
    out.mlp = activation(config.text("hidden_act", "gelu"), false, config.where());
    out.normEps = config.number("layer_norm_eps", 1e-5);
    out.parallelResidual = config.flag("use_parallel_residual", true);
    out.qkvBias = out.attentionOutBias = config.flag("attention_bias", true);
    out.mlpBias = true;
    out.tiedEmbeddings = config.flag("tie_word_embeddings", false);
    out.headDim = out.hidden / out.heads;
    readRope(config, out, 10000, 0.25);
}

void readTokens(const ConfigReader& config, ModelConfig& out)
{
    if (config.present("eos_token_id")) {
        const Json& eos = config.json().at("eos_token_id");
        if (eos.is_number_integer()) {
            out.eosTokens = {eos.get<std::int64_t>()};
        } else if (eos.is_array()) {
            for (const Json& id : eos) {
                QW_REQUIRE(id.is_number_integer(), ErrorCode::BadFile, config.where(),
                           ": \"eos_token_id\" holds ", id.dump());
                out.eosTokens.push_back(id.get<std::int64_t>());
            }
        }
    }
    out.bosToken = config.dimension("bos_token_id", -1, 0);
}
} // namespace

ModelConfig parseModelConfig(const Json& json, const std::string& where)
{
    QW_REQUIRE(json.is_object(), ErrorCode::BadFile, where, ": is not a JSON object");
    const ConfigReader config(json, where);
    ModelConfig out;
    out.modelType = config.text("model_type", "");
    out.arch = findArchitecture(out.modelType);
    std::string known;
    for (const ArchSpec& spec : knownArchitectures()) {
        known += (known.empty() ? "" : ", ") + std::string(spec.id);
    }
    QW_REQUIRE(out.arch != nullptr, ErrorCode::Unsupported, where, ": model_type \"", out.modelType,
               "\" is not supported; these are: ", known);
    QW_REQUIRE(!config.present("quantization_config"), ErrorCode::Unsupported, where,
               ": this model is quantized already (quantization_config); import it as a run "
               "(qw import), or open the original");
    if (out.modelType == "opt") {
        readOpt(config, out);
    } else if (out.modelType == "gpt2") {
        readGpt2(config, out);
    } else if (out.modelType == "gpt_neox") {
        readNeoX(config, out);
    } else {
        readLlamaFamily(config, out);
    }
    out.headDim = out.headDim > 0 ? out.headDim : out.hidden / out.heads;
    out.kvHeads = out.kvHeads > 0 ? out.kvHeads : out.heads;
    out.embeddingDim = out.embeddingDim > 0 ? out.embeddingDim : out.hidden;
    QW_REQUIRE(out.heads % out.kvHeads == 0, ErrorCode::BadFile, where, ": ", out.heads,
               " attention heads cannot share ", out.kvHeads, " key-value heads evenly");
    QW_REQUIRE(out.headDim > 0 && out.layers < 100000, ErrorCode::BadFile, where,
               ": head size or layer count is out of range");
    readSlidingWindow(config, out);
    readTokens(config, out);
    return out;
}

} // namespace qw
