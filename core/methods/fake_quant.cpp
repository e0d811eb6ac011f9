#include "methods/fake_quant.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "base/error.h"
#include "model/custom_gradient.h"
#include "quant/range_search.h"

namespace qw {

namespace {
/// v as the result, with the gradient of @p through.
at::Tensor straightThrough(const at::Tensor& v, const at::Tensor& through)
{
    return v.detach() + (through - through.detach());
}

/// Integers [out, groups, width] with the gradient of what is rounded.
at::Tensor plainIntegers(const FakeQuantParts& p, const at::Tensor& scale)
{
    const auto grouped = [&](const at::Tensor& x) {
        return x.view({scale.size(0), scale.size(1), -1});
    };
    at::Tensor code;
    at::Tensor felt;
    if (p.weight.defined()) {
        felt = grouped(p.weight) / scale.unsqueeze(2);
        code = at::round(felt.detach());
    } else {
        const at::Tensor base = grouped(p.frozen.decoded());
        felt = base;
        if (p.left.defined()) {
            const at::Tensor product = at::mm(p.left.to(p.compute), p.right.to(p.compute));
            felt = grouped(product.to(at::kFloat) * p.factor);
        }
        code = !p.left.defined()            ? at::round(base)
               : p.frozen.phi() == Phi::Int ? base + at::round(felt.detach())
                                            : at::round(base + felt.detach());
    }
    const at::Tensor clamped =
        code.clamp(static_cast<double>(codeMin(p.grid)), static_cast<double>(codeMax(p.grid)));
    return straightThrough(clamped, at::where(clamped == code, felt, clamped));
}
} // namespace

at::Tensor storedScale(const FakeQuantParts& parts)
{
    const at::Tensor scale = parts.scale.detach();
    const at::Tensor stored = representableScale(scale, parts.grid.scaleDtype);
    const at::Tensor floor = representableScale(at::zeros_like(scale), parts.grid.scaleDtype);
    return at::where(scale.lt(floor), stored, straightThrough(stored, parts.scale));
}

at::Tensor plainFakeQuant(const FakeQuantParts& parts)
{
    const at::Tensor scale = storedScale(parts);
    return (scale.unsqueeze(2) * plainIntegers(parts, scale))
        .reshape({scale.size(0), -1})
        .to(parts.compute);
}

at::Tensor fakeQuantLinear(const at::Tensor& x, const FakeQuantParts& parts)
{
    QW_REQUIRE(x.scalar_type() == parts.compute, ErrorCode::BadShape,
               "a weight under training: x is ", x.scalar_type(), ", not ", parts.compute);
    std::vector<at::Tensor> inputs = {x};
    for (const at::Tensor& part : {parts.scale, parts.left, parts.right, parts.weight}) {
        if (part.defined()) {
            inputs.push_back(part);
        }
    }
    return recomputed(inputs, [parts](const std::vector<at::Tensor>& values) {
        FakeQuantParts p = parts;
        std::size_t next = 1;
        for (at::Tensor* part : {&p.scale, &p.left, &p.right, &p.weight}) {
            if (part->defined()) {
                *part = values[next++];
            }
        }
        return at::linear(values.front(), plainFakeQuant(p));
    });
}

at::Tensor fakeQuant(const FakeQuantParts& parts, bool codesOnly)
{
    const at::NoGradGuard noGrad;
    return codesOnly ? plainIntegers(parts, storedScale(parts)).reshape({parts.scale.size(0), -1})
                     : plainFakeQuant(parts);
}

} // namespace qw
