#include "methods/block_error.h"

#include <vector>

#include <ATen/TensorOperators.h>

#include "model/custom_gradient.h"
#include "model/matrix_product.h"

namespace qw {

at::Tensor blockLoss(const at::Tensor& output, const at::Tensor& target)
{
    const at::Tensor difference = output.detach() - target;
    const double share = 2.0 / static_cast<double>(output.size(0) * output.size(2));
    return applyWithGradient({output},
                             {[=] { return difference.square().sum(1).mean(); },
                              [=](const at::Tensor& gradient) {
                                  return std::vector<at::Tensor>{difference * (gradient * share)};
                              }});
}

double blockError(const BlockTask& task, const std::map<std::string, at::Tensor>& weights,
                  const RunContext& run)
{
    BlockHooks hooks;
    hooks.run = &run;
    hooks.linear = [&](const LinearWeights& linear, const at::Tensor& x) {
        const auto found = weights.find(linear.info.name);
        return linearProduct(x, found == weights.end() ? linear.weight : found->second,
                             linear.bias);
    };
    double sum = 0;
    for (std::int64_t window = 0; window < task.inputs->windows(); ++window) {
        const at::Tensor output =
            task.decoder->forwardBlock(*task.block, task.inputs->load(window, 1), hooks);
        sum += blockLoss(output, task.targets->load(window, 1)).item<double>();
    }
    return sum / static_cast<double>(task.inputs->windows());
}

} // namespace qw
