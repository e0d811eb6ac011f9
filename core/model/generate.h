#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "base/run_context.h"
#include "model/decoder.h"

namespace qw {

struct SamplingOptions {
    std::int64_t maxTokens = 64;
    double temperature = 0; ///< 0: greedy
    std::int64_t topK = 0;  ///< 0: all
    double topP = 1;
    std::uint64_t seed = 0;
    std::vector<std::int64_t> stopTokens;
};

/// One continuation.
struct GeneratedSample {
    std::vector<std::int32_t> tokens; ///< new ones, a stop token left out
    bool stopped = false;             ///< by a stop token
    bool operator==(const GeneratedSample&) const = default;
};

/// Draws the next token from one row of logits: softmax of logits / temperature, cut to the topK
/// largest, then to the fewest of these that hold topP of what is left. A tie goes to the smaller
/// token. Same generator state, same token, on any platform.
std::int32_t drawToken(const std::vector<float>& logits, const SamplingOptions& options,
                       std::mt19937_64& generator);

/// Continues a prompt with a KV cache, or where quantizers of attention's products span tokens by
/// running the whole text for each new one. @param blocks  all blocks, in memory; @param hooks  one
/// a block (empty: full precision); @param onToken  called with each new token
/// @return the new tokens, a stop token left out
std::vector<std::int32_t>
generateTokens(const Decoder& decoder, const std::vector<BlockWeights>& blocks,
               const std::vector<BlockHooks>& hooks, const std::vector<std::int32_t>& prompt,
               const SamplingOptions& options, const std::function<void(std::int32_t)>& onToken,
               const RunContext& run);

/// Continues a prompt @p count times at once, as one batch. Sample i draws from a generator of its
/// own, seeded options.seed + i, so that it is what generateTokens() makes with that seed, but for
/// the last bits of logits, which products of another height round differently: where two tokens
/// are as good as equal, another may be drawn.
/// @param onToken  called with the sample and its new token; may be empty
std::vector<GeneratedSample>
generateSamples(const Decoder& decoder, const std::vector<BlockWeights>& blocks,
                const std::vector<BlockHooks>& hooks, const std::vector<std::int32_t>& prompt,
                const SamplingOptions& options, std::int64_t count,
                const std::function<void(std::int64_t, std::int32_t)>& onToken,
                const RunContext& run);

} // namespace qw
