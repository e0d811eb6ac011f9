#include "run/layer_measure.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/matmul.h>

namespace qw {

namespace {
/// tr(M R M^T) in float64.
double power(const at::Tensor& matrix, const at::Tensor& autocorrelation)
{
    const at::Tensor m = matrix.to(at::kDouble);
    return (at::matmul(m, autocorrelation) * m).sum().item<double>();
}
} // namespace

LayerReference layerReference(const at::Tensor& weight, const at::Tensor& autocorrelation)
{
    LayerReference reference{weight, autocorrelation, 0, 0};
    reference.weightNorm = weight.to(at::kDouble).norm().item<double>();
    if (autocorrelation.defined()) {
        reference.outputPower = power(weight, autocorrelation);
    }
    return reference;
}

LayerResult measureLayer(const LayerReference& reference, const QuantizedLinear& linear)
{
    LayerResult result;
    result.name = linear.name;
    result.rows = linear.out;
    result.cols = linear.in;
    result.rank = linear.rank();
    const at::Tensor difference =
        reference.weight - linear.dequantized().to(reference.weight.device());
    result.weightError =
        reference.weightNorm > 0
            ? difference.to(at::kDouble).norm().item<double>() / reference.weightNorm
            : 0;
    if (reference.autocorrelation.defined() && reference.outputPower > 0) {
        // Rounding can turn a vanishing power slightly negative.
        result.outputError = std::sqrt(std::max(0.0, power(difference, reference.autocorrelation)) /
                                       reference.outputPower);
        result.sqnrDb = -20 * std::log10(result.outputError);
    }
    const std::int64_t bits = storedBits(linear);
    result.bytes = (bits + 7) / 8;
    result.bitsPerWeight = static_cast<double>(bits) / static_cast<double>(linear.in * linear.out);
    return result;
}

} // namespace qw
