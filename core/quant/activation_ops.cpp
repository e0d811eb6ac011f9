#include <cmath>

#include <ATen/ops/clamp.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
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

/// Dynamic per token, min and max not forced to include zero: LRQ's evaluation code with an integer
/// zero point, LR-QAT's code with a float one.
at::Tensor tokenAsymmetric(const at::Tensor& x, std::int64_t bits, bool floatZero)
{
    const double levels = std::ldexp(1.0, static_cast<int>(bits)) - 1;
    const at::Tensor low = x.amin(-1, true);
    const at::Tensor scale = divided(x.amax(-1, true) - low, levels).clamp_min(kScaleFloor);
    const at::Tensor codes = at::round(x / scale);
    if (floatZero) {
        const at::Tensor zero = -low / scale;
        return ((codes + zero).clamp(0, levels) - zero) * scale;
    }
    const at::Tensor zero = at::round(-low / scale).clamp(0, levels);
    return at::minimum(at::maximum(codes, -zero), levels - zero) * scale;
}

at::Tensor tokenSymmetric(const at::Tensor& x, std::int64_t bits)
{
    const double largest = std::ldexp(1.0, static_cast<int>(bits) - 1) - 1;
    const at::Tensor scale = divided(x.abs().amax(-1, true), largest).clamp_min(kScaleFloor);
    return at::round(x / scale).clamp_(-largest - 1, largest) * scale;
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

} // namespace qw
