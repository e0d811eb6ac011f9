#pragma once

#include <cstdint>
#include <vector>

#include "report/run_result.h"

namespace qw {

/// Bits that the shared exponents of one MXINT tensor take: a field narrower than 8 bits counts
/// down from the tensor's largest, which is stored once in 8.
std::int64_t exponentBits(std::int64_t count, std::int64_t width);
/// Bits that A [in, rank] and B [rank, out] take: float32, or MXINT blocks along their last axis.
std::int64_t factorBits(std::int64_t out, std::int64_t in, std::int64_t rank,
                        const LowRankSpec& lowRank, std::int64_t exponentWidth);

/// What a run stored about the correction of one layer: enough to say what any other rank would
/// give, without computing anything again.
struct CorrectionSpectrum {
    std::vector<double> singularValues; ///< of the minimised matrix M, largest first
    double errorNorm = kMissing;        ///< ||M||, Frobenius
    double weightNorm = kMissing;       ///< the same of W in place of the error, if known
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::int64_t baseBits = 0; ///< of codes, scales and zero points, without factors
    LowRankSpec lowRank;       ///< how the factors are stored
    std::int64_t exponentBits = 8;
    std::int64_t measuredRank = 0; ///< the rank the errors below were measured at
    double measuredOutputError = kMissing;
    double measuredWeightError = kMissing;
    bool operator==(const CorrectionSpectrum&) const = default;
};
CorrectionSpectrum correctionSpectrum(const LayerResult& layer, const RunSpec& spec);

struct RankPoint {
    std::int64_t rank = 0;
    double energy = kMissing;        ///< 0..1, share of ||M||^2 in the kept singular values
    double residual = kMissing;      ///< sqrt(1 - energy): the error left, as a share of ||M||
    double shareOfWeight = kMissing; ///< the error left, as a share of W, both measured as M is
    double outputError = kMissing;
    double weightError = kMissing;
    std::int64_t bytes = 0;
    double bitsPerWeight = kMissing;
    bool operator==(const RankPoint&) const = default;
};

/// The layer at another rank. Bytes and bits are exact. Energy is exact for the method's own M as
/// far as singular values are stored (beyond them NaN, and 1 from full rank on). The errors scale
/// the measured ones by the ratio of the residuals: exact for what M measures (the weight error of
/// LQER, the output error of QERA-exact, with unquantized factors), an approximation otherwise.
/// @throws Error::BadInput for a negative rank, BadShape for an empty layer
RankPoint atRank(const CorrectionSpectrum& spectrum, std::int64_t rank);

/// The matrix M that the run's correction approximates, by its method or by the correction after
/// another method. Name: of the curve in LayerSpectra, "E", "SE", "RE"; writing: "E", "S·E",
/// "R½·E". Both are empty where nothing is corrected.
struct MinimisedMatrix {
    std::string name;
    std::string writing;
};
MinimisedMatrix minimisedMatrix(const RunSpec& spec);

} // namespace qw
