#include "random_model.h"

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json_io.h"
#include "model/byte_level.h"
#include "model/safetensors.h"

namespace qw {

namespace {
constexpr double kStandardDeviation = 0.02;
constexpr std::int64_t kBytesPerValue = 2;
constexpr std::int64_t kEndOfText = 256; // after the 256 bytes

using Announced = SafetensorsWriter::Announced;

/// All tensors in the order of the file. A norm has one dimension.
std::vector<Announced> tensorsOf(const RandomModelSpec& spec)
{
    std::vector<Announced> tensors;
    const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
        tensors.push_back({name + ".weight", "BF16", std::move(shape)});
    };
    const std::int64_t keys = spec.hidden / spec.heads * spec.kvHeads;
    add("model.embed_tokens", {spec.vocabulary, spec.hidden});
    for (std::int64_t i = 0; i < spec.layers; ++i) {
        const std::string layer = message("model.layers.", i, ".");
        add(layer + "input_layernorm", {spec.hidden});
        add(layer + "self_attn.q_proj", {spec.hidden, spec.hidden});
        add(layer + "self_attn.k_proj", {keys, spec.hidden});
        add(layer + "self_attn.v_proj", {keys, spec.hidden});
        add(layer + "self_attn.o_proj", {spec.hidden, spec.hidden});
        add(layer + "post_attention_layernorm", {spec.hidden});
        add(layer + "mlp.gate_proj", {spec.intermediate, spec.hidden});
        add(layer + "mlp.up_proj", {spec.intermediate, spec.hidden});
        add(layer + "mlp.down_proj", {spec.hidden, spec.intermediate});
    }
    add("model.norm", {spec.hidden});
    if (!spec.tied) {
        add("lm_head", {spec.vocabulary, spec.hidden});
    }
    return tensors;
}

std::int64_t bytesOf(const Announced& tensor)
{
    std::int64_t bytes = kBytesPerValue;
    for (const std::int64_t dim : tensor.shape) {
        bytes *= dim;
    }
    return bytes;
}

void writeJson(const std::filesystem::path& file, const Json& json)
{
    AtomicFile out(file);
    out.write(json.dump(1));
    out.commit();
}

void writeConfig(const std::filesystem::path& folder, const RandomModelSpec& spec)
{
    writeJson(folder / "config.json", {{"architectures", {"LlamaForCausalLM"}},
                                       {"model_type", "llama"},
                                       {"hidden_size", spec.hidden},
                                       {"intermediate_size", spec.intermediate},
                                       {"num_hidden_layers", spec.layers},
                                       {"num_attention_heads", spec.heads},
                                       {"num_key_value_heads", spec.kvHeads},
                                       {"vocab_size", spec.vocabulary},
                                       {"max_position_embeddings", spec.maxPositions},
                                       {"hidden_act", "silu"},
                                       {"rms_norm_eps", 1e-5},
                                       {"rope_theta", 10000.0},
                                       {"tie_word_embeddings", spec.tied},
                                       {"eos_token_id", kEndOfText},
                                       {"torch_dtype", "bfloat16"}});
}

void writeTokenizer(const std::filesystem::path& folder)
{
    Json vocabulary = Json::object();
    for (int byte = 0; byte < kEndOfText; ++byte) {
        std::string token;
        tok::appendByteLevel(token, std::string(1, static_cast<char>(byte)));
        vocabulary[token] = byte;
    }
    const Json byteLevel = {{"type", "ByteLevel"},
                            {"add_prefix_space", false},
                            {"trim_offsets", true},
                            {"use_regex", true}};
    const Json end = {
        {"id", kEndOfText}, {"content", "<|endoftext|>"}, {"single_word", false}, {"lstrip", false},
        {"rstrip", false},  {"normalized", false},        {"special", true}};
    const Json model = {{"type", "BPE"},
                        {"dropout", nullptr},
                        {"unk_token", nullptr},
                        {"continuing_subword_prefix", nullptr},
                        {"end_of_word_suffix", nullptr},
                        {"fuse_unk", false},
                        {"byte_fallback", false},
                        {"ignore_merges", false},
                        {"vocab", vocabulary},
                        {"merges", Json::array()}};
    writeJson(folder / "tokenizer.json", {{"version", "1.0"},
                                          {"truncation", nullptr},
                                          {"padding", nullptr},
                                          {"added_tokens", Json::array({end})},
                                          {"normalizer", nullptr},
                                          {"pre_tokenizer", byteLevel},
                                          {"post_processor", nullptr},
                                          {"decoder", byteLevel},
                                          {"model", model}});
}

void writeWeights(const std::filesystem::path& file, const std::vector<Announced>& tensors,
                  at::Generator& generator)
{
    SafetensorsWriter writer(file, tensors);
    for (const Announced& tensor : tensors) {
        const at::Tensor values =
            tensor.shape.size() == 1
                ? at::ones(tensor.shape)
                : at::randn(tensor.shape, generator, at::kFloat).mul_(kStandardDeviation);
        writer.write(tensor.name, values.to(at::kBFloat16));
    }
    writer.finish();
}

std::vector<std::vector<Announced>> shardsOf(const RandomModelSpec& spec)
{
    std::vector<std::vector<Announced>> shards(1);
    std::int64_t held = 0;
    for (const Announced& tensor : tensorsOf(spec)) {
        if (spec.shardBytes > 0 && held > 0 && held + bytesOf(tensor) > spec.shardBytes) {
            shards.emplace_back();
            held = 0;
        }
        held += bytesOf(tensor);
        shards.back().push_back(tensor);
    }
    return shards;
}

void requireShape(const RandomModelSpec& spec)
{
    for (const std::int64_t size : {spec.hidden, spec.intermediate, spec.layers, spec.heads,
                                    spec.kvHeads, spec.maxPositions}) {
        QW_REQUIRE(size > 0, ErrorCode::BadInput, "every size must be above 0, not ", size);
    }
    QW_REQUIRE(spec.hidden % spec.heads == 0 && spec.hidden / spec.heads % 2 == 0,
               ErrorCode::BadInput, spec.heads, " heads do not share hidden size ", spec.hidden,
               " in even parts");
    QW_REQUIRE(spec.heads % spec.kvHeads == 0, ErrorCode::BadInput, spec.kvHeads,
               " key-value heads do not divide ", spec.heads, " heads");
    QW_REQUIRE(spec.vocabulary > kEndOfText, ErrorCode::BadInput, "a vocabulary of ",
               spec.vocabulary, " is too small; the bytes and one more take ", kEndOfText + 1);
}
} // namespace

void writeRandomModel(const std::filesystem::path& folder, const RandomModelSpec& spec)
{
    requireShape(spec);
    std::error_code problem;
    std::filesystem::create_directories(folder, problem);
    QW_REQUIRE(!problem, ErrorCode::Io, folder.string(), ": cannot be made: ", problem.message());
    writeConfig(folder, spec);
    writeTokenizer(folder);
    at::Generator generator = at::detail::createCPUGenerator(spec.seed);
    const auto shards = shardsOf(spec);
    if (shards.size() == 1) {
        writeWeights(folder / "model.safetensors", shards.front(), generator);
        return;
    }
    Json map = Json::object();
    std::int64_t total = 0;
    for (std::size_t i = 0; i < shards.size(); ++i) {
        char name[64];
        std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, shards.size());
        writeWeights(folder / name, shards[i], generator);
        for (const Announced& tensor : shards[i]) {
            map[tensor.name] = name;
            total += bytesOf(tensor);
        }
    }
    writeJson(folder / "model.safetensors.index.json",
              {{"metadata", {{"total_size", total}}}, {"weight_map", map}});
}

} // namespace qw
