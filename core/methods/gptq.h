#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"
#include "quant/grid.h"
#include "report/run_spec.h"

namespace qw {

/// Columns whose errors are made up for one by one; the rest of a row waits for a product.
constexpr std::int64_t kGptqBlock = 128;

struct GptqCodes {
    at::Tensor codes;       ///< [out, in] int16
    GridParams params;      ///< [out, groups]
    at::Tensor groupIndex;  ///< [in] int32, if columns are not grouped in order; else undefined
    double dampPercent = 0; ///< that the factorization needed, at least what was asked for
};

/// Rounds column by column, each time moving what the error does to the outputs onto the columns
/// still to come.
/// @param weight [out, in] float32; @param autocorrelation [in, in] float64: R = E[x^T x];
/// @param nearest  fitGrid() of the weight, which is the result's where groups are static or rows
/// @throws Error::NonFinite if no damping to 100 % makes R definite; as fitGrid() does; Cancelled
/// Source: GPTQ, arXiv:2210.17323, Algorithm 1, and its official code. Differs: the factorization
/// is float64; a group's grid sees all updates so far, also those of its own block of columns.
GptqCodes gptq(const at::Tensor& weight, const at::Tensor& autocorrelation,
               const GridParams& nearest, const GridOptions& grid, const GptqSpec& spec,
               const RunContext& run);

} // namespace qw
