#include "quant/activation_quantizer.h"

#include <cmath>

#include <ATen/ops/clamp.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/round.h>

#include "base/error.h"

namespace qw {

namespace {
constexpr double kScaleFloor = 1e-8;

/// Dynamic per token, min and max not forced to include zero: LRQ's evaluation code with an integer
/// zero point, LR-QAT's code with a float one.
at::Tensor tokenAsymmetric(const at::Tensor& x, std::int64_t bits, bool floatZero)
{
    const double levels = std::ldexp(1.0, static_cast<int>(bits)) - 1;
    const at::Tensor low = x.amin(-1, true);
    const at::Tensor scale = ((x.amax(-1, true) - low) / levels).clamp_min(kScaleFloor);
    const at::Tensor codes = at::round(x / scale);
    if (floatZero) {
        const at::Tensor zero = -low / scale;
        return ((codes + zero).clamp(0, levels) - zero) * scale;
    }
    const at::Tensor zero = at::round(-low / scale).clamp(0, levels);
    return at::maximum(at::minimum(codes, levels - zero), -zero) * scale;
}

at::Tensor tokenSymmetric(const at::Tensor& x, std::int64_t bits)
{
    const double largest = std::ldexp(1.0, static_cast<int>(bits) - 1) - 1;
    const at::Tensor scale = (x.abs().amax(-1, true) / largest).clamp_min(kScaleFloor);
    return at::round(x / scale).clamp_(-largest - 1, largest) * scale;
}

at::Tensor tensorStatic(const at::Tensor& x, const ActivationQuantizer& quantizer)
{
    const double levels = std::ldexp(1.0, static_cast<int>(quantizer.bits)) - 1;
    return ((at::round(x / quantizer.scale) + quantizer.zero).clamp_(0, levels) - quantizer.zero) *
           quantizer.scale;
}
} // namespace

at::Tensor quantizeActivation(const at::Tensor& x, const ActivationQuantizer& quantizer)
{
    using Kind = ActivationQuantizer::Kind;
    if (quantizer.kind == Kind::None) {
        return x;
    }
    QW_REQUIRE(quantizer.bits >= 2 && quantizer.bits <= 8, ErrorCode::BadInput, "activation bits ",
               quantizer.bits, " are not in 2..8");
    const at::Tensor values = x.to(at::kFloat);
    at::Tensor result;
    switch (quantizer.kind) {
    case Kind::None:
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
        result = mxFakeQuantize(values, quantizer.mx);
        break;
    }
    return result.to(x.scalar_type());
}

std::string describe(const ActivationQuantizer& quantizer)
{
    using Kind = ActivationQuantizer::Kind;
    switch (quantizer.kind) {
    case Kind::TokenAsymmetric:
        return message("int", quantizer.bits, " per token, asymmetric");
    case Kind::TokenAsymmetricFloat:
        return message("int", quantizer.bits, " per token, asymmetric, float zero point");
    case Kind::TokenSymmetric:
        return message("int", quantizer.bits, " per token, symmetric");
    case Kind::TensorStatic:
        return message("int", quantizer.bits, " per tensor, static");
    case Kind::Mx:
        return message("MXINT", quantizer.mx.bits, " block ", quantizer.mx.blockSize);
    case Kind::None:
        break;
    }
    return "none";
}

} // namespace qw
