#pragma once

#include <string>

#include "base/json_io.h"
#include "quant/quantized_linear.h"

namespace qw {

/// What the description of a stored layer says about its tensors.
struct DescribedLinear {
    QuantizedLinear linear; ///< without tensors
    std::int64_t rank = 0;
    bool factorsAsCodes = false;
};

/// Checks every value by itself and the group size against the shape.
/// @throws Error::BadFile naming the layer and the key
DescribedLinear describedLinear(const std::string& name, const Json& description);

} // namespace qw
