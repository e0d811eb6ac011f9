#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"
#include "export/encode.h"
#include "quant/packing.h"

namespace qw {

namespace {
const LayerStorage& storageOf(const QuantizedLinear& linear, const TargetPlan& plan)
{
    return plan.layers.at(linear.name);
}

/// In groups of the plan.
IntegerWeight gridOf(const QuantizedLinear& linear, const TargetPlan& plan)
{
    return regrouped(integerWeight(linear), storageOf(linear, plan).group);
}

/// Where the codes of eight columns stand in an AWQ word, lowest bits first.
at::Tensor awqOrder(std::int64_t columns)
{
    const at::Tensor order = at::tensor({0, 2, 4, 6, 1, 3, 5, 7}, at::kLong);
    const at::Tensor starts = at::arange(0, columns, 8, at::kLong).unsqueeze(1);
    return (starts + order).flatten();
}
} // namespace

at::Tensor packWords(const at::Tensor& codes, std::int64_t bits)
{
    const std::int64_t mask = (std::int64_t{1} << bits) - 1;
    const std::int64_t words = (codes.size(1) * bits + 31) / 32;
    // Zero codes up to where the last word surely ends; what lies beyond is cut off.
    const std::int64_t spare = (words * 32 + bits - 1) / bits - codes.size(1);
    const at::Tensor padded = at::constant_pad_nd(codes.bitwise_and(mask), {0, spare});
    return packCodes(padded.contiguous(), bits).narrow(1, 0, words * 4).contiguous().view(at::kInt);
}

TensorMap encodeCompressedTensors(const QuantizedLinear& linear, const TargetPlan& plan)
{
    const std::int64_t bits = storageOf(linear, plan).bits;
    const IntegerWeight weight = gridOf(linear, plan);
    // Both codes and zero points of asymmetric grids are moved into the signed range.
    const std::int64_t half = std::int64_t{1} << (bits - 1);
    const std::int64_t offset = weight.symmetric() ? 0 : half;
    TensorMap tensors;
    tensors[linear.name + ".weight_scale"] = weight.scale.to(plan.dtype);
    if (plan.quantizedActivations) {
        tensors[linear.name + ".weight"] = (weight.codes - offset).to(at::kChar);
        return tensors;
    }
    tensors[linear.name + ".weight_packed"] = packWords(weight.codes - offset + half, bits);
    tensors[linear.name + ".weight_shape"] = at::tensor({linear.out, linear.in}, at::kLong);
    if (!weight.symmetric()) {
        tensors[linear.name + ".weight_zero_point"] =
            packWords(weight.zero.t().contiguous(), bits).t().contiguous();
    }
    return tensors;
}

TensorMap encodeGptq(const QuantizedLinear& linear, const TargetPlan& plan)
{
    const LayerStorage& storage = storageOf(linear, plan);
    const IntegerWeight weight = asUnsigned(gridOf(linear, plan), storage.bits);
    const std::int64_t below = plan.gptqVersion == 1 ? 1 : 0;
    TensorMap tensors;
    tensors[linear.name + ".qweight"] = packWords(weight.codes, storage.bits).t().contiguous();
    tensors[linear.name + ".qzeros"] =
        packWords((weight.zero - below).t().contiguous(), storage.bits);
    tensors[linear.name + ".scales"] = weight.scale.t().contiguous().to(at::kHalf);
    tensors[linear.name + ".g_idx"] =
        weight.groupOf.defined()
            ? weight.groupOf
            : at::arange(linear.in, at::kLong).floor_divide(storage.group).to(at::kInt);
    return tensors;
}

TensorMap encodeAwq(const QuantizedLinear& linear, const TargetPlan& plan)
{
    constexpr std::int64_t kBits = 4;
    const IntegerWeight weight = asUnsigned(gridOf(linear, plan), kBits);
    const at::Tensor order = awqOrder(linear.out);
    TensorMap tensors;
    tensors[linear.name + ".qweight"] =
        packWords(weight.codes.t().index_select(1, order).contiguous(), kBits);
    tensors[linear.name + ".qzeros"] =
        packWords(weight.zero.t().index_select(1, order).contiguous(), kBits);
    tensors[linear.name + ".scales"] = weight.scale.t().contiguous().to(at::kHalf);
    return tensors;
}

} // namespace qw
