#include "run/artifact.h"

#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json_problem.h"
#include "model/dtype.h"
#include "model/safetensors.h"

namespace qw {

namespace {
constexpr const char* kFingerprintFile = "fingerprint.txt";
constexpr const char* kFingerprintKey = "qw_fingerprint";
constexpr const char* kModelFile = "model.qw.safetensors";
constexpr const char* kDescriptionFile = "artifact.json";
/// Keeps them apart from the tensors of a linear, which begin with its name.
constexpr const char* kReplacedPrefix = "replaced.";
constexpr const char* kFoldedColumns = "folded_columns.";
constexpr const char* kFoldedRows = "folded_rows.";

Json resultsToJson(const std::vector<std::vector<LayerResult>>& results)
{
    Json all = Json::array();
    for (const std::vector<LayerResult>& layers : results) {
        RunResult carrier; // the one place that knows how layers are written
        carrier.layers = layers;
        all.push_back(toJson(carrier).at("layers"));
    }
    return all;
}

std::vector<std::vector<LayerResult>> resultsFromJson(const Json& all)
{
    std::vector<std::vector<LayerResult>> results;
    for (const Json& layers : all) {
        Json carrier = toJson(RunResult{});
        carrier["layers"] = layers;
        results.push_back(runResultFromJson(carrier).layers);
    }
    return results;
}

/// Empty, or what a block-wise method did.
Json blockToJson(const std::optional<BlockResult>& result)
{
    RunResult carrier;
    if (result) {
        carrier.blocks.push_back(*result);
    }
    return toJson(carrier).at("blocks");
}

std::optional<BlockResult> blockFromJson(const Json& blocks)
{
    Json carrier = toJson(RunResult{});
    carrier["blocks"] = blocks;
    const std::vector<BlockResult> results = runResultFromJson(carrier).blocks;
    return results.empty() ? std::nullopt : std::optional(results.front());
}

Json quantizersToJson(const ModelArtifact& model)
{
    Json json = {{"attention", activationToJson(model.attention)},
                 {"kv_cache", activationToJson(model.kvCache)}};
    if (model.heads.active()) { // not in artifacts of 0.1, whose hashes stay what they were
        json["heads"] = activationToJson(model.heads);
    }
    return json;
}

void addBytes(const at::Tensor& tensor, Hasher& hasher)
{
    const at::Tensor host = tensor.cpu().contiguous();
    hasher.add(std::as_bytes(std::span(static_cast<const char*>(host.data_ptr()),
                                       static_cast<std::size_t>(host.nbytes()))));
}

/// Temporary files of a process that was killed, or states to go on from.
void removeFiles(const std::filesystem::path& folder, const char* extension)
{
    std::error_code ignored;
    for (const auto& file : std::filesystem::directory_iterator(folder, ignored)) {
        if (file.path().extension() == extension) {
            std::filesystem::remove(file.path(), ignored);
        }
    }
}

void announce(const ReplacedTensors& replaced, std::map<std::string, at::Tensor>& tensors)
{
    for (const auto& [name, tensor] : replaced) {
        tensors.emplace(kReplacedPrefix + name, tensor);
    }
}

/// All tensors whose name begins so, without that beginning. Copied out: a map must not outlive a
/// file that somebody may replace.
std::map<std::string, at::Tensor> tensorsUnder(const std::string& prefix,
                                               const SafetensorsFile& file)
{
    std::map<std::string, at::Tensor> tensors;
    for (auto at = file.entries().lower_bound(prefix);
         at != file.entries().end() && at->first.rfind(prefix, 0) == 0; ++at) {
        tensors.emplace(at->first.substr(prefix.size()), file.borrow(at->first).clone());
        file.release(at->first);
    }
    return tensors;
}

ReplacedTensors replacedIn(const SafetensorsFile& file)
{
    ReplacedTensors replaced = tensorsUnder(kReplacedPrefix, file);
    for (const auto& [name, tensor] : replaced) {
        QW_REQUIRE(tensor.is_floating_point(), ErrorCode::BadFile, file.path().string(),
                   ": the replaced tensor \"", name, "\" holds no floating-point numbers");
    }
    return replaced;
}

std::map<std::string, LayerFold> foldsIn(const SafetensorsFile& file)
{
    std::map<std::string, LayerFold> folds;
    for (const auto& [layer, scale] : tensorsUnder(kFoldedColumns, file)) {
        folds[layer].columns = scale;
    }
    for (const auto& [layer, scale] : tensorsUnder(kFoldedRows, file)) {
        folds[layer].rows = scale;
    }
    return folds;
}

/// Each as long as its layer's side.
void requireFolds(const BlockArtifact& block, const std::string& where)
{
    for (const auto& [layer, fold] : block.folds) {
        const auto found = std::find_if(block.linears.begin(), block.linears.end(),
                                        [&](const QuantizedLinear& l) { return l.name == layer; });
        const auto fits = [](const at::Tensor& scale, std::int64_t size) {
            return !scale.defined() ||
                   (scale.scalar_type() == at::kFloat && scale.dim() == 1 && scale.size(0) == size);
        };
        QW_REQUIRE(found != block.linears.end() && fits(fold.columns, found->in) &&
                       fits(fold.rows, found->out),
                   ErrorCode::BadFile, where, ": what was folded into \"", layer,
                   "\" does not fit any of its layers");
    }
}

Json metadataOf(const SafetensorsFile& file, const char* key)
{
    const auto found = file.metadata().find(key);
    QW_REQUIRE(found != file.metadata().end(), ErrorCode::BadFile, file.path().string(),
               ": has no ", key, " in its metadata, so it is no part of a run");
    return parseJson(found->second, file.path().string());
}
} // namespace

void addToHash(const QuantizedLinear& linear, Hasher& hasher)
{
    hasher.add(linear.name);
    hasher.add(describeFormat(linear).dump());
    for (const auto& [name, tensor] : toTensors(linear)) {
        hasher.add(name);
        addBytes(tensor, hasher);
    }
}

void addToHash(const ReplacedTensors& replaced, Hasher& hasher)
{
    for (const auto& [name, tensor] : replaced) {
        hasher.add(message(name, " ", dtypeName(tensor.scalar_type()), " ", tensor.sizes()));
        addBytes(tensor, hasher);
    }
}

void addToHash(const ModelArtifact& model, Hasher& hasher)
{
    hasher.add(quantizersToJson(model).dump());
    addToHash(model.replaced, hasher);
}

std::int64_t bytesOf(const ReplacedTensors& replaced)
{
    std::int64_t bytes = 0;
    for (const auto& [name, tensor] : replaced) {
        bytes += static_cast<std::int64_t>(tensor.nbytes());
    }
    return bytes;
}

ArtifactFolder::ArtifactFolder(std::filesystem::path folder, std::string fingerprint)
    : m_folder(std::move(folder)), m_fingerprint(std::move(fingerprint))
{
}

std::filesystem::path ArtifactFolder::blockFile(std::int64_t block) const
{
    char name[40];
    std::snprintf(name, sizeof name, "block-%05lld.safetensors", static_cast<long long>(block));
    return m_folder / name;
}

std::filesystem::path ArtifactFolder::stateFile(std::int64_t block) const
{
    return blockFile(block).replace_extension(".state");
}

std::filesystem::path ArtifactFolder::modelFile() const
{
    return m_folder / kModelFile;
}

bool ArtifactFolder::begun(const std::filesystem::path& folder)
{
    return std::filesystem::exists(folder / kFingerprintFile);
}

void ArtifactFolder::makeFolder() const
{
    std::error_code problem;
    std::filesystem::create_directories(m_folder, problem);
    QW_REQUIRE(!problem, ErrorCode::Io, m_folder.string(), ": cannot be made: ", problem.message());
}

void ArtifactFolder::create(bool resume) const
{
    const auto file = m_folder / kFingerprintFile;
    if (resume && std::filesystem::exists(file)) {
        QW_REQUIRE(
            readTextFile(file, 4096) == m_fingerprint, ErrorCode::Mismatch, m_folder.string(),
            ": cannot continue this run: the model, a text, the settings, the "
            "number of threads, the runs that share its factors or the program changed since "
            "it began");
        removeFiles(m_folder, ".part");
        return;
    }
    removeFiles(m_folder, ".state"); // of a folder that lost its fingerprint: they bear none
    AtomicFile fingerprint(file);
    fingerprint.write(m_fingerprint);
    fingerprint.commit();
}

/// Whether it was also made under this fingerprint; whoever only reads has none, and takes any.
bool ArtifactFolder::hasBlock(std::int64_t block) const
{
    if (!std::filesystem::exists(blockFile(block))) {
        return false;
    }
    if (m_fingerprint.empty()) {
        return true;
    }
    const SafetensorsFile file(blockFile(block));
    const auto found = file.metadata().find(kFingerprintKey);
    return found != file.metadata().end() && found->second == m_fingerprint;
}

void ArtifactFolder::writeBlock(const BlockArtifact& block) const
{
    std::map<std::string, at::Tensor> tensors;
    Json formats = Json::array();
    for (const QuantizedLinear& linear : block.linears) {
        for (auto& [name, tensor] : toTensors(linear)) {
            tensors.emplace(linear.name + "." + name, tensor);
        }
        formats.push_back({{"name", linear.name}, {"format", describeFormat(linear)}});
    }
    announce(block.replaced, tensors);
    for (const auto& [layer, fold] : block.folds) {
        if (fold.columns.defined()) {
            tensors.emplace(kFoldedColumns + layer, fold.columns);
        }
        if (fold.rows.defined()) {
            tensors.emplace(kFoldedRows + layer, fold.rows);
        }
    }
    writeSafetensors(blockFile(block.block), tensors,
                     {{"qw_formats", formats.dump()},
                      {"qw_results", resultsToJson(block.results).dump()},
                      {"qw_substitutions", Json(block.substitutions).dump()},
                      {"qw_block", blockToJson(block.result).dump()},
                      {kFingerprintKey, m_fingerprint}});
}

BlockArtifact ArtifactFolder::readBlock(std::int64_t block) const
{
    const SafetensorsFile file(blockFile(block));
    const std::string where = file.path().string();
    BlockArtifact result;
    result.block = block;
    try {
        for (const Json& layer : metadataOf(file, "qw_formats")) {
            const auto name = layer.at("name").get<std::string>();
            result.linears.push_back(
                quantizedLinearFrom(name, layer.at("format"), tensorsUnder(name + ".", file)));
        }
        result.replaced = replacedIn(file);
        result.folds = foldsIn(file);
        requireFolds(result, where);
        result.results = resultsFromJson(metadataOf(file, "qw_results"));
        for (const std::vector<LayerResult>& layers : result.results) {
            QW_REQUIRE(layers.size() == result.linears.size(), ErrorCode::BadFile, where,
                       ": has the results of ", layers.size(), " layers, but ",
                       result.linears.size(), " layers");
        }
        result.substitutions = metadataOf(file, "qw_substitutions").get<std::vector<std::string>>();
        if (file.metadata().contains("qw_block")) { // not in artifacts of 0.1
            result.result = blockFromJson(metadataOf(file, "qw_block"));
        }
    } catch (const nlohmann::json::exception& problem) {
        throw Error(ErrorCode::BadFile,
                    message(where, ": its metadata is damaged: ", jsonProblem(problem)));
    }
    return result;
}

void ArtifactFolder::writeModel(const ModelArtifact& model) const
{
    std::map<std::string, at::Tensor> tensors;
    announce(model.replaced, tensors);
    std::map<std::string, std::string> metadata = {
        {"qw_quantizers", quantizersToJson(model).dump()}, {kFingerprintKey, m_fingerprint}};
    if (model.training) {
        metadata["qw_training"] = toJson(*model.training).dump();
    }
    writeSafetensors(modelFile(), tensors, metadata);
}

ModelArtifact ArtifactFolder::readModel() const
{
    const SafetensorsFile file(modelFile());
    ModelArtifact model;
    try {
        const Json quantizers = metadataOf(file, "qw_quantizers");
        const std::string where = file.path().string();
        model.attention = activationFromJson(quantizers.at("attention"), where);
        model.kvCache = activationFromJson(quantizers.at("kv_cache"), where);
        if (quantizers.contains("heads")) {
            model.heads = activationFromJson(quantizers.at("heads"), where);
        }
        if (file.metadata().contains("qw_training")) {
            model.training = trainingResultFromJson(metadataOf(file, "qw_training"));
        }
    } catch (const nlohmann::json::exception& problem) {
        throw Error(
            ErrorCode::BadFile,
            message(file.path().string(), ": its quantizers are damaged: ", jsonProblem(problem)));
    }
    model.replaced = replacedIn(file);
    return model;
}

void ArtifactFolder::finish(const Json& description) const
{
    AtomicFile file(m_folder / kDescriptionFile);
    file.write(description.dump(2));
    file.write("\n");
    file.commit();
}

bool ArtifactFolder::finished() const
{
    return std::filesystem::exists(m_folder / kDescriptionFile);
}

void ArtifactFolder::remove() const
{
    std::error_code ignored;
    std::filesystem::remove_all(m_folder, ignored);
}

} // namespace qw
