#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"
#include "model/model_config.h"
#include "model/tokenizer.h"
#include "report/run_spec.h"

namespace qw {

enum class Protocol {
    Gptq,    ///< whole text tokenized once, non-overlapping windows, all predictions scored
    LlamaCpp ///< BOS at the start of each window, second half scored
};
/// @throws Error::BadInput
Protocol protocolFromName(const std::string& name);

/// Token windows of one text and which of their predictions count.
struct TextWindows {
    at::Tensor ids;                   ///< [windows, seqlen] int64
    std::int64_t firstScored = 0;     ///< predictions of positions firstScored .. seqlen-2 count
    std::int64_t availableTokens = 0; ///< of the whole text
    std::string textHash;
    std::string text; ///< kept to detect overlap with other texts
    std::vector<std::string> substitutions;

    std::int64_t count() const { return ids.size(0); }
    std::int64_t seqlen() const { return ids.size(1); }
    std::int64_t scoredPerWindow() const { return seqlen() - 1 - firstScored; }
};

/// A text file as tokens.
struct EncodedText {
    std::vector<std::int32_t> ids;
    std::string text;
    std::string hash; ///< of the text
};
/// @throws Error::NotFound, Cancelled; BadFile for a token the model has no embedding of
EncodedText encodeFile(const std::string& file, const ModelConfig& config,
                       const Tokenizer& tokenizer, const RunContext& run = {});

/// Tokens of a window: as asked, or @p fallback if that is 0 and the model goes that far.
/// @param what  of the sentence. @throws Error::BadInput if it is too short, or longer than the
/// model
std::int64_t windowLength(std::int64_t asked, std::int64_t fallback, const ModelConfig& config,
                          const char* what);

/// @throws Error::BadInput naming the file if it is shorter than one window
void requireOneWindow(const std::string& file, std::size_t tokens, std::int64_t seqlen);

/// Cuts a text for measuring. @throws Error::BadInput if the text is shorter than one window,
/// Cancelled
TextWindows evaluationWindows(const EvaluationSpec& spec, const std::string& textFile,
                              const ModelConfig& config, const Tokenizer& tokenizer,
                              const RunContext& run = {});

/// Draws windows for calibration: at random offsets from @p seed, or the first ones in order.
/// @throws Error::BadInput if the text is shorter than one window, Cancelled
TextWindows calibrationWindows(const CalibrationSpec& spec, const std::string& textFile,
                               const ModelConfig& config, const Tokenizer& tokenizer,
                               std::uint64_t seed, const RunContext& run = {});

/// Share of @p a's runs of eight words that stand in @p b too, 0..1.
double textOverlap(const std::string& a, const std::string& b);

} // namespace qw
