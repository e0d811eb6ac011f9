#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/param_spec.h"
#include "base/run_context.h"
#include "methods/fold.h"
#include "methods/input_statistics.h"
#include "model/decoder.h"
#include "model/hidden_states.h"
#include "quant/quantized_linear.h"
#include "report/block_losses.h"
#include "report/run_result.h"

namespace qw {

class TrainedWeight;

struct MethodInfo {
    std::string id;
    std::string title;
    std::string source;  ///< paper
    std::string summary; ///< one sentence
    std::vector<ParamSpec> params;
    bool needsCalibration = false;
    bool lowRank = false;
    bool integerGridsOnly = false; ///< formats "int" with a scale per row or group
    bool findsRange = false;       ///< searches where to cut the weights itself
};

/// One linear layer handed to a layer-wise method.
struct LayerTask {
    std::string name;
    LinearRole role = LinearRole::Query;
    at::Tensor weight;                           ///< [out, in] float32
    const InputStatistics* statistics = nullptr; ///< of its input, if the method needs calibration
    LayerSettings settings;
    const RunSpec* spec = nullptr;
    std::uint64_t seed = 0; ///< of this layer, derived from the run's seed and the name
};

struct LayerOutcome {
    QuantizedLinear linear;
    std::vector<double> singularValues; ///< of the minimised matrix, up to the rank computed
    double errorNorm = kMissing;        ///< its Frobenius norm
    /// That norm is the output error of the codes alone, which whoever measures the layer knows.
    bool minimisesOutputError = false;
    std::vector<std::string> substitutions;
    std::int64_t trainRank = 0;
    std::int64_t trainedParameters = 0;
    std::vector<double> moved; ///< shares of codes 0, 1, 2 and more steps from the start, or empty
    LayerFold fold;            ///< if the linear stands for another weight than the task's
};

/// One block handed to a block-wise method. The full-precision model and the quantized one advance
/// separately: targets come from the first, inputs from the second.
struct BlockTask {
    const Decoder* decoder = nullptr; ///< full precision, float32
    const BlockWeights* block = nullptr;
    std::vector<LayerTask> layers;         ///< to be quantized, in the order they run
    const HiddenStates* inputs = nullptr;  ///< what the quantized blocks before this one make
    const HiddenStates* targets = nullptr; ///< what the full-precision model has after this block
    const RunSpec* spec = nullptr;
    std::uint64_t seed = 0;          ///< of this block
    std::filesystem::path stateFile; ///< to go on from after an interruption; empty: none
    HiddenStatesPlace scratch;       ///< for states of its own
    std::function<void(const BlockLosses&)> lossesCame; ///< a few times a second, or empty
};

struct BlockOutcome {
    std::vector<LayerOutcome> layers;           ///< of task.layers, in their order
    std::map<std::string, at::Tensor> replaced; ///< folded norms, biases, by full name
    BlockResult result; ///< but for the error after, which whoever moves on past the block measures
    std::vector<std::string> substitutions;
};

class QuantMethod
{
public:
    virtual ~QuantMethod() = default;
    virtual const MethodInfo& info() const = 0;
};

/// A method that treats every linear layer by itself, from the full-precision model's statistics:
/// RTN, LQER, L²QER, QERA.
class LayerMethod : public QuantMethod
{
public:
    virtual StatisticsNeeds needs(const RunSpec& spec) const = 0;
    virtual LayerOutcome quantize(const LayerTask& task, const RunContext& run) const = 0;
};

/// A method that treats the layers of a block together, or in an order: LRQ, FlexRound, GPTQ,
/// AWQ, SmoothQuant.
class BlockMethod : public QuantMethod
{
public:
    /// Progress a block makes; quantize() reports block * steps + done.
    virtual std::int64_t steps(const RunSpec& spec) const = 0;
    /// @throws Error::BadInput for settings it cannot follow
    virtual void check(const RunSpec& spec) const = 0;
    /// Of the full-precision inputs, beside those that measuring asks for.
    virtual StatisticsNeeds needs(const RunSpec& /*spec*/) const { return {}; }
    /// Whether task.inputs come from the quantized model; else from the full-precision one.
    virtual bool quantizedInputs() const { return true; }
    /// Bytes of what it will replace of a block besides weights. @param quantized  names of layers
    virtual std::int64_t replacedBytes(const std::vector<LinearInfo>& /*linears*/,
                                       const ModelConfig& /*config*/,
                                       const std::set<std::string>& /*quantized*/) const
    {
        return 0;
    }
    virtual BlockOutcome quantize(const BlockTask& task, const RunContext& run) const = 0;
};

/// A method that trains the layers of all blocks together, through the whole model: LR-QAT, LSQ,
/// PEQA. It says how a layer begins; whoever runs it trains.
class ModelMethod : public QuantMethod
{
public:
    /// Statistics of its input that a layer's start needs.
    virtual StatisticsNeeds needs(const RunSpec& spec) const = 0;
    /// @param rank  of the low-rank pair, cut to the layer. @throws Error naming the layer
    virtual std::unique_ptr<TrainedWeight> begin(const LayerTask& task, std::int64_t rank,
                                                 const RunContext& run) const = 0;
};

std::span<const std::unique_ptr<QuantMethod>> builtinMethods(); // registry.cpp lists them by hand
/// @throws Error::BadInput naming the nearest known id
const QuantMethod& findMethod(const std::string& id);

} // namespace qw
