#pragma once

#include <cstdint>
#include <string>

#include "model/model_config.h"
#include "report/learned_rank.h"
#include "report/run_spec.h"

namespace qw {

/// Of the released LRQ code, for each block.
constexpr std::int64_t kPublishedIterations = 5000;

struct LearningRate {
    double value = 0;
    std::string origin; ///< a sentence, empty if the user chose it
};

/// What the spec asks for, or the released scripts' value for Llama-2 of 7B, 13B and 70B, or, for
/// any other model, a rule made of it (docs/run-spec.md).
LearningRate learningRate(const RunSpec& spec, const ModelConfig& config);

} // namespace qw
