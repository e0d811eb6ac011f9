#include <set>

#include <QCoreApplication>
#include <QTest>
#include <QTranslator>

#include "report/layer_plots.h"
#include "report/loss_plots.h"
#include "report/run_plots.h"
#include "support/base_results.h"
#include "widgets/qcustomplot_include.h"
#include "widgets/report_text.h"
#include "widgets/series_plot.h"

using namespace qw;

namespace {
/// A language of its own: "rank" is "<rank>". Knows only what translators would be given.
class Marked : public QTranslator
{
public:
    Marked()
    {
        for (const char* text : report_text::texts()) {
            m_known.insert(text);
        }
    }
    bool isEmpty() const override { return false; }
    QString translate(const char* context, const char* text, const char*, int) const override
    {
        return qstrcmp(context, "report") == 0 && m_known.count(text) > 0
                   ? u'<' + QString::fromUtf8(text) + u'>'
                   : QString();
    }

private:
    std::set<std::string> m_known;
};

/// Runs of two ranks that learned, with layers in blocks, spectra and moved integers.
std::vector<RunResult> someRuns()
{
    std::vector<RunResult> runs = {test::sampleResult("a"), test::sampleResult("b")};
    runs[1].spec.lowRank.rank = 16;
    runs[1].spec.weight.bits = 4;
    runs[1].score.perplexity = 11;
    runs[1].bytes = 20000;
    for (RunResult& run : runs) {
        run.layers[1] = run.layers[0];
        run.layers[1].name = "a.k_proj";
    }
    return runs;
}

template <class Plot>
QStringList wordsOf(const PlotSet<Plot>& set)
{
    QStringList words;
    for (const Plot& plot : set.plots) {
        const Plot shown = report_text::translated(plot);
        if constexpr (std::is_same_v<Plot, ParallelPlot>) {
            for (const ParallelAxis& axis : shown.axes) {
                words << QString::fromStdString(axis.label);
            }
        } else {
            words << QString::fromStdString(shown.xLabel) << QString::fromStdString(shown.yLabel);
            for (const ReferenceLine& line : shown.references) {
                words << QString::fromStdString(line.name);
            }
        }
        words << QString::fromStdString(shown.empty);
    }
    return words;
}
} // namespace

class TstReportText : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void init() { QVERIFY(QCoreApplication::installTranslator(&m_language)); }
    void cleanup() { QCoreApplication::removeTranslator(&m_language); }
    void everyPlotIsTranslated();
    void numbersAndNamesStay();
    void plotsDrawIt();

private:
    Marked m_language;
};

void TstReportText::everyPlotIsTranslated()
{
    QStringList words;
    for (const std::vector<RunResult>& runs : {someRuns(), std::vector<RunResult>()}) {
        for (const Quality quality :
             {Quality::Perplexity, Quality::DeltaNll, Quality::Kl, Quality::Top1}) {
            words << wordsOf(rankPlot(runs, quality));
            for (const SizeAxis size : {SizeAxis::Megabytes, SizeAxis::BitsPerWeight}) {
                words << wordsOf(paretoPlot(runs, quality, size));
            }
            words << report_text::translated(qualityLabel(quality));
        }
        for (const LayerMetric metric : kLayerMetrics) {
            words << wordsOf(layerPlot(runs, metric));
        }
        for (const Prediction prediction :
             {Prediction::Energy, Prediction::OutputError, Prediction::BitsPerWeight}) {
            words << wordsOf(predictionPlot(runs, "a.q_proj", prediction));
        }
        words << wordsOf(spectraPlot(runs, "a.q_proj")) << wordsOf(parallelPlot(runs))
              << wordsOf(lossPlot(runs, 3)) << wordsOf(lossPlot(runs, kWholeModel));
    }
    words << wordsOf(PlotSet<PlotData>{{blocksPlot(someRuns()[0])}, {}});
    words.removeDuplicates();
    words.removeAll(QString());
    QCOMPARE_GT(words.size(), 20);
    for (const QString& word : words) {
        QVERIFY2(word.startsWith(u'<'), qPrintable(word));
    }
}

void TstReportText::numbersAndNamesStay()
{
    QCOMPARE(report_text::translated("block 12"), QStringLiteral("<block 12>"));
    QCOMPARE(report_text::translated("run 7qx2 learned full matrices, which have no rank"),
             QStringLiteral("<run 7qx2 learned full matrices, which have no rank>"));
    QCOMPARE(report_text::translated("LQER W4 g64 r16"), QStringLiteral("LQER W4 g64 r16"));
    QCOMPARE(report_text::translated("LSQ 300"), QStringLiteral("LSQ 300"));
    QCOMPARE(report_text::translated(""), QString());
}

void TstReportText::plotsDrawIt()
{
    SeriesPlot plot;
    plot.setData(rankPlot(someRuns(), Quality::Kl).plots.front());
    QCOMPARE(plot.findChild<QCustomPlot*>()->xAxis->label(),
             QStringLiteral("<rank of the correction>"));
}

QTEST_MAIN(TstReportText)
#include "tst_report_text.moc"
