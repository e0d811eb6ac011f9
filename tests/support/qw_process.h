#pragma once

#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QProcessEnvironment>
#include <QTemporaryDir>

#include <stdexcept>

namespace qw::test {

/// What a finished qw left behind.
struct QwOutcome {
    int status = -1; ///< -1: crashed or never ended
    QByteArray out;
    QString err;

    /// The one object on standard output. @throws std::runtime_error if there is anything else
    QJsonObject json() const
    {
        QJsonParseError problem;
        const QJsonDocument document = QJsonDocument::fromJson(out, &problem);
        if (!document.isObject()) {
            throw std::runtime_error(
                "no single JSON object: " + problem.errorString().toStdString() + "\n" +
                out.left(500).toStdString() + err.toStdString());
        }
        return document.object();
    }
};

/// Runs the built program in a folder of its own, with its default store in there too.
class QwProgram
{
public:
    QString folder() const { return m_folder.path(); }
    QString path(const QString& name) const { return m_folder.filePath(name); }

    void write(const QString& name, const QByteArray& content) const
    {
        QFile file(path(name));
        if (!file.open(QIODevice::WriteOnly) || file.write(content) != content.size()) {
            throw std::runtime_error("cannot write " + name.toStdString());
        }
    }

    void start(QProcess& process, const QStringList& arguments) const
    {
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        environment.insert(QStringLiteral("XDG_DATA_HOME"), path(QStringLiteral("data")));
        process.setProcessEnvironment(environment);
        process.setWorkingDirectory(folder());
        process.start(QStringLiteral(QW_CLI), arguments);
    }

    static QwOutcome finish(QProcess& process)
    {
        constexpr int kSlowest = 300000; // of a busy machine
        QwOutcome outcome;
        if (process.waitForFinished(kSlowest) && process.exitStatus() == QProcess::NormalExit) {
            outcome.status = process.exitCode();
        }
        outcome.out = process.readAllStandardOutput();
        outcome.err = QString::fromUtf8(process.readAllStandardError());
        return outcome;
    }

    QwOutcome run(const QStringList& arguments, const QByteArray& input = {}) const
    {
        QProcess process;
        start(process, arguments);
        process.write(input);
        process.closeWriteChannel();
        return finish(process);
    }

    /// Arguments separated by single spaces.
    QwOutcome run(const QString& line) const
    {
        return run(line.split(QLatin1Char(' '), Qt::SkipEmptyParts));
    }

private:
    QTemporaryDir m_folder;
};

} // namespace qw::test
