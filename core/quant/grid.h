#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"

namespace qw {

enum class RangeSearch {
    MinMax,
    Lrq,    ///< asymmetric: joint search of range and zero point (LRQ's code)
    LpNorm, ///< symmetric: search of the bound (LR-QAT's code)
    Shrink  ///< both ends drawn in together, to a fifth (GPTQ's code)
};

/// An integer grid: what turns weights into codes.
struct GridOptions {
    std::int64_t bits = 4;      ///< 2..8
    std::int64_t groupSize = 0; ///< input columns per scale; 0: whole row; -1: whole tensor
    bool sym = false;
    at::ScalarType scaleDtype = at::kFloat; ///< scales are rounded in it before codes are computed
    RangeSearch range = RangeSearch::MinMax;
    double rangeNorm = 2.4;
    std::int64_t rangeSteps = 100;
};

/// Scale and zero point of every group. w is close to scale * (code - zero).
struct GridParams {
    at::Tensor scale; ///< [out, groups] float32, exactly representable in the scale dtype
    at::Tensor zero;  ///< [out, groups] float32 holding integers; zeros if symmetric
};

/// Codes on a grid: unsigned 0..2^b-1 (asymmetric) or signed -2^(b-1)..2^(b-1)-1 (symmetric).
/// @param w [out, in] float32, finite. @throws Error::BadShape if groupSize does not divide `in`,
/// NonFinite if a scale is too large for its type, Cancelled
GridParams fitGrid(const at::Tensor& w, const GridOptions& options, const RunContext& run = {});
/// @return [out, in] int16 codes
at::Tensor gridCodes(const at::Tensor& w, const GridParams& params, const GridOptions& options);
/// @return [out, in] float32
at::Tensor gridValues(const at::Tensor& codes, const GridParams& params);

/// "f32" | "f16" | "bf16"
const char* scaleTypeName(at::ScalarType type);

/// Smallest and largest code.
std::int64_t codeMin(const GridOptions& options);
std::int64_t codeMax(const GridOptions& options);

} // namespace qw
