#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"
#include "methods/frozen_weight.h"
#include "methods/input_statistics.h"

namespace qw {

enum class TrainedKind {
    LrQat, ///< a low-rank pair inside the rounding, and the scales
    Lsq,   ///< the whole weight, and the scales
    Peqa   ///< the scales
};

struct TrainedWeightOptions {
    TrainedKind kind = TrainedKind::LrQat;
    GridOptions grid; ///< symmetric, a scale per row or group
    /// Of all of the training: the products with x, and that of the pair.
    at::ScalarType compute = at::kFloat; ///< at::kFloat | at::kBFloat16
    bool learnScale = true;              ///< false: the scales stay as found
    // LR-QAT alone:
    std::string phi = "fixed8"; ///< as phiFromName() has them
    std::int64_t rank = 32;     ///< cut to the smaller dimension of the weight
    double alpha = 1;           ///< the pair's product counts alpha / rank times
    std::string init = "zero";  ///< of the pair: "zero" | "loftq" | "lqer" | "qera-exact"

    /// Rank of the pair of a weight of this shape; 0 without one.
    std::int64_t rankFor(std::int64_t out, std::int64_t in) const;
};

/// Where the training of a weight begins.
struct TrainedStart {
    at::Tensor scale;    ///< [out, groups] float32
    FrozenWeight frozen; ///< LSQ: its integers at the start
    at::Tensor left;     ///< LR-QAT: [out, rank] float32
    at::Tensor right;    ///< LR-QAT: [rank, in] float32
};

/// "zero": left is 0, right uniform in +-1/sqrt(in), scales by the range search of the grid.
/// "loftq": one step of LoftQ; "lqer", "qera-exact": those methods' correction C of the error of
/// round to nearest. Then phi int keeps the integers of round to nearest, the others W0 / s0 less
/// the pair's product, which is C / s0 and begins with both factors other than zero.
/// @param weight [out, in] float32; @param statistics  of the inputs, needed by qera-exact
/// @throws Error::BadInput for a grid that is not symmetric or has one scale for all, an unknown
/// phi or init, a rank below 1; NonFinite naming the layer; Cancelled
/// Source: LR-QAT's official code for zero and loftq. Differs: the moved pair is divided by the
/// scales on its left side always; several scales a row count as their mean there; lqer and
/// qera-exact, and loftq with another phi than int, are ours.
TrainedStart startOf(const std::string& name, const at::Tensor& weight,
                     const TrainedWeightOptions& options, const InputStatistics* statistics,
                     std::uint64_t seed, const RunContext& run);

} // namespace qw
