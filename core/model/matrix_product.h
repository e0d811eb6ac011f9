#pragma once

#include <ATen/core/Tensor.h>

namespace qw {

/// a [m, k] b [k, n], as the library does it, with bfloat16 by bf16Product() where that is better.
/// No gradients.
/// @param type  of the result: that of a and b, or float32
at::Tensor multiply(const at::Tensor& a, const at::Tensor& b, at::ScalarType type);

/// x [.., in] w^T + bias, w [out, in]; bias [out] may be undefined. One type for all.
/// Differentiable as the library's is; gradients of x and w by multiply().
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// left [m, rank] right [rank, n] with both rounded to @p type and the result of it; their
/// gradients keep float32 sums.
/// @param left, right  float32
at::Tensor lowRankProduct(const at::Tensor& left, const at::Tensor& right, at::ScalarType type);

} // namespace qw
