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
    bool operator==(const ActivationQuantizer&) const = default;
};

/// In one pass over memory on the CPU, rows in parallel.
/// @param x [.., features] float32 or bfloat16; @return the same shape and dtype
/// @throws Error::BadInput unless bits is in 2..8
at::Tensor quantizeActivation(const at::Tensor& x, const ActivationQuantizer& quantizer);

/// The same bits by tensor operations: for devices other than the CPU, and the tests' oracle.
at::Tensor quantizeActivationByOps(const at::Tensor& x, const ActivationQuantizer& quantizer);

/// Where the values of x lie within the grid, bounds included, in x's dtype: 1 or 0. For block
/// floating point everywhere.
at::Tensor insideGrid(const at::Tensor& x, const ActivationQuantizer& quantizer);

/// "int8 per token, asymmetric", "MXINT8 block 16", ... for people.
std::string describe(const ActivationQuantizer& quantizer);

} // namespace qw
