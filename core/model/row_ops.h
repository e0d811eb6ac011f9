#pragma once

#include <utility>

#include <ATen/core/Tensor.h>

#include "model/decoder.h"

namespace qw {

/// Elementwise steps of a block on tensors: the kernels of row_kernels.h on the CPU, plain ATen on
/// any other device.

/// RMSNorm or LayerNorm over the last axis, in float32 inside.
/// @param x  float32, or already of the type asked for; @return x's shape, in @p type
at::Tensor normalize(const ModelConfig& config, const NormWeights& norm, const at::Tensor& x,
                     at::ScalarType type);

/// x += y. @param x float32, dense; @param y as many elements, float32 or bfloat16
void addInPlace(const at::Tensor& x, const at::Tensor& y);

/// silu(gate) * up, which may overwrite gate. Both dense, of one type.
at::Tensor siluTimesUp(const at::Tensor& gate, const at::Tensor& up);

/// On the CPU only: gradient of normalize()'s x for that of its result, in the type of x.
at::Tensor normalizeGradient(const ModelConfig& config, const NormWeights& norm,
                             const at::Tensor& x, const at::Tensor& gradient);
/// On the CPU only: gradients of gate and up for that of silu(gate) * up.
std::pair<at::Tensor, at::Tensor> siluTimesUpGradients(const at::Tensor& gate, const at::Tensor& up,
                                                       const at::Tensor& gradient);

/// The same steps in plain ATen: the other devices' way, and the oracle of the kernels.
at::Tensor plainNormalize(const ModelConfig& config, const NormWeights& norm, const at::Tensor& x,
                          at::ScalarType type);
at::Tensor plainSiluTimesUp(const at::Tensor& gate, const at::Tensor& up);

} // namespace qw
