#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "eval/token_stream.h"
#include "methods/method.h"
#include "run/block_quantizer.h"

namespace qw {

/// What a training works with.
struct TrainingTask {
    const RunGroup* group = nullptr;
    const ModelMethod* method = nullptr;
    const Decoder* decoder = nullptr; ///< full precision, float32
    TokenStream* tokens = nullptr;
    const TextWindows* calibration = nullptr; ///< or null; needed where a layer's start looks at it
    HiddenStatesPlace place;                  ///< of its hidden states
    std::filesystem::path stateFile;          ///< to go on from after an interruption
    /// Called after each step, and for those done before an interruption; may be empty.
    std::function<void(const TrainingStep&)> stepDone;
};

struct TrainedLayers {
    /// Gives each layer as it was learned, whatever weight it is asked to quantize.
    std::unique_ptr<LayerMethod> layers;
    TrainingResult result;
    std::int64_t startPeakRss = 0; ///< before the first step, from which the peak counts anew
};

/// Trains the layers of the group's plan on next-token prediction: AdamW, linear warm-up and decay,
/// gradients added up over batches and clipped by their norm over all that is learned.
/// State is kept every so many steps and when the run is cancelled; a training that goes on comes
/// to the same bits. @throws Error::NonFinite naming step and layer, the state before that step
/// being kept; Cancelled Source: LR-QAT, official code.
TrainedLayers trainModel(const TrainingTask& task, const RunContext& run);

} // namespace qw
