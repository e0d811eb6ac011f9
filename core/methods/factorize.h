#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"

namespace qw {

/// What a low-rank correction is measured by: the squared norm tr(E R E^T) of an error E [out, in].
/// R is the identity, a diagonal or any symmetric positive semidefinite matrix.
struct ErrorNorm {
    at::Tensor diagonal; ///< [in] float64 >= 0, or undefined
    at::Tensor dense;    ///< [in, in] float64, or undefined
};

struct FactorizeOptions {
    std::int64_t rank = 32;
    /// Stops when the residuals of the wanted eigenvalues, each divided by its eigenvalue, are at
    /// most this on average.
    double tolerance = 0.025;
    std::uint64_t seed = 0;
    bool full = false; ///< square root of R and a full SVD in float64 instead: the oracle
};

/// The dominant left singular vectors of E R^(1/2), which are the dominant eigenvectors of E R E^T.
struct DominantSpace {
    at::Tensor vectors; ///< [k, out] float32, orthonormal rows, strongest first
    at::Tensor images;  ///< [k, in] float64: vectors E
    at::Tensor values;  ///< [k] float64: singular values of E R^(1/2), descending
};

/// Block Krylov iteration on E R E^T, applied as products only: no square root, no inverse, no full
/// decomposition. The basis is kept orthonormal (projection and a scaled Gram step, twice);
/// products with E are float32, those with R and the small eigenproblem float64. Where the rank is
/// no small part of the matrix, the small eigenproblem is that of the whole E R E^T. Source: Musco
/// and Musco 2015, algorithm 2; differs: stopping rule, and R between E and E^T.
/// @param error [out, in] float32; @return as many vectors as the matrix has directions with
/// energy, at most the rank asked for. Same seed and thread count, same bits.
DominantSpace dominantSpace(const at::Tensor& error, const ErrorNorm& norm,
                            const FactorizeOptions& options, const RunContext& run);

} // namespace qw
