#pragma once

#include <ATen/core/Tensor.h>

#include "model/attention.h"
#include "model/attention_kernel.h"

/// What the attention kernels take, from tensors.
namespace qw {

/// @param q [B, heads, T, head_dim]  @param k [B, kv_heads, keys, head_dim]
inline AttentionShape attentionShape(const at::Tensor& q, const at::Tensor& k,
                                     const AttentionOptions& options)
{
    return {q.size(0),
            q.size(1),
            k.size(1),
            q.size(2),
            k.size(2),
            q.size(3),
            options.firstPosition,
            options.window,
            static_cast<float>(options.scale)};
}

/// The kernels read heads wherever they lie, but each head in one piece.
/// @param x [B, heads, T, head_dim]
inline at::Tensor denseHeads(const at::Tensor& x)
{
    return x.stride(3) == 1 ? x : x.contiguous();
}

} // namespace qw
