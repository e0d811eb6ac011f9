#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace qw {

/// Heads of one tensor for the kernels: [batch, heads, tokens, head_dim] anywhere in memory,
/// strides in elements; the elements of a head are dense.
template <class Element>
struct HeadsView {
    Element* data = nullptr;
    std::int64_t batchStride = 0;
    std::int64_t headStride = 0;
    std::int64_t tokenStride = 0;

    Element* row(std::int64_t batch, std::int64_t head, std::int64_t token) const
    {
        return data + batch * batchStride + head * headStride + token * tokenStride;
    }
};

/// @param x [B, heads, T, head_dim] on the CPU, of Element's size, its last axis dense
template <class Element>
HeadsView<Element> headsView(const at::Tensor& x)
{
    return {static_cast<Element*>(x.data_ptr()), x.stride(0), x.stride(1), x.stride(2)};
}

} // namespace qw
