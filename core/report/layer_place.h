#pragma once

#include <string>

namespace qw {

/// {"3", "self_attn.q_proj"} of "model.layers.3.self_attn.q_proj"; the block is empty outside one.
struct LayerPlace {
    std::string block;
    std::string kind;
};
LayerPlace placeOf(const std::string& layer);

} // namespace qw
