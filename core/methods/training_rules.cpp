#include "methods/training_rules.h"

#include <algorithm>

#include "base/error.h"
#include "model/simd.h"
#include "report/learned_rank.h"

namespace qw {

namespace {
/// Learning rates published for kPublishedSteps, and what they may become for fewer.
struct Rate {
    double published;
    double most;
};
constexpr Rate kLowRankRate = {1e-3, 1e-2};
constexpr Rate kWeightRate = {5e-5, 2e-4};
constexpr Rate kScaleRate = {1e-5, 1e-4};
constexpr Rate kScaleRateAtTwoBits = {1e-5, 1e-3}; // LR-QAT searches ten times higher there
constexpr double kWeightDecay = 0.1;               // of LSQ

double settledRate(double asked, const Rate& rate, const char* what, std::int64_t steps,
                   std::vector<std::string>& said)
{
    if (asked >= 0) {
        return asked;
    }
    const double stretch = std::max(1.0, static_cast<double>(kPublishedSteps) /
                                             static_cast<double>(std::max<std::int64_t>(1, steps)));
    const double settled = std::min(rate.published * stretch, rate.most);
    said.push_back(message("learning rate ", what, " ", settled, ": ", rate.published,
                           " of LR-QAT's recipe times ", stretch, " for ", steps, " instead of ",
                           kPublishedSteps, " steps, at most ", rate.most));
    return settled;
}
} // namespace

TrainingRules trainingRules(const RunSpec& spec, const ModelConfig& config)
{
    const TrainingSpec& training = spec.training;
    TrainingRules rules;
    if (spec.method != "peqa") {
        const bool weights = spec.method == "lsq";
        rules.lr = settledRate(training.lr, weights ? kWeightRate : kLowRankRate,
                               weights ? "of weights" : "of A and B", training.steps, rules.said);
        rules.weightDecay = training.weightDecay >= 0 ? training.weightDecay
                            : weights                 ? kWeightDecay
                                                      : 0;
    }
    rules.lrScale =
        settledRate(training.lrScale, spec.weight.bits == 2 ? kScaleRateAtTwoBits : kScaleRate,
                    "of scales", training.steps, rules.said);
    rules.warmup = training.warmup >= 0 ? training.warmup : training.steps / 10;
    if (spec.weight.scaleDtype != "f32") {
        rules.said.push_back(message("scales are learned in float32 and rounded to ",
                                     spec.weight.scaleDtype,
                                     " in every step, so that what is trained is what is stored; "
                                     "LR-QAT's code does not round them"));
    }
    if (training.compute == "auto" && trainsInBfloat16(training, spec.device)) {
        rules.said.emplace_back(
            "products of the training in bfloat16, as LR-QAT's recipe has them; "
            "train-compute f32 takes float32");
    }
    if (spec.method == "lr-qat") {
        rules.rank = pairRank(training, config.hidden);
        if (training.rank == 0 && rules.rank < kPublishedRank) {
            rules.said.push_back(message("rank ", rules.rank, " of A and B: a quarter of the ",
                                         config.hidden, " hidden units, less than the recipe's ",
                                         kPublishedRank));
        }
    }
    return rules;
}

std::string phiFor(const TrainingSpec& spec, std::int64_t bits)
{
    return spec.phi == "fixed8" && bits == 8 ? "fp16" : spec.phi;
}

double scheduledRate(double peak, std::int64_t step, std::int64_t warmup, std::int64_t steps)
{
    if (step < warmup) {
        return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
    }
    return peak * static_cast<double>(steps - step) / static_cast<double>(steps - warmup);
}

bool trainsInBfloat16(const TrainingSpec& spec, const std::string& device)
{
    const bool native = device != "cpu" || bestSimd() >= Simd::Avx512Bf16;
    return spec.compute == "bf16" || (spec.compute == "auto" && native);
}

} // namespace qw
