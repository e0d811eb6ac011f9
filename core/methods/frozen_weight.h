#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "methods/phi.h"
#include "quant/grid.h"

namespace qw {

/// A weight divided by its scales, as it is kept while something else is trained.
class FrozenWeight
{
public:
    FrozenWeight() = default;
    /// @param ratio [out, in] float32, W0 / s0; fixed point and integers keep it clipped to the
    /// grid
    /// @throws Error::BadInput for fixed point with 8 bits, which leaves none after the point
    /// Source: LR-QAT, its official code. Differs: integers are packed, as in the paper.
    FrozenWeight(const at::Tensor& ratio, Phi phi, const GridOptions& grid);

    Phi phi() const { return m_phi; }
    std::int64_t bits() const { return m_bits; } ///< of the grid
    std::int64_t columns() const { return m_columns; }
    /// [out, in] in the type of phi, int8 for fixed point; integers [out, ceil(in * bits / 8)]
    /// uint8
    const at::Tensor& stored() const { return m_stored; }
    /// As it enters the forward: [out, in] float32.
    at::Tensor decoded() const;
    std::int64_t bytes() const { return m_stored.nbytes(); }

private:
    Phi m_phi = Phi::Float32;
    std::int64_t m_bits = 0;
    std::int64_t m_columns = 0;
    at::Tensor m_stored;
};

} // namespace qw
