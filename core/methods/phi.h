#pragma once

#include <string>

namespace qw {

/// How LR-QAT keeps the part of a weight that is not trained: the paper's downcasting operator.
enum class Phi {
    Float32,
    BFloat16,
    Float16,
    Fixed8, ///< signed 8-bit fixed point, 8 - bits of them after the point
    Int     ///< the integers themselves, packed
};

/// "fp32" | "bf16" | "fp16" | "fixed8" | "int". @throws Error::BadInput
Phi phiFromName(const std::string& name);

} // namespace qw
