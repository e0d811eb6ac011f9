#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/run_context.h"
#include "model/model_config.h"

namespace at {
class Tensor;
}

namespace qw {

struct TensorEntry;

/// A linear layer that methods may quantize.
struct LinearInfo {
    std::string name; ///< Hugging Face module path, for instance "model.layers.0.mlp.up_proj"
    LinearRole role = LinearRole::Query;
    std::int64_t block = 0;
    std::int64_t out = 0;
    std::int64_t in = 0;
    std::int64_t inputGroup = 0; ///< linears of a block with equal group read the same input
    bool hasBias = false;
    std::string dtype; ///< as stored
};

/// A model folder on disk: config, tensors borrowed from the maps, nothing loaded up front.
class Checkpoint
{
public:
    /// Opens a Hugging Face folder and checks every tensor the decoder needs against the config.
    /// @throws Error::NotFound, BadFile, Unsupported naming file, key or tensor
    explicit Checkpoint(const std::filesystem::path& folder);
    ~Checkpoint();
    Checkpoint(const Checkpoint&) = delete;
    Checkpoint& operator=(const Checkpoint&) = delete;

    const std::filesystem::path& folder() const;
    const ModelConfig& config() const;
    const std::vector<LinearInfo>& linears() const; ///< by block, in the order they run
    std::vector<LinearInfo> linearsOf(std::int64_t block) const;

    /// Parameters and bytes of all tensors the decoder uses.
    std::int64_t parameters() const;
    std::int64_t bytes() const;
    /// Anything unusual, in plain words (ignored tensors, padding rows, ...).
    const std::vector<std::string>& remarks() const;

    bool has(const std::string& tensor) const;
    /// Borrowed from the map, stored dtype and orientation. Name without guessing: as in the file.
    at::Tensor tensor(const std::string& name) const;
    /// Full tensor name for a module-relative one: "layers.0.input_layernorm.weight" -> prefixed.
    std::string fullName(const std::string& relative) const;
    /// [out, in] in the stored dtype, transposed view for Conv1D. Borrowed.
    at::Tensor linearWeight(const LinearInfo& linear) const;
    at::Tensor linearBias(const LinearInfo& linear) const; ///< undefined if none
    void releaseLinear(const LinearInfo& linear) const;    ///< pages back to the system
    void releaseBlock(std::int64_t block) const;
    void release(const std::string& tensor) const;

    /// XXH3-128 over config.json and the bytes of all tensors the decoder uses; read once.
    std::string hash(const RunContext& run = {}) const;

private:
    struct Private;
    std::unique_ptr<Private> d;
};

} // namespace qw
