#pragma once

#include <cstdint>

namespace qw {

/// One side of a product of bfloat16 matrices, wherever its elements lie. One of the strides is 1.
struct ProductSide {
    const std::uint16_t* data = nullptr;
    std::int64_t stride = 0; ///< elements from one row (of a) or column (of b) to the next
    std::int64_t step = 0;   ///< elements from one summed index to the next
};

/// Whether the processor has products of bfloat16 pairs (AVX512_BF16).
bool hasBf16Product();
/// Whether it has those of whole tiles (AMX), for which bf16Product() is no match.
bool hasBf16Tiles();

/// c [rows, columns] = a [rows, depth] b [depth, columns] + bias [columns], if there is one. C is
/// float, or std::uint16_t holding bfloat16. Sums in float32, in an order that depends neither on
/// the number of threads nor on which does what; rounded once; subnormals count as zero. Only where
/// hasBf16Product(). Beside c it takes a panel of 64 columns of b a thread, and a copy of a whose
/// step is not 1.
/// @param depth  even
/// Source: the blocking of Goto and van de Geijn, "Anatomy of High-Performance Matrix
/// Multiplication", 2008. Differs: the whole depth is summed in registers, so the panels of deep
/// products outgrow the second-level cache.
template <class C>
void bf16Product(const ProductSide& a, const ProductSide& b, std::int64_t rows,
                 std::int64_t columns, std::int64_t depth, const std::uint16_t* bias, C* c);

} // namespace qw
