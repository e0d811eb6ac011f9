#pragma once

#include <cstdint>
#include <string>

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
    bool operator==(const MxOptions&) const = default;
};

/// value = code * 2^exponent, exponent being that of the step, not of the maximum.
struct MxCodes {
    at::Tensor codes;     ///< [.., n] int8, |code| <= 2^(bits-1)-1
    at::Tensor exponents; ///< [.., blocks] int16
    bool defined() const { return codes.defined(); }
};

/// Codes of a tensor that will be stored. An 8-bit exponent field holds -127..128. A 4-bit one
/// holds -7..8, or, if a block falls outside, the 16 exponents up to the tensor's largest.
/// Source: LQER code `block_fp`, QERA code `mxint`. Differs: exponents come from the bits of the
/// maximum (log2 errs above powers of two); values up to 1e-8, which LQER's code passes through,
/// take their nearest code, as nothing else can be stored; the range of narrow exponents moves.
/// @param x [.., n] float32, finite. @throws Error::BadInput, BadShape
MxCodes mxEncode(const at::Tensor& x, const MxOptions& options);
/// @return [.., n] float32
at::Tensor mxDecode(const MxCodes& codes, const MxOptions& options);
/// What a value becomes between layers, in one pass. A 4-bit exponent field holds -7..8, as in
/// LQER's code: what a token becomes must not depend on the others. @param x [.., n] float32
at::Tensor mxFakeQuantize(const at::Tensor& x, const MxOptions& options);

/// The same bits by tensor operations: for devices other than the CPU, and the tests' oracle.
MxCodes mxEncodeByOps(const at::Tensor& x, const MxOptions& options);
at::Tensor mxDecodeByOps(const MxCodes& codes, const MxOptions& options);
at::Tensor mxFakeQuantizeByOps(const at::Tensor& x, const MxOptions& options);

/// @throws Error::BadInput unless bits, block and exponent width are possible
void requireMxOptions(const MxOptions& options);
/// How far the exponent of the step lies below the shared exponent.
std::int64_t stepBelow(const MxOptions& options);

/// Smallest and largest shared exponent that a field can hold.
struct MxExponentRange {
    std::int64_t low;
    std::int64_t high;
};
/// @param smallest, largest  shared exponents of the blocks that are not zero
MxExponentRange mxExponentRange(std::int64_t exponentBits, std::int64_t smallest,
                                std::int64_t largest);
/// Of values between layers.
MxExponentRange mxFixedRange(std::int64_t exponentBits);

/// For people: "MXINT4 block 16".
std::string describe(const MxOptions& options);

} // namespace qw
