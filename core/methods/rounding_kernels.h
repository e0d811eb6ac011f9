#pragma once

#include <cstdint>

#include "model/simd.h"

namespace qw {

/// Weights under a learned divisor D = exp(offset + z + column), offset = log scale + row entry:
///   code = clamp(round(w / D), low, high),   w^ = scale * code.
/// Elements of z, of w^ and of the gradients are float, or std::uint16_t holding bfloat16; all
/// arithmetic is float32. Parallel over rows; the result does not depend on the number of threads.
/// Source: LRQ, the official code's forward and the gradients that follow with a straight-through
/// round and clamp (1 inside the grid, its bounds included).
template <class Element>
struct RoundingArguments {
    std::int64_t rows = 0;
    std::int64_t groups = 0;         ///< of a row
    std::int64_t width = 0;          ///< of a group
    const float* weight = nullptr;   ///< [rows, groups * width]
    const Element* z = nullptr;      ///< the same, or null: 0
    const float* logScale = nullptr; ///< [rows, groups]
    const float* low = nullptr;      ///< [rows, groups] integers
    const float* high = nullptr;     ///< [rows, groups] integers
    const float* row = nullptr;      ///< [rows], or null: 0
    const float* column = nullptr;   ///< [groups * width], or null: 0
};

/// @param values [rows, groups * width]: w^, or with @p codesOnly the codes themselves
template <class Element>
void roundLearned(const RoundingArguments<Element>& arguments, bool codesOnly, Element* values,
                  Simd simd = bestSimd());

/// @param gradient  of w^; @param z, logScale  and the rest: of the divisor's parts, null where not
/// wanted. z may be the gradient itself.
template <class Element>
struct RoundingGradients {
    Element* z = nullptr;
    float* logScale = nullptr; ///< [rows, groups]
    float* row = nullptr;      ///< [rows]
    float* column = nullptr;   ///< [groups * width]
};
template <class Element>
void roundLearnedBackward(const RoundingArguments<Element>& arguments, const Element* gradient,
                          const RoundingGradients<Element>& gradients, Simd simd = bestSimd());

/// e^x as the scales of roundLearned() are made, bit for bit.
void exponentials(const float* x, std::int64_t count, float* y);

/// One step of AdamW on @p count values. Sources: arXiv:1412.6980, arXiv:1711.05101.
struct AdamRates {
    float rate = 0; ///< already divided by 1 - beta1^t
    float beta1 = 0.9F;
    float beta2 = 0.999F;
    float eps = 1e-8F;
    float rootCorrection = 1; ///< 1 / sqrt(1 - beta2^t)
    float keep = 1;           ///< of a value, before the step: 1 - rate * decay
};
void adamStep(const AdamRates& rates, const float* gradient, std::int64_t count, float* value,
              float* first, float* second, Simd simd = bestSimd());

} // namespace qw
