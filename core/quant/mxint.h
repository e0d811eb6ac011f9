#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace qw {

enum class MxRule {
    Lqer, ///< LQER code `block_fp`: exponent = ceil(log2 max)
    Qera  ///< QERA code `mxint`: exponent = floor(log2 max)
};

/// Block floating point: one shared power-of-two exponent a block, sign-magnitude mantissas.
/// Blocks are `blockSize` consecutive values of the last axis; the last block may be short.
struct MxOptions {
    std::int64_t bits = 4; ///< sign included, 2..8
    std::int64_t blockSize = 16;
    std::int64_t exponentBits = 8; ///< 4 | 8
    MxRule rule = MxRule::Lqer;
};

/// value = code * 2^exponent, exponent being that of the step, not of the maximum.
struct MxCodes {
    at::Tensor codes;     ///< [.., n] int8, |code| <= 2^(bits-1)-1
    at::Tensor exponents; ///< [.., blocks] int16
};

/// @param x [.., n] float32, finite
MxCodes mxEncode(const at::Tensor& x, const MxOptions& options);
/// @return [.., n] float32
at::Tensor mxDecode(const MxCodes& codes, const MxOptions& options);
/// Encode and decode in one pass, for activations; float32 in and out.
at::Tensor mxFakeQuantize(const at::Tensor& x, const MxOptions& options);

} // namespace qw
