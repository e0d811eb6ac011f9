#pragma once

#include <ATen/core/Tensor.h>

#include "model/block_ops.h"
#include "model/decoder.h"
#include "model/rope.h"

namespace qw {

/// One pass of one block. Made anew for each call; holds references only.
class BlockForward
{
public:
    BlockForward(const ModelConfig& config, at::ScalarType compute, const BlockWeights& block,
                 const BlockHooks& hooks, KvCache* cache, RotaryTables& rotary,
                 const BlockOps& ops = inPlaceOps());
    /// @param x [B, T, hidden] float32, dense; @return it past the block, same shape; with
    /// operations that work in place this is x itself
    at::Tensor run(const at::Tensor& x);
    /// One part of the block alone. @param normed [B, T, hidden]; @return what it adds, same shape
    at::Tensor runModule(BlockModule module, const at::Tensor& normed);

private:
    struct Heads {
        at::Tensor q, k, v; ///< [B, heads or kv_heads, T, head_dim]
    };
    at::Tensor attention(const at::Tensor& normed) const;
    at::Tensor mlp(const at::Tensor& normed) const;
    Heads project(const at::Tensor& x) const;
    Heads splitFused(const at::Tensor& fused) const;
    at::Tensor linear(const LinearWeights& weights, const at::Tensor& x) const;
    void observe(LinearRole first, const at::Tensor& x) const;
    at::Tensor point(BlockPoint point, const at::Tensor& x) const;
    at::Tensor pointOfHeads(BlockPoint point, const at::Tensor& heads) const;
    bool wants(BlockPoint point) const;
    at::Tensor toHeads(const at::Tensor& flat, std::int64_t heads) const;
    at::Tensor normHeads(const NormWeights& norm, const at::Tensor& flat, std::int64_t heads) const;
    void extendCache(Heads& heads, std::int64_t start) const;

    const ModelConfig& m_config;
    at::ScalarType m_compute;
    const BlockWeights& m_block;
    const BlockHooks& m_hooks;
    KvCache* m_cache;
    RotaryTables& m_rotary;
    const BlockOps& m_ops;
    std::int64_t m_batch = 0;
    std::int64_t m_tokens = 0;
};

} // namespace qw
