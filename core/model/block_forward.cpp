#include "model/block_forward.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>

#include "base/error.h"
#include "model/attention.h"
#include "model/rope.h"

namespace qw {

at::Tensor normalize(const ModelConfig& config, const NormWeights& norm, const at::Tensor& x)
{
    if (config.arch->norm == Norm::Layer) {
        return at::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, config.normEps);
    }
    const at::Tensor inverse = at::rsqrt(x.square().mean(-1, true) + config.normEps);
    return x * inverse * norm.weight;
}

BlockForward::BlockForward(const ModelConfig& config, at::ScalarType compute,
                           const BlockWeights& block, const BlockHooks& hooks, KvCache* cache)
    : m_config(config), m_compute(compute), m_block(hooks.block ? *hooks.block : block),
      m_hooks(hooks), m_cache(cache)
{
}

at::Tensor BlockForward::run(const at::Tensor& x) const
{
    m_batch = x.size(0);
    m_tokens = x.size(1);
    const auto flat = [&](const at::Tensor& t) {
        return t.reshape({m_batch * m_tokens, m_config.hidden});
    };
    const auto norm = [&](const NormWeights& weights, const at::Tensor& t) {
        return flat(normalize(m_config, weights, t)).to(m_compute);
    };
    if (m_config.parallelResidual) {
        const at::Tensor a = attention(norm(m_block.attentionNorm, x));
        const at::Tensor m = mlp(norm(m_block.mlpNorm, x));
        return x + (a + m).view_as(x);
    }
    if (m_config.preNorm) {
        at::Tensor y = x + attention(norm(m_block.attentionNorm, x)).view_as(x);
        return y.add_(mlp(norm(m_block.mlpNorm, y)).view_as(x));
    }
    // OPT-350m: the norm comes after the residual sum.
    const at::Tensor y =
        normalize(m_config, m_block.attentionNorm, x + attention(flat(x).to(m_compute)).view_as(x));
    return normalize(m_config, m_block.mlpNorm, y + mlp(flat(y).to(m_compute)).view_as(x));
}

void BlockForward::observe(LinearRole first, const at::Tensor& x) const
{
    if (m_hooks.input) {
        m_hooks.input(m_block.linear(first).info, x);
    }
}

at::Tensor BlockForward::linear(const LinearWeights& weights, const at::Tensor& x) const
{
    return m_hooks.linear ? m_hooks.linear(weights, x)
                          : at::linear(x, weights.weight, weights.bias);
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
    const at::Tensor split = flat.to(at::kFloat).view({m_batch, m_tokens, heads, m_config.headDim});
    return normalize(m_config, norm, split).view_as(flat).to(m_compute);
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
        return toHeads(fused.narrow(1, i * heads * dim, heads * dim).contiguous(), heads);
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
        RotaryTable table = rotaryTable(m_config, start, m_tokens, start + m_tokens);
        table.cosine = table.cosine.to(normed.device());
        table.sine = table.sine.to(normed.device());
        heads.q = applyRotary(heads.q.to(at::kFloat), table).to(m_compute);
        heads.k = applyRotary(heads.k.to(at::kFloat), table).to(m_compute);
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
                           : causalAttention(heads.q.contiguous(), heads.k.contiguous(),
                                             heads.v.contiguous(), options);
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
        inner = at::silu(gate).mul_(linear(m_block.linear(LinearRole::Up), normed));
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
