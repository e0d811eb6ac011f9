#pragma once

#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/checkpoint.h"
#include "report/run_result.h"
#include "run/artifact.h"

namespace qw {

using TensorMap = std::map<std::string, at::Tensor>;

/// A block of the model that a run made, or what lies outside the blocks. Names are those of the
/// full Hugging Face model, whatever prefix its files have.
struct ModelPart {
    std::int64_t block = -1;              ///< -1: outside the blocks
    std::vector<QuantizedLinear> linears; ///< at their deployed rank
    TensorMap keptLinears;                ///< module -> [out, in], not quantized
    TensorMap plain;          ///< norms, biases, embeddings, by tensor name, as the files hold them
    ReplacedTensors replaced; ///< those of the above that the run made
};

/// A part of the model itself, in full precision: all its linears are in keptLinears.
ModelPart originalPart(const Checkpoint& checkpoint, std::int64_t block);

/// The model of a stored run, a part at a time: what every export is made of. Tensors of the
/// original are borrowed from its map, and what the run replaced stands in for them.
class RunModel
{
public:
    /// @throws Error as storedArtifact() and requireSameModel() do
    RunModel(const RunResult& run, const RunContext& context);

    const RunResult& run() const { return m_run; }
    const Checkpoint& checkpoint() const { return m_checkpoint; }
    const ModelConfig& config() const { return m_checkpoint.config(); }
    const ArtifactFolder& artifact() const { return m_artifact; }
    const ModelArtifact& outside() const { return m_outside; }
    /// Whether the head shares the embedding's tensor, after what the run replaced.
    bool tied() const;
    /// @param block  -1: outside the blocks. @throws Error::Unsupported for a replaced tensor that
    /// the architecture has no place for
    ModelPart part(std::int64_t block) const;
    void release(std::int64_t block) const;

private:
    RunResult m_run;
    Checkpoint m_checkpoint;
    ArtifactFolder m_artifact;
    ModelArtifact m_outside;
};

/// "model.layers.0.mlp.up_proj" -> "model.layers.0."
std::string layerPrefix(const ModelConfig& config, std::int64_t block);

} // namespace qw
