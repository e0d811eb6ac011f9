#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qw {

enum class Norm { Rms, Layer };
enum class Mlp { GatedSilu, Relu, GeluTanh, GeluErf };
enum class Position { Rotary, Learned };

/// What a linear layer is for; decides where its input comes from.
enum class LinearRole { Query, Key, Value, FusedQkv, AttentionOut, Gate, Up, Down };

/// One linear layer of a block, as the files name it.
struct LinearName {
    LinearRole role;
    std::string_view name; ///< within the layer, for instance "self_attn.q_proj"
};

/// One architecture as data. The decoder reads it; a row is done when golden logits agree.
struct ArchSpec {
    std::string_view id; ///< model_type of config.json
    Norm norm = Norm::Rms;
    Mlp mlp = Mlp::GatedSilu;
    Position position = Position::Rotary;
    bool weightStoredInByOut = false;       ///< GPT-2's Conv1D
    bool qkvInterleavedPerHead = false;     ///< GPT-NeoX: rows are (head, 3, head_dim)
    bool queryKeyNorm = false;              ///< Qwen3: RMSNorm of each head of q and k
    std::int64_t positionOffset = 0;        ///< OPT: 2
    std::vector<std::string_view> prefixes; ///< tried in order: "model.", "", ...
    std::string_view layers;                ///< "layers." / "h."
    std::string_view embedding;
    std::string_view positions; ///< learned positions, or empty
    std::string_view attentionNorm;
    std::string_view mlpNorm;
    std::string_view finalNorm;
    std::string_view lmHead;
    std::vector<LinearName> linears; ///< in the order they run
};

std::span<const ArchSpec> knownArchitectures();
/// nullptr if unknown.
const ArchSpec* findArchitecture(std::string_view modelType);

} // namespace qw
