#include "model/attention_kernel.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include <ATen/Parallel.h>

#include "model/simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace qw {

namespace {
constexpr std::int64_t kQueryTile = 96; // rows of one unit of work, whole groups of kRows
constexpr std::int64_t kKeyBlock = 256; // keys between two updates of the running maximum
/// Fewer queries than this do not pay for packing the keys.
constexpr std::int64_t kFewQueries = 4;

/// Where a tile of queries lies in its head.
struct TilePlace {
    std::int64_t firstQuery = 0;
    std::int64_t rows = 0;
    std::int64_t paddedKeys = 0;
};

/// The inner functions as compiled for one kind of processor.
template <class Element>
struct Processor {
    std::int64_t panel = 0;
    std::int64_t lanes = 0;
    std::int64_t perCell = 0;
    void (*packKeys)(const Element*, std::int64_t, std::int64_t, std::int64_t,
                     std::uint32_t*) = nullptr;
    void (*packValues)(const Element*, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                       std::int64_t, std::int64_t, std::uint32_t*) = nullptr;
    void (*attendTile)(const AttentionShape&, const TilePlace&, const Element*, std::int64_t,
                       const std::uint32_t*, const std::uint32_t*, Element*,
                       std::int64_t) = nullptr;
    void (*attendQuery)(const AttentionShape&, std::int64_t, const Element*, const Element*,
                        std::int64_t, const Element*, std::int64_t, Element*) = nullptr;
};

/// sum + float in the cell * vector, element by element.
#define QW_MULTIPLY_ADD_FLOATS                                                                     \
    template <class V>                                                                             \
    [[gnu::always_inline]] inline V multiplyAdd(V sum, std::uint32_t cell, V vector)               \
    {                                                                                              \
        return sum + std::bit_cast<float>(cell) * vector;                                          \
    }

namespace baseline {
constexpr std::int64_t kLanes = 4;
constexpr std::int64_t kColumns = 2;
constexpr bool kPairs = false;
QW_MULTIPLY_ADD_FLOATS
#include "model/attention_tile.inc"
} // namespace baseline

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
constexpr std::int64_t kLanes = 8;
constexpr std::int64_t kColumns = 2;
constexpr bool kPairs = false;
QW_MULTIPLY_ADD_FLOATS
#include "model/attention_tile.inc"
} // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
namespace avx512 {
constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kColumns = 4;
constexpr bool kPairs = false;
QW_MULTIPLY_ADD_FLOATS
#include "model/attention_tile.inc"
} // namespace avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")
namespace avx512bf16 {
constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kColumns = 4;
constexpr bool kPairs = true;
template <class V>
[[gnu::always_inline]] inline V multiplyAdd(V sum, std::uint32_t cell, V vector)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32(static_cast<int>(cell)),
                            (__m512bh)vector);
}
#include "model/attention_tile.inc"
} // namespace avx512bf16
#pragma GCC pop_options
#endif

template <class Element>
Processor<Element> processorFor([[maybe_unused]] Simd simd)
{
#if defined(__x86_64__)
    if constexpr (sizeof(Element) == 2) {
        if (simd >= Simd::Avx512Bf16) {
            return avx512bf16::processor<Element>();
        }
    }
    if (simd >= Simd::Avx512) {
        return avx512::processor<Element>();
    }
    if (simd >= Simd::Avx2) {
        return avx2::processor<Element>();
    }
#endif
    return baseline::processor<Element>();
}

/// Every query by itself.
template <class Element>
void attendQueries(const Processor<Element>& on, const AttentionShape& shape,
                   const HeadsView<const Element>& q, const HeadsView<const Element>& k,
                   const HeadsView<const Element>& v, const HeadsView<Element>& out)
{
    const std::int64_t group = shape.heads / shape.kvHeads;
    const std::int64_t items = shape.batch * shape.heads * shape.queries;
    at::parallel_for(0, items, 1, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t i = from; i < to; ++i) {
            const std::int64_t t = i % shape.queries;
            const std::int64_t h = i / shape.queries % shape.heads;
            const std::int64_t b = i / shape.queries / shape.heads;
            on.attendQuery(shape, shape.firstPosition + t, q.row(b, h, t), k.row(b, h / group, 0),
                           k.tokenStride, v.row(b, h / group, 0), v.tokenStride, out.row(b, h, t));
        }
    });
}
} // namespace

template <class Element>
void attentionKernel(const AttentionShape& shape, const HeadsView<const Element>& q,
                     const HeadsView<const Element>& k, const HeadsView<const Element>& v,
                     const HeadsView<Element>& out, Simd simd)
{
    const Processor<Element> on = processorFor<Element>(simd);
    if (shape.queries < kFewQueries) {
        attendQueries(on, shape, q, k, v, out);
        return;
    }
    const std::int64_t group = shape.heads / shape.kvHeads;
    // Whole key blocks, so that a tile may run over the end without asking.
    const std::int64_t paddedKeys = (shape.keys + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
    const std::int64_t steps = (shape.headDim + on.perCell - 1) / on.perCell;
    const std::int64_t dims = (shape.headDim + on.lanes - 1) / on.lanes * on.lanes;
    const std::int64_t keyCells = paddedKeys * steps;
    const std::int64_t valueCells = paddedKeys / on.perCell * dims;
    const std::int64_t shared = shape.batch * shape.kvHeads;
    const std::unique_ptr<std::uint32_t[]> keys(new std::uint32_t[shared * keyCells]);
    const std::unique_ptr<std::uint32_t[]> values(new std::uint32_t[shared * valueCells]);

    const std::int64_t panels = paddedKeys / on.panel;
    at::parallel_for(0, shared * panels, 1, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t i = from; i < to; ++i) {
            const std::int64_t head = i / panels;
            const std::int64_t b = head / shape.kvHeads;
            const std::int64_t h = head % shape.kvHeads;
            const std::int64_t first = i % panels * on.panel;
            const std::int64_t count = std::clamp<std::int64_t>(shape.keys - first, 0, on.panel);
            on.packKeys(k.row(b, h, first), k.tokenStride, count, shape.headDim,
                        keys.get() + head * keyCells + first * steps);
            for (std::int64_t t = 0; t < on.panel; t += on.perCell) {
                const std::int64_t left = std::clamp<std::int64_t>(count - t, 0, on.perCell);
                on.packValues(v.row(b, h, first + t), v.tokenStride, left,
                              left > 0 ? shape.headDim : 0, dims, (first + t) / on.perCell,
                              paddedKeys / on.perCell, values.get() + head * valueCells);
            }
        }
    });

    const std::int64_t tiles = (shape.queries + kQueryTile - 1) / kQueryTile;
    at::parallel_for(
        0, shape.batch * shape.heads * tiles, 1, [&](std::int64_t from, std::int64_t to) {
            for (std::int64_t i = from; i < to; ++i) {
                const std::int64_t b = i / tiles / shape.heads;
                const std::int64_t h = i / tiles % shape.heads;
                // Short and long tiles in turn: any run of them costs about the same.
                const std::int64_t n = i % tiles;
                const std::int64_t tile = n % 2 == 0 ? n / 2 : tiles - 1 - n / 2;
                const std::int64_t first = tile * kQueryTile;
                const TilePlace place{first, std::min(kQueryTile, shape.queries - first),
                                      paddedKeys};
                const std::int64_t head = b * shape.kvHeads + h / group;
                on.attendTile(shape, place, q.row(b, h, first), q.tokenStride,
                              keys.get() + head * keyCells, values.get() + head * valueCells,
                              out.row(b, h, first), out.tokenStride);
            }
        });
}

template void attentionKernel(const AttentionShape&, const HeadsView<const float>&,
                              const HeadsView<const float>&, const HeadsView<const float>&,
                              const HeadsView<float>&, Simd);
template void attentionKernel(const AttentionShape&, const HeadsView<const std::uint16_t>&,
                              const HeadsView<const std::uint16_t>&,
                              const HeadsView<const std::uint16_t>&,
                              const HeadsView<std::uint16_t>&, Simd);

} // namespace qw
