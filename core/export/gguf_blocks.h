#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "quant/quantized_linear.h"

namespace qw {

/// How GGUF stores the elements of a tensor; the numbers are those in files.
enum class GgufType : std::uint32_t {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q5_0 = 6,
    Q8_0 = 8,
    Q6_K = 14,
    Bf16 = 30,
};

const char* ggufTypeName(GgufType type);
GgufType ggufTypeOf(at::ScalarType type);
/// Elements and bytes of a block.
std::int64_t ggufBlock(GgufType type);
std::int64_t ggufBlockBytes(GgufType type);

/// The narrowest block type that holds a layer's values, or why there is none.
struct GgufStorage {
    GgufType type = GgufType::F32;
    std::string problem; ///< names the layer; empty if there is a type
};
GgufStorage ggufStorage(const QuantizedLinear& linear);

/// The rows of a layer as blocks. Scales that are no half floats are rounded to one.
/// @param type  of ggufStorage(). @return uint8 [out, bytes of a row]
at::Tensor encodeBlocks(const QuantizedLinear& linear, GgufType type);

} // namespace qw
