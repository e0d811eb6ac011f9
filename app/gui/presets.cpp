#include "app/gui/presets.h"

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

RunSpec applyPreset(const Preset& preset, const RunSpec& draft)
{
    Json json = preset.spec;
    json["model"] = draft.model;
    RunSpec spec = runSpecFromJson(json);
    spec.calibration = draft.calibration;
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
