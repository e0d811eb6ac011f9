#include "methods/trained_start.h"

#include <algorithm>
#include <cmath>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "methods/low_rank.h"
#include "quant/quantized_linear.h"

namespace qw {

namespace {
/// w over, or times, its scales [out, groups].
at::Tensor perScale(const at::Tensor& w, const at::Tensor& scale, bool divide)
{
    const at::Tensor groups = w.view({w.size(0), scale.size(1), -1});
    return (divide ? groups / scale.unsqueeze(2) : groups * scale.unsqueeze(2)).view_as(w);
}

ErrorNorm normOf(const std::string& name, const TrainedWeightOptions& options,
                 const InputStatistics* statistics)
{
    if (options.init != "qera-exact") {
        return {};
    }
    QW_REQUIRE(statistics != nullptr, ErrorCode::Internal, name,
               ": no input statistics were collected");
    ErrorNorm norm{{}, statistics->autocorrelation()};
    QW_REQUIRE(norm.dense.diagonal().isfinite().all().item<bool>(), ErrorCode::NonFinite, name,
               ": its calibration inputs are not finite");
    return norm;
}

/// left right = C / (the product's factor), with columns and rows of equal length.
void balance(const LowRankPair& pair, double factor, TrainedStart& start)
{
    const at::Tensor a = at::linalg_vector_norm(pair.a, 2, at::IntArrayRef{0}).unsqueeze(1);
    const at::Tensor b = at::linalg_vector_norm(pair.b, 2, at::IntArrayRef{1}).unsqueeze(1);
    const at::Tensor ratio = at::where(a.gt(0).logical_and(b.gt(0)), a / b, at::zeros_like(a));
    const at::Tensor root = ratio.sqrt();
    start.left = (pair.b * root / std::sqrt(factor)).t().contiguous();
    start.right =
        at::where(root.gt(0), pair.a.t() / (root * std::sqrt(factor)), at::zeros_like(pair.a.t()))
            .contiguous();
}

void fillZero(const at::Tensor& weight, std::int64_t rank, std::uint64_t seed, TrainedStart& start)
{
    // On the host, so that every device begins with the same numbers.
    const double bound = 1 / std::sqrt(static_cast<double>(weight.size(1)));
    start.left = at::zeros({weight.size(0), rank}, weight.options());
    start.right = at::empty({rank, weight.size(1)}, at::kFloat)
                      .uniform_(-bound, bound, at::detail::createCPUGenerator(seed))
                      .to(weight.device());
}

void check(const std::string& name, const TrainedWeightOptions& options)
{
    QW_REQUIRE(options.grid.sym, ErrorCode::BadInput, name,
               ": training is on symmetric grids; use sym");
    QW_REQUIRE(options.grid.groupSize != -1, ErrorCode::BadInput, name,
               ": training needs a scale per row or group, not one for the whole tensor");
    if (options.kind != TrainedKind::LrQat) {
        return;
    }
    QW_REQUIRE(options.rank >= 1, ErrorCode::BadInput, name, ": rank ", options.rank,
               " is not 1 or more");
    const std::string& init = options.init;
    QW_REQUIRE(init == "zero" || init == "loftq" || init == "lqer" || init == "qera-exact",
               ErrorCode::BadInput, name, ": init \"", init,
               "\" is not zero, loftq, lqer or qera-exact");
}
} // namespace

std::int64_t TrainedWeightOptions::rankFor(std::int64_t out, std::int64_t in) const
{
    return kind == TrainedKind::LrQat ? std::min({rank, out, in}) : 0;
}

TrainedStart startOf(const std::string& name, const at::Tensor& weight,
                     const TrainedWeightOptions& options, const InputStatistics* statistics,
                     std::uint64_t seed, const RunContext& run)
{
    check(name, options);
    const Phi phi = options.kind == TrainedKind::LrQat ? phiFromName(options.phi) : Phi::Int;
    const QuantizedLinear nearest = roundToNearest(name, weight, {}, options.grid, run);
    run.checkpoint();
    TrainedStart start;
    start.scale = nearest.scale;
    const at::Tensor codes = nearest.codes.to(at::kFloat);
    const std::int64_t rank = options.rankFor(weight.size(0), weight.size(1));
    if (rank == 0) {
        start.frozen = FrozenWeight(codes, phi, options.grid);
        return start;
    }
    if (options.init == "zero") {
        fillZero(weight, rank, seed, start);
        start.frozen = FrozenWeight(phi == Phi::Int ? codes : perScale(weight, start.scale, true),
                                    phi, options.grid);
        return start;
    }
    // A row's scales as one number, by which a factor can be divided.
    const auto perRow = [](const at::Tensor& scale) { return scale.mean(1, true); };
    const auto evened = [&](const at::Tensor& x, bool back) {
        return perScale(x, start.scale / perRow(start.scale), !back);
    };
    FactorizeOptions factorize;
    factorize.rank = rank;
    factorize.seed = seed;
    const double factor = options.alpha / static_cast<double>(rank);
    balance(lowRankPair(evened(weight - perScale(codes, start.scale, false), false),
                        normOf(name, options, statistics), factorize, run),
            factor, start);
    if (options.init == "loftq") {
        const at::Tensor product = at::matmul(start.left, start.right) * factor;
        start.scale = fitGrid(weight - evened(product, true), options.grid, run).scale;
    }
    start.left /= perRow(start.scale);
    start.frozen = FrozenWeight(phi == Phi::Int ? codes
                                                : perScale(weight, start.scale, true) -
                                                      at::matmul(start.left, start.right) * factor,
                                phi, options.grid);
    return start;
}

} // namespace qw
