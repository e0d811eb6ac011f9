#include "model/row_ops.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>

#include "base/error.h"
#include "model/row_kernels.h"

namespace qw {

namespace {
std::uint16_t* words(const at::Tensor& x)
{
    return static_cast<std::uint16_t*>(x.data_ptr());
}
float* floats(const at::Tensor& x)
{
    return x.data_ptr<float>();
}
bool isWide(const at::Tensor& x)
{
    return x.scalar_type() == at::kFloat;
}

NormParameters parametersOf(const ModelConfig& config, const NormWeights& norm)
{
    NormParameters parameters;
    parameters.weight = floats(norm.weight);
    parameters.bias = norm.bias.defined() ? floats(norm.bias) : nullptr;
    parameters.eps = static_cast<float>(config.normEps);
    parameters.centered = config.arch->norm == Norm::Layer;
    return parameters;
}
} // namespace

at::Tensor plainNormalize(const ModelConfig& config, const NormWeights& norm, const at::Tensor& x,
                          at::ScalarType type)
{
    const at::Tensor wide = x.to(at::kFloat);
    if (config.arch->norm == Norm::Layer) {
        return at::layer_norm(wide, {x.size(-1)}, norm.weight, norm.bias, config.normEps).to(type);
    }
    const at::Tensor inverse = at::rsqrt(wide.square().mean(-1, true) + config.normEps);
    return (wide * inverse * norm.weight).to(type);
}

at::Tensor normalize(const ModelConfig& config, const NormWeights& norm, const at::Tensor& x,
                     at::ScalarType type)
{
    if (!x.is_cpu()) {
        return plainNormalize(config, norm, x, type);
    }
    QW_REQUIRE(isWide(x) || x.scalar_type() == type, ErrorCode::BadShape,
               "normalize: the input is neither float32 nor of the type asked for");
    const at::Tensor dense = x.contiguous();
    at::Tensor y = at::empty(x.sizes(), x.options().dtype(type));
    const NormParameters parameters = parametersOf(config, norm);
    const std::int64_t width = x.size(-1);
    const std::int64_t rows = x.numel() / width;
    if (type == at::kFloat) {
        normalizeRows(floats(dense), parameters, rows, width, floats(y));
    } else if (isWide(x)) {
        normalizeRows(floats(dense), parameters, rows, width, words(y));
    } else {
        normalizeRows(words(dense), parameters, rows, width, words(y));
    }
    return y;
}

at::Tensor normalizeGradient(const ModelConfig& config, const NormWeights& norm,
                             const at::Tensor& x, const at::Tensor& gradient)
{
    const at::Tensor dense = x.contiguous();
    const at::Tensor dy = gradient.contiguous();
    at::Tensor dx = at::empty(x.sizes(), x.options());
    const NormParameters parameters = parametersOf(config, norm);
    const std::int64_t width = x.size(-1);
    const std::int64_t rows = x.numel() / width;
    if (isWide(dy)) {
        normalizeRowsBackward(floats(dense), parameters, rows, width, floats(dy), floats(dx));
    } else if (isWide(x)) {
        normalizeRowsBackward(floats(dense), parameters, rows, width, words(dy), floats(dx));
    } else {
        normalizeRowsBackward(words(dense), parameters, rows, width, words(dy), words(dx));
    }
    return dx;
}

std::pair<at::Tensor, at::Tensor> siluTimesUpGradients(const at::Tensor& gate, const at::Tensor& up,
                                                       const at::Tensor& gradient)
{
    const at::Tensor g = gate.contiguous();
    const at::Tensor u = up.contiguous();
    const at::Tensor dy = gradient.contiguous();
    at::Tensor dg = at::empty(g.sizes(), g.options());
    at::Tensor du = at::empty(u.sizes(), u.options());
    if (isWide(g)) {
        siluTimesBackward(floats(g), floats(u), floats(dy), g.numel(), floats(dg), floats(du));
    } else {
        siluTimesBackward(words(g), words(u), words(dy), g.numel(), words(dg), words(du));
    }
    return {dg, du};
}

void addInPlace(const at::Tensor& x, const at::Tensor& y)
{
    QW_REQUIRE(x.numel() == y.numel() && isWide(x) && x.is_contiguous(), ErrorCode::BadShape,
               "addInPlace: ", x.numel(), " elements and ", y.numel());
    if (!x.is_cpu()) {
        x.add_(y.view_as(x));
        return;
    }
    const at::Tensor dense = y.contiguous();
    if (isWide(y)) {
        addTo(floats(x), floats(dense), x.numel());
    } else {
        addTo(floats(x), words(dense), x.numel());
    }
}

at::Tensor plainSiluTimesUp(const at::Tensor& gate, const at::Tensor& up)
{
    return at::silu(gate).mul_(up);
}

at::Tensor siluTimesUp(const at::Tensor& gate, const at::Tensor& up)
{
    if (!gate.is_cpu()) {
        return plainSiluTimesUp(gate, up);
    }
    QW_REQUIRE(gate.sizes() == up.sizes() && gate.scalar_type() == up.scalar_type(),
               ErrorCode::BadShape, "siluTimesUp: gate and up differ in shape or type");
    const at::Tensor y = gate.contiguous();
    const at::Tensor dense = up.contiguous();
    if (isWide(y)) {
        siluTimes(floats(y), floats(dense), y.numel());
    } else {
        siluTimes(words(y), words(dense), y.numel());
    }
    return y;
}

} // namespace qw
