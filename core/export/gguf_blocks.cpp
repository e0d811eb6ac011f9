#include "export/gguf_blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <ATen/ops/zeros.h>
#include <c10/util/Half.h>

#include "base/error.h"
#include "export/integer_weight.h"

namespace qw {

namespace {
constexpr std::int64_t kBlock = 32;
constexpr std::int64_t kSuper = 256; ///< of Q6_K
constexpr std::int64_t kHalf = 16;   ///< columns that share a scale in Q6_K

/// Codes around zero: what every type but the floats multiplies by its scale.
struct Centred {
    at::Tensor codes; ///< [out, in] int16
    at::Tensor scale; ///< [out, in / group] float32
    std::int64_t group = 0;
    std::int64_t in = 0;
};

Centred centred(const QuantizedLinear& linear, std::int64_t group)
{
    const IntegerWeight weight = regrouped(integerWeight(linear), group);
    Centred result{weight.codes.contiguous(), weight.scale.contiguous(), group, linear.in};
    if (!weight.symmetric()) {
        const at::Tensor zero = weight.zero.repeat_interleave(group, 1);
        result.codes = (weight.codes - zero).contiguous();
    }
    return result;
}

void putHalf(float value, std::uint8_t* at)
{
    const c10::Half half(value);
    std::memcpy(at, &half.x, sizeof half.x);
}

void putNibbles(const std::int16_t* codes, std::int16_t offset, std::uint8_t* at)
{
    for (int i = 0; i < kBlock / 2; ++i) {
        const int low = (codes[i] + offset) & 15;
        const int high = (codes[i + kBlock / 2] + offset) & 15;
        at[i] = static_cast<std::uint8_t>(low | high << 4);
    }
}

void putQ4(const std::int16_t* codes, float scale, std::uint8_t* at)
{
    putHalf(scale, at);
    putNibbles(codes, 8, at + 2);
}

void putQ5(const std::int16_t* codes, float scale, std::uint8_t* at)
{
    putHalf(scale, at);
    std::uint32_t fifth = 0;
    for (int i = 0; i < kBlock; ++i) {
        fifth |= static_cast<std::uint32_t>((codes[i] + 16) >> 4 & 1) << i;
    }
    std::memcpy(at + 2, &fifth, sizeof fifth);
    putNibbles(codes, 16, at + 6);
}

void putQ8(const std::int16_t* codes, float scale, std::uint8_t* at)
{
    putHalf(scale, at);
    for (int i = 0; i < kBlock; ++i) {
        at[2 + i] = static_cast<std::uint8_t>(static_cast<std::int8_t>(codes[i]));
    }
}

/// Two halves under one scale: the smaller, with the codes of the other shifted.
void putQ8OfHalves(const std::int16_t* codes, const float* scales, std::uint8_t* at)
{
    const float scale = std::min(scales[0], scales[1]);
    std::int16_t shifted[kBlock];
    for (int i = 0; i < kBlock; ++i) {
        shifted[i] =
            static_cast<std::int16_t>(static_cast<float>(codes[i]) * (scales[i / kHalf] / scale));
    }
    putQ8(shifted, scale, at);
}

/// 16 blocks of 16 codes whose scales are powers of two within six steps.
void putQ6(const std::int16_t* codes, const float* scales, std::uint8_t* at)
{
    const float least = *std::min_element(scales, scales + kHalf);
    std::uint8_t* low = at;
    std::uint8_t* high = at + 128;
    std::uint8_t* steps = at + 192;
    for (int i = 0; i < kSuper; ++i) {
        const int code = codes[i] + 32;
        const int half = i / 128;
        const int part = i % 128 / 32;
        const int lane = i % 32;
        low[64 * half + lane + 32 * (part % 2)] |=
            static_cast<std::uint8_t>((code & 15) << (part < 2 ? 0 : 4));
        high[32 * half + lane] |= static_cast<std::uint8_t>((code >> 4 & 3) << (2 * part));
    }
    for (int i = 0; i < kHalf; ++i) {
        steps[i] = static_cast<std::uint8_t>(static_cast<int>(scales[i] / least));
    }
    putHalf(least, at + 208);
}

/// Blocks of zeros take the least scale of their run of `span`: they must not widen the range.
void levelZeros(Centred& weight, std::int64_t span)
{
    auto* scale = weight.scale.data_ptr<float>();
    const auto* codes = weight.codes.data_ptr<std::int16_t>();
    const auto isZero = [&](std::int64_t block) {
        return std::all_of(codes + block * kHalf, codes + (block + 1) * kHalf,
                           [](std::int16_t code) { return code == 0; });
    };
    const std::int64_t blocks = weight.scale.numel();
    for (std::int64_t start = 0; start < blocks; start += span) {
        const std::int64_t end = start + span;
        float least = std::numeric_limits<float>::infinity();
        for (std::int64_t b = start; b < end; ++b) {
            least = isZero(b) ? least : std::min(least, scale[b]);
        }
        for (std::int64_t b = start; b < end; ++b) {
            if (isZero(b) && std::isfinite(least)) {
                scale[b] = least;
            }
        }
    }
}

/// Whether the scales of each run of `span` blocks lie within a factor.
bool within(const Centred& weight, std::int64_t span, float factor)
{
    const auto* scale = weight.scale.data_ptr<float>();
    for (std::int64_t start = 0; start < weight.scale.numel(); start += span) {
        const auto [least, most] = std::minmax_element(scale + start, scale + start + span);
        if (*most > *least * factor) {
            return false;
        }
    }
    return true;
}

/// Whether two halves can share the smaller scale in eight bits.
bool halvesFit(const Centred& weight)
{
    const auto* scale = weight.scale.data_ptr<float>();
    const auto* codes = weight.codes.data_ptr<std::int16_t>();
    for (std::int64_t block = 0; block < weight.scale.numel(); ++block) {
        const float least = std::min(scale[block], scale[block ^ 1]);
        for (std::int64_t i = block * kHalf; i < (block + 1) * kHalf; ++i) {
            if (std::abs(static_cast<float>(codes[i])) * (scale[block] / least) > 127) {
                return false;
            }
        }
    }
    return true;
}

GgufStorage halfBlockStorage(const QuantizedLinear& linear)
{
    if (linear.in % kSuper == 0 && linear.format.bits <= 6) {
        Centred super = centred(linear, kHalf);
        levelZeros(super, kSuper / kHalf);
        if (within(super, kSuper / kHalf, 64) && exactIn(super.scale, at::kHalf)) {
            return {GgufType::Q6_K, {}};
        }
    }
    Centred weight = centred(linear, kHalf);
    levelZeros(weight, kBlock / kHalf);
    if (!exactIn(weight.scale, at::kHalf)) {
        return {{},
                message(linear.name, ": its blocks have steps that are no half floats; give "
                                     "--dtype, or choose compressed-tensors")};
    }
    if (halvesFit(weight)) {
        return {GgufType::Q8_0, {}};
    }
    return {{},
            message(linear.name, ": the exponents of its blocks of 16 lie too far apart for GGUF's "
                                 "types; give --dtype, or choose compressed-tensors")};
}
} // namespace

const char* ggufTypeName(GgufType type)
{
    switch (type) {
    case GgufType::F32:
        return "F32";
    case GgufType::F16:
        return "F16";
    case GgufType::Q4_0:
        return "Q4_0";
    case GgufType::Q5_0:
        return "Q5_0";
    case GgufType::Q8_0:
        return "Q8_0";
    case GgufType::Q6_K:
        return "Q6_K";
    case GgufType::Bf16:
        return "BF16";
    }
    return "?";
}

GgufType ggufTypeOf(at::ScalarType type)
{
    return type == at::kHalf       ? GgufType::F16
           : type == at::kBFloat16 ? GgufType::Bf16
                                   : GgufType::F32;
}

std::int64_t ggufBlock(GgufType type)
{
    const bool plain = type == GgufType::F32 || type == GgufType::F16 || type == GgufType::Bf16;
    return plain ? 1 : type == GgufType::Q6_K ? kSuper : kBlock;
}

std::int64_t ggufBlockBytes(GgufType type)
{
    switch (type) {
    case GgufType::F32:
        return 4;
    case GgufType::F16:
    case GgufType::Bf16:
        return 2;
    case GgufType::Q4_0:
        return 18;
    case GgufType::Q5_0:
        return 22;
    case GgufType::Q8_0:
        return 34;
    case GgufType::Q6_K:
        return 210;
    }
    return 0;
}

GgufStorage ggufStorage(const QuantizedLinear& linear)
{
    const bool mx = linear.format.kind == WeightFormat::Kind::Mx;
    const std::int64_t bits = linear.format.bits;
    if (linear.in % kBlock != 0) {
        return {{},
                message(linear.name, ": in_features ", linear.in,
                        " is not a multiple of 32, GGUF has no block type for it; give --dtype, "
                        "or choose compressed-tensors")};
    }
    if (const std::string problem = integerProblem(linear) + orderProblem(linear);
        !problem.empty()) {
        return {{}, problem + "; give --dtype to export it dequantized"};
    }
    const std::int64_t group = scaleGroup(linear);
    if (mx && group == kHalf) {
        return halfBlockStorage(linear);
    }
    if (group % kBlock != 0) {
        return {{},
                message(linear.name, ": a scale for ", group,
                        " columns, GGUF's blocks have one for 32; give --dtype, or choose "
                        "compressed-tensors")};
    }
    if (mx || linear.format.sym) {
        return {bits <= 4 ? GgufType::Q4_0 : bits == 5 ? GgufType::Q5_0 : GgufType::Q8_0, {}};
    }
    if (bits == 8) {
        return {{},
                message(linear.name, ": asymmetric codes of 8 bits need 9 around zero; give "
                                     "--dtype, or choose compressed-tensors")};
    }
    return {bits <= 3 ? GgufType::Q4_0 : bits == 4 ? GgufType::Q5_0 : GgufType::Q8_0, {}};
}

at::Tensor encodeBlocks(const QuantizedLinear& linear, GgufType type)
{
    const bool halves =
        linear.format.kind == WeightFormat::Kind::Mx && linear.format.groupSize == kHalf;
    Centred weight = centred(linear, halves ? kHalf : kBlock);
    if (halves) {
        levelZeros(weight, ggufBlock(type) / kHalf);
    }
    const std::int64_t width = ggufBlock(type);
    const std::int64_t bytes = ggufBlockBytes(type);
    const std::int64_t count = linear.out * linear.in / width;
    const at::Tensor result = at::zeros({linear.out, linear.in / width * bytes}, at::kByte);
    const auto* codes = weight.codes.data_ptr<std::int16_t>();
    const auto* scale = weight.scale.data_ptr<float>();
    auto* at = result.data_ptr<std::uint8_t>();
    for (std::int64_t block = 0; block < count; ++block, codes += width, at += bytes) {
        const float* own = scale + block * width / weight.group;
        if (type == GgufType::Q6_K) {
            putQ6(codes, own, at);
        } else if (halves) {
            putQ8OfHalves(codes, own, at);
        } else if (type == GgufType::Q4_0) {
            putQ4(codes, *own, at);
        } else if (type == GgufType::Q5_0) {
            putQ5(codes, *own, at);
        } else {
            putQ8(codes, *own, at);
        }
    }
    return result;
}

} // namespace qw
