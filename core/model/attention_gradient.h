#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "model/attention.h"
#include "model/simd.h"

namespace qw {

/// causalAttention() on the CPU as autograd sees it: probabilities are computed anew for the
/// gradient, tile by tile, so that no T x T matrix is kept. Parallel over heads; the result does
/// not depend on the number of threads.
at::Tensor differentiableAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const AttentionOptions& options);

/// Gradients of causalAttention()'s q, k and v for that of its result. @param simd  what the
/// processor may be asked for; @return in the types and shapes of q, k, v
std::vector<at::Tensor> attentionGradients(const at::Tensor& q, const at::Tensor& k,
                                           const at::Tensor& v, const at::Tensor& gradient,
                                           const AttentionOptions& options, Simd simd = bestSimd());

} // namespace qw
