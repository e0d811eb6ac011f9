#include "methods/block_error.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>

namespace qw {

at::Tensor blockLoss(const at::Tensor& output, const at::Tensor& target)
{
    return (output - target).square().sum(1).mean();
}

double blockError(const BlockTask& task, const std::map<std::string, at::Tensor>& weights,
                  const RunContext& run)
{
    BlockHooks hooks;
    hooks.run = &run;
    hooks.linear = [&](const LinearWeights& linear, const at::Tensor& x) {
        const auto found = weights.find(linear.info.name);
        return at::linear(x, found == weights.end() ? linear.weight : found->second, linear.bias);
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
