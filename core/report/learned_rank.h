#pragma once

#include <cstdint>
#include <optional>

#include "report/run_spec.h"

namespace qw {

/// Rank of a layer's learned divisor; 0: a full matrix.
/// "official" follows the released LRQ code, "relative" is rho * out * in / (out + in), at which
/// the low-rank terms have rho times as many entries as the weight.
std::int64_t divisorRank(const ReconstructionSpec& spec, std::int64_t out, std::int64_t in);

/// Rank of LR-QAT's pair before it is cut to a layer: as asked, or a quarter of the hidden units
/// and at most the recipe's 32.
std::int64_t pairRank(const TrainingSpec& spec, std::int64_t hidden);

/// Rank of what a method learns for a layer [out, in], which is no part of what is deployed: LRQ's
/// divisor, LR-QAT's pair. Nothing for other methods. @param hidden  width of the model
std::optional<std::int64_t> learnedRank(const RunSpec& spec, std::int64_t out, std::int64_t in,
                                        std::int64_t hidden);

} // namespace qw
