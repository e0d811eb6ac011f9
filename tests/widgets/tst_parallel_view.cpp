#include <cmath>

#include <QLabel>
#include <QSignalSpy>
#include <QTest>

#include "report/run_result.h"
#include "widgets/parallel_view.h"
#include "widgets/qcustomplot_include.h"

using namespace Qt::Literals::StringLiterals;
using qw::ParallelView;

namespace {
qw::ParallelPlot twoRuns()
{
    qw::ParallelPlot plot;
    plot.axes = {{"method", 0, 1, false, {{0, "RTN"}, {1, "L²QER"}}},
                 {"rank", 0, 32, false, {}},
                 {"KL divergence, nats per token", 0.01, 1, true, {}}};
    plot.lines = {{"first", "rtn", "run1", {0, 0, 1}}, {"second", "l2qer", "run2", {1, 32, 0.1}}};
    return plot;
}
} // namespace

class TstParallelView : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void valuesHavePlaces();
    void linesFollowTheScales();
    void aClickNamesTheRun();
    void highlightedLinesComeLastAndThicker();
    void missingValuesLeaveAGap();
    void csvHasNamesAndNumbers();
    void emptySaysWhy();
};

void TstParallelView::valuesHavePlaces()
{
    const qw::ParallelPlot plot = twoRuns();
    QCOMPARE(qw::placeOnAxis(plot.axes[1], 8), 0.25);
    QCOMPARE(qw::placeOnAxis(plot.axes[2], 0.1), 0.5);
    QVERIFY(std::isnan(qw::placeOnAxis(plot.axes[2], 0)));
    QVERIFY(std::isnan(qw::placeOnAxis(plot.axes[1], qw::kMissing)));
    QCOMPARE(qw::placeOnAxis({"same", 3, 3, false, {}}, 3), 0.5);
}

void TstParallelView::linesFollowTheScales()
{
    ParallelView view;
    view.setData(twoRuns());
    auto* plot = view.findChild<QCustomPlot*>();
    QCOMPARE(plot->graphCount(), 2);
    QCOMPARE(plot->graph(1)->data()->at(2)->value, 0.5);
    QCOMPARE(plot->graph(0)->data()->at(2)->value, 1.0);
    QCOMPARE(plot->graph(0)->data()->at(1)->value, 0.0);
}

void TstParallelView::aClickNamesTheRun()
{
    ParallelView view;
    view.resize(500, 300);
    view.setData(twoRuns());
    view.show();
    QVERIFY(QTest::qWaitForWindowExposed(&view));
    auto* plot = view.findChild<QCustomPlot*>();
    plot->replot();
    QSignalSpy clicked(&view, &ParallelView::lineClicked);
    const QPoint between(int(plot->xAxis->coordToPixel(0.5)), int(plot->yAxis->coordToPixel(1)));
    QTest::mouseClick(plot, Qt::LeftButton, {}, between);
    QCOMPARE(clicked.size(), 1);
    QCOMPARE(clicked.first().first().toString(), u"run2"_s);
    QTest::mouseClick(plot, Qt::LeftButton, {}, between + QPoint(0, 60));
    QCOMPARE(clicked.size(), 1); // nothing there
}

void TstParallelView::highlightedLinesComeLastAndThicker()
{
    ParallelView view;
    view.setData(twoRuns());
    view.setHighlighted({"run1"});
    auto* plot = view.findChild<QCustomPlot*>();
    QCOMPARE(plot->graphCount(), 2);
    QCOMPARE(plot->graph(1)->data()->at(2)->value, 1.0); // run1
    QVERIFY(plot->graph(1)->pen().widthF() > plot->graph(0)->pen().widthF());
}

void TstParallelView::missingValuesLeaveAGap()
{
    qw::ParallelPlot data = twoRuns();
    data.lines[0].values[1] = qw::kMissing;
    ParallelView view;
    view.setData(data);
    QVERIFY(std::isnan(view.findChild<QCustomPlot*>()->graph(0)->data()->at(1)->value));
}

void TstParallelView::csvHasNamesAndNumbers()
{
    ParallelView view;
    view.setData(twoRuns());
    const QStringList lines = view.csv().split(u'\n');
    QCOMPARE(lines[0], u"run,\"method\",\"rank\",\"KL divergence, nats per token\""_s);
    QCOMPARE(lines[1], u"\"first\",\"RTN\",0,1"_s);
}

void TstParallelView::emptySaysWhy()
{
    ParallelView view;
    qw::ParallelPlot none;
    none.empty = "nothing yet";
    view.setData(none);
    QCOMPARE(view.emptyText(), u"nothing yet"_s);
    view.setData(twoRuns());
    QCOMPARE(view.emptyText(), QString());
}

QTEST_MAIN(TstParallelView)
#include "tst_parallel_view.moc"
