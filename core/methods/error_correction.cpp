#include <functional>

#include "base/error.h"
#include "methods/builtin.h"
#include "methods/error_correction.h"
#include "methods/low_rank.h"
#include "methods/method_params.h"
#include "methods/settings.h"

namespace qw {

namespace {
/// LQER and its relatives: round to nearest, then a low-rank pair for the error that is left. They
/// differ in the norm in which the pair is best.
class ErrorCorrection final : public LayerMethod
{
public:
    using Norm = std::function<ErrorNorm(const LayerTask& task)>;
    using Needs = std::function<StatisticsNeeds(const RunSpec&)>;

    ErrorCorrection(MethodInfo info, Needs needs, Norm norm)
        : m_info(std::move(info)), m_needs(std::move(needs)), m_norm(std::move(norm))
    {
    }
    const MethodInfo& info() const override { return m_info; }
    StatisticsNeeds needs(const RunSpec& spec) const override { return m_needs(spec); }
    LayerOutcome quantize(const LayerTask& task, const RunContext& run) const override;
    void correct(const LayerTask& task, LayerOutcome& outcome, const RunContext& run) const;

private:
    MethodInfo m_info;
    Needs m_needs;
    Norm m_norm;
};

LayerOutcome ErrorCorrection::quantize(const LayerTask& task, const RunContext& run) const
{
    LayerOutcome outcome;
    outcome.linear = roundToNearest(task.name, task.weight, weightFormat(task.settings.weight),
                                    gridOptions(task.settings.weight), run);
    run.checkpoint();
    correct(task, outcome, run);
    return outcome;
}

void ErrorCorrection::correct(const LayerTask& task, LayerOutcome& outcome,
                              const RunContext& run) const
{
    if (task.settings.rank == 0) {
        return;
    }
    QW_REQUIRE(task.statistics != nullptr || !m_info.needsCalibration, ErrorCode::Internal,
               task.name, ": no input statistics were collected");
    const LowRankSpec& lowRank = task.spec->lowRank;
    FactorizeOptions options;
    options.rank = task.settings.rank;
    options.seed = task.seed;
    options.full = lowRank.solver == "full";
    const at::Tensor error =
        task.weight - outcome.linear.dequantizedCodes().to(task.weight.device());
    const ErrorNorm norm = m_norm(task);
    const at::Tensor powers = norm.dense.defined() ? norm.dense.diagonal() : norm.diagonal;
    QW_REQUIRE(!powers.defined() || powers.isfinite().all().item<bool>(), ErrorCode::NonFinite,
               task.name, ": its calibration inputs are not finite");
    const LowRankPair pair = lowRankPair(error, norm, options, run);
    outcome.singularValues = pair.singularValues;
    outcome.minimisesOutputError = norm.dense.defined();
    if (!outcome.minimisesOutputError) {
        outcome.errorNorm = weightedNorm(error, norm.diagonal);
    }
    outcome.linear.a.value = pair.a.cpu().contiguous();
    outcome.linear.b.value = pair.b.cpu().contiguous();
    if (lowRank.factorBits > 0) {
        const WeightSpec& weight = task.settings.weight;
        const MxOptions mx = {lowRank.factorBits, lowRank.factorBlock, weight.exponentBits,
                              weight.mxRule == "qera" ? MxRule::Qera : MxRule::Lqer};
        for (Factor* factor : {&outcome.linear.a, &outcome.linear.b}) {
            factor->quantized = true;
            factor->mx = mx;
        }
    }
}

std::vector<ParamSpec> allParams(bool withStatistic)
{
    std::vector<ParamSpec> params = weightParams();
    for (ParamSpec& param : lowRankParams(withStatistic)) {
        params.push_back(std::move(param));
    }
    return params;
}
} // namespace

void correctErrors(const std::string& method, const LayerTask& task, LayerOutcome& outcome,
                   const RunContext& run)
{
    const auto* correction = dynamic_cast<const ErrorCorrection*>(&findMethod(method));
    QW_REQUIRE(correction != nullptr, ErrorCode::BadInput, method, " is no low-rank correction");
    correction->correct(task, outcome, run);
}

std::unique_ptr<LayerMethod> makeLqer()
{
    return std::make_unique<ErrorCorrection>(
        MethodInfo{"lqer", "LQER", "arXiv:2402.02446, section 3.1",
                   "Adds the best low-rank approximation of the weight's quantization error.",
                   allParams(false), false, true},
        [](const RunSpec&) { return StatisticsNeeds{}; },
        [](const LayerTask&) { return ErrorNorm{}; });
}

std::unique_ptr<LayerMethod> makeL2qer()
{
    return std::make_unique<ErrorCorrection>(
        MethodInfo{"l2qer", "L\u00b2QER", "arXiv:2402.02446, section 3.2",
                   "As LQER, with the error scaled by the size of each input channel first.",
                   allParams(true), true, true},
        [](const RunSpec& spec) { return l2qerNeeds(spec.lowRank); },
        [](const LayerTask& task) { return l2qerNorm(task.spec->lowRank, *task.statistics); });
}

std::unique_ptr<LayerMethod> makeQeraApprox()
{
    return std::make_unique<ErrorCorrection>(
        MethodInfo{"qera-approx", "QERA-approx", "arXiv:2410.06040, theorem 2",
                   "Least output error if the input channels were uncorrelated.", allParams(false),
                   true, true},
        [](const RunSpec&) {
            StatisticsNeeds needs;
            needs.meanSquare = true;
            return needs;
        },
        [](const LayerTask& task) {
            return ErrorNorm{task.statistics->meanSquare(), {}};
        });
}

std::unique_ptr<LayerMethod> makeQeraExact()
{
    return std::make_unique<ErrorCorrection>(
        MethodInfo{"qera-exact", "QERA-exact", "arXiv:2410.06040, theorem 1",
                   "Least output error of any correction of its rank, on the calibration data.",
                   allParams(false), true, true},
        [](const RunSpec&) {
            StatisticsNeeds needs;
            needs.autocorrelation = true;
            return needs;
        },
        [](const LayerTask& task) {
            return ErrorNorm{{}, task.statistics->autocorrelation()};
        });
}

} // namespace qw
