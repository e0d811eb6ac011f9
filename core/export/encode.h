#pragma once

#include "export/integer_weight.h"
#include "export/run_model.h"
#include "export/target_plan.h"

namespace qw {

/// Codes as words of 32 bits: each row is a dense stream of bits, lowest first.
/// @param codes [rows, cols], of which the low `bits` bits count; @return int32 [rows, words], the
/// last word of a row filled up with zeros
at::Tensor packWords(const at::Tensor& codes, std::int64_t bits);

/// The tensors that stand for one layer's weight. Layouts: the compressed-tensors library
/// (pack-quantized, int-quantized), GPTQ checkpoints (GPTQModel, AutoGPTQ) and AWQ's (AutoAWQ).
TensorMap encodeCompressedTensors(const QuantizedLinear& linear, const TargetPlan& plan);
TensorMap encodeGptq(const QuantizedLinear& linear, const TargetPlan& plan);
TensorMap encodeAwq(const QuantizedLinear& linear, const TargetPlan& plan);

/// All tensors of a part as a Hugging Face model has them, by the plan's target.
TensorMap encodePart(const ModelPart& part, const TargetPlan& plan, const ModelConfig& config);

/// A and B of a part as PEFT has them: lora_A [r, in] and lora_B [out, r], float32, padded with
/// zeros to the largest rank of the run.
TensorMap encodePeft(const ModelPart& part, std::int64_t rank);

} // namespace qw
