#pragma once

#include <cstdint>

#include "model/attention_kernel.h"
#include "model/heads_view.h"
#include "model/simd.h"

namespace qw {

/// The operands of attention and the gradient of its result.
template <class Element>
struct AttentionOperands {
    HeadsView<const Element> q, k, v, gradient;
};

/// Sums over the queries of each head, [batch, heads, rows, dims] float32, dense and zero at first:
/// more rows than keys and more dims than a head has, so that kernels may run over the ends.
struct AttentionSums {
    float* dk = nullptr;
    float* dv = nullptr;
    std::int64_t rows = 0; ///< gradientRows()
    std::int64_t dims = 0; ///< gradientDims()
};
std::int64_t gradientRows(std::int64_t keys);
std::int64_t gradientDims(std::int64_t headDim);

/// Gradients of attentionKernel(), one head of queries at a time: of q to @p dq, of what the head
/// gives to k and v to @p sums. Probabilities exist for one tile of queries and are computed anew.
/// Parallel over batch x heads; the result does not depend on the number of threads. With bfloat16
/// the products run on bfloat16 operands with float32 sums where the processor has them, else on
/// widened operands.
/// Source: FlashAttention, arXiv:2205.14135, Algorithm 4. Differs: queries outside, keys inside,
/// and a row's probabilities are made whole, so that no statistics need to be kept.
template <class Element>
void attentionGradientKernel(const AttentionShape& shape, const AttentionOperands<Element>& of,
                             const HeadsView<Element>& dq, const AttentionSums& sums,
                             Simd simd = bestSimd());

} // namespace qw
