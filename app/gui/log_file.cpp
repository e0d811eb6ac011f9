#include "app/gui/log_file.h"

#include <cstdio>
#include <mutex>

#include <QDateTime>
#include <QDir>
#include <QFile>
#include <QStandardPaths>

namespace qw {

namespace {
constexpr qint64 kMaxBytes = 1 << 20;

struct Log {
    std::mutex lock; // messages come from every thread
    QFile file;
};

Log& log()
{
    static Log instance;
    return instance;
}

void write(QtMsgType type, const QMessageLogContext& context, const QString& message)
{
    const QByteArray line = qFormatLogMessage(type, context, message).toUtf8() + '\n';
    std::fwrite(line.constData(), 1, static_cast<std::size_t>(line.size()), stderr);
    const std::lock_guard guard(log().lock);
    log().file.write(QDateTime::currentDateTimeUtc().toString(Qt::ISODate).toUtf8() + ' ' + line);
    log().file.flush();
}
} // namespace

void startLogFile()
{
    const QString folder = QStandardPaths::writableLocation(QStandardPaths::GenericDataLocation) +
                           QStringLiteral("/quant-workbench");
    QDir().mkpath(folder);
    const QString path = folder + QStringLiteral("/quant-workbench.log");
    if (QFile(path).size() > kMaxBytes) {
        QFile::remove(path + QStringLiteral(".1"));
        QFile::rename(path, path + QStringLiteral(".1"));
    }
    log().file.setFileName(path);
    if (log().file.open(QIODevice::WriteOnly | QIODevice::Append)) {
        qInstallMessageHandler(write);
    }
}

QString logFile()
{
    return log().file.fileName();
}

} // namespace qw
