#include "run/trainable_model.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>

#include "base/error.h"
#include "eval/next_token_loss.h"
#include "model/custom_gradient.h"
#include "model/matrix_product.h"
#include "run/activation_points.h"

namespace qw {

namespace {
/// x, whose gradient asks on its way whether to go on: a wide block takes seconds.
at::Tensor interruptible(const at::Tensor& x, const RunContext& run)
{
    if (!at::GradMode::is_enabled() || !x.requires_grad()) {
        return x;
    }
    return applyWithGradient({x}, {[=] { return x.detach(); },
                                   [run](const at::Tensor& gradient) {
                                       run.checkpoint();
                                       return std::vector<at::Tensor>{gradient};
                                   }});
}

/// Whether what a layer makes only enters sums on its way out of the block.
bool onlySummed(const ModelConfig& config, LinearRole role)
{
    return config.preNorm && (role == LinearRole::Down ||
                              (config.parallelResidual && role == LinearRole::AttentionOut));
}
} // namespace

TrainableModel::TrainableModel(const Decoder& decoder, const RunSpec& spec)
    : m_decoder(decoder), m_spec(spec)
{
}

void TrainableModel::add(BlockWeights block, std::vector<std::unique_ptr<TrainedWeight>> learned)
{
    const bool none = std::all_of(m_blocks.begin(), m_blocks.end(),
                                  [](const Block& before) { return before.learned.empty(); });
    if (none) {
        m_firstLearned = m_blocks.size();
    }
    Block& added = m_blocks.emplace_back(Block{std::move(block), std::move(learned)});
    const at::ScalarType compute = m_decoder.options().compute;
    for (LinearWeights& linear : added.frozen.linears) {
        linear.weight =
            find(added, linear.info.name) != nullptr ? at::Tensor() : linear.weight.to(compute);
        if (linear.bias.defined()) {
            linear.bias = linear.bias.to(compute);
        }
    }
}

const TrainedWeight* TrainableModel::find(const Block& block, const std::string& layer)
{
    const auto found = std::find_if(block.learned.begin(), block.learned.end(),
                                    [&](const auto& weight) { return weight->name() == layer; });
    return found == block.learned.end() ? nullptr : found->get();
}

std::vector<const TrainedWeight*> TrainableModel::weights() const
{
    std::vector<const TrainedWeight*> all;
    for (const Block& block : m_blocks) {
        for (const auto& weight : block.learned) {
            all.push_back(weight.get());
        }
    }
    return all;
}

const TrainedWeight& TrainableModel::weight(const std::string& layer) const
{
    for (const TrainedWeight* weight : weights()) {
        if (weight->name() == layer) {
            return *weight;
        }
    }
    throw Error(ErrorCode::Internal, message(layer, " was not trained"));
}

at::Tensor TrainableModel::linear(const Block& block, const LinearWeights& linear,
                                  const at::Tensor& x, Wanted wanted, const RunContext& run) const
{
    const TrainedWeight* learned = find(block, linear.info.name);
    if (learned == nullptr) { // skipped by an override: runs in full precision
        return linearProduct(x, linear.weight, linear.bias);
    }
    const at::Tensor input =
        quantizeThrough(interruptible(x, run), inputQuantizer(m_spec, linear.info.role));
    const at::Tensor y = learned->linear(
        input, onlySummed(m_decoder.config(), linear.info.role) ? wanted : Wanted::Values);
    if (m_looking && m_overflowing.empty() && !at::isfinite(y).all().item<bool>()) {
        m_overflowing = linear.info.name;
    }
    return linear.bias.defined() ? y + linear.bias : y;
}

at::Tensor TrainableModel::forward(const Block& block, const at::Tensor& x, Wanted wanted,
                                   const RunContext& run) const
{
    BlockHooks hooks;
    hooks.run = &run;
    hooks.linear = [&](const LinearWeights& weights, const at::Tensor& input) {
        return linear(block, weights, input, wanted, run);
    };
    addPoints(modelQuantizers(m_spec), quantizeThrough, hooks);
    return m_decoder.differentiateBlock(block.frozen, x, hooks);
}

double TrainableModel::addGradients(const at::Tensor& ids, double scale, const RunContext& run)
{
    const auto learnedFrom = [&](std::size_t i, const at::Tensor& input) {
        return input.detach().set_requires_grad(i > m_firstLearned);
    };
    std::vector<at::Tensor> inputs;
    std::vector<at::Tensor> outputs(m_blocks.size()); // those whose graph is kept
    at::Tensor x = m_decoder.embed(ids);
    for (std::size_t i = 0; i < m_blocks.size(); ++i) {
        const bool keep = !m_spec.training.recompute && i >= m_firstLearned;
        const at::AutoGradMode gradients(keep);
        inputs.push_back(keep ? learnedFrom(i, x) : x);
        x = forward(m_blocks[i], inputs.back(), Wanted::Values, run);
        if (keep) {
            outputs[i] = x;
            x = x.detach();
        }
    }
    NextTokenLoss loss = nextTokenLoss(m_decoder, x, ids, scale, run);
    x = at::Tensor();
    const at::AutoGradMode withGradients(true);
    for (std::size_t i = m_blocks.size(); i-- > m_firstLearned;) {
        run.checkpoint();
        at::Tensor output = std::move(outputs[i]);
        at::Tensor input = std::move(inputs[i]);
        if (!output.defined()) {
            input = learnedFrom(i, input);
            output = forward(m_blocks[i], input, Wanted::Gradient, run);
        }
        if (!output.requires_grad()) {
            break; // scales stay as found, and there is nothing else
        }
        output.backward(loss.gradient);
        loss.gradient = input.grad();
    }
    return loss.nll;
}

double TrainableModel::nll(const at::Tensor& ids, const RunContext& run)
{
    const at::NoGradGuard noGrad;
    at::Tensor x = m_decoder.embed(ids);
    for (const Block& block : m_blocks) {
        x = forward(block, x, Wanted::Values, run);
    }
    return nextTokenNll(m_decoder, x, ids, run);
}

std::string TrainableModel::overflowingLayer(const at::Tensor& ids, const RunContext& run)
{
    m_overflowing.clear();
    m_looking = true;
    nll(ids, run);
    m_looking = false;
    return m_overflowing.empty() ? "the output layer" : m_overflowing;
}

} // namespace qw
