#pragma once

#include <cstdint>
#include <vector>

#include "base/json_io.h"

namespace qw {

/// What one step of training saw. Missing numbers are NaN.
struct TrainingStep {
    double loss = __builtin_nan("");         ///< nats a token, before the update
    double rate = __builtin_nan("");         ///< learning rate of what is not a scale
    double gradientNorm = __builtin_nan(""); ///< of all learned numbers, before clipping
    double tokensPerSecond = __builtin_nan("");
    double validationPerplexity = __builtin_nan(""); ///< after the update, where it was measured
    bool operator==(const TrainingStep&) const;
};

/// What training the whole model did, and with which numbers where the spec leaves them open.
struct TrainingResult {
    double lr = __builtin_nan("");
    double lrScale = __builtin_nan("");
    double weightDecay = __builtin_nan("");
    std::int64_t warmup = 0;
    std::int64_t rank = 0;
    std::int64_t trainedParameters = 0;
    std::int64_t frozenBytes = 0; ///< of what stays in memory of the quantized weights
    /// Most memory beyond what there was before the training: frozen and learned parts, moments and
    /// what a step makes. On the CPU; 0: not measured.
    std::int64_t peakBytesAboveModel = 0;
    double seconds = __builtin_nan(""); ///< of the steps
    std::vector<TrainingStep> steps;
    bool operator==(const TrainingResult&) const;
};

/// Steps as columns; lossless.
Json toJson(const TrainingResult& training);
/// @throws Error::BadInput naming the key
TrainingResult trainingResultFromJson(const Json& json);

} // namespace qw
