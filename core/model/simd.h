#pragma once

#include <bit>
#include <cstdint>

namespace qw {

/// Elementary functions without branches, so that loops over them vectorise. They are inlined into
/// functions compiled for several processors.

/// The kinds of processor the kernels are compiled for, each including the ones before it.
enum class Simd { Baseline, Avx2, Avx512, Avx512Bf16 };

/// What this processor has.
inline Simd bestSimd()
{
#if defined(__x86_64__)
    static const Simd kBest = [] {
        if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
            return Simd::Baseline;
        }
        if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
            !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
            return Simd::Avx2;
        }
        return __builtin_cpu_supports("avx512bf16") ? Simd::Avx512Bf16 : Simd::Avx512;
    }();
    return kBest;
#else
    return Simd::Baseline;
#endif
}

/// e^x to 2 units in the last place; 0 below -87, e^88 from 88 on; NaN stays NaN.
/// Source: Cephes expf (range reduction by ln 2 in two parts, polynomial of degree 5).
[[gnu::always_inline]] inline float expOf(float x)
{
    constexpr float kRound = 12582912.0F; // 1.5 * 2^23: adding it leaves the nearest integer
    const float below = x > 88.0F ? 88.0F : x;
    const float clamped = below < -87.0F ? -87.0F : below;
    const float shifted = clamped * 1.44269504F + kRound;
    const float n = shifted - kRound;
    const float r = (clamped - n * 0.693359375F) + n * 2.12194440e-4F;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * r * r + r + 1.0F;
    const auto power = (std::bit_cast<std::uint32_t>(shifted) << 23) + 0x3F800000U;
    const float result = p * std::bit_cast<float>(power);
    return x < -87.0F ? 0.0F : result;
}

/// bfloat16 to float32.
[[gnu::always_inline]] inline float widen(std::uint16_t x)
{
    return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16);
}

/// float32 to bfloat16, nearest, ties to even.
[[gnu::always_inline]] inline std::uint16_t narrowed(float x)
{
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
    return static_cast<std::uint16_t>(x != x ? 0x7FC0U : rounded);
}

/// Same names for both element types of the kernels.
[[gnu::always_inline]] inline float toFloat(float x)
{
    return x;
}
[[gnu::always_inline]] inline float toFloat(std::uint16_t x)
{
    return widen(x);
}
[[gnu::always_inline]] inline void store(float x, float& to)
{
    to = x;
}
[[gnu::always_inline]] inline void store(float x, std::uint16_t& to)
{
    to = narrowed(x);
}

} // namespace qw
