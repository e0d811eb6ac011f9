#pragma once

#include <functional>

#include "eval/perplexity.h"
#include "model/decoder.h"
#include "report/run_spec.h"
#include "run/artifact.h"

namespace qw {

/// Hooks that run the linears of one block as deployed: quantized codes, correction, activations.
/// What they need is prepared once here and shared by all calls.
/// @param attention  also quantize the operands of QK^T and PV with the linears' own activation
///                   quantizer, as LQER does at W4A8 (blocks along the last axis of each operand)
BlockHooks quantizedHooks(const std::vector<QuantizedLinear>& linears, bool attention,
                          const DecoderOptions& options);

/// The model a stored run describes.
BlockVariant storedVariant(const ArtifactFolder& artifact, const RunSpec& spec,
                           const DecoderOptions& options);

} // namespace qw
