#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "model/model_config.h"

namespace qw {

/// Cosines and sines of rotary positions.
struct RotaryTable {
    at::Tensor cosine; ///< [positions, rotary_dims / 2] float32
    at::Tensor sine;   ///< the same
};

/// How far each pair turns from one position to the next, scaled as the settings say, except for
/// the base under dynamic scaling. [rotary_dims / 2] float32
at::Tensor rotaryFrequencies(const RopeSettings& rope, double theta);

/// Angles in float32 as the reference computes them. Source: modeling_rope_utils of transformers;
/// llama3, linear and dynamic scaling.
/// @param length  tokens seen in all, which decides the base under dynamic scaling
RotaryTable rotaryTable(const ModelConfig& config, std::int64_t start, std::int64_t count,
                        std::int64_t length);

/// Half-rotation of the first rotary_dims of each head. @param x [B, heads, T, head_dim]
at::Tensor applyRotary(const at::Tensor& x, const RotaryTable& table);

/// The same in place, in float32 inside, in one pass on the CPU.
/// @param x float32 or bfloat16, the last axis dense
void rotateInPlace(const at::Tensor& x, const RotaryTable& table);

/// Hands out rows of one table, made once and grown as texts get longer.
class RotaryTables
{
public:
    RotaryTables(const ModelConfig& config, std::string device);
    /// As rotaryTable.
    RotaryTable rows(std::int64_t start, std::int64_t count, std::int64_t length);

private:
    const ModelConfig& m_config;
    std::string m_device;
    RotaryTable m_table;       // positions from 0 on
    std::int64_t m_length = 0; // for which the base holds; 0 where the length does not matter
};

} // namespace qw
