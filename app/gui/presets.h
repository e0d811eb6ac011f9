#pragma once

#include <vector>

#include <QString>

#include "report/run_spec.h"

namespace qw {

/// A recipe: what a paper, or everybody's baseline, sets.
struct Preset {
    QString title;
    QString source;
    Json spec; ///< the settings it fixes; others keep their defaults
};
/// Recipes of the papers, from the program's resources.
std::vector<Preset> presets();
/// The preset with model, texts, single layers, seed, device and threads of @p draft.
/// @param context  tokens the model sees at most: calibration windows are no longer; 0: not known
RunSpec applyPreset(const Preset& preset, const RunSpec& draft, std::int64_t context);

} // namespace qw
