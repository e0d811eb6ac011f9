#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/json_io.h"
#include "methods/fold.h"
#include "quant/quantized_linear.h"
#include "report/run_result.h"

namespace qw {

/// Tensors that stand in for the model's own, by full Hugging Face name:
/// "model.layers.0.input_layernorm.weight". Any float dtype.
using ReplacedTensors = std::map<std::string, at::Tensor>;

/// What one block of a run produced. Written as one safetensors file, so a block is either done or
/// not there at all: this is both the artifact and the checkpoint.
struct BlockArtifact {
    std::int64_t block = 0;
    std::vector<QuantizedLinear> linears;
    ReplacedTensors replaced; ///< folded norms, biases
    /// By layer, for those whose codes stand for a folded weight: what it takes to compare them
    /// with the model's own. No part of how the model computes.
    std::map<std::string, LayerFold> folds;
    /// By spec of the sweep (one for a single run), then by linear.
    std::vector<std::vector<LayerResult>> results;
    std::vector<std::string> substitutions;
    std::optional<BlockResult> result; ///< of a block-wise method
};

/// What a run produced for the model as a whole, outside its blocks.
struct ModelArtifact {
    ReplacedTensors replaced;      ///< embeddings, final norm, head
    ActivationQuantizer attention; ///< of the operands of QK^T and PV
    ActivationQuantizer kvCache;   ///< of keys before RoPE and of values, per token
    /// Of queries and keys after RoPE and of what attention makes, per token and head.
    ActivationQuantizer heads;
    std::optional<TrainingResult> training; ///< of a method that trains the whole model
};

/// The folder of a run: model.qw.safetensors, block-00000.safetensors, ... and artifact.json.
/// Together they are the run's model: whoever evaluates, plots or exports reads only this.
class ArtifactFolder
{
public:
    /// @param fingerprint  of everything that decides the bits: model, texts, spec, versions;
    /// empty: for whoever only reads, and takes the blocks of any
    ArtifactFolder(std::filesystem::path folder, std::string fingerprint);

    /// Whether a run began in this folder.
    static bool begun(const std::filesystem::path& folder);
    void makeFolder() const; ///< @throws Error::Io
    /// Who holds it (FileLock) is at work here.
    std::filesystem::path lockFile() const { return m_folder / kArtifactLock; }
    /// In the folder made and locked: starts afresh, or checks that what is there has the same
    /// fingerprint and sweeps up what a killed run left half written.
    /// @throws Error::Mismatch if a run is resumed with another model, text or spec; Io
    void create(bool resume) const;
    bool hasBlock(std::int64_t block) const;
    void writeBlock(const BlockArtifact& block) const;
    /// @throws Error::NotFound, BadFile naming file and layer
    BlockArtifact readBlock(std::int64_t block) const;
    /// Where a method that works long on a block keeps what it needs to go on.
    std::filesystem::path stateFile(std::int64_t block) const;
    /// The same for training, which works on all blocks.
    std::filesystem::path trainingFile() const { return m_folder / "training.state"; }
    void writeModel(const ModelArtifact& model) const;
    ModelArtifact readModel() const; ///< @throws Error::NotFound, BadFile
    /// Writes artifact.json, which says the run is whole.
    void finish(const Json& description) const;
    bool finished() const;
    const std::filesystem::path& folder() const { return m_folder; }
    void remove() const;

private:
    std::filesystem::path blockFile(std::int64_t block) const;
    std::filesystem::path modelFile() const;
    std::filesystem::path m_folder;
    std::string m_fingerprint;
};

/// Adds names, descriptions and bytes of all that decides how the model computes.
void addToHash(const QuantizedLinear& linear, Hasher& hasher);
void addToHash(const ReplacedTensors& replaced, Hasher& hasher);
void addToHash(const ModelArtifact& model, Hasher& hasher);

std::int64_t bytesOf(const ReplacedTensors& replaced);

} // namespace qw
