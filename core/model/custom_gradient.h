#pragma once

#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace qw {

/// A function of tensors with a gradient of its own, one node for autograd.
struct CustomGradient {
    std::function<at::Tensor()> forward; ///< run once, with gradients off
    /// Of the result's gradient makes one for each input, undefined where none is needed. Holds
    /// what it needs of the inputs, never the result, and is dropped after its only use. Gradients
    /// are off on the calling thread only.
    std::function<std::vector<at::Tensor>(const at::Tensor& gradient)> backward;
};

/// @param inputs  all defined; those that require a gradient get one
at::Tensor applyWithGradient(at::TensorList inputs, CustomGradient function);

/// function(inputs), of which only the inputs are kept: it is done again for the gradient. Tensors
/// that the function uses besides its inputs get their gradients then, if they are leaves.
/// @param function  gives the same bits each time
at::Tensor recomputed(at::TensorList inputs,
                      std::function<at::Tensor(const std::vector<at::Tensor>&)> function);

} // namespace qw
