#pragma once

#include <ATen/core/Tensor.h>

#include "quant/quantized_linear.h"
#include "report/run_result.h"

namespace qw {

/// What all results of one layer are measured against; computed once, used for every rank.
struct LayerReference {
    at::Tensor weight;          ///< [out, in] float32
    at::Tensor autocorrelation; ///< [in, in] float64 of the full-precision inputs, or undefined
    double weightNorm = 0;      ///< ||W||_F
    double outputPower = 0;     ///< E||x W^T||^2 = tr(W R W^T)
};
LayerReference layerReference(const at::Tensor& weight, const at::Tensor& autocorrelation);

/// Errors, SQNR and size of a layer as deployed (activations unquantized). Without inputs the
/// output error is missing.
LayerResult measureLayer(const LayerReference& reference, const QuantizedLinear& linear);

} // namespace qw
