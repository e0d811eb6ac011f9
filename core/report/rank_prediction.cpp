#include "report/rank_prediction.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace qw {

namespace {
/// Share of ||M||^2 in the first @p rank singular values.
double energyAt(const CorrectionSpectrum& spectrum, std::int64_t rank)
{
    if (!(spectrum.errorNorm > 0)) {
        return kMissing;
    }
    if (rank >= std::min(spectrum.rows, spectrum.cols)) {
        return 1;
    }
    if (rank > static_cast<std::int64_t>(spectrum.singularValues.size())) {
        return kMissing;
    }
    double kept = 0;
    for (std::int64_t i = 0; i < rank; ++i) {
        const double relative =
            spectrum.singularValues[static_cast<std::size_t>(i)] / spectrum.errorNorm;
        kept += relative * relative;
    }
    return std::min(kept, 1.0);
}
} // namespace

std::int64_t exponentBits(std::int64_t count, std::int64_t width)
{
    return count * width + (width < 8 ? 8 : 0);
}

std::int64_t factorBits(std::int64_t out, std::int64_t in, std::int64_t rank,
                        const LowRankSpec& lowRank, std::int64_t exponentWidth)
{
    if (rank == 0 || lowRank.factorBits == 0) {
        return rank * (in + out) * 32;
    }
    const auto blocks = [&](std::int64_t n) {
        return (n + lowRank.factorBlock - 1) / lowRank.factorBlock;
    };
    return rank * (in + out) * lowRank.factorBits + exponentBits(in * blocks(rank), exponentWidth) +
           exponentBits(rank * blocks(out), exponentWidth);
}

CorrectionSpectrum correctionSpectrum(const LayerResult& layer, const RunSpec& spec)
{
    CorrectionSpectrum spectrum;
    spectrum.singularValues = layer.singularValues;
    spectrum.errorNorm = layer.errorNorm;
    spectrum.rows = layer.rows;
    spectrum.cols = layer.cols;
    spectrum.lowRank = spec.lowRank;
    spectrum.exponentBits = spec.weight.exponentBits;
    // Bits per weight is exact where bytes are rounded up.
    const double bits = layer.bitsPerWeight * static_cast<double>(layer.rows * layer.cols);
    spectrum.baseBits =
        (std::isfinite(bits) ? std::llround(bits) : layer.bytes * 8) -
        factorBits(layer.rows, layer.cols, layer.rank, spec.lowRank, spec.weight.exponentBits);
    spectrum.measuredRank = layer.rank;
    spectrum.measuredOutputError = layer.outputError;
    spectrum.measuredWeightError = layer.weightError;
    return spectrum;
}

RankPoint atRank(const CorrectionSpectrum& spectrum, std::int64_t rank)
{
    QW_REQUIRE(rank >= 0, ErrorCode::BadInput, "a correction of rank ", rank);
    QW_REQUIRE(spectrum.rows > 0 && spectrum.cols > 0, ErrorCode::BadShape, "a layer of ",
               spectrum.rows, " x ", spectrum.cols, " weights has no spectrum");
    RankPoint point;
    point.rank = std::min({rank, spectrum.rows, spectrum.cols});
    point.energy = energyAt(spectrum, point.rank);
    point.residual = std::sqrt(1 - point.energy);
    point.shareOfWeight = point.residual * spectrum.errorNorm / spectrum.weightNorm;
    const double measured = std::sqrt(1 - energyAt(spectrum, spectrum.measuredRank));
    if (measured > 0) {
        point.outputError = spectrum.measuredOutputError * point.residual / measured;
        point.weightError = spectrum.measuredWeightError * point.residual / measured;
    }
    const std::int64_t bits =
        spectrum.baseBits + factorBits(spectrum.rows, spectrum.cols, point.rank, spectrum.lowRank,
                                       spectrum.exponentBits);
    point.bytes = (bits + 7) / 8;
    point.bitsPerWeight =
        static_cast<double>(bits) / static_cast<double>(spectrum.rows * spectrum.cols);
    return point;
}

MinimisedMatrix minimisedMatrix(const RunSpec& spec)
{
    const std::string& correction =
        spec.lowRank.correction == "none" ? spec.method : spec.lowRank.correction;
    if (correction == "lqer") {
        return {"E", "E"};
    }
    if (correction == "l2qer" || correction == "qera-approx") {
        return {"SE", "S·E"};
    }
    return correction == "qera-exact" ? MinimisedMatrix{"RE", "R½·E"} : MinimisedMatrix{};
}

} // namespace qw
