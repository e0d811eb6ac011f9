#include "model/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"

namespace qw {

std::int32_t drawToken(const std::vector<float>& logits, const SamplingOptions& options,
                       std::mt19937_64& generator)
{
    const auto best = std::max_element(logits.begin(), logits.end());
    if (options.temperature <= 0) {
        return static_cast<std::int32_t>(best - logits.begin());
    }
    std::vector<std::int32_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::size_t kept = options.topK > 0
                           ? std::min<std::size_t>(order.size(), std::size_t(options.topK))
                           : order.size();
    if (options.topK > 0 || options.topP < 1) { // else nothing is cut and any order will do
        const auto before = [&](std::int32_t a, std::int32_t b) {
            const float first = logits[static_cast<std::size_t>(a)];
            const float second = logits[static_cast<std::size_t>(b)];
            return first > second || (first == second && a < b);
        };
        const auto end = order.begin() + static_cast<std::ptrdiff_t>(kept);
        std::nth_element(order.begin(), end, order.end(), before);
        std::sort(order.begin(), end, before);
    }
    std::vector<double> weights(kept);
    double sum = 0;
    for (std::size_t i = 0; i < kept; ++i) {
        const double gap = logits[static_cast<std::size_t>(order[i])] - *best;
        weights[i] = std::exp(gap / options.temperature);
        sum += weights[i];
    }
    double covered = 0;
    for (std::size_t i = 0; i < kept; ++i) { // nucleus: the fewest tokens that cover topP
        covered += weights[i];
        if (covered >= options.topP * sum) {
            kept = i + 1;
            break;
        }
    }
    // 53 bits by hand: library distributions differ between implementations.
    double point = static_cast<double>(generator() >> 11) * 0x1.0p-53 * covered;
    for (std::size_t i = 0; i < kept; ++i) {
        point -= weights[i];
        if (point < 0) {
            return order[i];
        }
    }
    return order[kept - 1];
}

namespace {
/// One of the continuations that grow together, a row of the batch each.
struct Sample {
    std::int64_t number = 0;
    std::mt19937_64 generator;
    GeneratedSample made;
};

KvCache cacheFor(const Decoder& decoder, std::size_t blocks, std::size_t prompt,
                 std::int64_t maxTokens)
{
    const std::int64_t longest = decoder.config().maxPositions;
    const auto given = static_cast<std::int64_t>(prompt);
    QW_REQUIRE(given > 0, ErrorCode::BadInput,
               "the prompt is empty and this tokenizer adds no token of its own");
    QW_REQUIRE(given < longest, ErrorCode::BadInput, "the prompt has ", given,
               " tokens, the model takes ", longest);
    KvCache cache;
    cache.blocks.resize(blocks);
    cache.capacity = given + std::min(longest - given, maxTokens); // their sum may overflow
    return cache;
}

/// Whether a token changes how those before it are rounded: where the operands of attention's
/// products are quantized, a block of keys spans tokens, and what a cache keeps of them would be
/// another model's.
bool spansTokens(const std::vector<BlockHooks>& hooks)
{
    return std::any_of(hooks.begin(), hooks.end(), [](const BlockHooks& one) {
        return std::find(one.points.begin(), one.points.end(), BlockPoint::Probabilities) !=
               one.points.end();
    });
}

/// Logits [rows, vocab] float32 on the host of what follows the tokens @p ids [rows, T]: those that
/// the cache does not have yet, or without one the whole text.
at::Tensor nextLogits(const Decoder& decoder, const std::vector<BlockWeights>& blocks,
                      const std::vector<BlockHooks>& hooks, const at::Tensor& ids, KvCache* cache)
{
    static const BlockHooks kNone;
    const at::Tensor x = decoder.embed(ids, cache != nullptr ? cache->length : 0);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        decoder.advanceBlock(blocks[i], x, hooks.empty() ? kNone : hooks[i], cache);
    }
    if (cache != nullptr) {
        cache->length += ids.size(1);
    }
    return decoder.logits(decoder.finish(x.select(1, ids.size(1) - 1)))
        .to(at::kCPU, at::kFloat)
        .contiguous();
}

/// Lets go the rows that have ended, once they are half of the batch.
void dropEnded(std::vector<Sample*>& rows, KvCache& cache, at::Tensor& ids)
{
    std::vector<Sample*> open;
    std::vector<std::int64_t> places;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (!rows[row]->made.stopped) {
            open.push_back(rows[row]);
            places.push_back(static_cast<std::int64_t>(row));
        }
    }
    if (2 * open.size() > rows.size()) {
        return;
    }
    rows = std::move(open);
    const at::Tensor index = at::tensor(places, at::kLong);
    ids = ids.index_select(0, index);
    for (KvCache::Entry& entry : cache.blocks) {
        for (at::Tensor* kept : {&entry.key, &entry.value}) {
            if (kept->defined()) { // without a cache they are not
                *kept = kept->index_select(0, index.to(kept->device()));
            }
        }
    }
}

/// [rows, 1]: the last token of each; rows that have ended go on with any.
at::Tensor lastTokens(const std::vector<Sample*>& rows)
{
    at::Tensor ids = at::zeros({static_cast<std::int64_t>(rows.size()), 1}, at::kLong);
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (!rows[row]->made.stopped) {
            ids.data_ptr<std::int64_t>()[row] = rows[row]->made.tokens.back();
        }
    }
    return ids;
}
} // namespace

std::vector<GeneratedSample>
generateSamples(const Decoder& decoder, const std::vector<BlockWeights>& blocks,
                const std::vector<BlockHooks>& hooks, const std::vector<std::int32_t>& prompt,
                const SamplingOptions& options, std::int64_t count,
                const std::function<void(std::int64_t, std::int32_t)>& onToken,
                const RunContext& run)
{
    const at::NoGradGuard noGrad;
    const bool cached = !spansTokens(hooks);
    KvCache cache = cacheFor(decoder, blocks.size(), prompt.size(), options.maxTokens);
    std::vector<Sample> samples(static_cast<std::size_t>(count));
    std::vector<Sample*> rows;
    for (Sample& sample : samples) {
        sample.number = static_cast<std::int64_t>(rows.size());
        sample.generator.seed(options.seed + static_cast<std::uint64_t>(sample.number));
        rows.push_back(&sample);
    }
    const std::vector<std::int64_t> given(prompt.begin(), prompt.end());
    at::Tensor ids = at::tensor(given, at::kLong).repeat({count, 1});
    for (std::int64_t made = 0;
         made < options.maxTokens && !rows.empty() && cache.length + ids.size(1) <= cache.capacity;
         ++made) {
        run.checkpoint();
        const at::Tensor logits =
            nextLogits(decoder, blocks, hooks, ids, cached ? &cache : nullptr);
        const auto* row = logits.data_ptr<float>();
        for (Sample* sample : rows) {
            const std::vector<float> ofSample(row, row + logits.size(1));
            row += logits.size(1);
            if (sample->made.stopped) {
                continue;
            }
            const std::int32_t token = drawToken(ofSample, options, sample->generator);
            sample->made.stopped = std::find(options.stopTokens.begin(), options.stopTokens.end(),
                                             token) != options.stopTokens.end();
            if (!sample->made.stopped) {
                sample->made.tokens.push_back(token);
                if (onToken) {
                    onToken(sample->number, token);
                }
            }
        }
        dropEnded(rows, cache, ids);
        ids = cached ? lastTokens(rows) : at::cat({ids, lastTokens(rows)}, 1);
    }
    std::vector<GeneratedSample> result;
    for (Sample& sample : samples) {
        result.push_back(std::move(sample.made));
    }
    return result;
}

std::vector<std::int32_t>
generateTokens(const Decoder& decoder, const std::vector<BlockWeights>& blocks,
               const std::vector<BlockHooks>& hooks, const std::vector<std::int32_t>& prompt,
               const SamplingOptions& options, const std::function<void(std::int32_t)>& onToken,
               const RunContext& run)
{
    const auto tell = [&](std::int64_t /*sample*/, std::int32_t token) {
        if (onToken) {
            onToken(token);
        }
    };
    return generateSamples(decoder, blocks, hooks, prompt, options, 1, tell, run).front().tokens;
}

} // namespace qw
