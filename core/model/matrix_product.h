#pragma once

#include <ATen/core/Tensor.h>

namespace qw {

/// a [m, k] b [k, n]: bfloat16 by bf16Product() where that is the faster, and then with float32
/// sums if @p type is float32; else as the library does it. No gradients.
/// @param type  of the result: that of a and b, or float32
at::Tensor matrixProduct(const at::Tensor& a, const at::Tensor& b, at::ScalarType type);

/// x [.., in] w^T + bias, w [out, in]; bias [out] may be undefined. One type for all. Gradients of
/// x and w are by matrixProduct(), once; what they are made of must not be changed in between.
at::Tensor linearProduct(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// left [m, rank] right [rank, n] with both rounded to @p type and the result of it; gradients are
/// float32, by matrixProduct(), once.
/// @param left, right  float32
at::Tensor lowRankProduct(const at::Tensor& left, const at::Tensor& right, at::ScalarType type);

} // namespace qw
