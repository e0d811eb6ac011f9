#include "quant/mx_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "quant/clones.h"

namespace qw {

namespace {
constexpr int kBias = 127;
constexpr int kMantissaBits = 23;
constexpr std::int32_t kMantissa = (1 << kMantissaBits) - 1;

/// 2^exponent, -149..127.
QW_INLINE inline float powerOfTwo(int exponent)
{
    return exponent > -kBias
               ? std::bit_cast<float>(static_cast<std::int32_t>(exponent + kBias) << kMantissaBits)
               : std::bit_cast<float>(std::int32_t{1} << (exponent + kBias - 1 + kMantissaBits));
}

/// Multiplies by 2^-exponent in two steps, because one may be out of a float's range.
struct Scaling {
    float first;
    float second;
};

QW_INLINE inline Scaling inverseStep(int exponent)
{
    const int first = std::clamp(-exponent, -126, 127);
    return {powerOfTwo(first), powerOfTwo(-exponent - first)};
}

/// Bits of the largest magnitude; as integers they order as the magnitudes do.
QW_INLINE inline std::int32_t maximumBits(const float* x, std::int64_t n)
{
    std::int32_t largest = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int32_t bits = std::bit_cast<std::int32_t>(x[i]) & 0x7fffffff;
        largest = largest < bits ? bits : largest;
    }
    return largest;
}

QW_INLINE inline int sharedExponent(std::int32_t bits, const MxRounding& rounding)
{
    if (bits == 0 || std::bit_cast<float>(bits) < rounding.flush) {
        return kNoExponent;
    }
    const int field = bits >> kMantissaBits;
    const std::int32_t mantissa = bits & kMantissa;
    if (!rounding.ceil) {
        return field - kBias;
    }
    // Below the normal numbers only 2^-127 and less is to be told from 2^-126.
    const bool above = field == 0 ? mantissa > (1 << (kMantissaBits - 1)) : mantissa != 0;
    return field - kBias + (above ? 1 : 0);
}

QW_INLINE inline float magnitudeOf(float value, const Scaling& inverse, const MxRounding& rounding)
{
    float magnitude = std::fabs(value);
    magnitude = magnitude < rounding.flush ? 0.0F : magnitude;
    magnitude += magnitude > rounding.tiny ? rounding.nudge : 0.0F;
    magnitude = magnitude * inverse.first * inverse.second;
    magnitude = rounding.largest < magnitude ? rounding.largest : magnitude;
    return std::rint(magnitude);
}

QW_INLINE inline void encodeBlock(const float* __restrict x, std::int64_t n, Scaling inverse,
                                  const MxRounding& rounding, std::int8_t* __restrict codes)
{
    for (std::int64_t i = 0; i < n; ++i) {
        const auto code = static_cast<std::int32_t>(magnitudeOf(x[i], inverse, rounding));
        codes[i] = static_cast<std::int8_t>(x[i] < 0 ? -code : code);
    }
}

QW_INLINE inline void decodeBlock(const std::int8_t* __restrict codes, std::int64_t n, float step,
                                  float* __restrict y)
{
    for (std::int64_t i = 0; i < n; ++i) {
        y[i] = static_cast<float>(codes[i]) * step;
    }
}

QW_INLINE inline void fakeQuantizeBlock(const float* __restrict x, std::int64_t n,
                                        const MxRounding& rounding, float* __restrict y)
{
    const int shared =
        std::clamp(sharedExponent(maximumBits(x, n), rounding), rounding.low, rounding.high);
    const Scaling inverse = inverseStep(shared - rounding.below);
    const float step = powerOfTwo(shared - rounding.below);
    for (std::int64_t i = 0; i < n; ++i) {
        const float value = std::copysign(magnitudeOf(x[i], inverse, rounding) * step, x[i]);
        y[i] = std::fabs(x[i]) <= rounding.tiny ? x[i] : value;
    }
}

/// Calls body(first value, count, block); the usual block sizes as constants, which the compiler
/// turns into a few vector instructions.
template <class Body>
QW_INLINE inline void forEachBlock(std::int64_t n, std::int64_t block, const Body& body)
{
    std::int64_t b = 0;
    std::int64_t first = 0;
    if (block == 16) {
        for (; first + 16 <= n; first += 16) {
            body(first, std::int64_t{16}, b++);
        }
    } else if (block == 32) {
        for (; first + 32 <= n; first += 32) {
            body(first, std::int64_t{32}, b++);
        }
    }
    for (; first < n; first += block) {
        body(first, std::min(block, n - first), b++);
    }
}
} // namespace

QW_CLONES void mxRowExponents(const float* x, std::int64_t n, std::int64_t block,
                              const MxRounding& rounding, std::int16_t* exponents)
{
    const auto body = [&](std::int64_t first, std::int64_t count, std::int64_t b) QW_INLINE {
        exponents[b] =
            static_cast<std::int16_t>(sharedExponent(maximumBits(x + first, count), rounding));
    };
    forEachBlock(n, block, body);
}

QW_CLONES void mxEncodeRow(const float* x, std::int64_t n, std::int64_t block,
                           const MxRounding& rounding, const std::int16_t* steps,
                           std::int8_t* codes)
{
    const MxRounding rule = rounding; // a copy, which cannot alias the codes
    const auto body = [&](std::int64_t first, std::int64_t count, std::int64_t b) QW_INLINE {
        encodeBlock(x + first, count, inverseStep(steps[b]), rule, codes + first);
    };
    forEachBlock(n, block, body);
}

QW_CLONES void mxDecodeRow(const std::int8_t* codes, std::int64_t n, std::int64_t block,
                           const std::int16_t* steps, float* y)
{
    const auto body = [&](std::int64_t first, std::int64_t count, std::int64_t b) QW_INLINE {
        decodeBlock(codes + first, count, powerOfTwo(steps[b]), y + first);
    };
    forEachBlock(n, block, body);
}

QW_CLONES void mxFakeQuantizeRow(const float* x, std::int64_t n, std::int64_t block,
                                 const MxRounding& rounding, float* y)
{
    const MxRounding rule = rounding;
    const auto body = [&](std::int64_t first, std::int64_t count, std::int64_t)
                          QW_INLINE { fakeQuantizeBlock(x + first, count, rule, y + first); };
    forEachBlock(n, block, body);
}

} // namespace qw
