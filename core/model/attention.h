#pragma once

#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

namespace qw {

struct AttentionOptions {
    double scale = 1;
    std::int64_t window = 0;        ///< a query sees keys less than this far back; 0: all before it
    std::int64_t firstPosition = 0; ///< of query 0 among the keys
};

/// Causal attention with grouped queries: attentionKernel on the CPU, blocks of plain ATen
/// elsewhere.
/// @param q [B, heads, T, d]; @param k, v [B, kv_heads, S, d]; any strides, so that a cache is read
/// in place; float32 or bfloat16; @return [B, heads, T, d], dtype of q, laid out as [B, T, heads,
/// d]
/// @throws Error::BadShape
at::Tensor causalAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const AttentionOptions& options);

/// The same through whole matrices, with the probabilities handed to @p replace. The oracle, and
/// the way to quantize the probabilities.
at::Tensor plainAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          const AttentionOptions& options,
                          const std::function<at::Tensor(const at::Tensor&)>& replace = {});

} // namespace qw
