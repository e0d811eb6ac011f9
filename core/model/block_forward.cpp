#include "model/block_forward.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/gelu.h>
#include <ATen/ops/relu.h>

#include "base/error.h"
#include "model/attention.h"
#include "model/matrix_product.h"

namespace qw {

BlockForward::BlockForward(const ModelConfig& config, at::ScalarType compute,
                           const BlockWeights& block, const BlockHooks& hooks, KvCache* cache,
                           RotaryTables& rotary, const BlockOps& ops)
    : m_config(config), m_compute(compute), m_block(hooks.block ? *hooks.block : block),
      m_hooks(hooks), m_cache(cache), m_rotary(rotary), m_ops(ops)
{
}

at::Tensor BlockForward::run(const at::Tensor& x)
{
    m_batch = x.size(0);
    m_tokens = x.size(1);
    at::Tensor rows = x.view({m_batch * m_tokens, m_config.hidden});
    const auto normed = [&](const NormWeights& weights) {
        return m_ops.normalize(m_config, weights, rows, m_compute);
    };
    if (m_config.parallelResidual) {
        const at::Tensor a = attention(normed(m_block.attentionNorm));
        const at::Tensor m = mlp(normed(m_block.mlpNorm));
        rows = m_ops.add(m_ops.add(rows, a), m);
    } else if (m_config.preNorm) {
        rows = m_ops.add(rows, attention(normed(m_block.attentionNorm)));
        rows = m_ops.add(rows, mlp(normed(m_block.mlpNorm)));
    } else { // OPT-350m: the norm comes after the residual sum
        const auto normedAfter = [&](const NormWeights& weights) {
            return m_ops.replace(rows, m_ops.normalize(m_config, weights, rows, at::kFloat));
        };
        rows = m_ops.add(rows, attention(rows.to(m_compute)));
        rows = normedAfter(m_block.attentionNorm);
        rows = m_ops.add(rows, mlp(rows.to(m_compute)));
        rows = normedAfter(m_block.mlpNorm);
    }
    return rows.view_as(x);
}

at::Tensor BlockForward::runModule(BlockModule module, const at::Tensor& normed)
{
    m_batch = normed.size(0);
    m_tokens = normed.size(1);
    const at::Tensor rows = normed.view({m_batch * m_tokens, m_config.hidden});
    return (module == BlockModule::Attention ? attention(rows) : mlp(rows)).view_as(normed);
}

void BlockForward::observe(LinearRole first, const at::Tensor& x) const
{
    if (m_hooks.input) {
        m_hooks.input(m_block.linear(first).info, x);
    }
}

at::Tensor BlockForward::linear(const LinearWeights& weights, const at::Tensor& x) const
{
    if (m_hooks.run != nullptr) {
        m_hooks.run->checkpoint();
    }
    return m_hooks.linear ? m_hooks.linear(weights, x)
                          : linearProduct(x, weights.weight, weights.bias);
}

bool BlockForward::wants(BlockPoint point) const
{
    return m_hooks.point &&
           std::find(m_hooks.points.begin(), m_hooks.points.end(), point) != m_hooks.points.end();
}

at::Tensor BlockForward::point(BlockPoint which, const at::Tensor& x) const
{
    return wants(which) ? m_hooks.point(which, x) : x;
}

/// A point that sees all heads of a token side by side, where a fused layer gives heads.
at::Tensor BlockForward::pointOfHeads(BlockPoint which, const at::Tensor& heads) const
{
    if (!wants(which)) {
        return heads;
    }
    const at::Tensor flat = heads.transpose(1, 2).reshape({m_batch * m_tokens, -1});
    return toHeads(m_hooks.point(which, flat), heads.size(1));
}

at::Tensor BlockForward::toHeads(const at::Tensor& flat, std::int64_t heads) const
{
    return flat.view({m_batch, m_tokens, heads, m_config.headDim}).transpose(1, 2);
}

/// Qwen3: each head of q and k is normalized by itself, before the rotation.
at::Tensor BlockForward::normHeads(const NormWeights& norm, const at::Tensor& flat,
                                   std::int64_t heads) const
{
    if (!norm.weight.defined()) {
        return flat;
    }
    const at::Tensor split = flat.view({m_batch, m_tokens, heads, m_config.headDim});
    return m_ops.normalize(m_config, norm, split, m_compute).view_as(flat);
}

BlockForward::Heads BlockForward::splitFused(const at::Tensor& fused) const
{
    const std::int64_t heads = m_config.heads;
    const std::int64_t dim = m_config.headDim;
    if (m_config.arch->qkvInterleavedPerHead) {
        const at::Tensor split = fused.view({m_batch, m_tokens, heads, 3, dim});
        const auto part = [&](std::int64_t i) { return split.select(3, i).transpose(1, 2); };
        return {part(0), part(1), part(2)};
    }
    const auto part = [&](std::int64_t i) {
        return fused.narrow(1, i * heads * dim, heads * dim)
            .view({m_batch, m_tokens, heads, dim})
            .transpose(1, 2);
    };
    return {part(0), part(1), part(2)};
}

BlockForward::Heads BlockForward::project(const at::Tensor& x) const
{
    if (const LinearWeights* fused = m_block.findLinear(LinearRole::FusedQkv)) {
        observe(LinearRole::FusedQkv, x);
        Heads heads = splitFused(linear(*fused, x));
        heads.k = pointOfHeads(BlockPoint::KeyPreRope, heads.k);
        heads.v = pointOfHeads(BlockPoint::Value, heads.v);
        return heads;
    }
    observe(LinearRole::Query, x);
    const at::Tensor q = linear(m_block.linear(LinearRole::Query), x);
    const at::Tensor k = point(BlockPoint::KeyPreRope, linear(m_block.linear(LinearRole::Key), x));
    const at::Tensor v = point(BlockPoint::Value, linear(m_block.linear(LinearRole::Value), x));
    return {toHeads(normHeads(m_block.queryNorm, q, m_config.heads), m_config.heads),
            toHeads(normHeads(m_block.keyNorm, k, m_config.kvHeads), m_config.kvHeads),
            toHeads(v, m_config.kvHeads)};
}

/// Appends to the cache and returns all keys and values so far.
void BlockForward::extendCache(Heads& heads, std::int64_t start) const
{
    QW_REQUIRE(start + m_tokens <= m_cache->capacity, ErrorCode::BadInput, "the text grew beyond ",
               m_cache->capacity, " tokens, for which the cache was made");
    KvCache::Entry& entry = m_cache->blocks[static_cast<std::size_t>(m_block.index)];
    if (!entry.key.defined()) {
        const std::vector<std::int64_t> shape{m_batch, m_config.kvHeads, m_cache->capacity,
                                              m_config.headDim};
        entry.key = heads.k.new_empty(shape);
        entry.value = heads.v.new_empty(shape);
    }
    entry.key.narrow(2, start, m_tokens).copy_(heads.k);
    entry.value.narrow(2, start, m_tokens).copy_(heads.v);
    heads.k = entry.key.narrow(2, 0, start + m_tokens);
    heads.v = entry.value.narrow(2, 0, start + m_tokens);
}

at::Tensor BlockForward::attention(const at::Tensor& normed) const
{
    const std::int64_t start = m_cache != nullptr ? m_cache->length : 0;
    Heads heads = project(normed);
    if (m_config.arch->position == Position::Rotary) {
        const RotaryTable table = m_rotary.rows(start, m_tokens, start + m_tokens);
        heads.q = m_ops.rotate(heads.q, table);
        heads.k = m_ops.rotate(heads.k, table);
    }
    heads.q = point(BlockPoint::Query, heads.q);
    heads.k = point(BlockPoint::Key, heads.k);
    heads.v = point(BlockPoint::ValueHeads, heads.v);
    if (m_cache != nullptr) {
        extendCache(heads, start);
    }
    AttentionOptions options;
    options.scale =
        m_config.scaleAttention ? 1 / std::sqrt(static_cast<double>(m_config.headDim)) : 1;
    if (m_config.scaleByInverseLayer) {
        options.scale /= static_cast<double>(m_block.index + 1);
    }
    options.window = m_config.slidingWindow[static_cast<std::size_t>(m_block.index)];
    options.firstPosition = start;
    at::Tensor mixed = wants(BlockPoint::Probabilities)
                           ? plainAttention(heads.q, heads.k, heads.v, options,
                                            [&](const at::Tensor& p) {
                                                return m_hooks.point(BlockPoint::Probabilities, p);
                                            })
                           : m_ops.attention(heads.q, heads.k, heads.v, options);
    mixed = point(BlockPoint::Mixed, mixed);
    mixed = mixed.transpose(1, 2).reshape({m_batch * m_tokens, m_config.heads * m_config.headDim});
    observe(LinearRole::AttentionOut, mixed);
    return linear(m_block.linear(LinearRole::AttentionOut), mixed);
}

at::Tensor BlockForward::mlp(const at::Tensor& normed) const
{
    at::Tensor inner;
    if (m_config.mlp == Mlp::GatedSilu) {
        observe(LinearRole::Gate, normed);
        const at::Tensor gate = linear(m_block.linear(LinearRole::Gate), normed);
        inner = m_ops.gate(gate, linear(m_block.linear(LinearRole::Up), normed));
    } else {
        observe(LinearRole::Up, normed);
        const at::Tensor up = linear(m_block.linear(LinearRole::Up), normed);
        inner = m_config.mlp == Mlp::Relu       ? at::relu(up)
                : m_config.mlp == Mlp::GeluTanh ? at::gelu(up, "tanh")
                                                : at::gelu(up, "none");
    }
    observe(LinearRole::Down, inner);
    return linear(m_block.linear(LinearRole::Down), inner);
}

} // namespace qw
