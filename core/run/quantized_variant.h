#pragma once

#include <functional>

#include "eval/perplexity.h"
#include "model/decoder.h"
#include "report/run_spec.h"
#include "run/artifact.h"

namespace qw {

/// Hooks that run one block as deployed: quantized codes, correction, activations, replaced norms
/// and biases, and the model's quantizers of attention (blocks along the last axis of each operand
/// of QK^T and PV, as LQER does at W4A8), of the KV cache (keys before RoPE and values, each token
/// over all its heads) and of heads. What they need is prepared once here and shared by all calls.
/// @throws Error::BadFile for a replaced tensor the block does not have
BlockHooks quantizedHooks(const BlockArtifact& artifact, const ModelArtifact& model,
                          const BlockWeights& block, const Decoder& decoder);

/// The model a stored run describes. @param decoder  of the full-precision model; must live as
/// long as the variant
ModelVariant storedVariant(const ArtifactFolder& artifact, const RunSpec& spec,
                           const Decoder& decoder);

} // namespace qw
