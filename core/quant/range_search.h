#pragma once

#include <ATen/core/Tensor.h>

#include "quant/grid.h"

namespace qw {

/// A scale as it will be stored: rounded to the type, floored to a normal number of it.
at::Tensor representableScale(const at::Tensor& scale, at::ScalarType dtype);

/// Asymmetric grid for the range [low, high], which must hold zero. [out, groups] float32
GridParams paramsFromRange(const at::Tensor& low, const at::Tensor& high,
                           const GridOptions& options);

/// LRQ's joint search of range and zero point, p = options.rangeNorm (2.4 in its code), on groups
/// [out, groups, width]; a one-signed tensor takes the one-dimensional search. First best wins.
/// Source: the official LRQ code (clipping=True). Differs: groups, not only rows.
GridParams searchLrqRange(const at::Tensor& groups, const GridOptions& options);

/// LR-QAT's symmetric search: the bound [out, groups] whose grid has the least sum of |w - q|^p.
/// First best wins; everything in float32. Source: the official LR-QAT code.
at::Tensor searchSymmetricRange(const at::Tensor& groups, const GridOptions& options);

} // namespace qw
