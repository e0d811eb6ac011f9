#include "export/import_source.h"

#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "export/folder_reader.h"
#include "export/gguf_folder.h"
#include "export/gguf_model.h"
#include "export/gguf_source.h"
#include "export/hf_folder.h"

namespace qw {

namespace {
constexpr std::int64_t kMostConfigBytes = 64 << 20;
constexpr std::int64_t kSpareBytes = std::int64_t{32} << 20;

bool isGguf(const std::filesystem::path& path)
{
    return path.extension() == ".gguf";
}

/// config.json of the model that was quantized.
Json configOf(const std::filesystem::path& folder)
{
    const auto file = folder / "config.json";
    QW_REQUIRE(std::filesystem::exists(file), ErrorCode::NotFound, folder.string(),
               ": holds no config.json; give the folder of a quantized model or a GGUF file");
    Json config = readJsonFile(file, kMostConfigBytes);
    QW_REQUIRE(config.is_object(), ErrorCode::BadFile, file.string(), ": is not a JSON object");
    config.erase("quantization_config");
    return config;
}

void requireSame(const char* what, std::int64_t theirs, std::int64_t ours, const std::string& where)
{
    QW_REQUIRE(theirs == ours, ErrorCode::Mismatch, where, ": its ", what, " is ", theirs,
               ", that of the model ", ours, ": it was made of another one");
}

void requireSameModel(const ModelConfig& theirs, const ModelConfig& ours, const std::string& where)
{
    QW_REQUIRE(theirs.modelType == ours.modelType, ErrorCode::Mismatch, where, ": is of type ",
               theirs.modelType, ", the model of type ", ours.modelType);
    requireSame("hidden size", theirs.hidden, ours.hidden, where);
    requireSame("MLP width", theirs.intermediate, ours.intermediate, where);
    requireSame("number of layers", theirs.layers, ours.layers, where);
    requireSame("number of heads", theirs.heads, ours.heads, where);
    requireSame("number of key-value heads", theirs.kvHeads, ours.kvHeads, where);
    requireSame("head size", theirs.headDim, ours.headDim, where);
    QW_REQUIRE(theirs.normEps == ours.normEps && theirs.rope.theta == ours.rope.theta &&
                   theirs.rope.type == ours.rope.type && theirs.rope.factor == ours.rope.factor,
               ErrorCode::Mismatch, where,
               ": its norms or rotary positions are set otherwise than the model's");
}

/// A GGUF file says less: names and sizes.
void requireSameModel(const GgufSource& file, const ModelConfig& ours)
{
    const std::string arch = ggufArchitecture(ours);
    QW_REQUIRE(!arch.empty() && file.architecture() == arch, ErrorCode::Mismatch, file.where(),
               ": holds a ", file.architecture(), " model, the model given is of type ",
               ours.modelType);
    const auto same = [&](const char* key, std::int64_t value) {
        requireSame(key, file.number(arch + "." + key), value, file.where());
    };
    same("block_count", ours.layers);
    same("embedding_length", ours.hidden);
    same("feed_forward_length", ours.intermediate);
    same("attention.head_count", ours.heads);
    const auto keys = file.findNumber(arch + ".attention.head_count_kv");
    requireSame("attention.head_count_kv", keys.value_or(static_cast<std::uint32_t>(ours.heads)),
                ours.kvHeads, file.where());
}

std::unique_ptr<AdapterReader> openAdapter(const std::filesystem::path& adapter,
                                           const ModelConfig& config)
{
    if (adapter.empty()) {
        return nullptr;
    }
    return isGguf(adapter) ? readGgufAdapter(adapter, config.heads, config.kvHeads)
                           : readPeft(adapter);
}
} // namespace

bool looksQuantized(const std::filesystem::path& source)
{
    std::error_code ignored;
    if (isGguf(source) || std::filesystem::exists(source / "quantize_config.json", ignored)) {
        return true;
    }
    try {
        const Json config = readJsonFile(source / "config.json", kMostConfigBytes);
        return config.is_object() && !config.value("quantization_config", Json()).is_null();
    } catch (const Error&) {
        return false;
    }
}

ImportSource openSource(const ImportOptions& options, const ModelConfig& config)
{
    ImportSource source;
    if (isGguf(options.source)) {
        requireSameModel(GgufSource(options.source), config);
        source.reader = readGguf(options.source);
        source.title = "GGUF";
    } else {
        const std::string where = (options.source / "config.json").string();
        requireSameModel(parseModelConfig(configOf(options.source), where), config, where);
        auto reader =
            std::make_unique<FolderReader>(options.source, config.arch->weightStoredInByOut);
        const QuantizationScheme& scheme = reader->scheme();
        QW_REQUIRE(!scheme.method().empty(), ErrorCode::BadInput, options.source.string(),
                   ": is not quantized (config.json has no quantization_config); open it as a "
                   "model");
        source.title = scheme.title();
        source.wrapsZeros = source.title == "GPTQ, version 1";
        source.tokenActivations = scheme.tokenActivations();
        source.notDone = scheme.notDone();
        source.reader = std::move(reader);
    }
    source.adapter = openAdapter(options.adapter, config);
    return source;
}

void writeOriginal(const std::filesystem::path& source, const std::filesystem::path& folder,
                   const RunContext& run)
{
    QW_REQUIRE(!isGguf(source), ErrorCode::BadInput, source.string(),
               ": give the folder of the model that it was made of (--model): GGUF files have "
               "neither its config.json nor its tokenizer.json");
    Json config = configOf(source);
    const bool transposed = parseModelConfig(config, source.string()).arch->weightStoredInByOut;
    FolderReader reader(source, transposed);
    const auto layers = reader.codedLayers();
    const auto plain = reader.plainTensors();
    std::int64_t bytes = kSpareBytes;
    for (const FolderReader::CodedLayer& layer : layers) {
        bytes += layer.out * layer.in * 4;
    }
    const std::int64_t free = freeBytes(folder);
    QW_REQUIRE(free >= bytes, ErrorCode::Io, folder.string(), ": the values of the codes take ",
               bytes / 1000000, " MB and ", free / 1000000, " MB are free");
    std::filesystem::create_directories(folder);
    run.beginPhase("dequantize", static_cast<std::int64_t>(layers.size() + plain.size()));
    ShardWriter shards(folder);
    std::int64_t done = 0;
    for (const std::string& name : plain) {
        run.checkpoint(done++, name);
        const at::Tensor tensor = reader.stored(name);
        if (tensor.is_floating_point()) { // others are masks and counters of old versions
            shards.add({{name, tensor}});
        }
    }
    for (const FolderReader::CodedLayer& layer : layers) {
        run.checkpoint(done++, layer.module);
        const at::Tensor weight = reader.linearWeight(layer.module, layer.out, layer.in);
        shards.add({{layer.module + ".weight", transposed ? weight.t().contiguous() : weight}});
    }
    shards.finish();
    config["torch_dtype"] = "float32";
    config["dtype"] = "float32";
    writeJson(folder / "config.json", config);
    copyCompanions(source, folder);
}

} // namespace qw
