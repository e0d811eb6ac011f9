#include "quant/grid.h"

#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/round.h>

#include "base/error.h"
#include "quant/range_search.h"

namespace qw {

namespace {
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

std::int64_t codeMin(const GridOptions& options)
{
    return options.sym ? -(std::int64_t{1} << (options.bits - 1)) : 0;
}

std::int64_t codeMax(const GridOptions& options)
{
    return (std::int64_t{1} << (options.sym ? options.bits - 1 : options.bits)) - 1;
}

GridParams fitGrid(const at::Tensor& w, const GridOptions& options, const RunContext& run)
{
    QW_REQUIRE(w.dim() == 2, ErrorCode::BadShape, "a weight must be a matrix");
    QW_REQUIRE(options.bits >= 2 && options.bits <= 8, ErrorCode::BadInput, "bits ", options.bits,
               " is not in 2..8");
    QW_REQUIRE(options.range != RangeSearch::LpNorm || options.sym, ErrorCode::BadInput,
               "the LP range search is for symmetric grids; use the LRQ search or sym");
    QW_REQUIRE(options.range != RangeSearch::Lrq || !options.sym, ErrorCode::BadInput,
               "the LRQ range search is for asymmetric grids; use the LP search or asym");
    const at::Tensor groups = grouped(w.to(at::kFloat), options.groupSize);
    GridParams params;
    if (options.range == RangeSearch::Lrq) {
        params = searchLrqRange(groups, options, run);
    } else if (options.range == RangeSearch::Shrink) {
        params = searchShrunkRange(groups, options, run);
    } else if (options.sym) {
        params = paramsFromBound(options.range == RangeSearch::LpNorm
                                     ? searchSymmetricRange(groups, options, run)
                                     : groups.abs().amax(2),
                                 options);
    } else {
        params = paramsFromRange(groups.amin(2).clamp_max(0), groups.amax(2).clamp_min(0), options);
    }
    QW_REQUIRE(at::isfinite(params.scale).all().item<bool>(), ErrorCode::NonFinite,
               "a scale is above the largest ", scaleTypeName(options.scaleDtype),
               " number; store scales as f32");
    return params;
}

at::Tensor gridCodes(const at::Tensor& w, const GridParams& params, const GridOptions& options)
{
    const at::Tensor groups = grouped(w.to(at::kFloat), options.groupSize);
    at::Tensor codes = at::round(groups / spread(params.scale)).add_(spread(params.zero));
    codes.clamp_(static_cast<double>(codeMin(options)), static_cast<double>(codeMax(options)));
    return codes.reshape(w.sizes()).to(at::kShort);
}

const char* scaleTypeName(at::ScalarType type)
{
    return type == at::kHalf ? "f16" : type == at::kBFloat16 ? "bf16" : "f32";
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
