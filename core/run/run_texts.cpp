#include "run/run_texts.h"

#include "base/error.h"
#include "engine.h"
#include "methods/method.h"

namespace qw {

void requireCalibrationText(const RunSpec& spec)
{
    for (const std::string& id : {spec.method, spec.lowRank.correction}) {
        QW_REQUIRE(id == "none" || !findMethod(id).info().needsCalibration ||
                       !spec.calibration.text.empty(),
                   ErrorCode::BadInput, "method ", id,
                   " learns from data: give a calibration text");
    }
}

RunTexts readTexts(const RunSpec& spec, const ModelConfig& config, const Tokenizer& tokenizer,
                   const RunContext& run)
{
    RunTexts texts;
    if (!spec.calibration.text.empty()) {
        texts.calibration =
            calibrationWindows(spec.calibration, resolveText(spec.calibration.text).string(),
                               config, tokenizer, static_cast<std::uint64_t>(spec.seed), run);
    }
    if (!spec.evaluation.text.empty()) {
        texts.evaluation = evaluationWindows(
            spec.evaluation, resolveText(spec.evaluation.text).string(), config, tokenizer, run);
    }
    return texts;
}

} // namespace qw
