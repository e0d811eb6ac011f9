#pragma once

#include <filesystem>
#include <vector>

#include "export/encode.h"

namespace qw {

/// Writes tensors into a folder as one safetensors file, or as shards with an index, a shard in
/// memory at a time.
class ShardWriter
{
public:
    explicit ShardWriter(std::filesystem::path folder,
                         std::int64_t shardBytes = std::int64_t{2} << 30);
    void add(TensorMap tensors);
    void finish();

private:
    void flush();
    std::filesystem::path shardFile(std::size_t number, std::size_t count) const;

    std::filesystem::path m_folder;
    std::int64_t m_shardBytes;
    TensorMap m_pending;
    std::int64_t m_pendingBytes = 0;
    std::vector<std::vector<std::string>> m_written; ///< names, by shard
    std::int64_t m_totalBytes = 0;
};

/// Tokenizer and generation settings of the original, whatever of them is there.
void copyCompanions(const std::filesystem::path& from, const std::filesystem::path& to);

/// config.json of the export: the original's with the type of the weights and how codes are held.
void writeConfig(const std::filesystem::path& folder, const RunFacts& facts, const TargetPlan& plan,
                 const std::filesystem::path& original);

/// The content of config.json's "quantization_config", or null for plain weights.
Json quantizationConfig(const RunFacts& facts, const TargetPlan& plan);

/// adapter_config.json. @param base  folder or name of the base, or empty
void writeAdapterConfig(const std::filesystem::path& folder, const RunFacts& facts,
                        const std::string& base);

/// Pretty-printed, atomic.
void writeJson(const std::filesystem::path& file, const Json& json);

} // namespace qw
