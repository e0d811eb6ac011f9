#pragma once

#include <map>
#include <string>

#include <ATen/core/Tensor.h>

#include "engine_export.h"
#include "export/run_facts.h"

namespace qw {

/// How the codes of one layer are written.
struct LayerStorage {
    std::int64_t bits = 0;  ///< of the field a code is put in
    std::int64_t group = 0; ///< columns per scale; the whole row if equal to `in`
    bool symmetric = true;
    bool operator==(const LayerStorage&) const = default;
};

/// A plan and what its writer needs besides.
struct TargetPlan {
    ExportPlan shown;
    at::ScalarType dtype = at::kFloat; ///< of everything that is not a code
    bool mergeFactors = false;         ///< A·B is added to the weights
    bool separateFactors = false;      ///< A and B go to an adapter of their own
    bool quantizedActivations = false; ///< compressed-tensors: int-quantized
    bool loadedDequantized = false;    ///< compressed-tensors: transformers cannot otherwise
    bool unpackedByUse = false;        ///< compressed-tensors: PEFT sees weights after a forward
    std::int64_t gptqVersion = 1;
    bool ordered = false; ///< GPTQ: columns of some layers are grouped out of order
    std::map<std::string, LayerStorage> layers; ///< those written as codes
    std::map<std::string, GgufType> ggufTypes;  ///< GGUF: of all linears
};

/// The type of a tensor that is no weight of a linear: GGUF keeps vectors and positions in F32.
at::ScalarType typeOfPlain(const TargetPlan& plan, const ModelConfig& config,
                           const std::string& name, const at::Tensor& tensor);
/// Whether the layer's codes are written, rather than its values in a float type.
bool writesCodes(const TargetPlan& plan, const std::string& layer);

/// @throws Error::BadInput for an unknown target or option
TargetPlan planTarget(const RunFacts& facts, const ExportOptions& options);

TargetPlan planSafetensors(const RunFacts& facts, const ExportOptions& options);
TargetPlan planPeft(const RunFacts& facts, const ExportOptions& options);
TargetPlan planCompressedTensors(const RunFacts& facts, const ExportOptions& options);
TargetPlan planGptq(const RunFacts& facts, const ExportOptions& options);
TargetPlan planAwq(const RunFacts& facts, const ExportOptions& options);

// --- for the planners ---------------------------------------------------------------------------

void refuse(TargetPlan& plan, const std::string& reason, const std::string& nearest);
void lose(TargetPlan& plan, const std::string& sentence);
/// The activation, attention and cache quantizers that the target cannot say.
void loseActivations(TargetPlan& plan, const RunFacts& facts);
/// Whether factors are written apart or merged, by the option or the target's own way.
void chooseFactors(TargetPlan& plan, const RunFacts& facts, const ExportOptions& options,
                   bool mergedByDefault);
/// A·B cannot be added to codes. @return false after refusing
bool requireFactorsApart(TargetPlan& plan, const RunFacts& facts, const ExportOptions& options);
/// Where columns grouped out of order can go: gptq, or safetensors if layers are too different.
std::string orderedTarget(const RunFacts& facts);
/// The type asked for, or the first in which all scales are exact: the model's own, F16, F32.
at::ScalarType dtypeFor(const RunFacts& facts, const ExportOptions& options);
/// Says so if tensors of the model or scales are rounded in the plan's type.
void loseRoundedTensors(TargetPlan& plan, const RunFacts& facts);
void loseRoundedScales(TargetPlan& plan, const RunFacts& facts, at::ScalarType type);
/// Bytes of codes, scales and zeros of a layer so stored.
std::int64_t codedBytes(const LayerFacts& layer, const LayerStorage& storage,
                        std::int64_t scaleBytes);
std::int64_t factorBytes(const RunFacts& facts);
/// "F16"
const char* typeTitle(at::ScalarType type);

} // namespace qw
