#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "quant/mxint.h"

namespace qw {

/// Fake quantization of what flows between layers; a plain value, stored with the artifact.
struct ActivationQuantizer {
    enum class Kind {
        None,
        TokenAsymmetric,      ///< per token, dynamic, integer zero point (LRQ's evaluation code)
        TokenAsymmetricFloat, ///< the same with a float zero point (LR-QAT's code)
        TokenSymmetric,       ///< per token, dynamic, absmax (SmoothQuant's code)
        TensorStatic,         ///< fixed scale and zero point
        Mx                    ///< block floating point along the features
    };
    Kind kind = Kind::None;
    std::int64_t bits = 8;
    MxOptions mx;     ///< Kind::Mx
    double scale = 1; ///< Kind::TensorStatic
    double zero = 0;  ///< Kind::TensorStatic

    bool active() const { return kind != Kind::None; }
};

/// @param x [.., features] float32 or bfloat16; @return the same shape and dtype
at::Tensor quantizeActivation(const at::Tensor& x, const ActivationQuantizer& quantizer);

/// "int8 per token", "MXINT8 block 16", ... for people.
std::string describe(const ActivationQuantizer& quantizer);

} // namespace qw
