#pragma once

#include <cstdint>

#include "methods/phi.h"
#include "model/simd.h"

namespace qw {

/// Weights under training, with base the frozen part, or weight / scale where there is a weight:
///   code = clamp(rint(base + factor * product), low, high), or, with frozen integers,
///   clamp(base + rint(factor * product), low, high);   w^ = scale * code.
/// Elements of the product, of w^ and of the gradients are float, or std::uint16_t holding
/// bfloat16; all arithmetic is float32. Parallel over rows; the result does not depend on the
/// number of threads.
template <class Element>
struct FakeQuantArguments {
    std::int64_t rows = 0;
    std::int64_t groups = 0; ///< of a row
    std::int64_t width = 0;  ///< of a group
    Phi phi = Phi::Float32;
    std::int64_t bits = 0;            ///< of the grid
    const void* frozen = nullptr;     ///< rows as FrozenWeight stores them, or null
    const float* weight = nullptr;    ///< [rows, groups * width], or null
    const Element* product = nullptr; ///< [rows, groups * width], or null: 0
    const float* scale = nullptr;     ///< [rows, groups]
    float low = 0, high = 0, factor = 0;
};

/// @param values [rows, groups * width]: w^, or with @p codesOnly the codes themselves. May be the
/// product itself.
template <class Element>
void fakeQuant(const FakeQuantArguments<Element>& arguments, bool codesOnly, Element* values,
               Simd simd = bestSimd());

/// Straight through round and clamp: 1 inside the grid, its bounds included.
/// @param gradient [rows, groups * width] of w^; becomes that of the weight or of the product,
/// where there is one; @param scale [rows, groups]: of the scale
template <class Element>
void fakeQuantBackward(const FakeQuantArguments<Element>& arguments, Element* gradient,
                       float* scale, Simd simd = bestSimd());

} // namespace qw
