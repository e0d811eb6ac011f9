#include "export/stored_codes.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>

#include "base/error.h"
#include "export/integer_weight.h"

namespace qw {

namespace {
/// One flag a group as one flag a column.
at::Tensor ofColumns(const at::Tensor& groups, const StoredCodes& stored)
{
    return groups.index_select(1, stored.groupOf.to(at::kLong));
}

bool inOrder(const StoredCodes& stored, std::int64_t group)
{
    const at::Tensor columns = at::arange(stored.groupOf.size(0), at::kInt);
    return stored.groupOf.equal(columns.floor_divide(group).to(at::kInt));
}
} // namespace

at::Tensor valuesOf(const StoredCodes& stored)
{
    const std::int64_t rows = stored.codes.size(0);
    const std::int64_t cols = stored.codes.size(1);
    const std::int64_t groups = stored.scale.size(1);
    const at::Tensor result = at::empty({rows, cols}, at::kFloat);
    auto* to = result.data_ptr<float>();
    const auto* codes = stored.codes.data_ptr<std::int16_t>();
    const auto* groupOf = stored.groupOf.data_ptr<std::int32_t>();
    for (std::int64_t r = 0; r < rows; ++r) {
        const auto* zero = stored.zero.data_ptr<std::int16_t>() + r * groups;
        const auto* scale = stored.scale.data_ptr<float>() + r * groups;
        for (std::int64_t c = 0; c < cols; ++c) {
            const std::int32_t g = groupOf[c];
            *to++ = static_cast<float>(*codes++ - zero[g]) * scale[g];
        }
    }
    return result;
}

QuantizedLinear importedLinear(const std::string& name, const StoredCodes& stored)
{
    QW_REQUIRE(at::isfinite(stored.scale).all().item<bool>(), ErrorCode::BadFile, name,
               ": has a scale that is not a finite number");
    const std::int64_t largest = (std::int64_t{1} << stored.bits) - 1;
    const std::int64_t middle = std::int64_t{1} << (stored.bits - 1);
    const at::Tensor negative = stored.scale.lt(0);
    const at::Tensor dead = stored.scale.eq(0); // all values are zero, whatever the codes
    at::Tensor zero = (largest - stored.zero).where(negative, stored.zero);
    at::Tensor codes = (largest - stored.codes).where(ofColumns(negative, stored), stored.codes);
    codes = ofColumns(zero, stored).where(ofColumns(dead, stored), codes);

    QuantizedLinear linear;
    linear.name = name;
    linear.out = stored.codes.size(0);
    linear.in = stored.codes.size(1);
    linear.scale = stored.scale.abs().masked_fill(dead, kScaleOfZeros);
    const std::int64_t groups = linear.scale.size(1);
    linear.format.bits = stored.bits;
    linear.format.groupSize = groups == 1 ? 0 : linear.in / groups;
    linear.format.scaleDtype = exactIn(linear.scale, at::kHalf)       ? at::kHalf
                               : exactIn(linear.scale, at::kBFloat16) ? at::kBFloat16
                                                                      : at::kFloat;
    linear.format.sym = zero.eq(middle).all().item<bool>();
    if (linear.format.sym) {
        linear.codes = (codes - middle).to(at::kChar);
    } else {
        linear.codes = codes.to(at::kByte);
        linear.zero = zero.to(at::kByte);
    }
    if (groups > 1 && !inOrder(stored, linear.format.groupSize)) {
        linear.groupIndex = stored.groupOf;
    }
    return linear;
}

} // namespace qw
