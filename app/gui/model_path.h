#pragma once

#include <QString>

namespace qw {

/// A path as people open or drop it: a file of a model folder (config.json, a safetensors file or
/// its index) stands for the folder.
struct ModelPath {
    QString path;         ///< a folder, a GGUF file, or what was given
    bool adapter = false; ///< it is a PEFT adapter, not a model
};
ModelPath modelPath(const QString& given);

} // namespace qw
