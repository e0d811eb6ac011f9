#pragma once

#include <string>

#include <ATen/core/Tensor.h>

#include "export/gguf_file.h"
#include "export/run_facts.h"
#include "export/target_plan.h"

namespace qw {

/// llama.cpp's name of the architecture, or empty if it has none.
std::string ggufArchitecture(const ModelConfig& config);
/// Why llama.cpp would not compute this model as it is meant, or empty.
std::string ggufProblem(const ModelConfig& config);
/// "model.layers.0.mlp.up_proj.weight" -> "blk.0.ffn_up.weight"
std::string ggufName(const ModelConfig& config, const std::string& tensor);
/// Rows of the file as rows of the model, [out] int64: llama.cpp rotates neighbours where Hugging
/// Face rotates halves, and wants q, k, v of GPT-NeoX one after the other. Undefined: as they are.
at::Tensor ggufRows(const ModelConfig& config, LinearRole role);
/// Hyper-parameters. @param fileType  general.file_type
GgufMetadata ggufHyperParameters(const RunFacts& facts, const std::string& name,
                                 std::uint32_t fileType);
/// Divisors of the rotary frequencies that Llama 3 stretches, [rotary / 2]; undefined for others.
at::Tensor ggufRopeFactors(const RopeSettings& rope);

/// Tokenizer keys from tokenizer.json and tokenizer_config.json, or that there is none.
/// @param rows  of the embedding, as many tokens as the file must have
/// @throws Error::Unsupported for what llama.cpp cannot tokenize
GgufMetadata ggufTokenizer(const std::filesystem::path& folder, const ModelConfig& config);

TargetPlan planGguf(const RunFacts& facts, const ExportOptions& options);

} // namespace qw
