#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include <ATen/Parallel.h>

#include "model/attention_kernel.h"

namespace qw {

/// How attention's products want their right sides, as compiled for one kind of processor: in cells
/// of 32 bits, which hold a float or a pair of bfloat16.
template <class Element>
struct AttentionPacking {
    std::int64_t panel = 0;   ///< rows that are packed together
    std::int64_t lanes = 0;   ///< floats in a vector register
    std::int64_t perCell = 0; ///< elements of a cell
    void (*packKeys)(const Element*, std::int64_t, std::int64_t, std::int64_t,
                     std::uint32_t*) = nullptr;
    void (*packValues)(const Element*, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                       std::int64_t, std::int64_t, std::uint32_t*) = nullptr;
};

/// All heads that keys and values have, packed.
struct PackedHeads {
    std::unique_ptr<std::uint32_t[]> cells;
    std::int64_t size = 0; ///< cells of a head
    const std::uint32_t* head(std::int64_t which) const { return cells.get() + which * size; }
};

/// Calls work(head, its place in x, first, count) for every panel of every head, in parallel.
/// @param paddedKeys  whole panels
template <class Element, class Work>
void forPanels(const AttentionPacking<Element>& on, const AttentionShape& shape,
               const HeadsView<const Element>& x, std::int64_t paddedKeys, const Work& work)
{
    const std::int64_t panels = paddedKeys / on.panel;
    at::parallel_for(0, shape.batch * shape.kvHeads * panels, 1,
                     [&](std::int64_t from, std::int64_t to) {
                         for (std::int64_t i = from; i < to; ++i) {
                             const std::int64_t head = i / panels;
                             const std::int64_t first = i % panels * on.panel;
                             work(head, x.row(head / shape.kvHeads, head % shape.kvHeads, first),
                                  first, std::clamp<std::int64_t>(shape.keys - first, 0, on.panel));
                         }
                     });
}

/// For products that sum over the dimensions of a head.
template <class Element>
PackedHeads packedRows(const AttentionPacking<Element>& on, const AttentionShape& shape,
                       const HeadsView<const Element>& x, std::int64_t paddedKeys)
{
    const std::int64_t steps = (shape.headDim + on.perCell - 1) / on.perCell;
    PackedHeads packed;
    packed.size = paddedKeys * steps;
    packed.cells.reset(new std::uint32_t[shape.batch * shape.kvHeads * packed.size]);
    forPanels(on, shape, x, paddedKeys,
              [&](std::int64_t head, const Element* rows, std::int64_t first, std::int64_t count) {
                  on.packKeys(rows, x.tokenStride, count, shape.headDim,
                              packed.cells.get() + head * packed.size + first * steps);
              });
    return packed;
}

/// For products that sum over the keys. @param dims  of a head, whole vectors
template <class Element>
PackedHeads packedValues(const AttentionPacking<Element>& on, const AttentionShape& shape,
                         const HeadsView<const Element>& x, std::int64_t paddedKeys,
                         std::int64_t dims)
{
    PackedHeads packed;
    packed.size = paddedKeys / on.perCell * dims;
    packed.cells.reset(new std::uint32_t[shape.batch * shape.kvHeads * packed.size]);
    forPanels(on, shape, x, paddedKeys,
              [&](std::int64_t head, const Element* rows, std::int64_t first, std::int64_t count) {
                  for (std::int64_t t = 0; t < on.panel; t += on.perCell) {
                      const std::int64_t left = std::clamp<std::int64_t>(count - t, 0, on.perCell);
                      on.packValues(rows + t * x.tokenStride, x.tokenStride, left,
                                    left > 0 ? shape.headDim : 0, dims, (first + t) / on.perCell,
                                    paddedKeys / on.perCell,
                                    packed.cells.get() + head * packed.size);
                  }
              });
    return packed;
}

} // namespace qw
