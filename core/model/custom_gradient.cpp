#include "model/custom_gradient.h"

#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/custom_function.h>

namespace qw {

namespace {
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kBackward = "backward";

struct Holder : torch::CustomClassHolder {
    explicit Holder(CustomGradient made) : function(std::move(made)) {}
    CustomGradient function;
};

/// The only autograd function of the program; its header is slow to compile.
struct Bridge : torch::autograd::Function<Bridge> {
    static at::Tensor forward(AutogradContext* context, at::TensorList /*inputs*/,
                              const c10::intrusive_ptr<Holder>& holder)
    {
        context->saved_data[kBackward] = c10::IValue::make_capsule(holder);
        return std::exchange(holder->function.forward, nullptr)();
    }
    static variable_list backward(AutogradContext* context, const variable_list& gradients)
    {
        const auto holder = c10::static_intrusive_pointer_cast<Holder>(
            context->saved_data.at(kBackward).toCapsule());
        // The node lives as long as the loss, what the gradient needs is done with here.
        const auto function = std::exchange(holder->function.backward, nullptr);
        variable_list result = function(gradients.front());
        result.emplace_back(); // of the holder
        return result;
    }
};
/// Of function(inputs), for those that require one.
std::vector<at::Tensor>
gradientsOf(const std::vector<at::Tensor>& inputs,
            const std::function<at::Tensor(const std::vector<at::Tensor>&)>& function,
            const at::Tensor& gradient)
{
    const at::AutoGradMode withGradients(true);
    std::vector<at::Tensor> leaves;
    for (const at::Tensor& input : inputs) {
        leaves.push_back(input.detach().set_requires_grad(input.requires_grad()));
    }
    function(leaves).backward(gradient);
    std::vector<at::Tensor> result;
    for (const at::Tensor& leaf : leaves) {
        result.push_back(leaf.grad());
    }
    return result;
}
} // namespace

at::Tensor applyWithGradient(at::TensorList inputs, CustomGradient function)
{
    return Bridge::apply(inputs, c10::make_intrusive<Holder>(std::move(function)));
}

at::Tensor recomputed(at::TensorList inputs,
                      std::function<at::Tensor(const std::vector<at::Tensor>&)> function)
{
    const std::vector<at::Tensor> kept = inputs.vec();
    return applyWithGradient(inputs, {[=] { return function(kept); },
                                      [=](const at::Tensor& gradient) {
                                          return gradientsOf(kept, function, gradient);
                                      }});
}

} // namespace qw
