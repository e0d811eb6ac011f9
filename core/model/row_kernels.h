#pragma once

#include <cstdint>

#include "model/heads_view.h"
#include "model/simd.h"

namespace qw {

/// Elementwise work of a decoder block on the CPU, each in one pass over memory, in float32 inside.
/// Elements are float, or std::uint16_t holding bfloat16. Parallel over rows; the result does not
/// depend on the number of threads. @param simd  what the processor may be asked for

struct NormParameters {
    const float* weight = nullptr;
    const float* bias = nullptr; ///< or null
    float eps = 0;
    bool centered = false; ///< LayerNorm; else RMSNorm
};

/// y = norm(x) of each row. @param x, y [rows, width] dense; may be the same memory
template <class In, class Out>
void normalizeRows(const In* x, const NormParameters& norm, std::int64_t rows, std::int64_t width,
                   Out* y, Simd simd = bestSimd());

/// dx of the same, from dy.
template <class In, class Element>
void normalizeRowsBackward(const In* x, const NormParameters& norm, std::int64_t rows,
                           std::int64_t width, const Element* dy, In* dx, Simd simd = bestSimd());

/// x += y
template <class Element>
void addTo(float* x, const Element* y, std::int64_t count, Simd simd = bestSimd());

/// gate = silu(gate) * up
template <class Element>
void siluTimes(Element* gate, const Element* up, std::int64_t count, Simd simd = bestSimd());

/// Of y = silu(gate) * up, dgate and dup from dy. dgate may be dy.
template <class Element>
void siluTimesBackward(const Element* gate, const Element* up, const Element* dy,
                       std::int64_t count, Element* dgate, Element* dup, Simd simd = bestSimd());

/// Half-rotation in place of the first 2 * half elements of each head.
/// @param cosine, sine [tokens, half]
struct RotaryShape {
    std::int64_t batch = 0;
    std::int64_t heads = 0;
    std::int64_t tokens = 0;
    std::int64_t half = 0;
};
template <class Element>
void rotateHeads(const HeadsView<Element>& x, const float* cosine, const float* sine,
                 const RotaryShape& shape, Simd simd = bestSimd());

} // namespace qw
