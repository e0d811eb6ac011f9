#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/maximum.h>

#include "base/error.h"
#include "methods/builtin.h"
#include "methods/folding_method.h"
#include "methods/method_params.h"
#include "methods/smooth_scale.h"

namespace qw {

namespace {
constexpr double kSmallest = 1e-5;

class SmoothQuant final : public FoldingMethod
{
public:
    const MethodInfo& info() const override
    {
        static const MethodInfo kInfo = [] {
            MethodInfo info{"smoothquant",
                            "SmoothQuant",
                            "arXiv:2211.10438",
                            "Moves what is hard to quantize of the activations into the weights, "
                            "then rounds to nearest.",
                            weightParams(),
                            true,
                            false};
            for (ParamSpec& param : smoothParams()) {
                info.params.push_back(std::move(param));
            }
            return info;
        }();
        return kInfo;
    }
    std::int64_t steps(const RunSpec& /*spec*/) const override { return 1; }
    StatisticsNeeds needs(const RunSpec& /*spec*/) const override
    {
        StatisticsNeeds needs;
        needs.range = true;
        return needs;
    }
    void check(const RunSpec& /*spec*/) const override {}

protected:
    /// Only what a norm makes is smoothed.
    std::vector<FoldGroup> groups(const std::vector<LinearInfo>& linears, const ModelConfig& config,
                                  const std::set<std::string>& quantized) const override
    {
        std::vector<FoldGroup> all = foldGroups(linears, config, quantized);
        all.erase(std::remove_if(all.begin(), all.end(),
                                 [](const FoldGroup& group) { return !group.ofNorm(); }),
                  all.end());
        return all;
    }
    Folding fold(const BlockTask& task, const std::vector<FoldGroup>& groups,
                 const RunContext& run) const override;
};

Folding SmoothQuant::fold(const BlockTask& task, const std::vector<FoldGroup>& groups,
                          const RunContext& run) const
{
    const double alpha = smoothAlpha(*task.spec, task.decoder->config());
    Folding folding;
    for (const FoldGroup& group : groups) {
        if (!group.problem.empty()) {
            continue;
        }
        run.checkpoint();
        std::vector<at::Tensor> weights;
        for (const std::string& name : group.layers) {
            weights.push_back(layerOf(task, name).weight);
        }
        const LayerTask& first = layerOf(task, group.layers.front());
        QW_REQUIRE(first.statistics != nullptr, ErrorCode::Internal, first.name,
                   ": no input statistics were collected");
        const at::Tensor scale = smoothScale(first.statistics->largest(), weights, alpha);
        QW_REQUIRE(scale.isfinite().all().item<bool>(), ErrorCode::NonFinite, first.name,
                   ": its calibration inputs are not finite");
        folding.scales[group.inputGroup] = scale;
    }
    return folding;
}
} // namespace

double smoothAlpha(const RunSpec& spec, const ModelConfig& config)
{
    constexpr double kUsual = 0.5;
    constexpr double kLlama = 0.85;
    constexpr double kLlama70B = 0.9;
    constexpr double kMistral = 0.8;
    constexpr std::int64_t kHidden70B = 8192;
    if (spec.smooth.alpha > 0) {
        return spec.smooth.alpha;
    }
    if (config.modelType == "llama") {
        return config.hidden == kHidden70B ? kLlama70B : kLlama;
    }
    return config.modelType == "mistral" ? kMistral : kUsual;
}

at::Tensor smoothScale(const at::Tensor& largest, const std::vector<at::Tensor>& weights,
                       double alpha)
{
    at::Tensor widest;
    for (const at::Tensor& weight : weights) {
        const at::Tensor one = weight.abs().amax(0);
        widest = widest.defined() ? at::maximum(widest, one) : one;
    }
    return (largest.to(at::kFloat).pow(alpha) / widest.clamp_min(kSmallest).pow(1 - alpha))
        .clamp_min(kSmallest);
}

std::unique_ptr<BlockMethod> makeSmoothQuant()
{
    return std::make_unique<SmoothQuant>();
}

} // namespace qw
