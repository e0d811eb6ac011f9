#include "quant/quantized_linear.h"

#include <ATen/ops/isfinite.h>

#include "base/error.h"

namespace qw {

namespace {
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
    result.value = factor.value.narrow(dim, 0, k).contiguous();
    return result;
}

std::int64_t exponentsBits(std::int64_t count, std::int64_t width)
{
    return count * width + (width == 4 ? 8 : 0); // the largest, once
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
    return values * factor.mx.bits + exponentsBits(blocks, factor.mx.exponentBits);
}
} // namespace

at::Tensor Factor::deployed() const
{
    return settled().value.to(value.scalar_type());
}

Factor Factor::settled() const
{
    if (!quantized || codes.defined()) {
        return *this;
    }
    Factor result = *this;
    result.codes = mxEncode(value.to(at::kFloat), mx);
    result.value = mxDecode(result.codes, mx);
    return result;
}

QuantizedLinear QuantizedLinear::withRank(std::int64_t k) const
{
    QW_REQUIRE(k >= 0 && k <= rank(), ErrorCode::BadInput, name, ": has no rank ", k, ", only 0..",
               rank());
    QuantizedLinear result = *this;
    if (k < rank()) {
        QW_REQUIRE(k == 0 || !(a.codes.defined() || b.codes.defined()), ErrorCode::BadInput, name,
                   ": its quantized factors are of rank ", rank(), " and cannot be cut to ", k);
        result.a = k > 0 ? sliced(a, 1, k) : Factor{};
        result.b = k > 0 ? sliced(b, 0, k) : Factor{};
    }
    if (k > 0) {
        result.a = result.a.settled();
        result.b = result.b.settled();
    }
    return result;
}

at::Tensor QuantizedLinear::dequantizedCodes() const
{
    if (format.kind == WeightFormat::Kind::Mx) {
        return mxDecode({codes, exponents}, format.mx());
    }
    GridParams params{scale, zero.defined() ? zero.to(at::kFloat) : at::zeros_like(scale)};
    if (groupIndex.defined()) { // a scale for each column, then a group of one column each
        params.scale = params.scale.index_select(1, groupIndex).expand({out, in});
        params.zero = params.zero.index_select(1, groupIndex).expand({out, in});
    }
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

namespace {
QuantizedLinear nearest(const std::string& name, const at::Tensor& w, const WeightFormat& format,
                        const GridOptions& grid, const RunContext& run)
{
    QuantizedLinear linear;
    linear.name = name;
    linear.out = w.size(0);
    linear.in = w.size(1);
    linear.format = format;
    if (format.kind == WeightFormat::Kind::Mx) {
        MxCodes codes = mxEncode(w, format.mx());
        linear.codes = codes.codes;
        linear.exponents = codes.exponents;
        return linear;
    }
    const GridParams params = fitGrid(w, grid, run);
    linear.codes = gridCodes(w, params, grid).to(grid.sym ? at::kChar : at::kByte);
    linear.scale = params.scale;
    if (!grid.sym) {
        linear.zero = params.zero.to(at::kByte);
    }
    return linear;
}
} // namespace

QuantizedLinear roundToNearest(const std::string& name, const at::Tensor& w,
                               const WeightFormat& format, const GridOptions& grid,
                               const RunContext& run)
{
    QW_REQUIRE(w.dim() == 2, ErrorCode::BadShape, name, ": the weight is not a matrix");
    requireFinite(name, w);
    try {
        return nearest(name, w, format, grid, run);
    } catch (const Error& problem) { // the grids know no layer
        throw Error(problem.code(), message(name, ": ", problem.what()));
    }
}

std::int64_t storedBits(const QuantizedLinear& linear)
{
    std::int64_t bits = linear.codes.numel() * linear.format.bits;
    if (linear.exponents.defined()) {
        bits += exponentsBits(linear.exponents.numel(), linear.format.exponentBits);
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

} // namespace qw
