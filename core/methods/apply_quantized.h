#pragma once

#include <ATen/core/Tensor.h>

#include "quant/quantized_linear.h"

namespace qw {

/// Applies a quantized layer with its factors and its activation quantizer. @param x [tokens, in];
/// @param weight  dequantizedCodes(), prepared by the caller in the compute dtype; @return [tokens,
/// out]
at::Tensor applyQuantized(const QuantizedLinear& linear, const at::Tensor& weight,
                          const at::Tensor& x, const at::Tensor& bias);

} // namespace qw
