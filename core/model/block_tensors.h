#pragma once

#include <map>
#include <string>

#include <ATen/core/Tensor.h>

#include "model/decoder.h"

namespace qw {

/// Every tensor of a block by full Hugging Face name ("model.layers.0.input_layernorm.weight"), to
/// be read or replaced. The bias of a linear without one is undefined.
std::map<std::string, at::Tensor*> tensorsOf(BlockWeights& block, const ArchSpec& arch);

} // namespace qw
