#include "run/run_texts.h"

#include "base/error.h"
#include "engine.h"
#include "methods/method.h"

namespace qw {

void requireTexts(const RunSpec& spec)
{
    for (const std::string& id : {spec.method, spec.lowRank.correction}) {
        QW_REQUIRE(id == "none" || !findMethod(id).info().needsCalibration ||
                       !spec.calibration.text.empty(),
                   ErrorCode::BadInput, "method ", id,
                   " learns from data: give a calibration text");
    }
    QW_REQUIRE(spec.activation.scale != "tensor" || !spec.calibration.text.empty(),
               ErrorCode::BadInput,
               "activation.scale tensor is found from data: give a calibration text");
    for (const std::string& text : {spec.calibration.text, spec.evaluation.text}) {
        if (!text.empty()) {
            resolveText(text);
        }
    }
    if (!trainsModel(spec.method)) {
        return;
    }
    QW_REQUIRE(!spec.training.text.empty(), ErrorCode::BadInput, "training.text is missing; ",
               spec.method, " trains on a text: give a file, or demo:calibration");
    QW_REQUIRE(spec.training.init != "qera-exact" || !spec.calibration.text.empty(),
               ErrorCode::BadInput,
               "training.init qera-exact looks at inputs of layers: give a calibration text");
    resolveText(spec.training.text);
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
    if (trainsModel(spec.method)) {
        texts.training =
            trainingText(spec.training, resolveText(spec.training.text).string(), config, tokenizer,
                         static_cast<std::uint64_t>(spec.seed), run);
    }
    return texts;
}

} // namespace qw
