#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"
#include "methods/factorize.h"

namespace qw {

/// A·B close to E^T: a [in, k], b [k, out], float32.
struct LowRankPair {
    at::Tensor a;
    at::Tensor b;
    std::vector<double> singularValues; ///< of the minimised matrix, k of them
    double errorNorm = 0;               ///< Frobenius norm of the minimised matrix
};

/// LQER: the best rank-k approximation of E^T. @param error [out, in] float32, W minus its codes
LowRankPair lqerPair(const at::Tensor& error, const FactorizeOptions& options,
                     const RunContext& run);

/// L²QER and QERA-approx: the same for diag(scale) E^T. @param scale [in] float64 >= 0; rows of
/// channels that never fire are zero. Source: LQER (arXiv:2402.02446), QERA (arXiv:2410.06040).
LowRankPair scaledPair(const at::Tensor& error, const at::Tensor& scale,
                       const FactorizeOptions& options, const RunContext& run);

/// QERA-exact: minimises E||x(E^T - AB)||^2. @param autocorrelation [in, in] float64.
/// Without square root or inverse: C = E^T U U^T with U the dominant left subspace of E R E^T.
LowRankPair exactPair(const at::Tensor& error, const at::Tensor& autocorrelation,
                      const FactorizeOptions& options, const RunContext& run);

/// L²QER's normalisation: clamp below at 1e-4, divide by sqrt(min * max). [in] float64
at::Tensor lqerScale(const at::Tensor& statistic);

} // namespace qw
