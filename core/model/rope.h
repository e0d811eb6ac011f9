#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "model/model_config.h"

namespace qw {

/// Cosines and sines of rotary positions.
struct RotaryTable {
    at::Tensor cosine; ///< [positions, rotary_dims] float32, both halves alike
    at::Tensor sine;   ///< the same
};

/// Angles in float32 as the reference computes them. Source: modeling_rope_utils of transformers;
/// llama3, linear and dynamic scaling.
/// @param length  tokens seen in all, which decides the base under dynamic scaling
RotaryTable rotaryTable(const ModelConfig& config, std::int64_t start, std::int64_t count,
                        std::int64_t length);

/// Half-rotation of the first rotary_dims of each head. @param x [B, heads, T, head_dim]
at::Tensor applyRotary(const at::Tensor& x, const RotaryTable& table);

} // namespace qw
