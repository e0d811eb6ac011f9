#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"
#include "quant/grid.h"

namespace qw {

/// Bounds that searchClip() tries for each weight, and the tokens it is given, if there are as
/// many.
constexpr int kAwqClipSteps = 10;
constexpr std::int64_t kAwqClipTokens = 512;

/// The scale of each input at one ratio: clamp(size^ratio, 1e-4), then divided by the root of its
/// largest times its smallest. @param size [in] float64: mean |x|; @return [in] float32
/// Source: AWQ, arXiv:2306.00978, and its official code.
at::Tensor awqScale(const at::Tensor& size, double ratio);

/// A linear whose inputs are to be scaled.
struct ScaledLayer {
    std::string name;
    at::Tensor weight; ///< [out, in] float32
    GridOptions grid;
};

struct ScaleChoice {
    double ratio = 0;
    at::Tensor scale;         ///< [in] float32
    double error = 0;         ///< of the module's output
    double unscaledError = 0; ///< the same at ratio 0, as round to nearest leaves it
};

/// The ratio of 0, 1 / ratios, 2 / ratios, ... whose scale leaves the least error: weights times
/// scale are rounded to nearest and divided by it again. The first of equals wins.
/// @param error  of a module's output, given [out, in] weights by layer; @param tried  is told how
/// many ratios are done before each
/// @throws Error::NonFinite if no error is finite; as fitGrid() does; Cancelled
ScaleChoice
searchScale(const std::vector<ScaledLayer>& layers, const at::Tensor& size, std::int64_t ratios,
            const std::function<double(const std::map<std::string, at::Tensor>&)>& error,
            const std::function<void(std::int64_t)>& tried, const RunContext& run);

/// Mean square of x D^T. @param difference [out, in] float32: D; @param autocorrelation [in, in]
/// float64: E[x^T x]
double meanOutputError(const at::Tensor& difference, const at::Tensor& autocorrelation,
                       const RunContext& run);

/// Where to cut the weights of each group: of its largest |w| times 1, 0.95, ..., 0.55, the one
/// that leaves the least squared error of the group's part of the outputs; the first of equals.
/// @param weight [out, in] float32; @param tokens [n, in] float32; @return [out, groups] float32
/// Source: AWQ, official code.
at::Tensor searchClip(const at::Tensor& weight, const at::Tensor& tokens, const GridOptions& grid,
                      const RunContext& run);
/// The weight cut at these bounds, [out, in].
at::Tensor clipped(const at::Tensor& weight, const at::Tensor& bounds);

} // namespace qw
