#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/copysign.h>
#include <ATen/ops/frexp.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>

#include "quant/mx_rounding.h"
#include "quant/mxint.h"

namespace qw {

namespace {
/// [.., n] as [.., blocks, block], filled with zeros.
at::Tensor inBlocks(const at::Tensor& x, std::int64_t block)
{
    const std::int64_t n = x.size(-1);
    const std::int64_t blocks = (n + block - 1) / block;
    std::vector<std::int64_t> shape = x.sizes().vec();
    shape.back() = blocks;
    shape.push_back(block);
    return at::constant_pad_nd(x, {0, blocks * block - n}).reshape(shape);
}

/// The inverse.
at::Tensor inRows(const at::Tensor& blocks, std::int64_t n)
{
    return blocks.flatten(-2).narrow(-1, 0, n).contiguous();
}

/// 2^exponent of an int32 tensor, exact for -252..254: the product of two normal numbers.
at::Tensor powerOfTwo(const at::Tensor& exponent)
{
    const auto normal = [](const at::Tensor& e) {
        return ((e + 127) * (1 << 23)).to(at::kInt).view(at::kFloat);
    };
    const at::Tensor first = exponent.clamp(-126, 127);
    return normal(first) * normal(exponent - first);
}

struct Shared {
    at::Tensor exponents; // [.., blocks, 1] int32, of the maximum
    at::Tensor empty;     // where the block counts as zero
};

Shared sharedExponents(const at::Tensor& blocks, const MxRounding& rounding)
{
    const at::Tensor maximum = blocks.abs().amax(-1, true);
    const auto [mantissa, exponent] = at::frexp(maximum); // mantissa * 2^exponent, in [0.5, 1)
    Shared shared;
    shared.empty = maximum.eq(0).logical_or_(maximum.lt(rounding.flush));
    shared.exponents =
        (rounding.ceil ? at::where(mantissa.eq(0.5), exponent - 1, exponent) : exponent - 1)
            .clamp_min(-127); // the least that any field starts from
    return shared;
}

at::Tensor magnitudes(const at::Tensor& blocks, const at::Tensor& steps, const MxRounding& rounding)
{
    at::Tensor magnitude = blocks.abs();
    magnitude = magnitude.masked_fill(magnitude.lt(rounding.flush), 0);
    magnitude = at::where(magnitude.gt(rounding.tiny), magnitude + rounding.nudge, magnitude);
    const at::Tensor first = (-steps).clamp(-126, 127);
    magnitude = magnitude * powerOfTwo(first) * powerOfTwo(-steps - first);
    return at::round(magnitude.clamp_max(rounding.largest));
}
} // namespace

MxCodes mxEncodeByOps(const at::Tensor& x, const MxOptions& options)
{
    requireMxInput(x, options);
    const MxRounding rounding = mxRounding(options);
    const at::Tensor blocks = inBlocks(x.to(at::kFloat), options.blockSize);
    Shared shared = sharedExponents(blocks, rounding);
    const at::Tensor used = shared.exponents.masked_select(shared.empty.logical_not());
    const std::int64_t smallest = used.numel() > 0 ? used.min().item<std::int64_t>() : 0;
    const std::int64_t largest = used.numel() > 0 ? used.max().item<std::int64_t>() : 0;
    const MxExponentRange range = mxExponentRange(options.exponentBits, smallest, largest);
    const at::Tensor steps =
        shared.exponents.masked_fill(shared.empty, mxZeroExponent(options.rule, smallest))
            .clamp_(range.low, range.high)
            .sub_(stepBelow(options));
    const at::Tensor magnitude = magnitudes(blocks, steps, rounding);
    return {inRows(at::where(blocks.lt(0), -magnitude, magnitude).to(at::kChar), x.size(-1)),
            steps.squeeze(-1).to(at::kShort)};
}

at::Tensor mxDecodeByOps(const MxCodes& codes, const MxOptions& options)
{
    requireMxInput(codes.codes, options);
    const at::Tensor blocks = inBlocks(codes.codes, options.blockSize).to(at::kFloat);
    return inRows(blocks * powerOfTwo(codes.exponents.to(at::kInt).unsqueeze(-1)),
                  codes.codes.size(-1));
}

at::Tensor mxFakeQuantizeByOps(const at::Tensor& x, const MxOptions& options)
{
    requireMxInput(x, options);
    const MxRounding rounding = mxRounding(options);
    const at::Tensor blocks = inBlocks(x.to(at::kFloat), options.blockSize);
    const Shared shared = sharedExponents(blocks, rounding);
    const at::Tensor steps = shared.exponents.masked_fill(shared.empty, rounding.low)
                                 .clamp_(rounding.low, rounding.high)
                                 .sub_(stepBelow(options));
    const at::Tensor value =
        at::copysign(magnitudes(blocks, steps, rounding) * powerOfTwo(steps), blocks);
    return inRows(at::where(blocks.abs().le(rounding.tiny), blocks, value), x.size(-1));
}

} // namespace qw
