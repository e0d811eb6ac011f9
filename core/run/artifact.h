#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/json_io.h"
#include "quant/quantized_linear.h"
#include "report/run_result.h"

namespace qw {

/// What one block of a run produced. Written as one safetensors file, so a block is either done or
/// not there at all: this is both the artifact and the checkpoint.
struct BlockArtifact {
    std::int64_t block = 0;
    std::vector<QuantizedLinear> linears;
    /// By spec of the sweep (one for a single run), then by linear.
    std::vector<std::vector<LayerResult>> results;
    std::vector<std::string> substitutions;
};

/// The folder of a run: block-00000.safetensors, ... and artifact.json.
class ArtifactFolder
{
public:
    /// @param fingerprint  of everything that decides the bits: model, texts, spec, versions
    ArtifactFolder(std::filesystem::path folder, std::string fingerprint);

    /// Starts afresh, or checks that what is there has the same fingerprint.
    /// @throws Error::Mismatch if a run is resumed with another model, text or spec; Io
    void create(bool resume) const;
    bool hasBlock(std::int64_t block) const;
    void writeBlock(const BlockArtifact& block) const;
    /// @throws Error::NotFound, BadFile naming file and layer
    BlockArtifact readBlock(std::int64_t block) const;
    /// Writes artifact.json, which says the run is whole.
    void finish(const Json& description) const;
    bool finished() const;
    const std::filesystem::path& folder() const { return m_folder; }
    void remove() const;

    /// One hash over names and bytes of all tensors of @p blocks blocks.
    std::string hash(std::int64_t blocks) const;

private:
    std::filesystem::path blockFile(std::int64_t block) const;
    std::filesystem::path m_folder;
    std::string m_fingerprint;
};

/// Adds the tensors of a linear to a running hash, in order of name.
void hashLinear(const QuantizedLinear& linear, Hasher& hasher);

} // namespace qw
