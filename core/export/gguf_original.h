#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/json_io.h"
#include "base/run_context.h"
#include "export/gguf_source.h"
#include "model/model_config.h"

namespace qw {

/// config.json as the metadata of a GGUF file has it, without the stretching of Llama 3's
/// rotations, which is a tensor there.
/// @throws Error::Unsupported for an architecture that is not known here, BadFile naming the key
Json ggufConfig(const GgufSource& file);

/// @throws Error::Mismatch if a file is of another model than @p config says: sizes, norms, rotary
/// base, scaling and stretching
void requireSameModel(GgufSource& file, const ModelConfig& config);

/// A model folder of what a GGUF file holds: config.json and tokenizer.json from its metadata, and
/// the values of all tensors in float32.
/// @return what the folder lacks, a sentence each
/// @throws Error::Unsupported, BadFile naming file and key or tensor; Io
std::vector<std::string> writeGgufOriginal(const std::filesystem::path& file,
                                           const std::filesystem::path& folder,
                                           const RunContext& run);

/// tokenizer.json and tokenizer_config.json from the metadata.
/// @return why there is none, or empty
std::string writeGgufTokenizer(const GgufSource& file, const std::filesystem::path& folder);

} // namespace qw
