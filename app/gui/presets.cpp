#include "app/gui/presets.h"

#include <algorithm>

#include <QFile>

#include "base/error.h"

namespace qw {

std::vector<Preset> presets()
{
    QFile file(QStringLiteral(":/presets/presets.json"));
    QW_REQUIRE(file.open(QIODevice::ReadOnly), ErrorCode::Internal,
               "internal error: the presets are missing from the program");
    std::vector<Preset> found;
    for (const Json& entry : parseJson(file.readAll().toStdString(), "presets.json")) {
        found.push_back({QString::fromStdString(entry.at("title").get<std::string>()),
                         QString::fromStdString(entry.at("source").get<std::string>()),
                         entry.at("spec")});
    }
    return found;
}

RunSpec applyPreset(const Preset& preset, const RunSpec& draft, std::int64_t context)
{
    Json json = preset.spec;
    json["model"] = draft.model;
    RunSpec spec = runSpecFromJson(json);
    const CalibrationSpec windows = spec.calibration;
    spec.calibration = draft.calibration;
    if (preset.spec.contains("calibration")) {
        spec.calibration.nsamples = windows.nsamples;
        spec.calibration.seqlen = context > 0 ? std::min(windows.seqlen, context) : windows.seqlen;
    }
    spec.evaluation = draft.evaluation;
    spec.training.text = draft.training.text;
    spec.overrides = draft.overrides;
    spec.seed = draft.seed;
    spec.device = draft.device;
    spec.threads = draft.threads;
    spec.artifacts = draft.artifacts;
    return spec;
}

} // namespace qw
