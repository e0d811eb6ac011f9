#pragma once

#include <ATen/core/Tensor.h>

#include "model/attention.h"
#include "model/decoder.h"
#include "model/rope.h"

namespace qw {

/// What a block does between its products. One way changes tensors in place and is as fast as can
/// be; the other leaves every tensor as it was, so that gradients can be taken.
class BlockOps
{
public:
    virtual ~BlockOps() = default;
    /// @return x's shape, in @p type
    virtual at::Tensor normalize(const ModelConfig& config, const NormWeights& norm,
                                 const at::Tensor& x, at::ScalarType type) const = 0;
    /// x + y; @param x [tokens, hidden] float32, may be overwritten; @param y  of as many elements
    virtual at::Tensor add(const at::Tensor& x, const at::Tensor& y) const = 0;
    /// y in the place of x, which may be overwritten.
    virtual at::Tensor replace(const at::Tensor& x, const at::Tensor& y) const = 0;
    /// silu(gate) * up, which may overwrite gate
    virtual at::Tensor gate(const at::Tensor& gate, const at::Tensor& up) const = 0;
    /// Rotates the heads x [B, heads, T, head_dim], which may be overwritten.
    virtual at::Tensor rotate(const at::Tensor& x, const RotaryTable& table) const = 0;
    /// As causalAttention().
    virtual at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 const AttentionOptions& options) const = 0;
};

const BlockOps& inPlaceOps();
/// Differentiable: fused kernels with gradients of their own on the CPU, plain ATen elsewhere.
const BlockOps& differentiableOps();
/// The same in plain ATen everywhere: the oracle.
const BlockOps& plainDifferentiableOps();

} // namespace qw
