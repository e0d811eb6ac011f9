#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace qw {

/// Packs the low `bits` of each code into a little-endian bit stream, row by row.
/// @param codes [rows, cols] int16, each in -2^(bits-1)..2^bits-1 (two's complement is kept)
/// @return [rows, ceil(cols * bits / 8)] uint8. @throws Error::BadInput for a code out of range
at::Tensor packCodes(const at::Tensor& codes, std::int64_t bits);
/// The inverse. @param isSigned  sign-extend
at::Tensor unpackCodes(const at::Tensor& packed, std::int64_t cols, std::int64_t bits,
                       bool isSigned);

} // namespace qw
