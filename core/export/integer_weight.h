#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "quant/quantized_linear.h"

namespace qw {

/// The codes of a layer as other programs hold them: w = scale * (code - zero), a scale for each
/// run of `group` columns of a row, or for as many as groupOf puts together. MXINT is a symmetric
/// grid with powers of two for scales, and one scale for a whole tensor is repeated for each row;
/// neither changes a value.
struct IntegerWeight {
    at::Tensor codes;       ///< [out, in] int16: signed, or unsigned where there are zeros
    at::Tensor zero;        ///< [out, groups] int16, or undefined
    at::Tensor scale;       ///< [out, groups] float32
    at::Tensor groupOf;     ///< [in] int32 where columns are grouped out of order, or undefined
    std::int64_t bits = 0;  ///< of a code
    std::int64_t group = 0; ///< columns
    bool symmetric() const { return !zero.defined(); }
};

/// A scale that stands for nothing, of a block of zeros: MXINT's own would be no normal number.
constexpr double kScaleOfZeros = 1.0 / 16384;

/// Why codes cannot be written as an integer grid at all, or empty.
std::string integerProblem(const QuantizedLinear& linear);
/// Why they cannot without a group index (GPTQ's order by activations), or empty.
std::string orderProblem(const QuantizedLinear& linear);
/// Columns that share a scale. @pre integerProblem() is empty
std::int64_t scaleGroup(const QuantizedLinear& linear);
/// @throws Error::Unsupported with integerProblem()
IntegerWeight integerWeight(const QuantizedLinear& linear);
/// Scales and zeros repeated for groups of fewer columns. @pre group divides weight.group, and is
/// equal to it where columns are grouped out of order
IntegerWeight regrouped(const IntegerWeight& weight, std::int64_t group);
/// As unsigned codes of a field of `bits` with zero points: asymmetric codes stay, symmetric ones
/// are moved by 2^(bits-1).
IntegerWeight asUnsigned(const IntegerWeight& weight, std::int64_t bits);

/// Whether every value is held by a type without rounding.
bool exactIn(const at::Tensor& values, at::ScalarType type);

} // namespace qw
