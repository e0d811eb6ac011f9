#include "methods/factorize.h"

#include <algorithm>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "methods/thin_product.h"

namespace qw {

namespace {
/// Up to this many ranks to the smaller side of E, the whole eigenproblem is no slower.
constexpr std::int64_t kWholeFactor = 8;
/// What is left of a block's float32 rows after projection and is smaller than this share of the
/// block is rounding noise.
constexpr double kNoise = 1e-5;
/// Eigenvalues below this share of the largest need not be resolved: float32 products cannot.
constexpr double kNegligible = 1e-10;

/// x R in float64. @param x [n, in] float64
at::Tensor timesNorm(const at::Tensor& x, const ErrorNorm& norm)
{
    if (norm.dense.defined()) {
        return at::matmul(x, norm.dense);
    }
    return norm.diagonal.defined() ? x * norm.diagonal : x;
}

/// Rows that grow: one buffer, doubled when full.
class Rows
{
public:
    Rows(std::int64_t width, const at::TensorOptions& options)
        : m_data(at::empty({0, width}, options))
    {
    }
    void append(const at::Tensor& rows)
    {
        const std::int64_t size = m_size + rows.size(0);
        if (size > m_data.size(0)) {
            at::Tensor grown = at::empty({2 * size, m_data.size(1)}, m_data.options());
            grown.narrow(0, 0, m_size).copy_(all());
            m_data = grown;
        }
        m_data.narrow(0, m_size, rows.size(0)).copy_(rows);
        m_size = size;
    }
    at::Tensor all() const { return m_data.narrow(0, 0, m_size); }
    std::int64_t size() const { return m_size; }

private:
    at::Tensor m_data;
    std::int64_t m_size = 0;
};

struct Orthonormal {
    at::Tensor rows; ///< [m, n], m <= n of the input: dependent rows are dropped
    at::Tensor gram; ///< float64 Gram matrix of the input without its part in the basis
};

/// Takes from @p y its part in the span of @p basis and makes the rest orthonormal, all twice.
Orthonormal orthonormalize(at::Tensor y, const at::Tensor& basis)
{
    Orthonormal result;
    double floor = y.to(at::kDouble).square().sum(1).max().item<double>() * kNoise * kNoise;
    for (int pass = 0; pass < 2 && y.size(0) > 0; ++pass) {
        if (basis.size(0) > 0) {
            y = y.addmm(at::matmul(y, basis.t()), basis, 1, -1);
        }
        const at::Tensor wide = y.to(at::kDouble);
        const at::Tensor gram = at::matmul(wide, wide.t());
        if (pass == 0) {
            result.gram = gram;
        }
        const auto [values, vectors] = at::linalg_eigh(gram);
        const auto kept = values.gt(floor).sum().item<std::int64_t>();
        const std::int64_t dropped = y.size(0) - kept;
        const at::Tensor scale = values.narrow(0, dropped, kept).rsqrt();
        y = at::matmul((vectors.narrow(1, dropped, kept) * scale).t().to(y.scalar_type()), y);
        floor = 0.25; // second pass: rows had norm 1; what lost most of it was noise in the basis
    }
    result.rows = y;
    return result;
}

DominantSpace strongest(const at::Tensor& values, const at::Tensor& weights,
                        const at::Tensor& basis, const at::Tensor& images, std::int64_t rank)
{
    // eigh sorts ascending
    const std::int64_t k = std::min(rank, values.size(0));
    const at::Tensor top = weights.narrow(1, values.size(0) - k, k).flip(1).t();
    return {at::matmul(top.to(basis.scalar_type()), basis).to(at::kFloat), at::matmul(top, images),
            values.narrow(0, values.size(0) - k, k).flip(0).clamp_min(0).sqrt()};
}

/// All eigenvectors of E R E^T, from those within the range of E.
DominantSpace wholeSpace(const at::Tensor& error, const ErrorNorm& norm, std::int64_t rank,
                         const RunContext& run)
{
    const at::Tensor e = error.to(at::kDouble);
    const at::Tensor basis = error.size(0) <= error.size(1)
                                 ? at::eye(error.size(0), e.options())
                                 : std::get<0>(at::linalg_qr(e)).t().contiguous();
    run.checkpoint();
    const at::Tensor images = error.size(0) <= error.size(1) ? e : at::matmul(basis, e);
    const at::Tensor small = at::matmul(images, timesNorm(images, norm).t());
    run.announceUninterruptible(message("eigenvectors of ", small.size(0), " x ", small.size(0)));
    const auto [values, vectors] = at::linalg_eigh((small + small.t()) / 2);
    return strongest(values, vectors, basis, images, rank);
}

/// One Krylov iteration: basis, its images and the small matrix, grown block by block.
class Krylov
{
public:
    Krylov(const at::Tensor& error, const ErrorNorm& norm, const FactorizeOptions& options)
        : m_error(error), m_norm(norm), m_options(options),
          // Half the rank at a time: fewer directions until settled than with whole ranks, and
          // multiples of what the thin products take at once.
          m_block(std::max<std::int64_t>(16, (options.rank + 31) / 32 * 16)),
          // Drawn on the host, so that all devices start alike.
          m_generator(at::detail::createCPUGenerator(options.seed)),
          m_basis(error.size(0), error.options()),
          m_images(error.size(1), error.options().dtype(at::kDouble)),
          m_small(at::empty({0, 0}, error.options().dtype(at::kDouble)))
    {
    }
    DominantSpace run(const RunContext& run);

private:
    at::Tensor start(std::int64_t count);
    at::Tensor push(const at::Tensor& vectors);
    bool settled(const at::Tensor& outside);

    const at::Tensor& m_error;
    const ErrorNorm& m_norm;
    const FactorizeOptions& m_options;
    std::int64_t m_block;
    at::Generator m_generator;
    Rows m_basis;                   // Q, float32
    Rows m_images;                  // Q E, float64
    at::Tensor m_small;             // Q E R E^T Q^T, float64
    at::Tensor m_values, m_vectors; // its eigenpairs, ascending
    std::int64_t m_last = 0;        // rows of the newest block
    double m_scale = 1;             // of the rows push returned
};

/// Random rows in the range of E, weighted as the norm weights the columns.
at::Tensor Krylov::start(std::int64_t count)
{
    at::Tensor x =
        at::randn({count, m_error.size(1)}, m_generator, at::kDouble).to(m_error.device());
    if (m_norm.dense.defined()) {
        x = x * m_norm.dense.diagonal().clamp_min(0).sqrt();
    } else if (m_norm.diagonal.defined()) {
        x = x * m_norm.diagonal.sqrt();
    }
    return push(x);
}

/// x E^T in float32, scaled to stay in its range. Zero rows where x is zero.
at::Tensor Krylov::push(const at::Tensor& x)
{
    const double largest = x.abs().max().item<double>();
    m_scale = largest > 0 ? largest : 1;
    return timesTransposed((x / m_scale).to(at::kFloat), m_error);
}

/// The part of E R E^T times a Ritz vector outside the basis is its residual; a Ritz value is at
/// most that far from an eigenvalue. @param outside Gram matrix of what the newest block sends
/// there
bool Krylov::settled(const at::Tensor& outside)
{
    const std::int64_t size = m_basis.size();
    const std::int64_t rank = m_options.rank;
    std::tie(m_values, m_vectors) = at::linalg_eigh(m_small);
    const at::Tensor tail = m_vectors.narrow(0, size - m_last, m_last).narrow(1, size - rank, rank);
    const at::Tensor residuals =
        (at::matmul(outside, tail) * tail).sum(0).clamp_min(0).sqrt() * m_scale;
    const at::Tensor wanted = m_values.narrow(0, size - rank, rank);
    const at::Tensor relative =
        residuals / wanted.clamp_min(kNegligible * m_values[-1].item<double>());
    return relative.mean().item<double>() <= m_options.tolerance;
}

DominantSpace Krylov::run(const RunContext& run)
{
    at::Tensor y = start(m_block);
    while (true) {
        run.checkpoint();
        const Orthonormal next = orthonormalize(y, m_basis.all());
        if (m_basis.size() >= m_options.rank && settled(next.gram)) {
            break;
        }
        if (next.rows.size(0) == 0) {
            break; // the basis holds all that E R E^T has
        }
        const std::int64_t before = m_basis.size();
        m_basis.append(next.rows);
        if (next.rows.size(0) < m_block) {
            // A few directions drowned the others in rounding: they are in the basis now.
            m_basis.append(orthonormalize(start(m_block - next.rows.size(0)), m_basis.all()).rows);
        }
        m_last = m_basis.size() - before;
        run.checkpoint();
        const at::Tensor images =
            timesMatrix(m_basis.all().narrow(0, before, m_last), m_error).to(at::kDouble);
        m_images.append(images);
        run.checkpoint();
        const at::Tensor weighted = timesNorm(images, m_norm);
        const at::Tensor columns = at::matmul(m_images.all(), weighted.t());
        const at::Tensor above = columns.narrow(0, 0, before);
        const at::Tensor corner = columns.narrow(0, before, m_last);
        m_small = at::cat(
            {at::cat({m_small, above.t()}, 0), at::cat({above, (corner + corner.t()) / 2}, 0)}, 1);
        run.checkpoint();
        y = push(weighted);
    }
    if (m_basis.size() == 0) {
        return {at::zeros({0, m_error.size(0)}, m_error.options()), m_images.all(),
                m_small.diagonal()};
    }
    std::tie(m_values, m_vectors) = at::linalg_eigh(m_small);
    return strongest(m_values, m_vectors, m_basis.all(), m_images.all(), m_options.rank);
}

/// The textbook route: SVD of E R^(1/2) in float64.
DominantSpace oracleSpace(const at::Tensor& error, const ErrorNorm& norm, std::int64_t rank,
                          const RunContext& run)
{
    const at::Tensor e = error.to(at::kDouble);
    at::Tensor scaled = e;
    if (norm.dense.defined()) {
        run.announceUninterruptible(message("square root of ", e.size(1), " x ", e.size(1)));
        const auto [values, vectors] = at::linalg_eigh(norm.dense);
        scaled = at::matmul(e, at::matmul(vectors * values.clamp_min(0).sqrt(), vectors.t()));
    } else if (norm.diagonal.defined()) {
        scaled = e * norm.diagonal.sqrt();
    }
    run.announceUninterruptible(message("full SVD of ", e.size(0), " x ", e.size(1)));
    const auto [u, s, vh] = at::linalg_svd(scaled, /*full_matrices=*/false);
    const at::Tensor top = u.narrow(1, 0, rank).t().contiguous();
    return {top.to(at::kFloat), at::matmul(top, e), s.narrow(0, 0, rank)};
}
} // namespace

DominantSpace dominantSpace(const at::Tensor& error, const ErrorNorm& norm,
                            const FactorizeOptions& options, const RunContext& run)
{
    QW_REQUIRE(error.dim() == 2 && error.scalar_type() == at::kFloat, ErrorCode::BadShape,
               "the error is not a float32 matrix");
    const std::int64_t smaller = std::min(error.size(0), error.size(1));
    QW_REQUIRE(options.rank >= 1 && options.rank <= smaller, ErrorCode::BadInput, "rank ",
               options.rank, " is not in 1..", smaller);
    const std::int64_t in = error.size(1);
    QW_REQUIRE(!norm.diagonal.defined() || norm.diagonal.sizes() == at::IntArrayRef{in},
               ErrorCode::BadShape, "the scale does not have the weight's ", in, " columns");
    QW_REQUIRE(!norm.dense.defined() || norm.dense.sizes() == at::IntArrayRef({in, in}),
               ErrorCode::BadShape, "the autocorrelation does not match the weight's ", in,
               " columns");
    if (options.full) {
        return oracleSpace(error, norm, options.rank, run);
    }
    if (options.rank * kWholeFactor >= smaller) {
        return wholeSpace(error, norm, options.rank, run);
    }
    return Krylov(error, norm, options).run(run);
}

} // namespace qw
