#pragma once

#include <cstdint>

namespace qw {

/// Fake quantization of one token, see ActivationQuantizer. x and y must not overlap.
/// @param floatZero  keep the zero point unrounded and unclamped
void tokenAsymmetricRow(const float* x, std::int64_t n, std::int64_t bits, bool floatZero,
                        float* y);
void tokenSymmetricRow(const float* x, std::int64_t n, std::int64_t bits, float* y);
void staticRow(const float* x, std::int64_t n, std::int64_t bits, float scale, float zero,
               float* y);

/// bfloat16 numbers as their bits.
void widenRow(const std::uint16_t* x, std::int64_t n, float* y);
/// Rounds to nearest even.
void narrowRow(const float* x, std::int64_t n, std::uint16_t* y);

} // namespace qw
