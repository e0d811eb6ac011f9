#pragma once

#include <functional>

#include "model/decoder.h"
#include "quant/activation_quantizer.h"
#include "report/run_spec.h"
#include "run/artifact.h"

namespace qw {

/// How a run quantizes the inputs of a linear. LR-QAT's patterns leave that of the layer after
/// attention to the place before it, where each head has a scale of its own.
/// Source of the patterns: LR-QAT, official code. Differs: outputs of norms are quantized too,
/// which the code leaves out where it keeps norms in full precision.
ActivationQuantizer inputQuantizer(const RunSpec& spec, LinearRole role);

/// The quantizers of what flows elsewhere: operands of attention, keys and values, heads.
ModelArtifact modelQuantizers(const RunSpec& spec);

/// Quantizes, or in training also passes gradients.
using Quantize = std::function<at::Tensor(const at::Tensor& x, const ActivationQuantizer& how)>;

/// Asks @p hooks for the points that the model's quantizers stand at.
void addPoints(const ModelArtifact& model, const Quantize& quantize, BlockHooks& hooks);

/// quantizeActivation() with the straight-through gradient: that of the result where x lies inside
/// the grid, bounds included, else 0; none of scale and zero point.
at::Tensor quantizeThrough(const at::Tensor& x, const ActivationQuantizer& how);

} // namespace qw
