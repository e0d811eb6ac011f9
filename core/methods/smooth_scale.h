#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "model/model_config.h"
#include "report/run_spec.h"

namespace qw {

/// How much of the activations' range goes into the weights: what the spec asks for, or for 0 the
/// official code's value for the family: 0.85 for Llama, 0.9 for Llama-2-70B, 0.8 for Mistral,
/// 0.5 otherwise.
double smoothAlpha(const RunSpec& spec, const ModelConfig& config);

/// clamp(largest^alpha / max|W|^(1 - alpha), 1e-5), the maximum over the column in all weights.
/// @param largest [in]: max |x|; @param weights [out, in] float32 that share the input
/// @return [in] float32
/// Source: SmoothQuant, arXiv:2211.10438, equation 4, and its official code.
at::Tensor smoothScale(const at::Tensor& largest, const std::vector<at::Tensor>& weights,
                       double alpha);

} // namespace qw
