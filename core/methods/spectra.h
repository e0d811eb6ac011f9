#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"
#include "methods/factorize.h"

namespace qw {

/// All singular values of E R^(1/2), exactly: roots of the eigenvalues of the smaller of E R E^T
/// and R^(1/2) E^T E R^(1/2), in float64. Values below 1e-8 of the largest are rounding.
/// @param matrix [out, in] float32; @return min(out, in) values, descending
std::vector<double> singularValues(const at::Tensor& matrix, const ErrorNorm& norm,
                                   const RunContext& run);

/// ||M R^(1/2)||, Frobenius: what the squares of those values add up to, without computing them.
double normUnder(const at::Tensor& matrix, const ErrorNorm& norm, const RunContext& run);

/// One curve of the spectra plot.
struct Spectrum {
    std::string kind;           ///< "W" | "E" | "SE" | "RE"
    std::vector<double> values; ///< descending
    /// Values scaled to a common Frobenius norm, as LQER's figure 1 compares them.
    std::vector<double> normalized() const;
    /// Share of the energy (sum of squares) in the first k values, 0..1.
    double energyAt(std::int64_t k) const;
};

/// ||W||_F^2 / ||W||_2^2, from the singular values.
double stableRank(const Spectrum& weight);
/// Largest singular value of a random matrix of the same shape and entry variance
/// (Marchenko-Pastur edge), and how many values of W lie above it.
struct MarchenkoPastur {
    double edge = 0;
    std::int64_t above = 0;
};
MarchenkoPastur marchenkoPastur(const Spectrum& weight, std::int64_t rows, std::int64_t cols);

} // namespace qw
