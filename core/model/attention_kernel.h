#pragma once

#include <cstdint>

#include "model/heads_view.h"
#include "model/simd.h"

namespace qw {

struct AttentionShape {
    std::int64_t batch = 0;
    std::int64_t heads = 0;
    std::int64_t kvHeads = 0;
    std::int64_t queries = 0;
    std::int64_t keys = 0;
    std::int64_t headDim = 0;
    std::int64_t firstPosition = 0; ///< of query 0 among the keys
    std::int64_t window = 0;        ///< a query sees keys less than this far back; 0: all before it
    float scale = 1;
};

/// Causal attention with grouped queries on the CPU. Elements are float, or std::uint16_t holding
/// bfloat16. Scores exist for one tile of queries and keys at a time (they stay in the first-level
/// cache), keys after a tile's last query are skipped, and the softmax streams in float32 over the
/// key tiles. Parallel over batch x heads x query tiles; the result does not depend on the number
/// of threads. With bfloat16 the products run on bfloat16 operands with float32 sums where the
/// processor has them, else on widened operands.
/// @param simd  what the processor may be asked for
/// Source: FlashAttention, arXiv:2205.14135, Algorithm 1. Differs: queries outside, keys inside,
/// keys and values packed once for all queries that share them.
template <class Element>
void attentionKernel(const AttentionShape& shape, const HeadsView<const Element>& q,
                     const HeadsView<const Element>& k, const HeadsView<const Element>& v,
                     const HeadsView<Element>& out, Simd simd = bestSimd());

} // namespace qw
