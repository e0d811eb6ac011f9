#pragma once

#include <string>
#include <vector>

#include "base/run_context.h"
#include "export/gguf_blocks.h"
#include "export/run_model.h"

namespace qw {

/// What decides how a layer can be written: everything but the codes themselves.
struct LayerFacts {
    LinearInfo info;
    bool quantized = true; ///< false: left as it was
    WeightFormat format;
    std::string problem;         ///< why it is no integer grid, or empty
    std::string orderProblem;    ///< why it needs a group index, or empty
    std::int64_t group = 0;      ///< columns per scale
    bool f16Scales = true;       ///< exact in it
    bool bf16Scales = true;      ///< exact in it
    std::int64_t lowestZero = 0; ///< of the zero points, if there are any
    std::int64_t rank = 0;
    std::int64_t codeBits = 0; ///< of codes and scales as the run has them, no factors
    ActivationQuantizer activation;
    GgufStorage gguf; ///< block type that holds the codes, or why none does
};

/// All of a run that plans need, from one pass over its artifact.
struct RunFacts {
    ModelConfig config;
    bool tied = false;
    std::vector<LayerFacts> layers; ///< in the order of the model
    std::int64_t rank = 0;          ///< largest
    bool attentionQuantized = false;
    bool kvCacheQuantized = false;
    at::ScalarType stored = at::kFloat; ///< widest type of the model's own tensors
    bool f16Plain = true;               ///< those no linear quantized are exact in it
    bool bf16Plain = true;              ///< and in this
    std::string ggufTokenizerProblem;   ///< why llama.cpp cannot tokenize for it, or empty
    std::int64_t plainElements = 0;     ///< of tensors that are no weights of linears
};

/// @throws Cancelled, and what reading the artifact throws
RunFacts gatherFacts(const RunModel& model, const RunContext& context);
/// What those of a run of this spec will most likely be, from samples of the model.
/// @throws Error as planRun() does
RunFacts foreseenFacts(const RunSpec& spec, const Checkpoint& checkpoint);

} // namespace qw
