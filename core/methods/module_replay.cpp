#include "methods/module_replay.h"

#include <algorithm>

#include <ATen/TensorOperators.h>

#include "model/matrix_product.h"

namespace qw {

namespace {
constexpr std::int64_t kTokensPerForward = 2048; // enough for products at full speed

HiddenStates statesLike(const BlockTask& task)
{
    return {task.inputs->windows(), task.inputs->seqlen(), task.decoder->config().hidden,
            task.decoder->options().device, task.scratch};
}
} // namespace

ModuleReplay::ModuleReplay(const BlockTask& task, BlockModule module, const RunContext& run)
    : m_task(task), m_module(module),
      m_perForward(std::max<std::int64_t>(1, kTokensPerForward / task.inputs->seqlen())),
      m_inputs(statesLike(task)), m_outputs(statesLike(task))
{
    const bool attention = module == BlockModule::Attention;
    const LinearRole last = attention ? LinearRole::AttentionOut : LinearRole::Down;
    const std::int64_t first = attention ? 0 : 2; // input group of the module's first linears
    std::int64_t window = 0;
    std::int64_t count = 0;
    const auto keep = [&](HiddenStates& states, const at::Tensor& x) {
        states.store(window, x.view({count, states.seqlen(), -1}));
    };
    BlockHooks hooks;
    hooks.run = &run;
    hooks.input = [&](const LinearInfo& linear, const at::Tensor& input) {
        if (linear.inputGroup == first) {
            keep(m_inputs, input);
        }
    };
    hooks.linear = [&](const LinearWeights& linear, const at::Tensor& x) {
        const at::Tensor y = linearProduct(x, linear.weight, linear.bias);
        if (linear.info.role == last) {
            keep(m_outputs, y);
        }
        return y;
    };
    for (; window < task.inputs->windows(); window += count) {
        count = std::min(m_perForward, task.inputs->windows() - window);
        task.decoder->forwardBlock(*task.block, task.inputs->load(window, count), hooks);
    }
}

double ModuleReplay::error(const std::map<std::string, at::Tensor>& weights,
                           const RunContext& run) const
{
    BlockHooks hooks;
    hooks.run = &run;
    hooks.linear = [&](const LinearWeights& linear, const at::Tensor& x) {
        const auto found = weights.find(linear.info.name);
        return linearProduct(x, found == weights.end() ? linear.weight : found->second,
                             linear.bias);
    };
    double sum = 0;
    for (std::int64_t window = 0; window < m_inputs.windows(); window += m_perForward) {
        const std::int64_t count = std::min(m_perForward, m_inputs.windows() - window);
        const at::Tensor made = m_task.decoder->forwardModule(m_module, *m_task.block,
                                                              m_inputs.load(window, count), hooks);
        sum += (made - m_outputs.load(window, count)).square().sum(at::kDouble).item<double>();
    }
    return sum / static_cast<double>(m_inputs.windows() * m_inputs.seqlen() *
                                     m_task.decoder->config().hidden);
}

} // namespace qw
