#include "quant/quantized_linear.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>

#include "base/error.h"

namespace qw {

namespace {
MxOptions mxOptions(const WeightFormat& format)
{
    return {format.bits, format.groupSize, format.exponentBits, format.mxRule};
}

void requireFinite(const std::string& name, const at::Tensor& w)
{
    const at::Tensor bad = at::isfinite(w).logical_not_();
    if (!bad.any().item<bool>()) {
        return;
    }
    const auto first = bad.flatten().to(at::kByte).argmax().item<std::int64_t>();
    throw Error(ErrorCode::NonFinite,
                message(name, ": the weight at row ", first / w.size(1), ", column ",
                        first % w.size(1), " is not a finite number"));
}

Factor sliced(const Factor& factor, std::int64_t dim, std::int64_t k)
{
    Factor result = factor;
    result.value = k > 0 ? factor.value.narrow(dim, 0, k).contiguous() : at::Tensor();
    return result;
}

std::int64_t factorBits(const Factor& factor)
{
    if (!factor.defined()) {
        return 0;
    }
    const std::int64_t values = factor.value.numel();
    if (!factor.quantized) {
        return values * 32;
    }
    const std::int64_t width = factor.value.size(-1);
    const std::int64_t blocks =
        values / width * ((width + factor.mx.blockSize - 1) / factor.mx.blockSize);
    return values * factor.mx.bits + blocks * factor.mx.exponentBits;
}

} // namespace

at::Tensor Factor::deployed() const
{
    return quantized ? mxFakeQuantize(value.to(at::kFloat), mx).to(value.scalar_type()) : value;
}

QuantizedLinear QuantizedLinear::withRank(std::int64_t k) const
{
    QuantizedLinear result = *this;
    if (a.defined() && k < rank()) {
        result.a = sliced(a, 1, k);
        result.b = sliced(b, 0, k);
    }
    return result;
}

at::Tensor QuantizedLinear::dequantizedCodes() const
{
    if (format.kind == WeightFormat::Kind::Mx) {
        return mxDecode({codes, exponents}, mxOptions(format));
    }
    GridParams params{scale, zero.defined() ? zero.to(at::kFloat) : at::zeros_like(scale)};
    return gridValues(codes, params);
}

at::Tensor QuantizedLinear::dequantized() const
{
    at::Tensor w = dequantizedCodes();
    if (a.defined()) {
        w = w.addmm(b.deployed().t().to(w.device()), a.deployed().t().to(w.device()));
    }
    return w;
}

QuantizedLinear roundToNearest(const std::string& name, const at::Tensor& w,
                               const WeightFormat& format, const GridOptions& grid)
{
    QW_REQUIRE(w.dim() == 2, ErrorCode::BadShape, name, ": the weight is not a matrix");
    requireFinite(name, w);
    QuantizedLinear linear;
    linear.name = name;
    linear.out = w.size(0);
    linear.in = w.size(1);
    linear.format = format;
    if (format.kind == WeightFormat::Kind::Mx) {
        MxCodes codes = mxEncode(w, mxOptions(format));
        linear.codes = codes.codes;
        linear.exponents = codes.exponents;
        return linear;
    }
    const GridParams params = fitGrid(w, grid);
    linear.codes = gridCodes(w, params, grid).to(grid.sym ? at::kChar : at::kByte);
    linear.scale = params.scale;
    if (!grid.sym) {
        linear.zero = params.zero.to(at::kByte);
    }
    return linear;
}

std::int64_t storedBits(const QuantizedLinear& linear)
{
    std::int64_t bits = linear.codes.numel() * linear.format.bits;
    if (linear.exponents.defined()) {
        bits += linear.exponents.numel() * linear.format.exponentBits;
    }
    if (linear.scale.defined()) {
        bits += linear.scale.numel() * (linear.format.scaleDtype == at::kFloat ? 32 : 16);
    }
    if (linear.zero.defined()) {
        bits += linear.zero.numel() * linear.format.bits;
    }
    if (linear.groupIndex.defined()) {
        bits += linear.groupIndex.numel() * 32;
    }
    return bits + factorBits(linear.a) + factorBits(linear.b);
}

at::Tensor applyQuantized(const QuantizedLinear& linear, const at::Tensor& weight,
                          const at::Tensor& x, const at::Tensor& bias)
{
    const at::Tensor input = quantizeActivation(x, linear.activation);
    at::Tensor y = at::linear(input, weight, bias);
    if (linear.a.defined()) {
        const at::Tensor narrow =
            quantizeActivation(at::matmul(input, linear.a.deployed()), linear.activation);
        y += quantizeActivation(at::matmul(narrow, linear.b.deployed()), linear.activation);
    }
    return y;
}

} // namespace qw
