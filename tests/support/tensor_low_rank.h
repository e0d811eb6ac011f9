#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/json_io.h"
#include "methods/factorize.h"

namespace qw::test {

/// A part of tests/golden/low_rank.json: "inputs", "layers", "statistics", ...
const Json& lowRankGolden(const char* part);
/// Rows of numbers as a float64 matrix.
at::Tensor wideMatrixOf(const Json& rows);

/// Decompositions in float64 by Eigen: the oracle of the tests.
struct Svd {
    at::Tensor u;      ///< [rows, n]
    at::Tensor values; ///< [n] descending
    at::Tensor v;      ///< [cols, n]
};
Svd svdOf(const at::Tensor& matrix);
at::Tensor singularValuesOf(const at::Tensor& matrix);
at::Tensor rootOf(const at::Tensor& symmetric);      ///< symmetric square root, by eigenvectors
at::Tensor schurRootOf(const at::Tensor& symmetric); ///< square root, by a Schur form
at::Tensor choleskyOf(const at::Tensor& symmetric);  ///< upper triangular L, L^T L = symmetric
/// R^(1/2) of a norm, [in, in] float64.
at::Tensor rootOf(const ErrorNorm& norm, std::int64_t in);
/// The papers' route: SVD of root E^T, A B = root^-1 U_k S_k V_k^T. [in, out] float64
at::Tensor textbookCorrection(const at::Tensor& error, const at::Tensor& root, std::int64_t rank);

/// ||root (E^T - product)||_F, float64. @param product [in, out]
double errorLeft(const at::Tensor& error, const at::Tensor& product, const at::Tensor& root);
/// Root of the sum of squares of values from @p rank on: what no product of that rank undercuts.
double leastError(const at::Tensor& values, std::int64_t rank);

/// [out, in] float32 with orthogonal singular vectors and singular values that begin at 1:
/// "fast" (halve every two), "slow" (i^-1/2), "flat" (Gaussian entries), "rank 5" (five equal ones,
/// then none), "cliff" (a few large ones above a flat floor of 1e-3).
at::Tensor matrixWithSpectrum(const std::string& spectrum, std::int64_t out, std::int64_t in,
                              std::uint64_t seed = 1);
/// Inputs [tokens, in] float32, correlated, channels of unlike size.
at::Tensor correlatedInputs(std::int64_t tokens, std::int64_t in, std::uint64_t seed = 7);
/// Their norm: "none", "diagonal" (means of squares) or "dense" (E[x^T x]).
ErrorNorm normOf(const std::string& kind, const at::Tensor& inputs);

} // namespace qw::test
