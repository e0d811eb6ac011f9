#include "quant/activation_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "quant/clones.h"

namespace qw {

namespace {
constexpr float kScaleFloor = 1e-8F; // as LRQ and LR-QAT have it

/// A float's bits as an integer that orders as the float does; and back.
QW_INLINE inline std::int32_t ordered(std::int32_t bits)
{
    return bits ^ ((bits >> 31) & 0x7fffffff);
}

QW_INLINE inline float floored(float scale)
{
    return scale < kScaleFloor ? kScaleFloor : scale; // NaN stays
}

/// NaN stays.
QW_INLINE inline float clamped(float value, float low, float high)
{
    const float above = value < low ? low : value;
    return high < above ? high : above;
}
} // namespace

QW_CLONES void tokenAsymmetricRow(const float* __restrict x, std::int64_t n, std::int64_t bits,
                                  bool floatZero, float* __restrict y)
{
    std::int32_t least = ordered(std::bit_cast<std::int32_t>(x[0]));
    std::int32_t most = least;
    for (std::int64_t i = 1; i < n; ++i) { // floats would not be compared in vectors: NaN, -0
        const std::int32_t key = ordered(std::bit_cast<std::int32_t>(x[i]));
        least = key < least ? key : least;
        most = key > most ? key : most;
    }
    const float low = std::bit_cast<float>(ordered(least));
    const float high = std::bit_cast<float>(ordered(most));
    const auto levels = static_cast<float>((1 << bits) - 1);
    const float scale = floored((high - low) / levels);
    if (floatZero) {
        const float zero = -low / scale;
        for (std::int64_t i = 0; i < n; ++i) {
            y[i] = (clamped(std::rint(x[i] / scale) + zero, 0, levels) - zero) * scale;
        }
        return;
    }
    const float zero = clamped(std::rint(-low / scale), 0, levels);
    for (std::int64_t i = 0; i < n; ++i) {
        y[i] = clamped(std::rint(x[i] / scale), -zero, levels - zero) * scale;
    }
}

QW_CLONES void tokenSymmetricRow(const float* __restrict x, std::int64_t n, std::int64_t bits,
                                 float* __restrict y)
{
    std::int32_t most = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int32_t key = std::bit_cast<std::int32_t>(x[i]) & 0x7fffffff;
        most = key > most ? key : most;
    }
    const auto largest = static_cast<float>((1 << (bits - 1)) - 1);
    const float scale = floored(std::bit_cast<float>(most) / largest);
    for (std::int64_t i = 0; i < n; ++i) {
        y[i] = clamped(std::rint(x[i] / scale), -largest - 1, largest) * scale;
    }
}

QW_CLONES void staticRow(const float* __restrict x, std::int64_t n, std::int64_t bits, float scale,
                         float zero, float* __restrict y)
{
    const auto levels = static_cast<float>((1 << bits) - 1);
    for (std::int64_t i = 0; i < n; ++i) {
        y[i] = (clamped(std::rint(x[i] / scale) + zero, 0, levels) - zero) * scale;
    }
}

QW_CLONES void widenRow(const std::uint16_t* __restrict x, std::int64_t n, float* __restrict y)
{
    for (std::int64_t i = 0; i < n; ++i) {
        y[i] = std::bit_cast<float>(static_cast<std::uint32_t>(x[i]) << 16);
    }
}

QW_CLONES void narrowRow(const float* __restrict x, std::int64_t n, std::uint16_t* __restrict y)
{
    for (std::int64_t i = 0; i < n; ++i) {
        const auto bits = std::bit_cast<std::uint32_t>(x[i]);
        const std::uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        y[i] = static_cast<std::uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
    }
}

} // namespace qw
