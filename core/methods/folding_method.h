#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "methods/fold.h"
#include "methods/method.h"

namespace qw {

/// What a method decides for one block before anything is rounded.
struct Folding {
    std::map<std::int64_t, at::Tensor> scales; ///< of the inputs, by input group, [in] float32
    /// Where folded weights are cut before they are rounded, by layer, [out, groups]; or missing.
    std::map<std::string, at::Tensor> bounds;
    std::map<std::int64_t, double> ratios; ///< AWQ's, that the scales come from, by input group
};

/// A method that scales the inputs of a block's layers, folds the scales away, and rounds to
/// nearest what comes of it: AWQ, SmoothQuant. It looks at the full-precision model only.
class FoldingMethod : public BlockMethod
{
public:
    bool quantizedInputs() const final { return false; }
    std::int64_t replacedBytes(const std::vector<LinearInfo>& linears, const ModelConfig& config,
                               const std::set<std::string>& quantized) const final;
    BlockOutcome quantize(const BlockTask& task, const RunContext& run) const final;

protected:
    /// The groups it would scale.
    virtual std::vector<FoldGroup> groups(const std::vector<LinearInfo>& linears,
                                          const ModelConfig& config,
                                          const std::set<std::string>& quantized) const = 0;
    virtual Folding fold(const BlockTask& task, const std::vector<FoldGroup>& groups,
                         const RunContext& run) const = 0;
};

/// The layer of a task by its name. @throws Error::Internal
const LayerTask& layerOf(const BlockTask& task, const std::string& name);
/// The block of the task with these scales folded in. @param groups  those that have a scale are
/// folded
FoldedBlock foldedBlock(const BlockTask& task, const std::vector<FoldGroup>& groups,
                        const std::map<std::int64_t, at::Tensor>& scales);

} // namespace qw
