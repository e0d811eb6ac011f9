#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <random>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"
#include "methods/adam.h"
#include "methods/block_error.h"
#include "methods/builtin.h"
#include "methods/learned_rounding.h"
#include "methods/method_params.h"
#include "methods/reconstruction_rules.h"
#include "methods/settings.h"
#include "model/block_title.h"
#include "model/matrix_product.h"
#include "model/safetensors.h"
#include "model/simd.h"

namespace qw {

namespace {
constexpr std::int64_t kSaveEvery = 500; // iterations
constexpr std::chrono::milliseconds kTellEvery(250);

/// 0 .. count - 1 in an order that the seed decides, on every machine the same.
std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed)
{
    std::mt19937_64 random(seed);
    std::vector<std::int64_t> order(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < order.size(); ++i) {
        order[i] = static_cast<std::int64_t>(i);
    }
    for (std::size_t i = order.size(); i > 1; --i) {
        std::swap(order[i - 1], order[random() % i]);
    }
    return order;
}

at::Tensor gathered(const HiddenStates& states, const std::vector<std::int64_t>& windows)
{
    std::vector<at::Tensor> parts;
    for (const std::int64_t window : windows) {
        parts.push_back(states.load(window, 1));
    }
    return parts.size() == 1 ? parts.front() : at::cat(parts);
}

/// Learns the rounding of one block.
class Reconstruction
{
public:
    Reconstruction(const BlockTask& task, std::int64_t totalSteps, const RunContext& run);
    BlockOutcome execute();

private:
    using Weights = std::map<std::string, at::Tensor>;

    /// What a layer has in the type of the training: its bias, and its weight if that stays.
    struct Fixed {
        at::Tensor weight;
        at::Tensor bias;
    };

    DivisorShape shapeOf(const at::Tensor& weight) const;
    void fix();
    void learn();
    double iterate(std::int64_t iteration);
    void tellLosses(bool atOnce);
    std::vector<std::int64_t> batch(std::int64_t iteration);
    bool restore();
    void save() const;

    const BlockTask& m_task;
    const RunContext& m_run;
    const ReconstructionSpec& m_spec;
    std::int64_t m_stepsBefore;
    std::int64_t m_stepsInAll;
    at::ScalarType m_compute;
    Decoder m_decoder; // in the type of the training
    LearningRate m_rate;
    std::vector<LearnedRounding> m_layers;
    std::map<std::string, Fixed> m_fixed;
    std::unique_ptr<Adam> m_adam;
    std::vector<float> m_losses;
    std::size_t m_told = 0; // of them
    std::chrono::steady_clock::time_point m_lastTold;
    std::vector<std::int64_t> m_order; // of the windows, in the epoch
    std::int64_t m_epoch = -1;
};

at::ScalarType computeType(const ReconstructionSpec& spec, const std::string& device)
{
    const bool native = device != "cpu" || bestSimd() >= Simd::Avx512Bf16;
    return spec.compute == "bf16" || (spec.compute == "auto" && native) ? at::kBFloat16
                                                                        : at::kFloat;
}

Reconstruction::Reconstruction(const BlockTask& task, std::int64_t totalSteps,
                               const RunContext& run)
    : m_task(task), m_run(run), m_spec(task.spec->reconstruction),
      m_stepsBefore(totalSteps * task.block->index),
      m_stepsInAll(totalSteps * task.decoder->blockCount()),
      m_compute(computeType(m_spec, task.decoder->options().device)),
      m_decoder(task.decoder->checkpoint(), DecoderOptions{m_compute, task.spec->device}),
      m_rate(learningRate(*task.spec, task.decoder->config()))
{
    std::vector<std::pair<std::string, at::Tensor>> learned;
    for (const LayerTask& layer : task.layers) {
        run.checkpoint();
        m_layers.emplace_back(layer.name, layer.weight, gridOptions(layer.settings.weight),
                              shapeOf(layer.weight), layer.seed, run);
        for (auto& [key, tensor] : m_layers.back().learned()) {
            learned.emplace_back(layer.name + "." + key, tensor);
        }
    }
    m_adam = std::make_unique<Adam>(std::move(learned));
}

void Reconstruction::fix()
{
    for (const LinearWeights& linear : m_task.block->linears) {
        Fixed& fixed = m_fixed[linear.info.name];
        if (linear.bias.defined()) {
            fixed.bias = linear.bias.to(m_compute);
        }
        if (std::none_of(m_layers.begin(), m_layers.end(), [&](const LearnedRounding& layer) {
                return layer.name() == linear.info.name;
            })) {
            fixed.weight = linear.weight.to(m_compute);
        }
    }
}

DivisorShape Reconstruction::shapeOf(const at::Tensor& weight) const
{
    const bool flexRound = m_task.spec->method == "flexround";
    DivisorShape shape;
    shape.rank = flexRound ? 0 : divisorRank(m_spec, weight.size(0), weight.size(1));
    shape.hasZ = m_spec.without != "low-rank";
    shape.hasRow = m_spec.without != "row";
    const bool full =
        shape.hasZ && shape.rank == 0; // then as in FlexRound, without a column vector
    shape.hasColumn = !flexRound && !full && m_spec.without != "column";
    shape.learnScale = m_spec.without != "scale";
    shape.product = m_spec.divisor == "product";
    return shape;
}

std::vector<std::int64_t> Reconstruction::batch(std::int64_t iteration)
{
    const std::int64_t windows = m_task.inputs->windows();
    const std::int64_t size = std::min(m_spec.batchSize, windows);
    const std::int64_t batches = (windows + size - 1) / size;
    if (const std::int64_t epoch = iteration / batches; epoch != m_epoch) {
        m_epoch = epoch;
        m_order = shuffled(windows, m_task.seed + static_cast<std::uint64_t>(epoch));
    }
    const std::int64_t first = iteration % batches * size;
    return {m_order.begin() + first, m_order.begin() + std::min(first + size, windows)};
}

double Reconstruction::iterate(std::int64_t iteration)
{
    const std::vector<std::int64_t> windows = batch(iteration);
    const at::Tensor input = gathered(*m_task.inputs, windows);
    const at::Tensor target = gathered(*m_task.targets, windows);
    BlockHooks hooks;
    hooks.linear = [this](const LinearWeights& linear, const at::Tensor& x) {
        const auto found =
            std::find_if(m_layers.begin(), m_layers.end(), [&](const LearnedRounding& layer) {
                return layer.name() == linear.info.name;
            });
        const Fixed& fixed = m_fixed.at(linear.info.name);
        return linearProduct(x, found == m_layers.end() ? fixed.weight : found->weight(m_compute),
                             fixed.bias);
    };
    const at::Tensor loss =
        blockLoss(m_decoder.differentiateBlock(*m_task.block, input, hooks), target);
    loss.backward();
    m_adam->step(cosineRate(m_rate.value, iteration, m_spec.iterations));
    return loss.item<float>();
}

void Reconstruction::learn()
{
    if (m_layers.empty()) { // all are skipped
        return;
    }
    fix();
    const at::AutoGradMode withGradients(true);
    const std::string title = blockTitle(m_decoder.checkpoint(), m_task.block->index);
    const auto begun = static_cast<std::int64_t>(m_losses.size());
    if (begun > 0) { // before an interruption
        m_run.goOn();
    }
    for (std::int64_t i = begun; i < m_spec.iterations; ++i) {
        if (i % kSaveEvery == 0 && i > 0) {
            save();
        }
        m_run.checkpoint(m_stepsBefore + i,
                         message(title, ", iteration ", i, " of ", m_spec.iterations,
                                 m_losses.empty() ? "" : message(", loss ", m_losses.back())));
        m_losses.push_back(static_cast<float>(iterate(i)));
        QW_REQUIRE(std::isfinite(m_losses.back()), ErrorCode::NonFinite, title,
                   ": the loss of iteration ", i,
                   " is not finite; try a smaller learning rate than ", m_rate.value);
        tellLosses(false);
    }
    tellLosses(true);
}

void Reconstruction::tellLosses(bool atOnce)
{
    const auto now = std::chrono::steady_clock::now();
    if (!m_task.lossesCame || m_told == m_losses.size() ||
        (!atOnce && now - m_lastTold < kTellEvery)) {
        return;
    }
    m_task.lossesCame({m_task.block->index,
                       static_cast<std::int64_t>(m_told),
                       {m_losses.begin() + static_cast<std::ptrdiff_t>(m_told), m_losses.end()}});
    m_told = m_losses.size();
    m_lastTold = now;
}

void Reconstruction::save() const
{
    if (m_task.stateFile.empty()) {
        return;
    }
    std::map<std::string, at::Tensor> tensors;
    for (const Adam::Entry& entry : m_adam->entries()) {
        tensors[entry.name] = entry.value.detach().cpu();
        tensors[entry.name + ".first"] = entry.first.cpu();
        tensors[entry.name + ".second"] = entry.second.cpu();
    }
    tensors["losses"] = at::tensor(m_losses);
    writeSafetensors(m_task.stateFile, tensors);
}

bool Reconstruction::restore()
{
    if (m_task.stateFile.empty() || !std::filesystem::exists(m_task.stateFile)) {
        return false;
    }
    const at::NoGradGuard noGrad;
    const SafetensorsFile file(m_task.stateFile);
    const auto copy = [&](const std::string& name, const at::Tensor& to) {
        const at::Tensor from = file.borrow(name);
        QW_REQUIRE(from.sizes() == to.sizes() && from.scalar_type() == at::kFloat,
                   ErrorCode::BadFile, file.path().string(), ": \"", name, "\" has shape ",
                   from.sizes(), ", expected ", to.sizes());
        to.copy_(from);
    };
    for (Adam::Entry& entry : m_adam->entries()) {
        copy(entry.name, entry.value);
        copy(entry.name + ".first", entry.first);
        copy(entry.name + ".second", entry.second);
    }
    const at::Tensor losses = file.borrow("losses").contiguous();
    m_losses.assign(losses.data_ptr<float>(), losses.data_ptr<float>() + losses.numel());
    m_adam->continueFrom(losses.numel());
    return true;
}

BlockOutcome Reconstruction::execute()
{
    BlockOutcome outcome;
    BlockResult& result = outcome.result;
    Weights before;
    {
        const at::NoGradGuard noGrad;
        for (const LearnedRounding& layer : m_layers) {
            before[layer.name()] = layer.weight(at::kFloat);
        }
    }
    result.errorBefore = blockError(m_task, before, m_run);
    before.clear();
    restore();
    learn();
    for (std::size_t i = 0; i < m_layers.size(); ++i) {
        const LayerTask& task = m_task.layers[i];
        LayerOutcome& layer = outcome.layers.emplace_back();
        layer.linear = m_layers[i].deployed(weightFormat(task.settings.weight));
        layer.trainRank = shapeOf(task.weight).rank;
        layer.trainedParameters = m_layers[i].parameterCount();
        layer.moved = m_layers[i].moved();
        result.trainedParameters += layer.trainedParameters;
    }
    result.lr = m_rate.value;
    result.losses.assign(m_losses.begin(), m_losses.end());
    if (m_task.block->index == 0) {
        if (!m_rate.origin.empty()) {
            outcome.substitutions.push_back(m_rate.origin);
        }
        if (m_spec.compute == "auto") {
            outcome.substitutions.push_back(message("learned with products in ",
                                                    m_compute == at::kBFloat16 ? "bf16" : "f32",
                                                    " (compute auto)"));
        }
    }
    return outcome;
}

class BlockReconstruction final : public BlockMethod
{
public:
    explicit BlockReconstruction(MethodInfo info) : m_info(std::move(info)) {}
    const MethodInfo& info() const override { return m_info; }
    std::int64_t steps(const RunSpec& spec) const override
    {
        return std::max<std::int64_t>(1, spec.reconstruction.iterations);
    }
    void check(const RunSpec& spec) const override
    {
        QW_REQUIRE(spec.weight.format == "int", ErrorCode::BadInput, "weight.format ",
                   spec.weight.format, " does not go with ", m_info.id,
                   ", which learns the rounding on integer grids; use int");
        QW_REQUIRE(spec.weight.groupSize != kPerTensor, ErrorCode::BadInput,
                   "weight.group_size tensor does not go with ", m_info.id,
                   ", which needs a scale per row or group; use channel or a number");
    }
    BlockOutcome quantize(const BlockTask& task, const RunContext& run) const override
    {
        return Reconstruction(task, steps(*task.spec), run).execute();
    }

private:
    MethodInfo m_info;
};

std::vector<ParamSpec> allParams(bool lowRank)
{
    std::vector<ParamSpec> params = weightParams();
    for (ParamSpec& param : reconstructionParams(lowRank)) {
        params.push_back(std::move(param));
    }
    return params;
}
} // namespace

std::unique_ptr<BlockMethod> makeLrq()
{
    return std::make_unique<BlockReconstruction>(
        MethodInfo{"lrq", "LRQ", "arXiv:2407.11534",
                   "Learns which way each weight rounds, block by block, through a low-rank "
                   "divisor that costs nothing afterwards.",
                   allParams(true), true, false, true});
}

std::unique_ptr<BlockMethod> makeFlexRound()
{
    return std::make_unique<BlockReconstruction>(
        MethodInfo{"flexround", "FlexRound", "arXiv:2306.00317; the mode of LRQ's code",
                   "Learns which way each weight rounds, block by block, with a divisor of its own "
                   "for every weight.",
                   allParams(false), true, false, true});
}

} // namespace qw
