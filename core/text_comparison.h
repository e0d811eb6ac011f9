#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/run_context.h"
#include "report/run_result.h"

/// Part of the front door (engine.h): one text, token by token, in two models.
namespace qw {

/// What both models think of one token, given those before it.
struct TokenComparison {
    std::string text;            ///< what it adds to the text; empty inside a character
    double fpLogProb = kMissing; ///< ln p in full precision, nats; missing for the first token
    double logProb = kMissing;   ///< and quantized
    std::string fpBest, best;    ///< the likeliest token at its place
    bool operator==(const TokenComparison&) const = default;
};

struct TextComparison {
    std::vector<TokenComparison> tokens;
    double fpNll = kMissing; ///< mean nats over all tokens but the first
    double nll = kMissing;
    std::string fpContinuation, continuation; ///< greedy
    bool operator==(const TextComparison&) const = default;
};

struct TextComparisonRequest {
    std::string text;
    std::int64_t continueTokens = 48; ///< 0: no continuations; less where the model ends
};

/// Scores a text in full precision and as a stored run deployed it, then continues it greedily in
/// both. The whole text is one window, with the tokens the tokenizer adds by itself.
/// @param measured  called on this thread once the tokens are known, before the continuations; may
///        be empty
/// @throws Error::BadInput for a text of fewer than two tokens or longer than the model takes,
///         NotFound if the run kept no artifact, Mismatch if the model changed; Cancelled
TextComparison compareText(const RunResult& run, const TextComparisonRequest& request,
                           const std::function<void(const TextComparison&)>& measured,
                           const RunContext& context);

/// Lines of an evaluation text long enough to look at, at most @p limit. @throws Error::NotFound
std::vector<std::string> textLines(const std::string& text, std::int64_t limit);

} // namespace qw
