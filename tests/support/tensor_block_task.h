#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include "methods/method.h"

namespace qw::test {

/// The first block of a golden model as a task of a block-wise method: what flows into it,
/// statistics of that, and what full precision makes of it.
struct GoldenBlock {
    Checkpoint checkpoint;
    Decoder decoder;
    BlockWeights weights;
    RunSpec spec;
    HiddenStates inputs, targets;
    std::map<std::int64_t, std::unique_ptr<InputStatistics>> statistics; ///< by input group
    std::uint64_t seed = 0; ///< others give the block and its layers other ones

    GoldenBlock(const std::string& model, const at::Tensor& ids);
    BlockTask task(const std::filesystem::path& stateFile = {}) const;
    /// By the method of the spec.
    BlockOutcome quantize(const std::filesystem::path& stateFile = {},
                          const RunContext& run = {}) const;
    /// The block as the outcome's replaced tensors and folds make it, nothing rounded.
    BlockWeights folded(const BlockOutcome& outcome) const;
    /// blockError() of the block as deployed.
    double errorAfter(const BlockOutcome& outcome) const;
};

} // namespace qw::test
