#include "methods/spectra.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/matmul.h>

#include "base/error.h"

namespace qw {

namespace {
/// Multiplications of one product between two looks at the stop token.
constexpr std::int64_t kStep = std::int64_t{1} << 32;

/// a b, some rows at a time so that a cancel is obeyed.
at::Tensor product(const at::Tensor& a, const at::Tensor& b, const RunContext& run)
{
    at::Tensor result = at::empty({a.size(0), b.size(1)}, a.options());
    const std::int64_t step = std::max<std::int64_t>(32, kStep / b.numel());
    for (std::int64_t first = 0; first < a.size(0); first += step) {
        run.checkpoint();
        const std::int64_t rows = std::min(step, a.size(0) - first);
        result.narrow(0, first, rows).copy_(at::matmul(a.narrow(0, first, rows), b));
    }
    return result;
}

/// E scaled so that its Gram matrix is E R E^T. Only for a diagonal or no R, or where the columns
/// are the smaller side: then the root of R is no larger than what follows.
at::Tensor scaled(const at::Tensor& e, const ErrorNorm& norm, const RunContext& run)
{
    if (!norm.dense.defined()) {
        return norm.diagonal.defined() ? e * norm.diagonal.sqrt() : e;
    }
    run.announceUninterruptible(message("square root of ", e.size(1), " x ", e.size(1)));
    const auto [values, vectors] = at::linalg_eigh(norm.dense);
    return product(e, vectors * values.clamp_min(0).sqrt(), run);
}

double sumOfSquares(const std::vector<double>& values, std::size_t count)
{
    return std::accumulate(values.begin(),
                           values.begin() +
                               static_cast<std::ptrdiff_t>(std::min(count, values.size())),
                           0.0, [](double sum, double value) { return sum + value * value; });
}
} // namespace

std::vector<double> singularValues(const at::Tensor& matrix, const ErrorNorm& norm,
                                   const RunContext& run)
{
    const at::Tensor e = matrix.to(at::kDouble);
    at::Tensor gram;
    if (norm.dense.defined() && e.size(0) <= e.size(1)) {
        gram = product(product(e, norm.dense, run), e.t(), run);
    } else {
        const at::Tensor s = scaled(e, norm, run);
        gram = s.size(0) <= s.size(1) ? product(s, s.t(), run) : product(s.t(), s, run);
    }
    run.announceUninterruptible(message("eigenvalues of ", gram.size(0), " x ", gram.size(0)));
    const at::Tensor values =
        at::linalg_eigvalsh(gram).clamp_min(0).sqrt().flip(0).cpu().contiguous();
    const auto* data = values.data_ptr<double>();
    return {data, data + values.numel()};
}

double normUnder(const at::Tensor& matrix, const ErrorNorm& norm, const RunContext& run)
{
    const at::Tensor m = matrix.to(at::kDouble);
    const at::Tensor weighed = norm.dense.defined()      ? product(m, norm.dense, run)
                               : norm.diagonal.defined() ? m * norm.diagonal
                                                         : m;
    return std::sqrt(std::max(0.0, (weighed * m).sum().item<double>()));
}

std::vector<double> Spectrum::normalized() const
{
    const double norm = std::sqrt(sumOfSquares(values, values.size()));
    std::vector<double> result = values;
    if (norm > 0) {
        std::for_each(result.begin(), result.end(), [&](double& value) { value /= norm; });
    }
    return result;
}

double Spectrum::energyAt(std::int64_t k) const
{
    const double all = sumOfSquares(values, values.size());
    return all > 0
               ? sumOfSquares(values, static_cast<std::size_t>(std::max<std::int64_t>(0, k))) / all
               : 1;
}

double stableRank(const Spectrum& weight)
{
    if (weight.values.empty() || weight.values.front() == 0) {
        return 0;
    }
    return sumOfSquares(weight.values, weight.values.size()) /
           (weight.values.front() * weight.values.front());
}

MarchenkoPastur marchenkoPastur(const Spectrum& weight, std::int64_t rows, std::int64_t cols)
{
    const double entries = static_cast<double>(rows) * static_cast<double>(cols);
    const double sigma = std::sqrt(sumOfSquares(weight.values, weight.values.size()) / entries);
    MarchenkoPastur result;
    result.edge =
        sigma * (std::sqrt(static_cast<double>(rows)) + std::sqrt(static_cast<double>(cols)));
    result.above = std::count_if(weight.values.begin(), weight.values.end(),
                                 [&](double value) { return value > result.edge; });
    return result;
}

} // namespace qw
