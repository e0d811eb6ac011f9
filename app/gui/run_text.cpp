#include "app/gui/run_text.h"

#include <QCoreApplication>
#include <QDateTime>

#include "widgets/number_text.h"

namespace qw::run_text {

namespace {
QString tr(const char* text)
{
    return QCoreApplication::translate("run_text", text);
}
} // namespace

QString settings(const RunSpec& spec)
{
    QString result = QString::fromStdString(spec.method)
                         .toUpper()
                         .replace(QStringLiteral("L2"), QStringLiteral("L\u00b2"));
    result += QStringLiteral(" W%1").arg(spec.weight.bits);
    if (spec.weight.format == "mxint") {
        result += QStringLiteral(" MX%1").arg(spec.weight.groupSize);
    } else if (spec.weight.groupSize > 0) {
        result += QStringLiteral(" g%1").arg(spec.weight.groupSize);
    } else {
        result += spec.weight.groupSize == kPerChannel ? tr(" per channel") : tr(" per tensor");
    }
    if (spec.activation.format != "none") {
        result += QStringLiteral(" A%1").arg(spec.activation.bits);
    }
    if (spec.method != "rtn") {
        result += QStringLiteral(" r%1").arg(spec.lowRank.rank);
    }
    return result;
}

QString title(const RunResult& run)
{
    return settings(run.spec) + QStringLiteral("  \u00b7  ") +
           text::number(run.score.perplexity, 3);
}

QString localTime(const std::string& utc)
{
    const QDateTime time =
        QDateTime::fromString(QString::fromStdString(utc), Qt::ISODate).toLocalTime();
    return time.toString(QStringLiteral("yyyy-MM-dd HH:mm"));
}

QString tip(const RunResult& run)
{
    return tr("Run %1, %2\nPerplexity %3 (full precision %4)\n%5 bits per weight, %6")
        .arg(QString::fromStdString(run.id), localTime(run.started),
             text::perplexity(run.score.perplexity, run.score.nllStderr),
             text::number(run.comparison.fpPerplexity, 3), text::bitsPerWeight(run.bitsPerWeight),
             text::megabytes(run.bytes));
}

} // namespace qw::run_text
