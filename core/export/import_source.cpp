#include "export/import_source.h"

#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "export/export_files.h"
#include "export/folder_reader.h"
#include "export/gguf_folder.h"
#include "export/gguf_original.h"
#include "export/hf_folder.h"

namespace qw {

namespace {
constexpr std::int64_t kMostConfigBytes = 64 << 20;

bool isGguf(const std::filesystem::path& path)
{
    return path.extension() == ".gguf";
}

/// model.gguf, or the one GGUF file of a folder; empty if there is none, or several.
std::filesystem::path ggufIn(const std::filesystem::path& folder)
{
    std::error_code ignored;
    if (std::filesystem::exists(folder / kGgufModelFile, ignored)) {
        return folder / kGgufModelFile;
    }
    std::filesystem::path found;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
        if (isGguf(entry.path())) {
            if (!found.empty()) {
                return {};
            }
            found = entry.path();
        }
    }
    return found;
}

/// Where exports put the adapter of a GGUF model, if it is there.
std::filesystem::path adapterBeside(const std::filesystem::path& model)
{
    const std::string name = model.filename() == kGgufModelFile
                                 ? std::string(kGgufAdapterFile)
                                 : model.stem().string() + "-" + kGgufAdapterFile;
    const std::filesystem::path adapter = model.parent_path() / name;
    std::error_code ignored;
    return std::filesystem::exists(adapter, ignored) ? adapter : std::filesystem::path();
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
    requireSameSizes(theirs, ours, where);
    QW_REQUIRE(theirs.normEps == ours.normEps && theirs.rope.theta == ours.rope.theta &&
                   theirs.rope.type == ours.rope.type && theirs.rope.factor == ours.rope.factor,
               ErrorCode::Mismatch, where,
               ": its norms or rotary positions are set otherwise than the model's");
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

void requireSameSizes(const ModelConfig& theirs, const ModelConfig& ours, const std::string& where)
{
    requireSame("hidden size", theirs.hidden, ours.hidden, where);
    requireSame("MLP width", theirs.intermediate, ours.intermediate, where);
    requireSame("number of layers", theirs.layers, ours.layers, where);
    requireSame("number of heads", theirs.heads, ours.heads, where);
    requireSame("number of key-value heads", theirs.kvHeads, ours.kvHeads, where);
    requireSame("head size", theirs.headDim, ours.headDim, where);
    requireSame("vocabulary", theirs.vocabSize, ours.vocabSize, where);
}

std::optional<QuantizedFiles> findQuantized(const std::filesystem::path& path)
{
    if (isGguf(path)) {
        return QuantizedFiles{path, adapterBeside(path)};
    }
    std::error_code ignored;
    if (!std::filesystem::exists(path / "config.json", ignored)) {
        const std::filesystem::path file = ggufIn(path);
        return file.empty() ? std::nullopt
                            : std::optional(QuantizedFiles{file, adapterBeside(file)});
    }
    bool quantized = std::filesystem::exists(path / "quantize_config.json", ignored);
    try {
        const Json config = readJsonFile(path / "config.json", kMostConfigBytes);
        quantized = quantized ||
                    (config.is_object() && !config.value("quantization_config", Json()).is_null());
    } catch (const Error&) {
        // Whoever opens the folder will say what is wrong with it.
    }
    const std::filesystem::path adapter = path / kAdapterFolder;
    const bool corrected = std::filesystem::exists(adapter / "adapter_config.json", ignored);
    return quantized
               ? std::optional(QuantizedFiles{path, corrected ? adapter : std::filesystem::path()})
               : std::nullopt;
}

ImportSource openSource(const ImportOptions& options, const ModelConfig& config)
{
    ImportSource source;
    if (isGguf(options.source)) {
        GgufSource file(options.source);
        requireSameModel(file, config);
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

std::vector<std::string> writeOriginal(const std::filesystem::path& source,
                                       const std::filesystem::path& folder, const RunContext& run)
{
    if (isGguf(source)) {
        return writeGgufOriginal(source, folder, run);
    }
    Json config = configOf(source);
    const bool transposed = parseModelConfig(config, source.string()).arch->weightStoredInByOut;
    FolderReader reader(source, transposed);
    const auto layers = reader.codedLayers();
    const auto plain = reader.plainTensors();
    std::int64_t bytes = 0;
    for (const FolderReader::CodedLayer& layer : layers) {
        bytes += layer.out * layer.in * 4;
    }
    requireSpace(folder, bytes, "the values of the codes take");
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
    return {};
}

} // namespace qw
