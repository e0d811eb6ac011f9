#pragma once

#include <ATen/core/Tensor.h>

#include "model/simd.h"

/// Products of a few rows with a large matrix, which is read once: packing it, as a general product
/// does, takes longer than the sums.
namespace qw {

/// x E^T. Both float32; on the CPU, with up to 64 rows of x, done here, elsewhere by the library.
/// The same bits for every number of threads.
/// @param x [m, in]  @param e [out, in]  @return [m, out]
at::Tensor timesTransposed(const at::Tensor& x, const at::Tensor& e, Simd simd = bestSimd());

/// x E. As above. @param x [m, out]  @param e [out, in]  @return [m, in]
at::Tensor timesMatrix(const at::Tensor& x, const at::Tensor& e, Simd simd = bestSimd());

} // namespace qw
