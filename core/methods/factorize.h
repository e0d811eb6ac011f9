#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"

namespace qw {

/// A matrix known only by its products, so that S·E or E·R·E^T is never formed.
struct LinearMap {
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::function<at::Tensor(const at::Tensor&)> times;          ///< [cols, n] -> [rows, n]
    std::function<at::Tensor(const at::Tensor&)> transposeTimes; ///< [rows, n] -> [cols, n]
};
LinearMap denseMap(const at::Tensor& matrix); ///< [rows, cols] float32 or float64

struct FactorizeOptions {
    std::int64_t rank = 32;
    std::int64_t oversample = 16;
    std::int64_t maxIterations = 8;
    double tolerance = 1e-3; ///< stop when the captured energy grows by less than this share
    std::uint64_t seed = 0;
    bool full = false; ///< a full SVD instead: the oracle
};

/// The dominant part of a matrix: u diag(s) v^T.
struct TruncatedSvd {
    at::Tensor u; ///< [rows, k], orthonormal columns
    at::Tensor s; ///< [k], descending
    at::Tensor v; ///< [cols, k], orthonormal columns
    std::int64_t iterations = 0;
};

/// Randomized block subspace iteration with oversampling, QR stabilisation and a stopping rule on
/// the captured energy. Source: Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.1.
TruncatedSvd truncatedSvd(const LinearMap& matrix, const FactorizeOptions& options,
                          at::ScalarType dtype, const RunContext& run);

/// All singular values, exactly: eigenvalues of the smaller Gram matrix in float64.
/// @return [min(rows, cols)] float64, descending
at::Tensor singularValues(const at::Tensor& matrix);

} // namespace qw
