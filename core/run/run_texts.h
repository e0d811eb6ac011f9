#pragma once

#include <optional>

#include "base/run_context.h"
#include "eval/text_windows.h"
#include "eval/token_stream.h"
#include "report/run_spec.h"

namespace qw {

/// The windows a run reads; absent where the spec names no text.
struct RunTexts {
    std::optional<TextWindows> calibration;
    std::optional<TextWindows> evaluation;
    std::optional<TrainingText> training; ///< of methods that train the model
};

/// @throws Error::BadInput if the method learns from data and the spec names no text for it,
/// NotFound for a text that is not there
void requireTexts(const RunSpec& spec);

/// @throws Error::NotFound, BadInput for a text that is too short; Cancelled between texts
RunTexts readTexts(const RunSpec& spec, const ModelConfig& config, const Tokenizer& tokenizer,
                   const RunContext& run = {});

} // namespace qw
