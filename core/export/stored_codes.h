#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "quant/quantized_linear.h"

namespace qw {

/// The codes of a linear layer as a file of another program holds them:
///   w[r, c] = scale[r, g] * (codes[r, c] - zero[r, g]),   g = groupOf[c]
struct StoredCodes {
    at::Tensor codes;      ///< [out, in] int16, unsigned numbers of `bits` bits
    at::Tensor zero;       ///< [out, groups] int16, in the range of codes
    at::Tensor scale;      ///< [out, groups] float32, of either sign
    at::Tensor groupOf;    ///< [in] int32
    std::int64_t bits = 0; ///< 2..8
};

/// Element by element. [out, in] float32
at::Tensor valuesOf(const StoredCodes& stored);

/// The same values as runs hold them: scales above zero in the narrowest type that holds them,
/// signed codes where every zero point lies in the middle, no group index where groups follow each
/// other.
/// @throws Error::BadFile naming the layer, for a scale that is no finite number
QuantizedLinear importedLinear(const std::string& name, const StoredCodes& stored);

} // namespace qw
