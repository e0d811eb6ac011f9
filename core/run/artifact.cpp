#include "run/artifact.h"

#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "model/safetensors.h"

namespace qw {

namespace {
constexpr const char* kFingerprintFile = "fingerprint.txt";
constexpr const char* kDescriptionFile = "artifact.json";

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
} // namespace

void hashLinear(const QuantizedLinear& linear, Hasher& hasher)
{
    hasher.add(linear.name);
    hasher.add(describeFormat(linear).dump());
    for (const auto& [name, tensor] : toTensors(linear)) {
        const at::Tensor host = tensor.cpu().contiguous();
        hasher.add(name);
        hasher.add(std::as_bytes(std::span(static_cast<const char*>(host.data_ptr()),
                                           static_cast<std::size_t>(host.nbytes()))));
    }
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

void ArtifactFolder::create(bool resume) const
{
    const auto file = m_folder / kFingerprintFile;
    if (resume && std::filesystem::exists(file)) {
        QW_REQUIRE(readTextFile(file, 4096) == m_fingerprint, ErrorCode::Mismatch,
                   m_folder.string(),
                   ": cannot continue this run: the model, a text, the settings "
                   "or the program changed since it began");
        return;
    }
    std::error_code problem;
    std::filesystem::create_directories(m_folder, problem);
    QW_REQUIRE(!problem, ErrorCode::Io, m_folder.string(), ": cannot be made: ", problem.message());
    AtomicFile fingerprint(file);
    fingerprint.write(m_fingerprint);
    fingerprint.commit();
}

bool ArtifactFolder::hasBlock(std::int64_t block) const
{
    return std::filesystem::exists(blockFile(block));
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
    writeSafetensors(blockFile(block.block), tensors,
                     {{"qw_formats", formats.dump()},
                      {"qw_results", resultsToJson(block.results).dump()},
                      {"qw_substitutions", Json(block.substitutions).dump()},
                      {"qw_fingerprint", m_fingerprint}});
}

BlockArtifact ArtifactFolder::readBlock(std::int64_t block) const
{
    const SafetensorsFile file(blockFile(block));
    const auto text = [&](const char* key) -> const std::string& {
        const auto found = file.metadata().find(key);
        QW_REQUIRE(found != file.metadata().end(), ErrorCode::BadFile, file.path().string(),
                   ": has no ", key, " in its metadata, so it is no part of a run");
        return found->second;
    };
    const std::string where = file.path().string();
    BlockArtifact result;
    result.block = block;
    for (const Json& layer : parseJson(text("qw_formats"), where)) {
        const auto name = layer.at("name").get<std::string>();
        const std::string prefix = name + ".";
        std::map<std::string, at::Tensor> tensors;
        for (auto at = file.entries().lower_bound(prefix);
             at != file.entries().end() && at->first.rfind(prefix, 0) == 0; ++at) {
            // Copied out: the map must not outlive a file that somebody may replace.
            tensors.emplace(at->first.substr(prefix.size()), file.borrow(at->first).clone());
        }
        result.linears.push_back(quantizedLinearFrom(name, layer.at("format"), tensors));
    }
    result.results = resultsFromJson(parseJson(text("qw_results"), where));
    result.substitutions =
        parseJson(text("qw_substitutions"), where).get<std::vector<std::string>>();
    return result;
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

std::string ArtifactFolder::hash(std::int64_t blocks) const
{
    Hasher hasher;
    for (std::int64_t i = 0; i < blocks; ++i) {
        for (const QuantizedLinear& linear : readBlock(i).linears) {
            hashLinear(linear, hasher);
        }
    }
    return hasher.hex();
}

} // namespace qw
