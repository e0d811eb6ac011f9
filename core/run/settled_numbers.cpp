#include <algorithm>

#include "engine.h"
#include "engine_settled.h"
#include "eval/usual_length.h"
#include "methods/reconstruction_rules.h"
#include "methods/smooth_scale.h"
#include "methods/training_rules.h"
#include "model/checkpoint.h"
#include "report/method_settings.h"
#include "report/open_numbers.h"

namespace qw {

std::map<std::string, double> settledNumbers(const RunSpec& spec)
{
    const Checkpoint checkpoint(resolveModel(spec.model));
    const ModelConfig& config = checkpoint.config();
    std::map<std::string, double> settled;
    const auto add = [&](const char* setting, double asked, double taken) {
        if (!openNumber(setting, asked).empty() &&
            looksAt(spec.method, spec.lowRank.correction, setting)) {
            settled[setting] = taken;
        }
    };
    const auto addLength = [&](const char* setting, std::int64_t asked, std::int64_t usual) {
        add(setting, static_cast<double>(asked),
            static_cast<double>(std::min(usual, config.maxPositions)));
    };
    addLength("calibration.seqlen", spec.calibration.seqlen, kUsualLength);
    addLength("evaluation.seqlen", spec.evaluation.seqlen,
              spec.evaluation.protocol == "llama.cpp" ? kLlamaCppLength : kUsualLength);
    addLength("training.seqlen", spec.training.seqlen, kTrainingLength);
    if (looksAt(spec.method, "none", "reconstruction.lr")) {
        add("reconstruction.lr", spec.reconstruction.lr, learningRate(spec, config).value);
    }
    if (trainsModel(spec.method)) {
        const TrainingRules rules = trainingRules(spec, config);
        add("training.lr", spec.training.lr, rules.lr);
        add("training.lr_scale", spec.training.lrScale, rules.lrScale);
        add("training.warmup", static_cast<double>(spec.training.warmup),
            static_cast<double>(rules.warmup));
        add("training.weight_decay", spec.training.weightDecay, rules.weightDecay);
        add("training.rank", static_cast<double>(spec.training.rank),
            static_cast<double>(rules.rank));
    }
    add("smooth.alpha", spec.smooth.alpha, smoothAlpha(spec, config));
    return settled;
}

} // namespace qw
