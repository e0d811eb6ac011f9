#include "methods/low_rank.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"

namespace qw {

namespace {
/// A singular value below this share of the largest is rounding: no number to divide by.
constexpr double kNegligible = 1e-7;
constexpr double kStatisticFloor = 1e-4; // of the official LQER code
constexpr std::int64_t kRows = 64;       // of a float64 copy at a time

std::vector<double> toVector(const at::Tensor& values)
{
    const at::Tensor host = values.to(at::kCPU, at::kDouble).contiguous();
    const auto* data = host.data_ptr<double>();
    return {data, data + host.numel()};
}
} // namespace

LowRankPair lowRankPair(const at::Tensor& error, const ErrorNorm& norm,
                        const FactorizeOptions& options, const RunContext& run)
{
    const DominantSpace space = dominantSpace(error, norm, options, run);
    const std::int64_t found = space.values.size(0);
    LowRankPair pair;
    pair.a = at::zeros({error.size(1), options.rank}, error.options());
    pair.b = at::zeros({options.rank, error.size(0)}, error.options());
    pair.singularValues = toVector(space.values);
    pair.singularValues.resize(static_cast<std::size_t>(options.rank), 0.0);
    if (found == 0 || !(pair.singularValues.front() > 0)) {
        return pair;
    }
    // Directions the norm does not see (it is singular) still belong to a pair of full rank. Their
    // columns of A get the length of the first.
    const at::Tensor lengths = at::linalg_vector_norm(space.images, 2, at::IntArrayRef{1});
    const at::Tensor unseen = lengths * (space.values[0] / lengths[0]);
    const at::Tensor seen = space.values.gt(space.values[0] * kNegligible);
    const at::Tensor strength = at::where(seen, space.values, unseen);
    const at::Tensor inverse = at::where(strength.gt(0), strength.reciprocal(), strength);
    pair.a.narrow(1, 0, found).copy_((space.images * inverse.unsqueeze(1)).t());
    pair.b.narrow(0, 0, found).copy_(space.vectors * strength.unsqueeze(1));
    return pair;
}

double weightedNorm(const at::Tensor& error, const at::Tensor& diagonal)
{
    at::Tensor columns = at::zeros({error.size(1)}, error.options().dtype(at::kDouble));
    for (std::int64_t row = 0; row < error.size(0); row += kRows) {
        const std::int64_t rows = std::min(kRows, error.size(0) - row);
        columns += error.narrow(0, row, rows).to(at::kDouble).square_().sum(0);
    }
    return std::sqrt((diagonal.defined() ? columns * diagonal : columns).sum().item<double>());
}

at::Tensor lqerScale(const at::Tensor& statistic)
{
    const at::Tensor s = statistic.to(at::kDouble).clamp_min(kStatisticFloor);
    return s / (s.min() * s.max()).sqrt();
}

} // namespace qw
