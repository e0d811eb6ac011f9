#include "model/attention_gradient.h"

#include <cstdint>

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "model/attention_gradient_kernel.h"
#include "model/attention_operands.h"
#include "model/custom_gradient.h"

namespace qw {

namespace {
template <class Element>
void runKernel(const AttentionShape& shape, const at::Tensor& q, const at::Tensor& k,
               const at::Tensor& v, const at::Tensor& gradient, const at::Tensor& dq,
               const AttentionSums& sums, Simd simd)
{
    attentionGradientKernel<Element>(shape,
                                     {headsView<const Element>(q), headsView<const Element>(k),
                                      headsView<const Element>(v),
                                      headsView<const Element>(gradient)},
                                     headsView<Element>(dq), sums, simd);
}
} // namespace

std::vector<at::Tensor> attentionGradients(const at::Tensor& q, const at::Tensor& k,
                                           const at::Tensor& v, const at::Tensor& gradient,
                                           const AttentionOptions& options, Simd simd)
{
    const AttentionShape shape = attentionShape(q, k, options);
    AttentionSums sums;
    sums.rows = gradientRows(shape.keys);
    sums.dims = gradientDims(shape.headDim);
    const at::Tensor dk = at::zeros({shape.batch, shape.heads, sums.rows, sums.dims}, at::kFloat);
    const at::Tensor dv = at::zeros_like(dk);
    sums.dk = dk.data_ptr<float>();
    sums.dv = dv.data_ptr<float>();
    // In the layout of the products that q, k and v came from.
    const at::Tensor dq =
        at::empty({shape.batch, shape.queries, shape.heads, shape.headDim}, q.options())
            .transpose(1, 2);
    const at::Tensor above = denseHeads(gradient.to(q.scalar_type()));
    const at::Tensor keys = denseHeads(k);
    const at::Tensor values = denseHeads(v);
    if (q.scalar_type() == at::kBFloat16) {
        runKernel<std::uint16_t>(shape, denseHeads(q), keys, values, above, dq, sums, simd);
    } else {
        runKernel<float>(shape, denseHeads(q), keys, values, above, dq, sums, simd);
    }
    const auto shared = [&](const at::Tensor& x) { // by the heads of a group
        return x.view({shape.batch, shape.kvHeads, -1, sums.rows, sums.dims})
            .sum(2)
            .narrow(2, 0, shape.keys)
            .narrow(3, 0, shape.headDim)
            .to(k.scalar_type())
            .contiguous();
    };
    return {dq, shared(dk), shared(dv)};
}

at::Tensor differentiableAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const AttentionOptions& options)
{
    return applyWithGradient({q, k, v}, {[=] { return causalAttention(q, k, v, options); },
                                         [=](const at::Tensor& gradient) {
                                             return attentionGradients(q, k, v, gradient, options);
                                         }});
}

} // namespace qw
