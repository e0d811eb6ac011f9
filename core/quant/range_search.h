#pragma once

#include <ATen/core/Tensor.h>

#include "quant/grid.h"

namespace qw {

constexpr double kScaleFloor = 1e-8;              ///< as LRQ and LR-QAT have it
constexpr double kSmallestHalf = 1.0 / (1 << 14); ///< smallest normal float16
constexpr double kLeastShrink = 0.2;              ///< how far GPTQ's search goes
constexpr double kLrqStartScore = 1e10; ///< mean error a candidate must be below, as LRQ has it

/// A scale as it will be stored: at least 1e-8, rounded to the type, at least its smallest normal
/// number (2^-14 for float16). Infinite if it is above the largest number of the type.
at::Tensor representableScale(const at::Tensor& scale, at::ScalarType dtype);

/// Asymmetric grid for the range [low, high], which must hold zero. [out, groups] float32
GridParams paramsFromRange(const at::Tensor& low, const at::Tensor& high,
                           const GridOptions& options);
/// Symmetric grid whose largest code stands for @p bound [out, groups] float32
GridParams paramsFromBound(const at::Tensor& bound, const GridOptions& options);

/// LRQ's joint search of range and zero point, p = options.rangeNorm (2.4 in its code), on groups
/// [out, groups, width]; a one-signed tensor takes the one-dimensional search. First best wins.
/// Source: the official LRQ code (clipping=True). Differs: groups, not only rows; errors are
/// float32, their powers and sums float64, so that the best does not depend on the order of a sum.
/// @throws Cancelled
GridParams searchLrqRange(const at::Tensor& groups, const GridOptions& options,
                          const RunContext& run = {});

/// LR-QAT's symmetric search: the bound [out, groups] whose grid has the least sum of |w - q|^p.
/// First best wins. Source: the official LR-QAT code. Differs: candidates and errors in float32
/// whatever the dtype of the weights, powers and sums in float64.
/// @throws Cancelled
at::Tensor searchSymmetricRange(const at::Tensor& groups, const GridOptions& options,
                                const RunContext& run = {});

/// GPTQ's search: the ends of min-max times 1, 1 - 1/steps, ... above a fifth, whichever has the
/// least sum of |w - q|^p. First best wins.
/// Source: the official GPTQ code (mse=True: p 2.4, grid 100, maxshrink 0.8). Differs: symmetric
/// grids have their largest code at the bound, as everywhere here; powers and sums in float64.
/// @throws Cancelled
GridParams searchShrunkRange(const at::Tensor& groups, const GridOptions& options,
                             const RunContext& run = {});
/// Candidates of that search.
std::int64_t shrinkSteps(const GridOptions& options);
/// What the candidate's ends are multiplied by.
float shrinkFactor(const GridOptions& options, std::int64_t candidate);

/// The same by trying every candidate on all groups with tensor operations: for devices other than
/// the CPU, and the tests' oracle.
GridParams searchLrqRangeByOps(const at::Tensor& groups, const GridOptions& options,
                               const RunContext& run = {});
at::Tensor searchSymmetricRangeByOps(const at::Tensor& groups, const GridOptions& options,
                                     const RunContext& run = {});
GridParams searchShrunkRangeByOps(const at::Tensor& groups, const GridOptions& options,
                                  const RunContext& run = {});

} // namespace qw
