#include "model/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

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
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
    });
    std::size_t kept = options.topK > 0
                           ? std::min<std::size_t>(order.size(), std::size_t(options.topK))
                           : order.size();
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

std::vector<std::int32_t>
generateTokens(const Decoder& decoder, const std::vector<BlockWeights>& blocks,
               const std::vector<BlockHooks>& hooks, const std::vector<std::int32_t>& prompt,
               const SamplingOptions& options, const std::function<void(std::int32_t)>& onToken,
               const RunContext& run)
{
    const at::NoGradGuard noGrad;
    const std::int64_t longest = decoder.config().maxPositions;
    QW_REQUIRE(!prompt.empty(), ErrorCode::BadInput,
               "the prompt is empty and this tokenizer adds no token of its own");
    QW_REQUIRE(static_cast<std::int64_t>(prompt.size()) < longest, ErrorCode::BadInput,
               "the prompt has ", prompt.size(), " tokens, the model takes ", longest);
    KvCache cache;
    cache.blocks.resize(blocks.size());
    cache.capacity =
        std::min(longest, static_cast<std::int64_t>(prompt.size()) + options.maxTokens);
    std::mt19937_64 generator(options.seed);
    std::vector<std::int32_t> next = prompt;
    std::vector<std::int32_t> result;
    static const BlockHooks kNone;
    while (static_cast<std::int64_t>(result.size()) < options.maxTokens &&
           cache.length + static_cast<std::int64_t>(next.size()) <= cache.capacity) {
        run.checkpoint();
        const auto count = static_cast<std::int64_t>(next.size());
        at::Tensor ids = at::empty({1, count}, at::kLong);
        std::copy(next.begin(), next.end(), ids.data_ptr<std::int64_t>());
        const at::Tensor x = decoder.embed(ids, cache.length);
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            decoder.advanceBlock(blocks[i], x, hooks.empty() ? kNone : hooks[i], &cache);
        }
        cache.length += count;
        const at::Tensor last =
            decoder.logits(decoder.finish(x.select(1, count - 1))).to(at::kCPU, at::kFloat);
        const auto* data = last.data_ptr<float>();
        const std::int32_t token =
            drawToken(std::vector<float>(data, data + last.numel()), options, generator);
        if (std::find(options.stopTokens.begin(), options.stopTokens.end(), token) !=
            options.stopTokens.end()) {
            break;
        }
        result.push_back(token);
        if (onToken) {
            onToken(token);
        }
        next = {token};
    }
    return result;
}

} // namespace qw
