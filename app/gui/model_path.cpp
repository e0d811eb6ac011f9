#include "app/gui/model_path.h"

#include <QDir>
#include <QFileInfo>

namespace qw {

ModelPath modelPath(const QString& given)
{
    const QFileInfo info(given);
    const QString name = info.fileName();
    const bool ofFolder = name == QStringLiteral("config.json") ||
                          name == QStringLiteral("adapter_config.json") ||
                          name.endsWith(QStringLiteral(".safetensors")) ||
                          name.endsWith(QStringLiteral(".safetensors.index.json"));
    const QDir folder = info.isDir() ? QDir(given) : info.absoluteDir();
    const bool adapter = folder.exists(QStringLiteral("adapter_config.json")) &&
                         !folder.exists(QStringLiteral("config.json")) &&
                         folder.entryList({QStringLiteral("*.gguf")}).isEmpty();
    if (info.isFile() && ofFolder) {
        return {folder.absolutePath(), adapter};
    }
    return {given, info.isDir() && adapter};
}

} // namespace qw
