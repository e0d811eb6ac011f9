#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"
#include "methods/factorize.h"

namespace qw {

/// A·B close to E^T: a [in, k], b [k, out], float32.
struct LowRankPair {
    at::Tensor a;
    at::Tensor b;
    std::vector<double> singularValues; ///< of the minimised matrix R^(1/2) E^T, k of them
};

/// The correction of rank k that leaves the least tr(D R D^T), D = E - (A B)^T. With R = 1 it is
/// LQER's, with R = diag(s^2) L²QER's and QERA-approx's, with R = E[x^T x] QERA-exact's.
/// A B = E^T U U^T with U the dominant left singular vectors of E R^(1/2): nothing is divided by
/// a scale or a root, so that channels that never fire keep a bounded correction. The split is the
/// papers' one: all singular values go into B, A = R^(-1/2) times orthonormal columns.
/// Sources: LQER (arXiv:2402.02446), QERA (arXiv:2410.06040); differs in how it is computed.
/// @param error [out, in] float32, W minus its dequantized codes
/// @throws Error::BadInput if rank is not in 1 .. min(out, in), BadShape
LowRankPair lowRankPair(const at::Tensor& error, const ErrorNorm& norm,
                        const FactorizeOptions& options, const RunContext& run);

/// Square root of tr(E R E^T), R a diagonal or undefined (the identity). @param error float32
double weightedNorm(const at::Tensor& error, const at::Tensor& diagonal);

/// L²QER's s: clamped below at 1e-4, divided by sqrt(min * max). [in] float64
at::Tensor lqerScale(const at::Tensor& statistic);

} // namespace qw
