#include "export/gguf_original.h"

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "export/export_files.h"
#include "export/gguf_folder.h"
#include "export/hf_folder.h"
#include "export/import_source.h"
#include "model/rope.h"

namespace qw {

namespace {
constexpr const char* kStretch = "rope_freqs.weight";
constexpr double kSameStretch = 1e-5; ///< of a divisor, computed in float32

/// llama.cpp's names of architectures and those of config.json.
constexpr std::pair<const char*, const char*> kArchitectures[] = {{"llama", "llama"},
                                                                  {"qwen2", "qwen2"},
                                                                  {"qwen3", "qwen3"},
                                                                  {"gpt2", "gpt2"},
                                                                  {"gptneox", "gpt_neox"}};

std::string modelTypeOf(const GgufSource& file)
{
    std::string known;
    for (const auto& [theirs, ours] : kArchitectures) {
        if (file.architecture() == theirs) {
            return ours;
        }
        known += (known.empty() ? "" : ", ") + std::string(theirs);
    }
    throw Error(ErrorCode::Unsupported, message(file.where(), ": holds a \"", file.architecture(),
                                                "\" model; supported: ", known));
}

/// The shortest decimal that gives a float: files hold 1e-5 as 9.999999747e-06.
double shortest(double value)
{
    char text[40];
    const auto end = std::to_chars(text, text + sizeof text, static_cast<float>(value));
    double result = 0;
    std::from_chars(text, end.ptr, result);
    return result;
}

/// Reads keys of the file's architecture.
class Keys
{
public:
    explicit Keys(const GgufSource& file) : m_file(file), m_prefix(file.architecture() + ".") {}
    std::int64_t number(const std::string& key) const { return m_file.number(m_prefix + key); }
    std::int64_t numberOr(const std::string& key, std::int64_t otherwise) const
    {
        return m_file.numberOr(m_prefix + key, otherwise);
    }
    double real(const std::string& key) const { return shortest(m_file.real(m_prefix + key)); }
    double realOr(const std::string& key, double otherwise) const
    {
        return shortest(m_file.realOr(m_prefix + key, otherwise));
    }
    std::string text(const std::string& key) const
    {
        const auto* found = m_file.find<std::string>(m_prefix + key);
        return found == nullptr ? "" : *found;
    }
    bool flagOr(const std::string& key, bool otherwise) const
    {
        const auto* found = m_file.find<bool>(m_prefix + key);
        return found == nullptr ? otherwise : *found;
    }

private:
    const GgufSource& m_file;
    std::string m_prefix;
};

/// Base and scaling, in the spelling that all versions of transformers read.
void addRotation(Json& config, const Keys& keys, const std::string& where)
{
    config["rope_theta"] = keys.realOr("rope.freq_base", 10000);
    const std::string scaling = keys.text("rope.scaling.type");
    const double old = keys.realOr("rope.scale_linear", 1); // before there were types
    if (scaling == "linear" || (scaling.empty() && old != 1)) {
        config["rope_scaling"] = {{"type", "linear"},
                                  {"rope_type", "linear"},
                                  {"factor", keys.realOr("rope.scaling.factor", old)}};
        return;
    }
    QW_REQUIRE(scaling.empty() || scaling == "none", ErrorCode::Unsupported, where,
               ": scales rotary positions by \"", scaling, "\", which is not supported");
}

Json llamaConfig(const GgufSource& file, const Keys& keys)
{
    const std::int64_t heads = keys.number("attention.head_count");
    const std::int64_t hidden = keys.number("embedding_length");
    QW_REQUIRE(heads > 0, ErrorCode::BadFile, file.where(), ": a model of no heads");
    const std::int64_t width = keys.numberOr("attention.key_length", hidden / heads);
    const std::int64_t rotated = keys.numberOr("rope.dimension_count", width);
    QW_REQUIRE(keys.numberOr("attention.value_length", width) == width && rotated == width,
               ErrorCode::Unsupported, file.where(), ": has heads of ", width,
               " of which it rotates ", rotated, "; only the same width for all is supported");
    QW_REQUIRE(keys.numberOr("expert_count", 0) == 0, ErrorCode::Unsupported, file.where(),
               ": is a mixture of experts, which is not supported");
    Json config{{"hidden_size", hidden},
                {"intermediate_size", keys.number("feed_forward_length")},
                {"num_hidden_layers", keys.number("block_count")},
                {"num_attention_heads", heads},
                {"num_key_value_heads", keys.numberOr("attention.head_count_kv", heads)},
                {"head_dim", width},
                {"max_position_embeddings", keys.number("context_length")},
                {"rms_norm_eps", keys.real("attention.layer_norm_rms_epsilon")},
                {"hidden_act", "silu"},
                {"attention_bias", file.has("blk.0.attn_q.bias")},
                {"mlp_bias", file.has("blk.0.ffn_up.bias")}};
    addRotation(config, keys, file.where());
    return config;
}

Json gpt2Config(const Keys& keys)
{
    return {{"n_embd", keys.number("embedding_length")},
            {"n_inner", keys.number("feed_forward_length")},
            {"n_layer", keys.number("block_count")},
            {"n_head", keys.number("attention.head_count")},
            {"n_positions", keys.number("context_length")},
            {"n_ctx", keys.number("context_length")},
            {"layer_norm_epsilon", keys.real("attention.layer_norm_epsilon")},
            {"activation_function", "gelu_new"}};
}

Json neoxConfig(const GgufSource& file, const Keys& keys)
{
    const std::int64_t heads = keys.number("attention.head_count");
    const std::int64_t hidden = keys.number("embedding_length");
    QW_REQUIRE(heads > 0 && hidden >= heads, ErrorCode::BadFile, file.where(),
               ": a model of no heads");
    const std::int64_t width = hidden / heads;
    Json config{{"hidden_size", hidden},
                {"intermediate_size", keys.number("feed_forward_length")},
                {"num_hidden_layers", keys.number("block_count")},
                {"num_attention_heads", heads},
                {"max_position_embeddings", keys.number("context_length")},
                {"layer_norm_eps", keys.real("attention.layer_norm_epsilon")},
                {"hidden_act", "gelu"},
                {"rotary_pct", static_cast<double>(keys.numberOr("rope.dimension_count", width)) /
                                   static_cast<double>(width)},
                {"use_parallel_residual", keys.flagOr("use_parallel_residual", true)},
                {"attention_bias", file.has("blk.0.attn_qkv.bias")}};
    addRotation(config, keys, file.where());
    config["rotary_emb_base"] = config["rope_theta"];
    return config;
}

/// What Llama 3's plain frequencies are divided by, as settings have it.
at::Tensor stretchOf(const RopeSettings& rope)
{
    RopeSettings plain = rope;
    plain.type = "default";
    return rotaryFrequencies(plain, rope.theta) / rotaryFrequencies(rope, rope.theta);
}

bool stretchesAs(const at::Tensor& divisors, const RopeSettings& rope)
{
    const at::Tensor meant = stretchOf(rope);
    return divisors.sizes() == meant.sizes() &&
           (divisors - meant).abs().le(kSameStretch * meant).all().item<bool>();
}

/// The settings that give the file's divisors: the factors of all published models are the same but
/// for one, which is the largest divisor.
void addStretch(Json& config, GgufSource& file, const RopeSettings& plain)
{
    const at::Tensor divisors = file.values(kStretch);
    RopeSettings rope = plain;
    rope.type = "llama3";
    rope.factor = divisors.max().item<double>();
    rope.lowFreqFactor = 1;
    rope.highFreqFactor = 4;
    rope.originalMaxPositions = 8192;
    QW_REQUIRE(stretchesAs(divisors, rope), ErrorCode::Unsupported, file.where(),
               ": stretches rotary positions (", kStretch,
               ") in another way than Llama 3; give the folder of the model that it was made of "
               "(--model)");
    config["rope_scaling"] = {{"rope_type", rope.type},
                              {"factor", rope.factor},
                              {"low_freq_factor", rope.lowFreqFactor},
                              {"high_freq_factor", rope.highFreqFactor},
                              {"original_max_position_embeddings", rope.originalMaxPositions}};
}

/// A tensor of the model, by its Hugging Face name.
struct Name {
    std::string tensor;
    bool linear = false; ///< the weight of a linear layer
};

/// All that the model has, and those biases that the file has.
std::vector<Name> namesOf(const ModelConfig& config, const ExportReader& reader)
{
    const ArchSpec& arch = *config.arch;
    const std::string prefix(arch.prefixes.front());
    std::vector<Name> names{{prefix + std::string(arch.embedding)}};
    const auto add = [&](const std::string& module, bool linear) {
        names.push_back({module + ".weight", linear});
        if (reader.has(module + ".bias")) {
            names.push_back({module + ".bias"});
        }
    };
    if (!arch.positions.empty()) {
        names.push_back({prefix + std::string(arch.positions)});
    }
    add(prefix + std::string(arch.finalNorm), false);
    if (!config.tiedEmbeddings) {
        names.push_back({std::string(arch.lmHead)});
    }
    for (std::int64_t block = 0; block < config.layers; ++block) {
        const std::string layer = layerPrefix(config, block);
        add(layer + std::string(arch.attentionNorm), false);
        add(layer + std::string(arch.mlpNorm), false);
        if (arch.queryKeyNorm) {
            add(layer + "self_attn.q_norm", false);
            add(layer + "self_attn.k_norm", false);
        }
        for (const LinearName& linear : arch.linears) {
            add(layer + std::string(linear.name), true);
        }
    }
    return names;
}

void requireSame(const GgufSource& file, const char* what, double theirs, double ours)
{
    QW_REQUIRE(static_cast<float>(theirs) == static_cast<float>(ours), ErrorCode::Mismatch,
               file.where(), ": its ", what, " is ", theirs, ", that of the model ", ours,
               ": it was made of another one");
}
} // namespace

Json ggufConfig(const GgufSource& file)
{
    const std::string type = modelTypeOf(file);
    const Keys keys(file);
    Json config{{"model_type", type}};
    config.update(type == "gpt2"       ? gpt2Config(keys)
                  : type == "gpt_neox" ? neoxConfig(file, keys)
                                       : llamaConfig(file, keys));
    const std::int64_t layers = keys.number("block_count");
    QW_REQUIRE(file.has(message("blk.", layers - 1, ".attn_norm.weight")), ErrorCode::BadFile,
               file.where(), ": says that it has ", layers, " layers, and does not hold the last");
    config["vocab_size"] = file.shape("token_embd.weight").front();
    config["tie_word_embeddings"] = !file.has("output.weight");
    config["torch_dtype"] = "float32";
    config["dtype"] = "float32";
    for (const char* token : {"bos_token_id", "eos_token_id"}) {
        if (const auto* id = file.find<std::int64_t>(std::string("tokenizer.ggml.") + token)) {
            config[token] = *id;
        }
    }
    return config;
}

void requireSameModel(GgufSource& file, const ModelConfig& config)
{
    const ModelConfig theirs = parseModelConfig(ggufConfig(file), file.where());
    const bool llama = config.modelType == "mistral" && theirs.modelType == "llama";
    QW_REQUIRE(llama || theirs.modelType == config.modelType, ErrorCode::Mismatch, file.where(),
               ": holds a ", file.architecture(), " model, the model given is of type ",
               config.modelType);
    requireSameSizes(theirs, config, file.where());
    requireSame(file, "norms' epsilon", theirs.normEps, config.normEps);
    if (config.arch->position != Position::Rotary) {
        return;
    }
    const RopeSettings& rope = config.rope;
    requireSame(file, "rotary base", theirs.rope.theta, rope.theta);
    requireSame(file, "number of rotary dimensions", static_cast<double>(theirs.rope.rotaryDims),
                static_cast<double>(rope.rotaryDims));
    const bool linear = rope.type == "linear";
    requireSame(file, "scaling of rotary positions", theirs.rope.factor, linear ? rope.factor : 1);
    QW_REQUIRE(file.has(kStretch) ? stretchesAs(file.values(kStretch), rope)
                                  : rope.type != "llama3",
               ErrorCode::Mismatch, file.where(), ": stretches rotary positions (", kStretch,
               ") otherwise than the model");
}

std::vector<std::string> writeGgufOriginal(const std::filesystem::path& file,
                                           const std::filesystem::path& folder,
                                           const RunContext& run)
{
    GgufSource source(file);
    Json json = ggufConfig(source);
    const ModelConfig config = parseModelConfig(json, file.string());
    if (source.has(kStretch)) {
        addStretch(json, source, config.rope);
    }
    const auto reader = readGguf(file);
    const std::vector<Name> names = namesOf(config, *reader);
    requireSpace(folder, source.elements() * 4, "the values of the codes take");
    std::filesystem::create_directories(folder);
    run.beginPhase("dequantize", static_cast<std::int64_t>(names.size()));
    ShardWriter shards(folder);
    std::int64_t done = 0;
    for (const Name& name : names) {
        run.checkpoint(done++, name.tensor);
        const at::Tensor values = reader->tensor(name.tensor);
        const bool turned = name.linear && config.arch->weightStoredInByOut;
        QW_REQUIRE(!turned || values.dim() == 2, ErrorCode::BadFile, file.string(), ": tensor \"",
                   name.tensor, "\" is no matrix");
        shards.add({{name.tensor, turned ? values.t().contiguous() : values}});
    }
    shards.finish();
    writeJson(folder / "config.json", json);
    std::vector<std::string> lacking;
    if (const std::string problem = writeGgufTokenizer(source, folder); !problem.empty()) {
        lacking.push_back(problem);
    }
    return lacking;
}

} // namespace qw
