#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "methods/frozen_weight.h"

namespace qw {

/// What a weight under training is made of. With v = scale, at least 1e-8 and rounded to the type
/// that scales are stored in:
///   W^ = v * clamp(round(frozen + factor left right))     v * clamp(frozen + round(factor left
///   right)) if frozen holds integers, v * clamp(round(weight / v)) if there is a weight
/// The product left right is computed in the compute type, the rest in float32. Round and clamp are
/// straight through: 1 inside the grid, its bounds included.
struct FakeQuantParts {
    GridOptions grid;                    ///< symmetric
    at::ScalarType compute = at::kFloat; ///< at::kFloat | at::kBFloat16, of W^
    double factor = 1;
    FrozenWeight frozen; ///< of no use where there is a weight
    at::Tensor scale;    ///< [out, groups] float32
    at::Tensor left;     ///< [out, rank] float32, or undefined
    at::Tensor right;    ///< [rank, in] float32, or undefined
    at::Tensor weight;   ///< [out, in] float32, or undefined
};

/// What of a function is needed. Its gradient alone where it is done again and its result only
/// enters sums, whose gradients do not look at it.
enum class Wanted { Values, Gradient };

/// v [out, groups], differentiable; no gradient below the floor.
at::Tensor storedScale(const FakeQuantParts& parts);

/// x W^^T, differentiable in x and those parts that require a gradient. Keeps these alone for it.
/// @param x [tokens, in] of the compute type; @param wanted  Gradient: only that will be asked for
/// @return [tokens, out]; where only the gradient is wanted, zeros
/// @throws Error::BadShape if x has another type
at::Tensor fakeQuantLinear(const at::Tensor& x, const FakeQuantParts& parts,
                           Wanted wanted = Wanted::Values);

/// The same by plain operations, done again for the gradient: the way of other devices.
at::Tensor plainFakeQuantLinear(const at::Tensor& x, const FakeQuantParts& parts,
                                Wanted wanted = Wanted::Values);

/// W^ [out, in] of the compute type by plain operations of autograd, which keep what they
/// like: the oracle.
at::Tensor plainFakeQuant(const FakeQuantParts& parts);

/// W^, or its integers as float32, bit for bit as fakeQuantLinear() has them. No gradients.
at::Tensor fakeQuant(const FakeQuantParts& parts, bool codesOnly);

} // namespace qw
