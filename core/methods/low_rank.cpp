#include "methods/low_rank.h"

#include <cmath>

#include <ATen/ops/matmul.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "base/error.h"

namespace qw {

namespace {
/// Channels whose scale is below this share of the largest are treated as never firing: dividing by
/// their scale would blow rounding noise up.
constexpr double kDeadChannel = 1e-9;
constexpr double kStatisticFloor = 1e-4; // of the official LQER code

std::vector<double> toVector(const at::Tensor& values)
{
    const at::Tensor host = values.to(at::kCPU, at::kDouble).contiguous();
    const auto* data = host.data_ptr<double>();
    return {data, data + host.numel()};
}
} // namespace

LowRankPair lqerPair(const at::Tensor& error, const FactorizeOptions& options,
                     const RunContext& run)
{
    const TruncatedSvd svd = truncatedSvd(denseMap(error.t()), options, at::kFloat, run);
    LowRankPair pair;
    pair.a = svd.u;
    pair.b = svd.s.unsqueeze(1) * svd.v.t();
    pair.singularValues = toVector(svd.s);
    pair.errorNorm = error.to(at::kDouble).norm().item<double>();
    return pair;
}

LowRankPair scaledPair(const at::Tensor& error, const at::Tensor& scale,
                       const FactorizeOptions& options, const RunContext& run)
{
    QW_REQUIRE(scale.dim() == 1 && scale.size(0) == error.size(1), ErrorCode::BadShape,
               "the scale has ", scale.numel(), " entries, the weight ", error.size(1), " columns");
    const at::Tensor alive = scale.gt(scale.max() * kDeadChannel);
    const at::Tensor s = at::where(alive, scale, at::zeros_like(scale)).to(error.device());
    const at::Tensor scaled = (s.unsqueeze(1) * error.t().to(at::kDouble)).to(at::kFloat);
    const TruncatedSvd svd = truncatedSvd(denseMap(scaled), options, at::kFloat, run);
    const at::Tensor inverse =
        at::where(alive.to(error.device()), 1 / s.clamp_min(1e-300), at::zeros_like(s));
    LowRankPair pair;
    pair.a = (inverse.unsqueeze(1) * svd.u.to(at::kDouble)).to(at::kFloat);
    pair.b = svd.s.unsqueeze(1) * svd.v.t();
    pair.singularValues = toVector(svd.s);
    pair.errorNorm = scaled.to(at::kDouble).norm().item<double>();
    return pair;
}

LowRankPair exactPair(const at::Tensor& error, const at::Tensor& autocorrelation,
                      const FactorizeOptions& options, const RunContext& run)
{
    const std::int64_t in = error.size(1);
    QW_REQUIRE(autocorrelation.dim() == 2 && autocorrelation.size(0) == in &&
                   autocorrelation.size(1) == in,
               ErrorCode::BadShape, "the autocorrelation does not match the weight's ", in,
               " columns");
    const at::Tensor e = error.to(at::kDouble);
    const at::Tensor r = autocorrelation.to(error.device());
    // M = E R E^T is symmetric and positive: its eigenvectors are the left singular vectors of
    // E R^(1/2), its eigenvalues their squares. Applied as products only.
    const auto apply = [e, r](const at::Tensor& x) {
        return at::matmul(e, at::matmul(r, at::matmul(e.t(), x)));
    };
    const LinearMap map{error.size(0), error.size(0), apply, apply};
    const TruncatedSvd svd = truncatedSvd(map, options, at::kDouble, run);
    LowRankPair pair;
    pair.a = at::matmul(e.t(), svd.u).to(at::kFloat);
    pair.b = svd.u.t().to(at::kFloat).contiguous();
    pair.singularValues = toVector(svd.s.clamp_min(0).sqrt());
    pair.errorNorm = std::sqrt(std::max(0.0, (at::matmul(e, r) * e).sum().item<double>()));
    return pair;
}

at::Tensor lqerScale(const at::Tensor& statistic)
{
    const at::Tensor s = statistic.to(at::kDouble).clamp_min(kStatisticFloor);
    return s / (s.min() * s.max()).sqrt();
}

} // namespace qw
