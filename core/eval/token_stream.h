#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "eval/text_windows.h"
#include "report/training_spec.h"

namespace qw {

/// The windows of a training text in the order that training reads them: pass after pass over the
/// text, each cut from another place on and shuffled, as the seed says. Only tokens are kept; the
/// order of a pass is a function of seed and pass, so that training goes on anywhere.
class TokenStream
{
public:
    /// @param seed  of cuts and order. The last windows, a tenth of them, at most 32, are kept
    /// apart to validate on, if there are twenty.
    TokenStream(std::vector<std::int32_t> ids, std::int64_t seqlen, std::uint64_t seed);

    std::int64_t seqlen() const { return m_seqlen; }
    std::int64_t windowsPerPass() const { return m_perPass; }
    /// @param first  of all windows of the training, counted through its passes
    /// @return [count, seqlen] int64
    at::Tensor windows(std::int64_t first, std::int64_t count);
    /// [n, seqlen] int64, n >= 0: never trained on.
    at::Tensor validation() const;

private:
    std::int64_t startOf(std::int64_t window);

    std::vector<std::int32_t> m_ids;
    std::int64_t m_seqlen;
    std::uint64_t m_seed;
    std::int64_t m_heldOut = 0;
    std::int64_t m_perPass = 0;
    std::int64_t m_pass = -1;          ///< whose order is at hand
    std::int64_t m_cut = 0;            ///< first token of the pass
    std::vector<std::int64_t> m_order; ///< of its windows
};

/// A training text, opened.
struct TrainingText {
    TokenStream tokens;
    std::string text; ///< to detect overlap with other texts
    std::string textHash;
    std::vector<std::string> substitutions;
};

/// @throws Error::NotFound, BadInput if the text is shorter than one window
TrainingText trainingText(const TrainingSpec& spec, const std::string& textFile,
                          const ModelConfig& config, const Tokenizer& tokenizer, std::uint64_t seed,
                          const RunContext& run = {});

} // namespace qw
