#pragma once

#include <cstdint>
#include <string>

#include "base/json_io.h"

namespace qw {

/// How the layers of all blocks are trained together, through the whole model (LR-QAT, LSQ, PEQA).
/// Of learning rates and counts a negative number stands for what training_rules.h makes of it.
struct TrainingSpec {
    std::string text; ///< file, or "demo:calibration"
    std::int64_t steps = 10000;
    std::int64_t batchSize = 4;   ///< windows in memory at once
    std::int64_t gradAccum = 8;   ///< batches a step
    std::int64_t seqlen = 0;      ///< tokens of a window; 0: min(1024, the model's maximum)
    double lr = -1;               ///< of A and B, or of W (lsq)
    double lrScale = -1;          ///< of the scales; 0: they stay as found
    std::int64_t warmup = -1;     ///< steps; negative: a tenth of them
    double weightDecay = -1;      ///< never of the scales
    double clip = 1;              ///< of the gradient's norm; 0: none
    std::int64_t rank = 0;        ///< lr-qat; 0: min(32, hidden / 4)
    double alpha = 1;             ///< lr-qat: A B counts alpha / rank
    std::string phi = "fixed8";   ///< lr-qat: "fp32" | "bf16" | "fp16" | "fixed8" | "int"
    std::string init = "zero";    ///< lr-qat: "zero" | "loftq" | "lqer" | "qera-exact"
    std::string compute = "auto"; ///< products: "auto" (bf16 where it is native) | "f32" | "bf16"
    bool recompute = true;        ///< blocks once more in the backward pass, or all kept
    std::int64_t saveEvery = 100; ///< steps between states that a stopped run goes on from
    bool operator==(const TrainingSpec&) const = default;
};

/// Whether a method trains the whole model: lr-qat, lsq, peqa.
bool trainsModel(const std::string& method);

/// @throws Error::BadInput naming the key
void readTraining(const Json& json, TrainingSpec& training);
Json toJson(const TrainingSpec& training);

} // namespace qw
