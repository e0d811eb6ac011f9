#pragma once

#include <map>
#include <string>

#include <ATen/core/Tensor.h>

#include "methods/method.h"

namespace qw {

/// Squared error of a block's output summed over a window's tokens, averaged over windows and
/// features: what LRQ and FlexRound minimise. @param output, target [windows, tokens, hidden]
at::Tensor blockLoss(const at::Tensor& output, const at::Tensor& target);

/// The same over all windows of the task, float32. @param weights [out, in] by name of the layer
/// that they stand in for
double blockError(const BlockTask& task, const std::map<std::string, at::Tensor>& weights,
                  const RunContext& run);

} // namespace qw
