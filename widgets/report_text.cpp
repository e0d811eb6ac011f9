#include "widgets/report_text.h"

#include <QCoreApplication>
#include <QRegularExpression>

namespace qw::report_text {

namespace {
constexpr const char* kContext = "report";

void translate(std::string& text)
{
    if (!text.empty()) {
        text = translated(text).toStdString();
    }
}
} // namespace

const std::vector<const char*>& texts()
{
    static const std::vector<const char*> kTexts = {
        QT_TRANSLATE_NOOP("report", "block %1"),
        // axes
        QT_TRANSLATE_NOOP("report", "layer"),
        QT_TRANSLATE_NOOP("report", "block"),
        QT_TRANSLATE_NOOP("report", "kind of layer"),
        QT_TRANSLATE_NOOP("report", "index"),
        QT_TRANSLATE_NOOP("report", "σ / Frobenius norm"),
        QT_TRANSLATE_NOOP("report", "rank of the correction"),
        QT_TRANSLATE_NOOP("report", "learned rank"),
        QT_TRANSLATE_NOOP("report", "rank of the correction, or learned rank"),
        QT_TRANSLATE_NOOP("report", "energy captured, %"),
        QT_TRANSLATE_NOOP("report", "predicted output error, %"),
        QT_TRANSLATE_NOOP("report", "step"),
        QT_TRANSLATE_NOOP("report", "iteration"),
        QT_TRANSLATE_NOOP("report", "next-token loss, nats"),
        QT_TRANSLATE_NOOP("report", "loss of the block"),
        QT_TRANSLATE_NOOP("report", "size of the quantized layers, MB"),
        QT_TRANSLATE_NOOP("report", "method"),
        QT_TRANSLATE_NOOP("report", "format"),
        QT_TRANSLATE_NOOP("report", "bits"),
        QT_TRANSLATE_NOOP("report", "group"),
        QT_TRANSLATE_NOOP("report", "rank"),
        // metrics of layers and runs
        QT_TRANSLATE_NOOP("report", "output error, %"),
        QT_TRANSLATE_NOOP("report", "weight error, %"),
        QT_TRANSLATE_NOOP("report", "SQNR, dB"),
        QT_TRANSLATE_NOOP("report", "bits per weight"),
        QT_TRANSLATE_NOOP("report", "size, MB"),
        QT_TRANSLATE_NOOP("report", "time, s"),
        QT_TRANSLATE_NOOP("report", "integers moved, %"),
        QT_TRANSLATE_NOOP("report", "perplexity"),
        QT_TRANSLATE_NOOP("report", "perplexity, ± error"),
        QT_TRANSLATE_NOOP("report", "perplexity, ± error of the difference to full precision"),
        QT_TRANSLATE_NOOP("report", "Δnll, nats per token"),
        QT_TRANSLATE_NOOP("report", "Δnll, nats per token, ± paired error"),
        QT_TRANSLATE_NOOP("report", "KL divergence, nats per token"),
        QT_TRANSLATE_NOOP("report", "top-1 agreement, %"),
        // series and lines
        QT_TRANSLATE_NOOP("report", "best for its size"),
        QT_TRANSLATE_NOOP("report", "full precision"),
        // what would fill an empty plot, and why a run is not in it
        QT_TRANSLATE_NOOP("report", "Runs that were measured on a text appear here; select some, "
                                    "or give a run an evaluation text."),
        QT_TRANSLATE_NOOP("report",
                          "Runs with LQER, L²QER or QERA store the singular values of what they "
                          "correct."),
        QT_TRANSLATE_NOOP("report", "Select a run to see its layers."),
        QT_TRANSLATE_NOOP("report", "This run has no results of layers."),
        QT_TRANSLATE_NOOP("report",
                          "Runs of methods that learn, such as LRQ and LR-QAT, show their loss "
                          "here."),
        QT_TRANSLATE_NOOP("report", "no loss of a training"),
        QT_TRANSLATE_NOOP("report", "no loss of block %1"),
        QT_TRANSLATE_NOOP("report", "no singular values of this layer are stored"),
        QT_TRANSLATE_NOOP("report", "run %1 learned full matrices, which have no rank"),
        QT_TRANSLATE_NOOP("report", "they are of different models"),
        QT_TRANSLATE_NOOP("report", "they learned from different texts"),
        QT_TRANSLATE_NOOP("report", "their layers were measured on different calibration texts"),
    };
    return kTexts;
}

QString translated(const std::string& text)
{
    // A number at the end, or the id of a run at the beginning.
    static const QRegularExpression kNamed[] = {
        QRegularExpression(QStringLiteral("^(.* )(\\d+)()$")),
        QRegularExpression(QStringLiteral("^(run )(\\S+)( .*)$"))};
    const QString source = QString::fromStdString(text);
    for (const QRegularExpression& named : kNamed) {
        if (const auto found = named.match(source); found.hasMatch()) {
            const QByteArray pattern =
                (found.captured(1) + QStringLiteral("%1") + found.captured(3)).toUtf8();
            return QCoreApplication::translate(kContext, pattern.constData())
                .arg(found.captured(2));
        }
    }
    return QCoreApplication::translate(kContext, text.c_str());
}

PlotData translated(PlotData plot)
{
    for (std::string* text : {&plot.title, &plot.xLabel, &plot.yLabel, &plot.apart, &plot.empty}) {
        translate(*text);
    }
    for (Series& series : plot.series) {
        translate(series.name);
    }
    for (ReferenceLine& line : plot.references) {
        translate(line.name);
    }
    return plot;
}

Heatmap translated(Heatmap map)
{
    for (std::string* text :
         {&map.title, &map.xLabel, &map.yLabel, &map.valueLabel, &map.apart, &map.empty}) {
        translate(*text);
    }
    return map;
}

ParallelPlot translated(ParallelPlot plot)
{
    for (std::string* text : {&plot.title, &plot.apart, &plot.empty}) {
        translate(*text);
    }
    for (ParallelAxis& axis : plot.axes) {
        translate(axis.label);
    }
    return plot;
}

} // namespace qw::report_text
