#include "app/gui/run_text.h"

#include <algorithm>

#include <QCoreApplication>
#include <QDateTime>
#include <QDir>

#include "app/gui/run_queue.h"
#include "report/run_groups.h"
#include "widgets/number_text.h"

namespace qw::run_text {

namespace {
struct Text {
    Q_DECLARE_TR_FUNCTIONS(RunText)
};

QString withSteps(const std::string& name, const RunSpec& spec)
{
    const QString text = QString::fromStdString(name);
    return trainsModel(spec.method) ? Text::tr("%1 %2 steps").arg(text).arg(spec.training.steps)
                                    : text;
}
} // namespace

QString settings(const RunSpec& spec)
{
    return withSteps(shortName(spec), spec);
}

QString settings(const RunResult& run)
{
    return withSteps(shortName(run), run.spec);
}

QString title(const RunResult& run)
{
    return settings(run) + QStringLiteral("  \u00b7  ") + text::number(run.score.perplexity, 3);
}

QString progress(const QueueEntry& entry)
{
    if (entry.state != RunState::Running) {
        return stateText(entry.state) +
               (entry.progress.uninterruptible
                    ? Text::tr(", after %1").arg(QString::fromStdString(entry.progress.detail))
                    : QString());
    }
    const Progress& now = entry.progress;
    QStringList parts = {now.phase.empty() ? Text::tr("starting")
                                           : QString::fromStdString(now.phase)};
    const std::size_t runs = entry.request.specs.size();
    if (runs > 1 && entry.started > 0) {
        parts.prepend(
            Text::tr("run %1 of %2: %3").arg(entry.started).arg(runs).arg(settings(entry.shown())));
    }
    if (!now.detail.empty()) {
        parts << QString::fromStdString(now.detail);
    } else if (now.total > 0) {
        parts << QStringLiteral("%1/%2").arg(now.done).arg(now.total);
    }
    if (now.secondsLeft >= 0 && now.done > 0) {
        parts << Text::tr("%1 left").arg(text::duration(now.secondsLeft));
    }
    const double left = entry.estimatedSeconds - entry.seconds; // NaN if unknown
    if (left > std::max(now.secondsLeft, 1.0)) {
        parts << (runs > 1 ? Text::tr("about %1 to the end of the sweep")
                           : Text::tr("about %1 to the end of the run"))
                     .arg(text::duration(left));
    }
    return parts.join(QStringLiteral("  \u00b7  "));
}

QString state(const QueueEntry& entry)
{
    QString text = stateText(entry.state);
    switch (entry.state) {
    case RunState::Failed:
        return Text::tr("failed: %1").arg(entry.problem);
    case RunState::Paused:
        return text +
               (entry.runId.isEmpty() ? QString() : QStringLiteral("; ") + kept(entry.shown()));
    case RunState::Finished:
        for (const RunResult& run : entry.results) {
            text +=
                QStringLiteral("  \u00b7  ") +
                Text::tr("perplexity %1 (full precision %2), KL %3, %4 bits per weight, %5, in %6")
                    .arg(text::perplexity(run.score.perplexity, run.score.nllStderr),
                         text::number(run.comparison.fpPerplexity, 3),
                         text::number(run.comparison.klMean, 4),
                         text::bitsPerWeight(run.bitsPerWeight), text::megabytes(run.bytes),
                         text::duration(run.seconds));
        }
        return text;
    default:
        return entry.busy() ? QString() : text;
    }
}

QString kept(const RunSpec& spec)
{
    return trainsModel(spec.method) ? Text::tr("finished steps are kept")
                                    : Text::tr("finished blocks are kept");
}

QString lost(const RunSpec& spec)
{
    return trainsModel(spec.method)
               ? Text::tr("More than a minute of work on the current step would be lost. Finished "
                          "steps are kept and the run can be resumed.")
               : Text::tr("More than a minute of work on the current block would be lost. "
                          "Finished blocks are kept and the run can be resumed.");
}

QString pauses(const RunSpec& spec)
{
    return trainsModel(spec.method)
               ? Text::tr("Stops after the last finished step and keeps the place")
               : Text::tr("Stops after the last finished block and keeps the place");
}

QString resumes(const RunSpec& spec)
{
    return trainsModel(spec.method) ? Text::tr("Goes on after the last finished step")
                                    : Text::tr("Goes on after the last finished block");
}

QString path(const QString& file)
{
    const QString home = QDir::homePath();
    return file.startsWith(home + u'/') ? u'~' + file.mid(home.size()) : file;
}

QString localTime(const std::string& utc)
{
    const QDateTime time =
        QDateTime::fromString(QString::fromStdString(utc), Qt::ISODate).toLocalTime();
    return time.toString(QStringLiteral("yyyy-MM-dd HH:mm"));
}

QString tip(const RunResult& run)
{
    return Text::tr("Run %1, %2\nPerplexity %3 (full precision %4)\n%5 bits per weight, %6")
        .arg(QString::fromStdString(run.id), localTime(run.started),
             text::perplexity(run.score.perplexity, run.score.nllStderr),
             text::number(run.comparison.fpPerplexity, 3), text::bitsPerWeight(run.bitsPerWeight),
             text::megabytes(run.bytes));
}

} // namespace qw::run_text
