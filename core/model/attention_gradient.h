#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "model/attention.h"

namespace qw {

/// causalAttention() on the CPU as autograd sees it: probabilities are computed anew for the
/// gradient, tile by tile, so that no T x T matrix is kept. Parallel over heads; the result does
/// not depend on the number of threads.
/// Source: FlashAttention, arXiv:2205.14135, Algorithm 4. Differs: a row's probabilities are made
/// whole, so that no statistics need to be kept.
at::Tensor differentiableAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const AttentionOptions& options);

/// Gradients of causalAttention()'s q, k and v for that of its result. @return in the types and
/// shapes of q, k, v
std::vector<at::Tensor> attentionGradients(const at::Tensor& q, const at::Tensor& k,
                                           const at::Tensor& v, const at::Tensor& gradient,
                                           const AttentionOptions& options);

} // namespace qw
