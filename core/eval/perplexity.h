#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"
#include "eval/text_windows.h"
#include "model/decoder.h"
#include "model/hidden_states.h"
#include "report/run_result.h"

namespace qw {

/// A model made of the same blocks with other linears: gives the hooks of one block. Called once
/// per block and pass; what the hooks hold is dropped before the next block.
using BlockVariant = std::function<BlockHooks(const BlockWeights& block)>;

/// A whole such model: it may also begin and end with tensors of its own.
struct ModelVariant {
    BlockVariant block;
    std::shared_ptr<const Decoder> outside; ///< embeds and finishes; null: as full precision does

    ModelVariant(BlockVariant blocks, std::shared_ptr<const Decoder> ends = {})
        : block(std::move(blocks)), outside(std::move(ends))
    {
    }
};

struct Scores {
    TextScore fullPrecision; ///< without hashes and protocol name: the caller knows them
    std::vector<TextScore> variants;
    std::vector<Comparison> comparisons; ///< one a variant
};

/// How much is kept at once. The result does not depend on it but for the last bits of products.
struct ScoreBudget {
    std::int64_t hiddenBytes = std::int64_t{1} << 30; ///< hidden states, all models together
    std::int64_t logits = std::int64_t{8} << 20;      ///< logits of one model, elements
};

/// The full-precision model's states of all windows after its last block, for scoring other models
/// beside it without running it again. Same bits.
struct ReferenceStates {
    HiddenStates states;
    bool known = false; ///< else the first scoring leaves them there
};

/// Scores the full-precision model and any number of variants on the same windows, streamed block
/// by block for all of them together; logits live in chunks of a few rows only. Where the hidden
/// states of all windows do not fit the budget, groups of windows pass over the blocks one after
/// the other. Sums in float64.
/// Standard errors are over scored predictions; differences are paired by prediction.
/// @param reference  of this decoder and these windows, or null
/// @throws Error::NonFinite if a score is not a number, Cancelled
Scores scoreWindows(const Decoder& decoder, const TextWindows& windows,
                    const std::vector<ModelVariant>& variants, const RunContext& run,
                    const ScoreBudget& budget = {}, ReferenceStates* reference = nullptr);

/// Sums over the predictions of rows of logits. Split out so that it can be tested by itself.
struct PredictionScores {
    std::vector<double> nll; ///< per prediction, nats
    std::vector<double> kl;  ///< KL(reference || this), empty without reference
    std::int64_t top1Same = 0;
};
/// @param logits, reference [n, vocab], one dtype (reference may be undefined); @param targets [n]
/// int64. In one pass over the logits on the CPU; float64 sums. @throws Error::BadShape
void addPredictions(const at::Tensor& logits, const at::Tensor& reference,
                    const at::Tensor& targets, PredictionScores& into);
/// The same through whole matrices of log-probabilities: the other devices' way, and the oracle.
void addPredictionsPlain(const at::Tensor& logits, const at::Tensor& reference,
                         const at::Tensor& targets, PredictionScores& into);

/// Linear interpolation between order statistics; q in 0..1.
double quantile(std::vector<double> values, double q);

} // namespace qw
