#pragma once

#include <map>
#include <string>

#include <ATen/core/Tensor.h>

#include "methods/method.h"

namespace qw {

/// What the attention or the MLP of a full-precision block gets and makes in all windows, to run it
/// again with other weights.
class ModuleReplay
{
public:
    /// @param task  whose inputs are the full-precision model's. @throws Cancelled, Error::Io
    ModuleReplay(const BlockTask& task, BlockModule module, const RunContext& run);

    /// Mean squared error of the module's output. @param weights [out, in] by name of the layer
    /// that they stand in for
    double error(const std::map<std::string, at::Tensor>& weights, const RunContext& run) const;

private:
    const BlockTask& m_task;
    BlockModule m_module;
    std::int64_t m_perForward;
    HiddenStates m_inputs;
    HiddenStates m_outputs;
};

} // namespace qw
