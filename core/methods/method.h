#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/param_spec.h"
#include "base/run_context.h"
#include "methods/input_statistics.h"
#include "quant/quantized_linear.h"
#include "report/run_result.h"

namespace qw {

struct MethodInfo {
    std::string id;
    std::string title;
    std::string source;  ///< paper
    std::string summary; ///< one sentence
    std::vector<ParamSpec> params;
    bool needsCalibration = false;
    bool lowRank = false;
};

/// One linear layer handed to a layer-wise method.
struct LayerTask {
    std::string name;
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
};

/// A method that treats every linear layer by itself, from the full-precision model's statistics:
/// RTN, LQER, L²QER, QERA. (Block-wise and end-to-end methods get drivers of their own.)
class LayerMethod
{
public:
    virtual ~LayerMethod() = default;
    virtual const MethodInfo& info() const = 0;
    virtual StatisticsNeeds needs(const RunSpec& spec) const = 0;
    virtual LayerOutcome quantize(const LayerTask& task, const RunContext& run) const = 0;
};

std::span<const std::unique_ptr<LayerMethod>> builtinMethods(); // registry.cpp lists them by hand
/// @throws Error::BadInput naming the nearest known id
const LayerMethod& findMethod(const std::string& id);

} // namespace qw
