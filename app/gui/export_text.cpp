#include "app/gui/export_text.h"

#include <QCoreApplication>
#include <QDir>

#include "widgets/number_text.h"

namespace qw::export_text {

using namespace Qt::Literals::StringLiterals;

namespace {
struct Text {
    Q_DECLARE_TR_FUNCTIONS(ExportText)
};

QString html(const std::string& text)
{
    return QString::fromStdString(text).toHtmlEscaped();
}

QString section(const QString& title, const std::vector<std::string>& sentences)
{
    if (sentences.empty()) {
        return {};
    }
    QString text = u"<p><b>%1</b></p><ul>"_s.arg(title.toHtmlEscaped());
    for (const std::string& sentence : sentences) {
        text += u"<li>%1</li>"_s.arg(html(sentence));
    }
    return text + u"</ul>"_s;
}
} // namespace

QString headline(const ExportPlan& plan)
{
    if (!plan.possible) {
        return Text::tr("not possible");
    }
    return Text::tr("%1, %2").arg(text::megabytes(plan.bytes),
                                  plan.lossless ? Text::tr("lossless") : Text::tr("not lossless"));
}

QString details(const ExportPlan& plan)
{
    QString text = u"<p><b>%1</b></p>"_s.arg(html(plan.title));
    if (!plan.possible) {
        return text + u"<p>%1</p><p>%2</p>"_s.arg(
                          Text::tr("Not possible: %1.").arg(html(plan.refusal)),
                          Text::tr("What works instead: %1.").arg(html(plan.nearest)));
    }
    QString storage = html(plan.storage);
    if (!storage.isEmpty()) {
        storage += u". "_s;
    }
    text +=
        u"<p>%1</p>"_s.arg(storage + Text::tr("All tensors: %1.").arg(text::megabytes(plan.bytes)));
    if (plan.lossless) {
        text += u"<p>%1</p>"_s.arg(Text::tr("Everything the run is will be kept, bit for bit."));
    }
    return text + section(Text::tr("Lost"), plan.lost) + section(Text::tr("To know"), plan.notes);
}

QString folderName(const RunSpec& spec, const std::string& target)
{
    return u"%1-%2-w%3-%4"_s
        .arg(QDir(QString::fromStdString(spec.model)).dirName(),
             QString::fromStdString(spec.method))
        .arg(spec.weight.bits)
        .arg(QString::fromStdString(target));
}

QString progress(const Progress& progress)
{
    const QString phase = QString::fromStdString(progress.phase);
    return progress.total > 0
               ? Text::tr("%1: %2 of %3").arg(phase).arg(progress.done).arg(progress.total)
               : phase;
}

} // namespace qw::export_text
