#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json_io.h"
#include "model/arch_spec.h"

namespace qw {

struct RopeSettings {
    std::string type = "default"; ///< "default" | "linear" | "dynamic" | "llama3"
    double theta = 10000;
    double factor = 1;
    double lowFreqFactor = 1;
    double highFreqFactor = 4;
    std::int64_t originalMaxPositions = 0;
    std::int64_t rotaryDims = 0; ///< of head_dim
};

/// config.json in one vocabulary for all architectures, v4 and v5 spelling.
struct ModelConfig {
    const ArchSpec* arch = nullptr;
    std::string modelType;
    std::int64_t vocabSize = 0;
    std::int64_t hidden = 0;
    std::int64_t intermediate = 0;
    std::int64_t layers = 0;
    std::int64_t heads = 0;
    std::int64_t kvHeads = 0;
    std::int64_t headDim = 0;
    std::int64_t maxPositions = 0;
    double normEps = 1e-5;
    bool tiedEmbeddings = false;
    bool qkvBias = false;
    bool attentionOutBias = false;
    bool mlpBias = false;
    RopeSettings rope;
    std::vector<std::int64_t> slidingWindow; ///< per layer; 0: full attention
    bool parallelResidual = false;           ///< GPT-NeoX
    bool preNorm = true;                     ///< OPT-350m: false
    bool finalNorm = true;
    std::int64_t embeddingDim = 0;    ///< OPT's word_embed_proj_dim; = hidden elsewhere
    bool scaleAttention = true;       ///< GPT-2: scale_attn_weights
    bool scaleByInverseLayer = false; ///< GPT-2: scale_attn_by_inverse_layer_idx
    Mlp mlp = Mlp::GatedSilu;         ///< after hidden_act / activation_function
    std::vector<std::int64_t> eosTokens;
    std::int64_t bosToken = -1;
    std::vector<std::string> remarks; ///< anything unusual, in plain words
};

/// @throws Error::BadFile, Unsupported naming the key and what is supported
ModelConfig parseModelConfig(const Json& config, const std::string& where);

} // namespace qw
