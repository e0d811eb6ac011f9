#pragma once

#include <cstdint>
#include <filesystem>

namespace qw {

/// The shape of a Llama with random weights.
struct RandomModelSpec {
    std::int64_t hidden = 256;
    std::int64_t intermediate = 768;
    std::int64_t layers = 4;
    std::int64_t heads = 4;
    std::int64_t kvHeads = 2;
    std::int64_t vocabulary = 512; ///< at least 257
    std::int64_t maxPositions = 2048;
    bool tied = false;
    std::uint64_t seed = 0;
    std::int64_t shardBytes = 0; ///< a new file once one holds this many; 0: a single file
};

/// Writes a Hugging Face folder: config.json, weights in bf16, tensor by tensor, so that memory
/// holds no more than the largest, and a tokenizer.json whose tokens are the 256 bytes. Weights are
/// normal with standard deviation 0.02, norms 1.
/// @throws Error::BadInput for a shape no Llama has, Io
void writeRandomModel(const std::filesystem::path& folder, const RandomModelSpec& spec);

} // namespace qw
