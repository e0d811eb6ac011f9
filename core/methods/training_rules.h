#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model_config.h"
#include "report/run_spec.h"

namespace qw {

/// Of LR-QAT's recipe.
constexpr std::int64_t kPublishedSteps = 10000;

/// The numbers of a training, those settled that the spec leaves open.
struct TrainingRules {
    double lr = 0;
    double lrScale = 0;
    double weightDecay = 0; ///< never of the scales
    std::int64_t warmup = 0;
    std::int64_t rank = 0;         ///< lr-qat; cut to a layer's smaller dimension where it begins
    std::vector<std::string> said; ///< where they come from, a sentence each
};

/// The published recipe where it fits: 10000 steps, of which a tenth warm up; rank 32. Fewer steps
/// take learning rates so much larger that they go as far, up to a bound; narrow models take a
/// quarter of their width as rank (docs/run-spec.md).
/// Source: LR-QAT, README of the official code.
TrainingRules trainingRules(const RunSpec& spec, const ModelConfig& config);

/// How the frozen part of a layer is kept: "fixed8" has no room for 8 bits, which take "fp16".
std::string phiFor(const TrainingSpec& spec, std::int64_t bits);

/// Linear from 0 up to @p peak over the warm-up, then linear down to 0 at the last step.
/// @param step  0 .. steps - 1
double scheduledRate(double peak, std::int64_t step, std::int64_t warmup, std::int64_t steps);

/// bfloat16 where the spec says so, or leaves it open and the processor multiplies it.
bool trainsInBfloat16(const TrainingSpec& spec, const std::string& device);

} // namespace qw
