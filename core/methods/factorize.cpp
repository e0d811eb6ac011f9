#include "methods/factorize.h"

#include <algorithm>
#include <cmath>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_solve_triangular.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>

#include "base/error.h"

namespace qw {

namespace {
/// Orthonormal columns spanning those of @p y by Cholesky of the Gram matrix, twice: as fast as a
/// product. Falls back to Householder where the columns are too dependent for it.
at::Tensor orthonormal(const at::Tensor& y)
{
    at::Tensor q = y;
    for (int pass = 0; pass < 2; ++pass) {
        const at::Tensor gram = at::matmul(q.t(), q).to(at::kDouble);
        const auto [factor, status] = at::linalg_cholesky_ex(gram);
        if (status.item<int>() != 0) {
            return std::get<0>(at::linalg_qr(y.to(at::kDouble))).to(y.scalar_type());
        }
        // q <- q L^-T, L lower
        const at::Tensor inverse = at::linalg_solve_triangular(
            factor, at::eye(factor.size(0), factor.options()), /*upper=*/false);
        q = at::matmul(q, inverse.t().to(q.scalar_type()));
        if (!q.isfinite().all().item<bool>()) {
            return std::get<0>(at::linalg_qr(y.to(at::kDouble))).to(y.scalar_type());
        }
    }
    return q;
}

TruncatedSvd sliceTo(const at::Tensor& u, const at::Tensor& s, const at::Tensor& v,
                     std::int64_t rank, std::int64_t iterations)
{
    const std::int64_t k = std::min(rank, s.size(0));
    return {u.narrow(1, 0, k).contiguous(), s.narrow(0, 0, k).contiguous(),
            v.narrow(1, 0, k).contiguous(), iterations};
}

TruncatedSvd fullSvd(const LinearMap& matrix, const FactorizeOptions& options, at::ScalarType dtype)
{
    const at::Tensor dense = matrix.times(at::eye(matrix.cols, dtype));
    const auto [u, s, vh] = at::linalg_svd(dense, /*full_matrices=*/false);
    return sliceTo(u, s, vh.t(), options.rank, 0);
}
} // namespace

LinearMap denseMap(const at::Tensor& matrix)
{
    return {matrix.size(0), matrix.size(1),
            [matrix](const at::Tensor& x) { return at::matmul(matrix, x); },
            [matrix](const at::Tensor& x) { return at::matmul(matrix.t(), x); }};
}

TruncatedSvd truncatedSvd(const LinearMap& matrix, const FactorizeOptions& options,
                          at::ScalarType dtype, const RunContext& run)
{
    const std::int64_t smaller = std::min(matrix.rows, matrix.cols);
    QW_REQUIRE(options.rank >= 1 && options.rank <= smaller, ErrorCode::BadInput, "rank ",
               options.rank, " is not in 1..", smaller);
    const std::int64_t width = std::min(smaller, options.rank + options.oversample);
    // Where the subspace is not small the plain decomposition is the faster one.
    if (options.full || 2 * width >= smaller) {
        run.announceUninterruptible(message("full SVD of ", matrix.rows, " x ", matrix.cols));
        return fullSvd(matrix, options, dtype);
    }
    at::Generator generator = at::detail::createCPUGenerator(options.seed);
    const at::Tensor start = at::randn({matrix.cols, width}, generator, at::kDouble).to(dtype);
    at::Tensor q = orthonormal(matrix.times(start)); // [rows, width]
    at::Tensor z;                                    // [cols, width] = M^T q
    double captured = -1;
    std::int64_t iteration = 0;
    while (true) {
        run.checkpoint();
        z = matrix.transposeTimes(q);
        // Energy of the wanted part: the largest eigenvalues of the small Gram matrix.
        const at::Tensor values =
            at::linalg_eigvalsh(at::matmul(z.t(), z).to(at::kDouble)).clamp_min(0);
        const double energy =
            values.narrow(0, width - options.rank, options.rank).sum().item<double>();
        const bool settled = captured >= 0 && energy - captured <= options.tolerance * energy;
        captured = energy;
        if (settled || iteration >= options.maxIterations) {
            break;
        }
        ++iteration;
        q = orthonormal(matrix.times(orthonormal(z)));
    }
    // q^T M = z^T: its small SVD finishes the factorization. Householder for the last basis.
    const auto [basis, triangle] = at::linalg_qr(z.to(at::kDouble));   // z = basis triangle
    const auto [u, s, vh] = at::linalg_svd(triangle.t().contiguous()); // q^T M = triangle^T basis^T
    const at::Tensor left = at::matmul(q, u.to(dtype));
    const at::Tensor right = at::matmul(basis.to(dtype), vh.t().to(dtype));
    return sliceTo(left, s.to(dtype), right, options.rank, iteration);
}

at::Tensor singularValues(const at::Tensor& matrix)
{
    const at::Tensor m = matrix.to(at::kDouble);
    const at::Tensor gram = m.size(0) <= m.size(1) ? at::matmul(m, m.t()) : at::matmul(m.t(), m);
    return at::linalg_eigvalsh(gram).clamp_min(0).sqrt().flip(0);
}

} // namespace qw
