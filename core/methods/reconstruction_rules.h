#pragma once

#include <cstdint>
#include <string>

#include "model/model_config.h"
#include "report/run_spec.h"

namespace qw {

/// Of the released LRQ code, for each block.
constexpr std::int64_t kPublishedIterations = 5000;

/// Rank of a layer's learned divisor; 0: a full matrix.
/// "official" follows the released LRQ code, "relative" is rho * out * in / (out + in), at which
/// the low-rank terms have rho times as many entries as the weight.
std::int64_t divisorRank(const ReconstructionSpec& spec, std::int64_t out, std::int64_t in);

struct LearningRate {
    double value = 0;
    std::string origin; ///< a sentence, empty if the user chose it
};

/// What the spec asks for, or the released scripts' value for Llama-2 of 7B, 13B and 70B, or, for
/// any other model, a rule made of it (docs/run-spec.md).
LearningRate learningRate(const RunSpec& spec, const ModelConfig& config);

} // namespace qw
