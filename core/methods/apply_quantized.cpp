#include "methods/apply_quantized.h"

#include <ATen/TensorOperators.h>

#include "model/matrix_product.h"

namespace qw {

at::Tensor applyQuantized(const QuantizedLinear& linear, const at::Tensor& weight,
                          const at::Tensor& x, const at::Tensor& bias)
{
    const at::Tensor input = quantizeActivation(x, linear.activation);
    // As LQER's code does, blocks of MXINT are for the bias too.
    const bool mx = linear.activation.kind == ActivationQuantizer::Kind::Mx;
    at::Tensor y = linearProduct(
        input, weight, mx && bias.defined() ? quantizeActivation(bias, linear.activation) : bias);
    if (linear.a.defined()) {
        const at::ScalarType type = input.scalar_type();
        const at::Tensor narrow =
            quantizeActivation(matrixProduct(input, linear.a.deployed(), type), linear.activation);
        y +=
            quantizeActivation(matrixProduct(narrow, linear.b.deployed(), type), linear.activation);
    }
    return y;
}

} // namespace qw
