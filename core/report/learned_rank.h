#pragma once

#include <cstdint>
#include <optional>

#include "report/run_spec.h"

namespace qw {

/// Of LR-QAT's recipe.
constexpr std::int64_t kPublishedRank = 32;

/// The rank that a run, or a layer, is known by: of its low-rank correction, else of what its
/// method learned with and merged away (lrq's divisor, lr-qat's A and B).
struct KnownRank {
    std::int64_t rank = 0; ///< 0, too, where it is learned and not known yet
    bool learned = false;
    bool full = false; ///< a learned divisor that is no product: it has no rank
    bool operator==(const KnownRank&) const = default;
};

/// Whether the method learns low-rank terms: lr-qat, and lrq unless it goes without them.
bool learnsRank(const RunSpec& spec);

/// Rank of a layer's learned divisor; 0: a full matrix.
/// "official" follows the released LRQ code, "relative" is rho * out * in / (out + in), at which
/// the low-rank terms have rho times as many entries as the weight.
/// @throws Error::BadInput if it is neither a name nor a number above 0
std::int64_t divisorRank(const ReconstructionSpec& spec, std::int64_t out, std::int64_t in);

/// Rank of LR-QAT's pair before it is cut to a layer: as asked, or a quarter of the hidden units
/// and at most the recipe's.
std::int64_t pairRank(const TrainingSpec& spec, std::int64_t hidden);

/// Rank of what a method learns for a layer [out, in], which is no part of what is deployed: LRQ's
/// divisor, LR-QAT's pair. Nothing for other methods, and while the spec says no rank (it is being
/// typed). @param hidden  width of the model
std::optional<KnownRank> learnedRank(const RunSpec& spec, std::int64_t out, std::int64_t in,
                                     std::int64_t hidden);

} // namespace qw
