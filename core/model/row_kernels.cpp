#include "model/row_kernels.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include <ATen/Parallel.h>

#include "model/simd.h"

namespace qw {

namespace {
/// Elements worth a thread of their own.
constexpr std::int64_t kGrain = 1 << 14;

/// The loops as compiled for one kind of processor.
template <class Element>
struct RowFunctions {
    void (*normalizeFloats)(const float*, const NormParameters&, std::int64_t, Element*) = nullptr;
    void (*normalize)(const Element*, const NormParameters&, std::int64_t, Element*) = nullptr;
    void (*add)(float*, const Element*, std::int64_t) = nullptr;
    void (*siluTimes)(Element*, const Element*, std::int64_t) = nullptr;
    void (*rotate)(Element*, const float*, const float*, std::int64_t) = nullptr;
    void (*normalizeFloatsBackward)(const float*, const NormParameters&, std::int64_t,
                                    const Element*, float*) = nullptr;
    void (*normalizeBackward)(const Element*, const NormParameters&, std::int64_t, const Element*,
                              Element*) = nullptr;
    void (*siluTimesBackward)(const Element*, const Element*, const Element*, std::int64_t,
                              Element*, Element*) = nullptr;
};

#define QW_SIMD_FUNCTIONS "model/row_functions.inc"
#include "model/simd_versions.inc"

template <class Element>
RowFunctions<Element> functionsFor([[maybe_unused]] Simd simd)
{
    return QW_SIMD_PICK(simd, rowFunctions<Element>());
}

/// Calls work(from, to) for runs of rows of the width given.
template <class Work>
void forRows(std::int64_t rows, std::int64_t width, const Work& work)
{
    at::parallel_for(0, rows, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, width)),
                     work);
}
} // namespace

template <class In, class Out>
void normalizeRows(const In* x, const NormParameters& norm, std::int64_t rows, std::int64_t width,
                   Out* y, Simd simd)
{
    static_assert(std::is_same_v<In, float> || std::is_same_v<In, Out>);
    const RowFunctions<Out> on = functionsFor<Out>(simd);
    forRows(rows, width, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t r = from; r < to; ++r) {
            if constexpr (std::is_same_v<In, float>) {
                on.normalizeFloats(x + r * width, norm, width, y + r * width);
            } else {
                on.normalize(x + r * width, norm, width, y + r * width);
            }
        }
    });
}

template <class Element>
void addTo(float* x, const Element* y, std::int64_t count, Simd simd)
{
    const auto add = functionsFor<Element>(simd).add;
    forRows(count, 1,
            [&](std::int64_t from, std::int64_t to) { add(x + from, y + from, to - from); });
}

template <class Element>
void siluTimes(Element* gate, const Element* up, std::int64_t count, Simd simd)
{
    const auto multiply = functionsFor<Element>(simd).siluTimes;
    forRows(count, 1, [&](std::int64_t from, std::int64_t to) {
        multiply(gate + from, up + from, to - from);
    });
}

template <class Element>
void rotateHeads(const HeadsView<Element>& x, const float* cosine, const float* sine,
                 const RotaryShape& shape, Simd simd)
{
    const auto rotate = functionsFor<Element>(simd).rotate;
    const std::int64_t width = 2 * shape.half * shape.heads;
    forRows(shape.batch * shape.tokens, width, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t r = from; r < to; ++r) {
            const std::int64_t b = r / shape.tokens;
            const std::int64_t t = r % shape.tokens;
            for (std::int64_t h = 0; h < shape.heads; ++h) {
                rotate(x.row(b, h, t), cosine + t * shape.half, sine + t * shape.half, shape.half);
            }
        }
    });
}

template <class In, class Element>
void normalizeRowsBackward(const In* x, const NormParameters& norm, std::int64_t rows,
                           std::int64_t width, const Element* dy, In* dx, Simd simd)
{
    static_assert(std::is_same_v<In, float> || std::is_same_v<In, Element>);
    const RowFunctions<Element> on = functionsFor<Element>(simd);
    forRows(rows, width, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t r = from; r < to; ++r) {
            if constexpr (std::is_same_v<In, float>) {
                on.normalizeFloatsBackward(x + r * width, norm, width, dy + r * width,
                                           dx + r * width);
            } else {
                on.normalizeBackward(x + r * width, norm, width, dy + r * width, dx + r * width);
            }
        }
    });
}

template <class Element>
void siluTimesBackward(const Element* gate, const Element* up, const Element* dy,
                       std::int64_t count, Element* dgate, Element* dup, Simd simd)
{
    const auto backward = functionsFor<Element>(simd).siluTimesBackward;
    forRows(count, 1, [&](std::int64_t from, std::int64_t to) {
        backward(gate + from, up + from, dy + from, to - from, dgate + from, dup + from);
    });
}

template void normalizeRowsBackward(const float*, const NormParameters&, std::int64_t, std::int64_t,
                                    const float*, float*, Simd);
template void normalizeRowsBackward(const float*, const NormParameters&, std::int64_t, std::int64_t,
                                    const std::uint16_t*, float*, Simd);
template void normalizeRowsBackward(const std::uint16_t*, const NormParameters&, std::int64_t,
                                    std::int64_t, const std::uint16_t*, std::uint16_t*, Simd);
template void siluTimesBackward(const float*, const float*, const float*, std::int64_t, float*,
                                float*, Simd);
template void siluTimesBackward(const std::uint16_t*, const std::uint16_t*, const std::uint16_t*,
                                std::int64_t, std::uint16_t*, std::uint16_t*, Simd);
template void normalizeRows(const float*, const NormParameters&, std::int64_t, std::int64_t, float*,
                            Simd);
template void normalizeRows(const float*, const NormParameters&, std::int64_t, std::int64_t,
                            std::uint16_t*, Simd);
template void normalizeRows(const std::uint16_t*, const NormParameters&, std::int64_t, std::int64_t,
                            std::uint16_t*, Simd);
template void addTo(float*, const float*, std::int64_t, Simd);
template void addTo(float*, const std::uint16_t*, std::int64_t, Simd);
template void siluTimes(float*, const float*, std::int64_t, Simd);
template void siluTimes(std::uint16_t*, const std::uint16_t*, std::int64_t, Simd);
template void rotateHeads(const HeadsView<float>&, const float*, const float*, const RotaryShape&,
                          Simd);
template void rotateHeads(const HeadsView<std::uint16_t>&, const float*, const float*,
                          const RotaryShape&, Simd);

} // namespace qw
