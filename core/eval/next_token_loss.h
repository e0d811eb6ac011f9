#pragma once

#include <ATen/core/Tensor.h>

#include "base/run_context.h"
#include "model/decoder.h"

namespace qw {

/// Loss of some windows and its gradient.
struct NextTokenLoss {
    double nll = 0;      ///< sum over predictions, nats
    at::Tensor gradient; ///< of the hidden states, [B, T, hidden] float32
};

/// Next-token loss of the last hidden states: logits exist for a few rows at a time, and each chunk
/// becomes its own gradient in place.
/// @param hidden [B, T, hidden] float32; @param ids [B, T] int64, whose next ones are predicted
/// @param scale  of the gradient: one over the predictions of a step
NextTokenLoss nextTokenLoss(const Decoder& decoder, const at::Tensor& hidden, const at::Tensor& ids,
                            double scale, const RunContext& run);

/// The loss alone, as scoreWindows() sums it.
double nextTokenNll(const Decoder& decoder, const at::Tensor& hidden, const at::Tensor& ids,
                    const RunContext& run);

} // namespace qw
