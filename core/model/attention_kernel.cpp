#include "model/attention_kernel.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include <ATen/Parallel.h>

#include "model/attention_packing.h"
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
    AttentionPacking<Element> packing;
    void (*attendTile)(const AttentionShape&, const TilePlace&, const Element*, std::int64_t,
                       const std::uint32_t*, const std::uint32_t*, Element*,
                       std::int64_t) = nullptr;
    void (*attendQuery)(const AttentionShape&, std::int64_t, const Element*, const Element*,
                        std::int64_t, const Element*, std::int64_t, Element*) = nullptr;
};

#define QW_ATTENTION_FUNCTIONS "model/attention_tile.inc"
#include "model/attention_versions.inc"

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
    const PackedHeads keys = packedRows(on.packing, shape, k, paddedKeys);
    const std::int64_t lanes = on.packing.lanes;
    const PackedHeads values =
        packedValues(on.packing, shape, v, paddedKeys, (shape.headDim + lanes - 1) / lanes * lanes);

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
                on.attendTile(shape, place, q.row(b, h, first), q.tokenStride, keys.head(head),
                              values.head(head), out.row(b, h, first), out.tokenStride);
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
