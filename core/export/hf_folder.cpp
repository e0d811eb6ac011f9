#include "export/hf_folder.h"

#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "model/safetensors.h"

namespace qw {

namespace {
constexpr const char* kSingleFile = "model.safetensors";

void renameFile(const std::filesystem::path& from, const std::filesystem::path& to)
{
    std::error_code problem;
    std::filesystem::rename(from, to, problem);
    QW_REQUIRE(!problem, ErrorCode::Io, to.string(), ": cannot be written: ", problem.message());
}
} // namespace

ShardWriter::ShardWriter(std::filesystem::path folder, std::int64_t shardBytes)
    : m_folder(std::move(folder)), m_shardBytes(shardBytes)
{
}

std::filesystem::path ShardWriter::shardFile(std::size_t number, std::size_t count) const
{
    char name[64];
    std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", number, count);
    return m_folder / name;
}

void ShardWriter::add(TensorMap tensors)
{
    const std::int64_t bytes = bytesOf(tensors);
    if (m_pendingBytes > 0 && m_pendingBytes + bytes > m_shardBytes) {
        flush();
    }
    m_pendingBytes += bytes;
    for (auto& [name, tensor] : tensors) { // copied: a map of the original must not outlive it
        m_pending[name] = tensor.clone();
    }
}

void ShardWriter::flush()
{
    std::vector<std::string> names;
    for (const auto& [name, tensor] : m_pending) {
        names.push_back(name);
    }
    m_written.push_back(std::move(names));
    writeSafetensors(shardFile(m_written.size(), 0), m_pending);
    m_totalBytes += m_pendingBytes;
    m_pending.clear();
    m_pendingBytes = 0;
}

void ShardWriter::finish()
{
    flush();
    const std::size_t count = m_written.size();
    if (count == 1) {
        renameFile(shardFile(1, 0), m_folder / kSingleFile);
        return;
    }
    Json weightMap = Json::object();
    for (std::size_t i = 0; i < count; ++i) {
        const auto target = shardFile(i + 1, count);
        renameFile(shardFile(i + 1, 0), target);
        for (const std::string& name : m_written[i]) {
            weightMap[name] = target.filename().string();
        }
    }
    writeJson(m_folder / "model.safetensors.index.json",
              {{"metadata", {{"total_size", m_totalBytes}}}, {"weight_map", weightMap}});
}

void copyCompanions(const std::filesystem::path& from, const std::filesystem::path& to)
{
    for (const char* name : {"generation_config.json", "tokenizer.json", "tokenizer_config.json",
                             "special_tokens_map.json", "tokenizer.model", "vocab.json",
                             "merges.txt", "chat_template.jinja"}) {
        if (std::filesystem::exists(from / name)) {
            std::error_code problem;
            std::filesystem::copy_file(from / name, to / name, problem);
            QW_REQUIRE(!problem, ErrorCode::Io, (to / name).string(),
                       ": cannot be written: ", problem.message());
        }
    }
}

void writeJson(const std::filesystem::path& file, const Json& json)
{
    AtomicFile out(file);
    out.write(json.dump(2));
    out.write("\n");
    out.commit();
}

void writeConfig(const std::filesystem::path& folder, const RunFacts& facts, const TargetPlan& plan,
                 const std::filesystem::path& original)
{
    Json config = readJsonFile(original / "config.json", 1 << 20);
    const char* type = plan.dtype == at::kHalf       ? "float16"
                       : plan.dtype == at::kBFloat16 ? "bfloat16"
                                                     : "float32";
    config["torch_dtype"] = type; // transformers 4
    config["dtype"] = type;       // transformers 5
    if (facts.config.tiedEmbeddings && !facts.tied) {
        config["tie_word_embeddings"] = false;
    }
    const Json quantization = quantizationConfig(facts, plan);
    if (!quantization.is_null()) {
        config["quantization_config"] = quantization;
        if (plan.shown.target == "gptq") {
            writeJson(folder / "quantize_config.json", quantization);
        }
    }
    writeJson(folder / "config.json", config);
}

void writeAdapterConfig(const std::filesystem::path& folder, const RunFacts& facts,
                        const std::string& base)
{
    Json modules = Json::array();
    for (const LayerFacts& layer : facts.layers) {
        if (layer.rank > 0) {
            modules.push_back(layer.info.name);
        }
    }
    writeJson(folder / "adapter_config.json",
              {{"peft_type", "LORA"},
               {"task_type", "CAUSAL_LM"},
               {"base_model_name_or_path", base.empty() ? Json() : Json(base)},
               {"r", facts.rank},
               {"lora_alpha", facts.rank},
               {"target_modules", modules},
               {"lora_dropout", 0.0},
               {"bias", "none"},
               {"use_rslora", false},
               {"use_dora", false},
               {"modules_to_save", nullptr},
               {"inference_mode", true},
               {"init_lora_weights", true},
               {"rank_pattern", Json::object()},
               {"alpha_pattern", Json::object()},
               {"fan_in_fan_out", facts.config.arch->weightStoredInByOut}});
}

} // namespace qw
