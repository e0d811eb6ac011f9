#include "export/integer_weight.h"

#include <cmath>

#include <ATen/ops/empty.h>
#include <ATen/ops/full_like.h>

#include "base/error.h"

namespace qw {

std::string orderProblem(const QuantizedLinear& linear)
{
    return linear.groupIndex.defined()
               ? message(linear.name, ": its columns are grouped out of order (act-order)")
               : std::string();
}

std::string integerProblem(const QuantizedLinear& linear)
{
    const std::int64_t group = linear.format.groupSize;
    if (group > 0 && linear.in % group != 0) {
        return message(linear.name, ": in_features ", linear.in,
                       " is not a multiple of its blocks of ", group);
    }
    return {};
}

std::int64_t scaleGroup(const QuantizedLinear& linear)
{
    return linear.format.groupSize > 0 ? linear.format.groupSize : linear.in;
}

namespace {
/// Powers of two; blocks of zeros take an ordinary one.
at::Tensor mxScale(const QuantizedLinear& linear, std::int64_t group)
{
    const at::Tensor exponents = linear.exponents.to(at::kShort).contiguous();
    const at::Tensor scale = at::empty(exponents.sizes(), at::kFloat);
    for (std::int64_t i = 0; i < scale.numel(); ++i) {
        scale.data_ptr<float>()[i] = std::ldexp(1.0F, exponents.data_ptr<std::int16_t>()[i]);
    }
    const at::Tensor zeros =
        linear.codes.view({linear.out, -1, group}).eq(0).all(2); // [out, blocks]
    return scale.where(zeros.logical_not(), at::full_like(scale, kScaleOfZeros));
}
} // namespace

IntegerWeight integerWeight(const QuantizedLinear& linear)
{
    const std::string problem = integerProblem(linear);
    QW_REQUIRE(problem.empty(), ErrorCode::Unsupported, problem);
    IntegerWeight weight;
    weight.codes = linear.codes.to(at::kShort);
    weight.bits = linear.format.bits;
    weight.group = scaleGroup(linear);
    if (linear.format.kind == WeightFormat::Kind::Mx) {
        weight.scale = mxScale(linear, weight.group);
        return weight;
    }
    const std::int64_t groups = linear.in / weight.group;
    weight.scale = linear.scale.expand({linear.out, groups}).contiguous();
    weight.groupOf = linear.groupIndex;
    if (linear.zero.defined()) {
        weight.zero = linear.zero.to(at::kShort).expand({linear.out, groups}).contiguous();
    }
    return weight;
}

IntegerWeight regrouped(const IntegerWeight& weight, std::int64_t group)
{
    const bool splits =
        weight.groupOf.defined() ? weight.group == group : group > 0 && weight.group % group == 0;
    QW_REQUIRE(splits, ErrorCode::Internal, "groups of ", weight.group,
               " columns do not split into ", group);
    IntegerWeight result = weight;
    result.group = group;
    result.scale = weight.scale.repeat_interleave(weight.group / group, 1);
    if (weight.zero.defined()) {
        result.zero = weight.zero.repeat_interleave(weight.group / group, 1);
    }
    return result;
}

IntegerWeight asUnsigned(const IntegerWeight& weight, std::int64_t bits)
{
    IntegerWeight result = weight;
    result.bits = bits;
    if (weight.symmetric()) {
        const std::int64_t middle = std::int64_t{1} << (bits - 1);
        result.codes = weight.codes + middle;
        result.zero = at::full_like(weight.scale, middle, at::kShort);
    }
    return result;
}

bool exactIn(const at::Tensor& values, at::ScalarType type)
{
    return values.to(type).to(at::kFloat).eq(values.to(at::kFloat)).all().item<bool>();
}

} // namespace qw
