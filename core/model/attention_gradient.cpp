#include "model/attention_gradient.h"

#include <algorithm>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include "model/custom_gradient.h"

namespace qw {

namespace {
/// Rows of queries whose probabilities exist at once.
constexpr std::int64_t kQueryTile = 128;

/// One head: float32 matrices [rows, head_dim], dense.
struct Head {
    at::Tensor q, k, v, gradient, dq, dk, dv;
};

/// Minus infinity where a query may not look, in place.
void mask(const at::Tensor& scores, std::int64_t firstQuery, std::int64_t firstKey,
          std::int64_t window)
{
    auto* data = scores.data_ptr<float>();
    const std::int64_t keys = scores.size(1);
    for (std::int64_t r = 0; r < scores.size(0); ++r, data += keys) {
        const std::int64_t query = firstQuery + r - firstKey; // among these keys
        constexpr float kNever = -std::numeric_limits<float>::infinity();
        std::fill(data + std::min(query + 1, keys), data + keys, kNever);
        if (window > 0) {
            std::fill(data, data + std::clamp<std::int64_t>(query - window + 1, 0, keys), kNever);
        }
    }
}

void addTile(const Head& head, std::int64_t at, std::int64_t rows, const AttentionOptions& options)
{
    const std::int64_t first = options.firstPosition + at;
    const std::int64_t begin =
        options.window > 0 ? std::max<std::int64_t>(0, first - options.window + 1) : 0;
    const std::int64_t keys = first + rows - begin;
    const at::Tensor q = head.q.narrow(0, at, rows);
    const at::Tensor k = head.k.narrow(0, begin, keys);
    const at::Tensor gradient = head.gradient.narrow(0, at, rows);
    at::Tensor scores = at::mm(q, k.t()).mul_(options.scale);
    mask(scores, first, begin, options.window);
    const at::Tensor p = at::softmax(scores, 1);
    head.dv.narrow(0, begin, keys).addmm_(p.t(), gradient);
    at::Tensor ds = at::mm(gradient, head.v.narrow(0, begin, keys).t()).mul_(p);
    ds.sub_(p * ds.sum(1, true)).mul_(options.scale);
    at::Tensor dq = head.dq.narrow(0, at, rows);
    at::mm_out(dq, ds, k);
    head.dk.narrow(0, begin, keys).addmm_(ds.t(), q);
}
} // namespace

std::vector<at::Tensor> attentionGradients(const at::Tensor& q, const at::Tensor& k,
                                           const at::Tensor& v, const at::Tensor& gradient,
                                           const AttentionOptions& options)
{
    const auto wide = [](const at::Tensor& x) { return x.to(at::kFloat).contiguous(); };
    const at::Tensor qs = wide(q);
    const at::Tensor ks = wide(k);
    const at::Tensor vs = wide(v);
    const at::Tensor gradients = wide(gradient);
    const std::int64_t batch = q.size(0);
    const std::int64_t heads = q.size(1);
    const std::int64_t group = heads / k.size(1);
    at::Tensor dq = at::empty(qs.sizes(), qs.options());
    at::Tensor dk = at::zeros({batch, heads, k.size(2), k.size(3)}, ks.options());
    at::Tensor dv = at::zeros_like(dk);
    at::parallel_for(0, batch * heads, 1, [&](std::int64_t from, std::int64_t to) {
        const at::NoGradGuard noGrad;
        for (std::int64_t i = from; i < to; ++i) {
            const std::int64_t b = i / heads;
            const std::int64_t h = i % heads;
            const auto of = [&](const at::Tensor& x, std::int64_t which) {
                return x.select(0, b).select(0, which);
            };
            const Head head = {of(qs, h), of(ks, h / group), of(vs, h / group), of(gradients, h),
                               of(dq, h), of(dk, h),         of(dv, h)};
            for (std::int64_t at = 0; at < q.size(2); at += kQueryTile) {
                addTile(head, at, std::min(kQueryTile, q.size(2) - at), options);
            }
        }
    });
    const auto shared = [&](const at::Tensor& x) { // by the heads of a group
        return x.view({batch, heads / group, group, x.size(2), x.size(3)}).sum(2);
    };
    return {dq.to(q.scalar_type()), shared(dk).to(k.scalar_type()), shared(dv).to(v.scalar_type())};
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
