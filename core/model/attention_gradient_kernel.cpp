#include "model/attention_gradient_kernel.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include <ATen/Parallel.h>

#include "model/attention_packing.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace qw {

namespace {
/// Cells of a tile of queries: its probabilities and gradients stay in the second-level cache.
constexpr std::int64_t kQueryCells = 48;
constexpr std::int64_t kWholePanels = 64; // keys, a multiple of every processor's panel
constexpr std::int64_t kWidestVector = 16;
constexpr std::int64_t kBeyond = 8; // rows that a group of keys may run over the end

/// One tile of queries of one head and the head's keys and values, packed.
template <class Element>
struct GradientTile {
    const Element* q;
    std::int64_t qStride;
    const Element* gradient;
    std::int64_t gradientStride;
    Element* dq;
    std::int64_t dqStride;
    std::int64_t firstQuery;
    std::int64_t rows;
    std::int64_t paddedKeys;
    const std::uint32_t* keys;      ///< for products that sum over the dimensions
    const std::uint32_t* values;    ///< the same
    const std::uint32_t* keyValues; ///< keys, for products that sum over the keys
    float* dk;
    float* dv;
    std::int64_t dims; ///< of a row of dk and dv
};

/// What tiles write to, kept from one to the next. p and ds are the cells of products that sum over
/// the queries, the rest belongs to one group of rows or packs the tile's queries.
struct GradientSpace {
    std::vector<std::uint32_t> p, ds, queryRows, queryValues, gradientRows, gradientValues;
    std::vector<float> scores, gradients, mixed;
    std::vector<std::uint16_t> pairs;
};

/// The inner functions as compiled for one kind of processor.
template <class Element>
struct Processor {
    AttentionPacking<Element> packing;
    void (*gradientTile)(const AttentionShape&, const GradientTile<Element>&,
                         GradientSpace&) = nullptr;
};

#define QW_ATTENTION_FUNCTIONS "model/attention_gradient_tile.inc"
#include "model/attention_versions.inc"

std::int64_t wholePanels(std::int64_t keys)
{
    return (keys + kWholePanels - 1) / kWholePanels * kWholePanels;
}
} // namespace

std::int64_t gradientRows(std::int64_t keys)
{
    return keys + kBeyond;
}

std::int64_t gradientDims(std::int64_t headDim)
{
    return (headDim + kWidestVector - 1) / kWidestVector * kWidestVector;
}

template <class Element>
void attentionGradientKernel(const AttentionShape& shape, const AttentionOperands<Element>& of,
                             const HeadsView<Element>& dq, const AttentionSums& sums, Simd simd)
{
    const Processor<Element> on = processorFor<Element>(simd);
    const std::int64_t group = shape.heads / shape.kvHeads;
    const std::int64_t paddedKeys = wholePanels(shape.keys);
    const PackedHeads keys = packedRows(on.packing, shape, of.k, paddedKeys);
    const PackedHeads values = packedRows(on.packing, shape, of.v, paddedKeys);
    const PackedHeads keyValues = packedValues(on.packing, shape, of.k, paddedKeys, sums.dims);
    const std::int64_t queryTile = kQueryCells * on.packing.perCell;
    at::parallel_for(0, shape.batch * shape.heads, 1, [&](std::int64_t from, std::int64_t to) {
        GradientSpace space;
        for (std::int64_t i = from; i < to; ++i) {
            const std::int64_t b = i / shape.heads;
            const std::int64_t h = i % shape.heads;
            const std::int64_t head = b * shape.kvHeads + h / group;
            for (std::int64_t first = 0; first < shape.queries; first += queryTile) {
                on.gradientTile(
                    shape,
                    {of.q.row(b, h, first), of.q.tokenStride, of.gradient.row(b, h, first),
                     of.gradient.tokenStride, dq.row(b, h, first), dq.tokenStride, first,
                     std::min(queryTile, shape.queries - first), paddedKeys, keys.head(head),
                     values.head(head), keyValues.head(head), sums.dk + i * sums.rows * sums.dims,
                     sums.dv + i * sums.rows * sums.dims, sums.dims},
                    space);
            }
        }
    });
}

template void attentionGradientKernel(const AttentionShape&, const AttentionOperands<float>&,
                                      const HeadsView<float>&, const AttentionSums&, Simd);
template void attentionGradientKernel(const AttentionShape&,
                                      const AttentionOperands<std::uint16_t>&,
                                      const HeadsView<std::uint16_t>&, const AttentionSums&, Simd);

} // namespace qw
