#include <cmath>

#include <ATen/ops/clamp.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/round.h>
#include <ATen/ops/scalar_tensor.h>

#include "quant/activation_quantizer.h"

namespace qw {

namespace {
constexpr double kScaleFloor = 1e-8; // as LRQ and LR-QAT have it

/// A true division on every device; that by a plain number may become a product elsewhere.
at::Tensor divided(const at::Tensor& value, double by)
{
    return value / at::scalar_tensor(by, value.options());
}

double levelsOf(std::int64_t bits)
{
    return std::ldexp(1.0, static_cast<int>(bits)) - 1;
}

/// Rounded values before they are clamped, and what decodes them.
struct TokenCodes {
    at::Tensor codes, scale, zero;
};

/// Dynamic per token, min and max not forced to include zero: LRQ's evaluation code with an integer
/// zero point, LR-QAT's code with a float one.
TokenCodes asymmetricCodes(const at::Tensor& x, std::int64_t bits, bool floatZero)
{
    const at::Tensor low = x.amin(-1, true);
    const at::Tensor scale = divided(x.amax(-1, true) - low, levelsOf(bits)).clamp_min(kScaleFloor);
    const at::Tensor zero = -low / scale;
    return {at::round(x / scale), scale,
            floatZero ? zero : at::round(zero).clamp(0, levelsOf(bits))};
}

at::Tensor tokenAsymmetric(const at::Tensor& x, std::int64_t bits, bool floatZero)
{
    const double levels = levelsOf(bits);
    const auto [codes, scale, zero] = asymmetricCodes(x, bits, floatZero);
    if (floatZero) {
        return ((codes + zero).clamp(0, levels) - zero) * scale;
    }
    return at::minimum(at::maximum(codes, -zero), levels - zero) * scale;
}

TokenCodes symmetricCodes(const at::Tensor& x, std::int64_t bits)
{
    const double largest = std::ldexp(1.0, static_cast<int>(bits) - 1) - 1;
    const at::Tensor scale = divided(x.abs().amax(-1, true), largest).clamp_min(kScaleFloor);
    return {at::round(x / scale), scale, {}};
}

at::Tensor tokenSymmetric(const at::Tensor& x, std::int64_t bits)
{
    const double largest = std::ldexp(1.0, static_cast<int>(bits) - 1) - 1;
    const TokenCodes found = symmetricCodes(x, bits);
    return at::clamp(found.codes, -largest - 1, largest) * found.scale;
}

at::Tensor tensorStatic(const at::Tensor& x, const ActivationQuantizer& quantizer)
{
    const double levels = std::ldexp(1.0, static_cast<int>(quantizer.bits)) - 1;
    const at::Tensor codes = at::round(divided(x, quantizer.scale)) + quantizer.zero;
    return (codes.clamp(0, levels) - quantizer.zero) * quantizer.scale;
}
} // namespace

at::Tensor quantizeActivationByOps(const at::Tensor& x, const ActivationQuantizer& quantizer)
{
    using Kind = ActivationQuantizer::Kind;
    const at::Tensor values = x.to(at::kFloat);
    at::Tensor result = values;
    switch (quantizer.kind) {
    case Kind::None:
        break;
    case Kind::TokenAsymmetric:
    case Kind::TokenAsymmetricFloat:
        result =
            tokenAsymmetric(values, quantizer.bits, quantizer.kind == Kind::TokenAsymmetricFloat);
        break;
    case Kind::TokenSymmetric:
        result = tokenSymmetric(values, quantizer.bits);
        break;
    case Kind::TensorStatic:
        result = tensorStatic(values, quantizer);
        break;
    case Kind::Mx:
        result = mxFakeQuantizeByOps(values, quantizer.mx);
        break;
    }
    return result.to(x.scalar_type());
}

at::Tensor insideGrid(const at::Tensor& x, const ActivationQuantizer& quantizer)
{
    using Kind = ActivationQuantizer::Kind;
    const at::Tensor values = x.to(at::kFloat);
    const double levels = levelsOf(quantizer.bits);
    switch (quantizer.kind) {
    case Kind::None:
    case Kind::Mx:
        break;
    case Kind::TokenAsymmetric:
    case Kind::TokenAsymmetricFloat: {
        const auto [codes, scale, zero] =
            asymmetricCodes(values, quantizer.bits, quantizer.kind == Kind::TokenAsymmetricFloat);
        const at::Tensor place = codes + zero;
        return (place >= 0).logical_and(place <= levels).to(x.scalar_type());
    }
    case Kind::TokenSymmetric: {
        const at::Tensor codes = symmetricCodes(values, quantizer.bits).codes;
        const double largest = (levels - 1) / 2;
        return (codes >= -largest - 1).logical_and(codes <= largest).to(x.scalar_type());
    }
    case Kind::TensorStatic: {
        const at::Tensor place = at::round(divided(values, quantizer.scale)) + quantizer.zero;
        return (place >= 0).logical_and(place <= levels).to(x.scalar_type());
    }
    }
    return at::ones_like(x);
}

} // namespace qw
