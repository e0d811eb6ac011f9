#include "quant/grid.h"

#include <cmath>

#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "base/error.h"
#include "quant/range_search.h"

namespace qw {

namespace {
constexpr double kScaleFloor = 1e-8;      // as LRQ and LR-QAT have it
constexpr double kSmallestHalf = 6.2e-5;  // above float16's smallest normal number, 2^-14
constexpr double kSmallestBfloat = 1e-37; // likewise for bfloat16

/// [out, in] as [out, groups, width]; a whole tensor as one group.
at::Tensor grouped(const at::Tensor& w, std::int64_t groupSize)
{
    if (groupSize == -1) {
        return w.reshape({1, 1, w.numel()});
    }
    const std::int64_t in = w.size(1);
    const std::int64_t width = groupSize == 0 ? in : groupSize;
    QW_REQUIRE(width > 0 && in % width == 0, ErrorCode::BadShape, "group size ", groupSize,
               " does not divide ", in, " columns");
    return w.reshape({w.size(0), in / width, width});
}

/// Broadcasts [out, groups] parameters over [out, groups, width].
at::Tensor spread(const at::Tensor& parameter)
{
    return parameter.unsqueeze(2);
}
} // namespace

at::Tensor representableScale(const at::Tensor& scale, at::ScalarType dtype)
{
    if (dtype == at::kFloat) {
        return scale.clamp_min(kScaleFloor);
    }
    const double floor = dtype == at::kHalf ? kSmallestHalf : kSmallestBfloat;
    return scale.clamp_min(std::max(floor, kScaleFloor)).to(dtype).to(at::kFloat);
}

GridParams paramsFromRange(const at::Tensor& low, const at::Tensor& high,
                           const GridOptions& options)
{
    const double levels = std::ldexp(1.0, static_cast<int>(options.bits)) - 1;
    GridParams params;
    params.scale = representableScale((high - low) / levels, options.scaleDtype);
    params.zero = at::clamp(at::round(-low / params.scale), 0, levels);
    return params;
}

std::int64_t codeMin(const GridOptions& options)
{
    return options.sym ? -(std::int64_t{1} << (options.bits - 1)) : 0;
}

std::int64_t codeMax(const GridOptions& options)
{
    return (std::int64_t{1} << (options.sym ? options.bits - 1 : options.bits)) - 1;
}

GridParams fitGrid(const at::Tensor& w, const GridOptions& options)
{
    QW_REQUIRE(w.dim() == 2, ErrorCode::BadShape, "a weight must be a matrix");
    QW_REQUIRE(options.bits >= 2 && options.bits <= 8, ErrorCode::BadInput, "bits ", options.bits,
               " is not in 2..8");
    const at::Tensor groups = grouped(w.to(at::kFloat), options.groupSize);
    if (options.range == RangeSearch::Lrq && !options.sym) {
        return searchLrqRange(groups, options);
    }
    if (options.sym) {
        const at::Tensor bound = options.range == RangeSearch::MinMax
                                     ? groups.abs().amax(2)
                                     : searchSymmetricRange(groups, options);
        GridParams params;
        params.scale =
            representableScale(bound / static_cast<double>(codeMax(options)), options.scaleDtype);
        params.zero = at::zeros_like(params.scale);
        return params;
    }
    QW_REQUIRE(options.range == RangeSearch::MinMax, ErrorCode::BadInput,
               "the LP range search is for symmetric grids; use the LRQ search or sym");
    return paramsFromRange(groups.amin(2).clamp_max(0), groups.amax(2).clamp_min(0), options);
}

at::Tensor gridCodes(const at::Tensor& w, const GridParams& params, const GridOptions& options)
{
    const at::Tensor groups = grouped(w.to(at::kFloat), options.groupSize);
    at::Tensor codes = at::round(groups / spread(params.scale)).add_(spread(params.zero));
    codes.clamp_(static_cast<double>(codeMin(options)), static_cast<double>(codeMax(options)));
    return codes.reshape(w.sizes()).to(at::kShort);
}

at::Tensor gridValues(const at::Tensor& codes, const GridParams& params)
{
    const std::int64_t rows = params.scale.size(0);
    const std::int64_t groups = params.scale.size(1);
    const at::Tensor shaped =
        codes.to(at::kFloat).reshape({rows, groups, codes.numel() / (rows * groups)});
    return ((shaped - spread(params.zero)) * spread(params.scale)).reshape(codes.sizes());
}

} // namespace qw
