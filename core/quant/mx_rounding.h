#pragma once

#include "quant/mx_kernels.h"
#include "quant/mxint.h"

namespace qw {

/// The rule of @p options in numbers, with the exponent range of values between layers.
MxRounding mxRounding(const MxOptions& options);
/// Shared exponent of a block of zeros: LQER's code borrows the smallest of the tensor's, QERA's
/// takes that of the smallest normal number. It decides no value.
std::int64_t mxZeroExponent(MxRule rule, std::int64_t smallest);
/// @throws Error::BadInput, BadShape
void requireMxInput(const at::Tensor& x, const MxOptions& options);

} // namespace qw
