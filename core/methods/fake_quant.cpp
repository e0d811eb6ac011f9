#include "methods/fake_quant.h"

#include <type_traits>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "base/error.h"
#include "methods/fake_quant_kernels.h"
#include "model/custom_gradient.h"
#include "model/matrix_product.h"
#include "quant/range_search.h"

namespace qw {

namespace {
/// v as the result, with the gradient of @p through.
at::Tensor straightThrough(const at::Tensor& v, const at::Tensor& through)
{
    return v.detach() + (through - through.detach());
}

at::Tensor scaleFloor(const FakeQuantParts& parts)
{
    return representableScale(at::zeros_like(parts.scale.detach()), parts.grid.scaleDtype);
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

/// function(the values as the kernels take them).
template <class Function>
void withElements(const at::Tensor& values, Function function)
{
    if (values.scalar_type() == at::kBFloat16) {
        function(static_cast<std::uint16_t*>(values.data_ptr()));
    } else {
        function(values.data_ptr<float>());
    }
}

/// x W^^T by kernels: everything on the CPU and dense, the scale as stored.
class FusedLinear
{
public:
    explicit FusedLinear(const FakeQuantParts& parts)
        : m_parts(parts), m_scale(storedScale(parts).detach().contiguous())
    {
        for (at::Tensor* part : {&m_parts.left, &m_parts.right, &m_parts.weight}) {
            if (part->defined()) {
                *part = part->detach().contiguous();
            }
        }
    }
    /// W^, or its integers, in the place of the pair's product.
    at::Tensor quantized(bool codesOnly) const
    {
        const at::Tensor product = this->product();
        const at::Tensor values = product.defined() ? product : empty();
        quantize(product, codesOnly, values);
        return values;
    }
    at::Tensor forward(const at::Tensor& x) const { return linearProduct(x, quantized(false), {}); }
    /// Of x (undefined unless wanted), scale, left, right and weight, if they are there.
    std::vector<at::Tensor> backward(const at::Tensor& x, bool ofInput, const at::Tensor& y) const;

private:
    at::Tensor product() const
    {
        return m_parts.left.defined()
                   ? matrixProduct(narrowed(m_parts.left), narrowed(m_parts.right), m_parts.compute)
                   : at::Tensor();
    }
    at::Tensor narrowed(const at::Tensor& factor) const { return factor.to(m_parts.compute); }
    at::Tensor empty() const
    {
        return at::empty({m_scale.size(0), m_parts.frozen.columns()},
                         m_scale.options().dtype(m_parts.compute));
    }
    template <class Element>
    FakeQuantArguments<Element> arguments(const at::Tensor& product) const;
    void quantize(const at::Tensor& product, bool codesOnly, const at::Tensor& values) const;
    /// @param w  the gradient of W^, in whose place that of the product or of the weight comes
    at::Tensor scaleGradient(const at::Tensor& product, const at::Tensor& w) const;

    FakeQuantParts m_parts;
    at::Tensor m_scale;
};

template <class Element>
FakeQuantArguments<Element> FusedLinear::arguments(const at::Tensor& product) const
{
    FakeQuantArguments<Element> a;
    a.rows = m_scale.size(0);
    a.groups = m_scale.size(1);
    a.width = m_parts.frozen.columns() / a.groups;
    a.phi = m_parts.frozen.phi();
    a.bits = m_parts.grid.bits;
    a.frozen = m_parts.frozen.stored().data_ptr();
    a.weight = m_parts.weight.defined() ? m_parts.weight.data_ptr<float>() : nullptr;
    a.product = product.defined() ? static_cast<const Element*>(product.data_ptr()) : nullptr;
    a.scale = m_scale.data_ptr<float>();
    a.low = static_cast<float>(codeMin(m_parts.grid));
    a.high = static_cast<float>(codeMax(m_parts.grid));
    a.factor = static_cast<float>(m_parts.factor);
    return a;
}

void FusedLinear::quantize(const at::Tensor& product, bool codesOnly,
                           const at::Tensor& values) const
{
    withElements(values, [&](auto* to) {
        using Element = std::remove_pointer_t<decltype(to)>;
        fakeQuant(arguments<Element>(product), codesOnly, to);
    });
}

at::Tensor FusedLinear::scaleGradient(const at::Tensor& product, const at::Tensor& w) const
{
    const at::Tensor gradient = at::empty_like(m_scale);
    withElements(w, [&](auto* of) {
        using Element = std::remove_pointer_t<decltype(of)>;
        fakeQuantBackward(arguments<Element>(product), of, gradient.data_ptr<float>());
    });
    return gradient.mul_(m_parts.scale.detach().ge(scaleFloor(m_parts)));
}

std::vector<at::Tensor> FusedLinear::backward(const at::Tensor& x, bool ofInput,
                                              const at::Tensor& y) const
{
    const at::Tensor product = this->product();
    std::vector<at::Tensor> all(1);
    if (ofInput) {
        const at::Tensor values = empty();
        quantize(product, false, values);
        all.front() = matrixProduct(y, values, m_parts.compute);
    }
    const at::Tensor w = matrixProduct(y.t(), x, m_parts.compute);
    all.push_back(scaleGradient(product, w));
    if (product.defined()) {
        all.push_back(matrixProduct(w, narrowed(m_parts.right).t(), at::kFloat));
        all.push_back(matrixProduct(narrowed(m_parts.left).t(), w, at::kFloat));
    }
    if (m_parts.weight.defined()) {
        all.push_back(w.to(at::kFloat));
    }
    return all;
}

std::vector<at::Tensor> inputsOf(const at::Tensor& x, const FakeQuantParts& parts)
{
    std::vector<at::Tensor> inputs = {x};
    for (const at::Tensor& part : {parts.scale, parts.left, parts.right, parts.weight}) {
        if (part.defined()) {
            inputs.push_back(part);
        }
    }
    return inputs;
}

at::Tensor noValues(const at::Tensor& x, const FakeQuantParts& parts)
{
    return at::zeros({x.size(0), parts.scale.size(0)}, x.options());
}
} // namespace

at::Tensor storedScale(const FakeQuantParts& parts)
{
    const at::Tensor scale = parts.scale.detach();
    const at::Tensor stored = representableScale(scale, parts.grid.scaleDtype);
    return at::where(scale.lt(scaleFloor(parts)), stored, straightThrough(stored, parts.scale));
}

at::Tensor plainFakeQuant(const FakeQuantParts& parts)
{
    const at::Tensor scale = storedScale(parts);
    return (scale.unsqueeze(2) * plainIntegers(parts, scale))
        .reshape({scale.size(0), -1})
        .to(parts.compute);
}

at::Tensor plainFakeQuantLinear(const at::Tensor& x, const FakeQuantParts& parts, Wanted wanted)
{
    return recomputed(inputsOf(x, parts), [=](const std::vector<at::Tensor>& values) {
        if (wanted == Wanted::Gradient && !at::GradMode::is_enabled()) { // the first time
            return noValues(values.front(), parts);
        }
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

at::Tensor fakeQuantLinear(const at::Tensor& x, const FakeQuantParts& parts, Wanted wanted)
{
    QW_REQUIRE(x.scalar_type() == parts.compute, ErrorCode::BadShape,
               "a weight under training: x is ", x.scalar_type(), ", not ", parts.compute);
    if (!x.is_cpu()) {
        return plainFakeQuantLinear(x, parts, wanted);
    }
    const std::vector<at::Tensor> inputs = inputsOf(x, parts);
    return applyWithGradient(inputs, {[=] {
                                          return wanted == Wanted::Values
                                                     ? FusedLinear(parts).forward(x)
                                                     : noValues(x, parts);
                                      },
                                      [=](const at::Tensor& gradient) {
                                          return FusedLinear(parts).backward(
                                              x.detach(), x.requires_grad(), gradient.contiguous());
                                      }});
}

at::Tensor fakeQuant(const FakeQuantParts& parts, bool codesOnly)
{
    const at::NoGradGuard noGrad;
    if (parts.scale.is_cpu()) {
        const at::Tensor values = FusedLinear(parts).quantized(codesOnly);
        return codesOnly ? values.to(at::kFloat) : values;
    }
    return codesOnly ? plainIntegers(parts, storedScale(parts)).reshape({parts.scale.size(0), -1})
                     : plainFakeQuant(parts);
}

} // namespace qw
