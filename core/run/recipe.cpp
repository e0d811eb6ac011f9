#include "run/recipe.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "methods/reconstruction_rules.h"
#include "methods/training_rules.h"

namespace qw {

namespace {
/// Calibration windows and their tokens.
struct Recipe {
    const char* method;
    const char* source;
    std::int64_t nsamples, seqlen;
};
constexpr std::array kCalibration = {
    Recipe{"lrq", "LRQ's", 512, 1024},         Recipe{"flexround", "LRQ's", 512, 1024},
    Recipe{"l2qer", "LQER's", 32, 2048},       Recipe{"qera-approx", "QERA's", 256, 2048},
    Recipe{"qera-exact", "QERA's", 256, 2048}, Recipe{"gptq", "GPTQ's", 128, 2048},
    Recipe{"awq", "AWQ's", 128, 512},          Recipe{"smoothquant", "SmoothQuant's", 512, 512},
};
constexpr std::int64_t kWindows = 32; // of a step of LR-QAT, of kTokens each
constexpr std::int64_t kTokens = 1024;

void compareCalibration(const RunSpec& spec, const TextWindows& windows,
                        std::vector<std::string>& said)
{
    const auto* recipe =
        std::find_if(kCalibration.begin(), kCalibration.end(),
                     [&](const Recipe& candidate) { return candidate.method == spec.method; });
    if (recipe != kCalibration.end() &&
        (windows.count() < recipe->nsamples || windows.seqlen() < recipe->seqlen)) {
        said.push_back(message("calibrated on ", counted(windows.count(), "window"), " of ",
                               windows.seqlen(), " tokens; ", recipe->source, " recipe has ",
                               recipe->nsamples, " of ", recipe->seqlen));
    }
}
} // namespace

std::vector<std::string> recipeDifferences(const RunSpec& spec, const RunTexts& texts)
{
    std::vector<std::string> said;
    if (texts.calibration) {
        compareCalibration(spec, *texts.calibration, said);
    }
    const bool learnsRounding = spec.method == "lrq" || spec.method == "flexround";
    if (learnsRounding && spec.reconstruction.iterations < kPublishedIterations) {
        said.push_back(message(counted(spec.reconstruction.iterations, "iteration"),
                               " a block; LRQ's recipe has ", kPublishedIterations));
    }
    if (texts.training) {
        const TrainingSpec& training = spec.training;
        const std::int64_t windows = training.batchSize * training.gradAccum;
        const std::int64_t tokens = texts.training->tokens.seqlen();
        if (training.steps < kPublishedSteps || windows < kWindows || tokens < kTokens) {
            said.push_back(message("trained for ", counted(training.steps, "step"), " of ",
                                   counted(windows, "window"), " of ", tokens,
                                   " tokens; LR-QAT's recipe has ", kPublishedSteps, " of ",
                                   kWindows, " of ", kTokens));
        }
    }
    return said;
}

} // namespace qw
