#include "methods/builtin.h"
#include "methods/method_params.h"
#include "methods/settings.h"
#include "methods/training_rules.h"

namespace qw {

namespace {
class TrainingMethod final : public ModelMethod
{
public:
    TrainingMethod(TrainedKind kind, MethodInfo info) : m_kind(kind), m_info(std::move(info)) {}
    const MethodInfo& info() const override { return m_info; }
    StatisticsNeeds needs(const RunSpec& spec) const override
    {
        StatisticsNeeds needs;
        needs.autocorrelation = spec.training.init == "qera-exact";
        return needs;
    }
    std::unique_ptr<TrainedWeight> begin(const LayerTask& task, std::int64_t rank,
                                         const RunContext& run) const override
    {
        const TrainingSpec& training = task.spec->training;
        TrainedWeightOptions options;
        options.kind = m_kind;
        options.grid = gridOptions(task.settings.weight);
        options.compute =
            trainsInBfloat16(training, task.spec->device) ? at::kBFloat16 : at::kFloat;
        options.phi = phiFor(training, task.settings.weight.bits);
        options.rank = rank;
        options.alpha = training.alpha;
        options.init = training.init;
        options.learnScale = training.lrScale != 0;
        return std::make_unique<TrainedWeight>(task.name, task.weight, options, task.statistics,
                                               task.seed, run);
    }

private:
    TrainedKind m_kind;
    MethodInfo m_info;
};

std::vector<ParamSpec> allParams(bool lowRank, bool weights)
{
    std::vector<ParamSpec> params;
    for (ParamSpec& param : weightParams()) { // grids are symmetric
        if (param.key != "sym" && param.key != "exponent_bits" && param.key != "mx_rule") {
            params.push_back(std::move(param));
        }
    }
    for (ParamSpec& param : trainingParams(lowRank, weights)) {
        params.push_back(std::move(param));
    }
    return params;
}
} // namespace

std::unique_ptr<ModelMethod> makeLrQat()
{
    return std::make_unique<TrainingMethod>(
        TrainedKind::LrQat,
        MethodInfo{
            "lr-qat", "LR-QAT", "arXiv:2406.06385",
            "Trains a low-rank pair inside the rounding of each weight, on text, through the "
            "whole model; it costs nothing afterwards.",
            allParams(true, true), false, false, true});
}

std::unique_ptr<ModelMethod> makeLsq()
{
    return std::make_unique<TrainingMethod>(
        TrainedKind::Lsq, MethodInfo{"lsq", "LSQ", "arXiv:1902.08153, as LR-QAT compares with it",
                                     "Trains all weights and scales on text, through the whole "
                                     "model.",
                                     allParams(false, true), false, false, true});
}

std::unique_ptr<ModelMethod> makePeqa()
{
    return std::make_unique<TrainingMethod>(
        TrainedKind::Peqa, MethodInfo{"peqa", "PEQA", "arXiv:2305.14152",
                                      "Rounds to nearest and trains the scales alone on text, "
                                      "through the whole model.",
                                      allParams(false, false), false, false, true});
}

} // namespace qw
