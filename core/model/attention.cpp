#include "model/attention.h"

#include <algorithm>
#include <limits>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>

#include "base/error.h"
#include "model/attention_kernel.h"
#include "model/attention_operands.h"

namespace qw {

namespace {
/// Scores that exist at once.
constexpr std::int64_t kMostScores = std::int64_t{64} << 20;
/// Rows of queries go in multiples of this.
constexpr std::int64_t kQueryBlock = 128;

/// True where a query may not look. [rows, keys]
at::Tensor hidden(std::int64_t firstQuery, std::int64_t rows, std::int64_t firstKey,
                  std::int64_t keys, std::int64_t window, const at::Device& device)
{
    const auto options = at::TensorOptions().dtype(at::kLong).device(device);
    const at::Tensor query = at::arange(firstQuery, firstQuery + rows, options).unsqueeze(1);
    const at::Tensor key = at::arange(firstKey, firstKey + keys, options).unsqueeze(0);
    at::Tensor mask = key.gt(query);
    if (window > 0) {
        mask = mask.logical_or((query - key).ge(window));
    }
    return mask;
}
/// Blocked in plain ATen, for devices other than the CPU.
at::Tensor blockedAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const AttentionOptions& options)
{
    const std::int64_t batch = q.size(0);
    const std::int64_t kvHeads = k.size(1);
    const std::int64_t group = q.size(1) / kvHeads;
    const std::int64_t queries = q.size(2);
    const std::int64_t dim = q.size(3);
    // [B, kv_heads, group, T, d]: the heads that share keys are rows of one product.
    const at::Tensor grouped = (q * options.scale).reshape({batch, kvHeads, group, queries, dim});
    at::Tensor out = at::empty_like(grouped);
    const std::int64_t blocks = kMostScores / (kQueryBlock * batch * q.size(1) * k.size(2));
    const std::int64_t together = kQueryBlock * std::max<std::int64_t>(1, blocks);
    for (std::int64_t at = 0; at < queries; at += together) {
        const std::int64_t rows = std::min(together, queries - at);
        const std::int64_t first = options.firstPosition + at;
        const std::int64_t last = first + rows; // one past the last key seen
        const std::int64_t begin =
            options.window > 0 ? std::max<std::int64_t>(0, first - options.window + 1) : 0;
        const std::int64_t keys = last - begin;
        const at::Tensor mask = hidden(first, rows, begin, keys, options.window, q.device());
        const at::Tensor rowsOfQ =
            grouped.narrow(3, at, rows).reshape({batch, kvHeads, group * rows, dim});
        at::Tensor scores =
            at::matmul(rowsOfQ, k.narrow(2, begin, keys).transpose(2, 3)).to(at::kFloat);
        scores.view({batch, kvHeads, group, rows, keys})
            .masked_fill_(mask, -std::numeric_limits<float>::infinity());
        const at::Tensor p = at::softmax(scores, -1).to(v.scalar_type());
        out.narrow(3, at, rows)
            .copy_(
                at::matmul(p, v.narrow(2, begin, keys)).view({batch, kvHeads, group, rows, dim}));
    }
    return out.view({batch, kvHeads * group, queries, dim});
}

template <class Element>
void runKernel(const AttentionShape& shape, const at::Tensor& q, const at::Tensor& k,
               const at::Tensor& v, const at::Tensor& out)
{
    attentionKernel(shape, headsView<const Element>(q), headsView<const Element>(k),
                    headsView<const Element>(v), headsView<Element>(out));
}
} // namespace

at::Tensor causalAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const AttentionOptions& options)
{
    QW_REQUIRE(q.size(1) % k.size(1) == 0 && q.size(3) == k.size(3) && k.sizes() == v.sizes() &&
                   options.firstPosition + q.size(2) <= k.size(2),
               ErrorCode::BadShape, "attention: queries ", q.sizes(), " do not fit keys ",
               k.sizes());
    if (!q.is_cpu()) {
        return blockedAttention(q, k, v, options);
    }
    const AttentionShape shape = attentionShape(q, k, options);
    at::Tensor out =
        at::empty({q.size(0), q.size(2), q.size(1), q.size(3)}, q.options()).transpose(1, 2);
    const at::Tensor keys = denseHeads(k);
    const at::Tensor values = denseHeads(v);
    if (q.scalar_type() == at::kBFloat16) {
        runKernel<std::uint16_t>(shape, denseHeads(q), keys, values, out);
    } else {
        runKernel<float>(shape, denseHeads(q), keys, values, out);
    }
    return out;
}

at::Tensor plainAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          const AttentionOptions& options,
                          const std::function<at::Tensor(const at::Tensor&)>& replace)
{
    const std::int64_t group = q.size(1) / k.size(1);
    const at::Tensor keys = k.repeat_interleave(group, 1);
    const at::Tensor values = v.repeat_interleave(group, 1);
    at::Tensor scores = (at::matmul(q, keys.transpose(2, 3)) * options.scale).to(at::kFloat);
    scores.masked_fill_(
        hidden(options.firstPosition, q.size(2), 0, k.size(2), options.window, q.device()),
        -std::numeric_limits<float>::infinity());
    at::Tensor p = at::softmax(scores, -1);
    if (replace) {
        p = replace(p);
    }
    return at::matmul(p.to(v.scalar_type()), values);
}

} // namespace qw
