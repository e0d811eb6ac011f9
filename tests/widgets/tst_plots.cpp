#include <algorithm>
#include <cmath>
#include <utility>

#include <QClipboard>
#include <QFile>
#include <QGuiApplication>
#include <QImage>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include "base/error.h"
#include "report/run_result.h"
#include "widgets/heatmap_plot.h"
#include "widgets/qcustomplot_include.h"
#include "widgets/series_plot.h"
#include "widgets/theme.h"

using namespace Qt::Literals::StringLiterals;
using qw::HeatmapPlot;
using qw::PlotData;
using qw::Series;
using qw::SeriesPlot;

namespace {
PlotData twoLines()
{
    PlotData data;
    data.xLabel = "rank";
    data.yLabel = "perplexity";
    data.references = {{"full precision", 11}};
    Series a;
    a.name = "first";
    a.method = "lqer";
    a.x = {0, 8, 16};
    a.y = {14, 12.5, 12};
    a.yError = {0.1, 0.1, qw::kMissing};
    a.keys = {"r0", "r8", "r16"};
    Series b = a;
    b.name = "second, \"quoted\"";
    b.method = "l2qer";
    b.y = {13, 12, qw::kMissing};
    b.keys = {"s0", "s8", "s16"};
    data.series = {a, b};
    return data;
}

QCustomPlot& inner(const QWidget& view)
{
    return *view.findChild<QCustomPlot*>();
}

/// Where a point of the plot is drawn.
QPoint pixel(const QWidget& view, double x, double y)
{
    return QPointF(inner(view).xAxis->coordToPixel(x), inner(view).yAxis->coordToPixel(y))
        .toPoint();
}

void show(QWidget& view)
{
    view.resize(480, 320);
    view.show();
    QVERIFY(QTest::qWaitForWindowExposed(&view));
    inner(view).replot();
}
} // namespace

class TstPlots : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void csvHoldsAllNumbers();
    void emptySaysWhatWouldFillIt();
    void showsAllDataAndReferences();
    void moreDataKeepsThePartSeen();
    void clickNamesThePoint();
    void missingPointsAreNotHighlighted();
    void guideIsDraggedAndMovedByKeys();
    void logAxisHasPowers();
    void wholeNumbersHaveWholeTicks();
    void labelsSwitchSeries();
    void keysZoomAndMove();
    void keysChooseBars();
    void keysChoosePoints_data();
    void keysChoosePoints();
    void labelsDoNotCoverEachOther();
    void pointsAreLabelledWhereThereIsRoom();
    void aFrontOfOnePointIsSeen();
    void referenceNamesLeaveTheDataFree();
    void barsAreWhole();
    void savesPictureDocumentAndNumbers();
    void followsThePalette();
    void heatmapKeepsPlaceAndAsksForDetail();
};

void TstPlots::csvHoldsAllNumbers()
{
    SeriesPlot plot;
    plot.setData(twoLines());
    const QStringList lines = plot.csv().split(u'\n', Qt::SkipEmptyParts);
    QCOMPARE(lines.size(), 7);
    QCOMPARE(lines[1], u"\"first\",0,14,0.10000000000000001,"_s);
    QCOMPARE(lines[6], u"\"second, \"\"quoted\"\"\",16,,,"_s);
}

void TstPlots::emptySaysWhatWouldFillIt()
{
    SeriesPlot plot;
    PlotData data;
    data.empty = "Tick runs to draw them";
    plot.setData(data);
    QCOMPARE(plot.emptyText(), u"Tick runs to draw them"_s);
    plot.setData(twoLines());
    QCOMPARE(plot.emptyText(), QString());
}

void TstPlots::showsAllDataAndReferences()
{
    SeriesPlot plot;
    plot.setData(twoLines());
    const QCPRange y = inner(plot).yAxis->range();
    QVERIFY(y.lower < 11 && y.upper > 14.1); // the reference and the top of an error bar
    inner(plot).yAxis->setRange(100, 200);
    QTest::keyClick(&plot, Qt::Key_0);
    QCOMPARE(inner(plot).yAxis->range(), y);
}

void TstPlots::moreDataKeepsThePartSeen()
{
    SeriesPlot plot;
    PlotData data = twoLines();
    plot.setData(data);
    const QCPRange all = inner(plot).xAxis->range();
    data.series.front().x.back() = 40;
    plot.updateData(data);
    QVERIFY(inner(plot).xAxis->range() != all); // nobody had chosen a part
    QTest::keyClick(&plot, Qt::Key_Plus);
    const QCPRange x = inner(plot).xAxis->range();
    const QCPRange y = inner(plot).yAxis->range();
    data.series.front().x.back() = 80;
    plot.updateData(data);
    QCOMPARE(inner(plot).xAxis->range().lower, x.lower);
    QCOMPARE(inner(plot).xAxis->range().upper, x.upper);
    QCOMPARE(inner(plot).yAxis->range().lower, y.lower);
    QCOMPARE(inner(plot).yAxis->range().upper, y.upper);
    QTest::keyClick(&plot, Qt::Key_0);
    QVERIFY(inner(plot).xAxis->range().contains(80));
    QTest::keyClick(&plot, Qt::Key_Plus);
    data.yLabel = "something else";
    plot.updateData(data);
    QVERIFY(inner(plot).xAxis->range().contains(80)); // another plot
}

void TstPlots::clickNamesThePoint()
{
    SeriesPlot plot;
    plot.setData(twoLines());
    show(plot);
    QSignalSpy clicked(&plot, &SeriesPlot::pointClicked);
    QTest::mouseClick(&inner(plot), Qt::LeftButton, {}, pixel(plot, 8, 12.5));
    QCOMPARE(clicked.size(), 1);
    QCOMPARE(clicked.first().first().toString(), u"r8"_s);
    QTest::mouseClick(&inner(plot), Qt::LeftButton, {}, pixel(plot, 12, 13.8)); // nothing there
    QCOMPARE(clicked.size(), 1);
}

void TstPlots::missingPointsAreNotHighlighted()
{
    QTest::failOnWarning(QRegularExpression(u"NaN"_s)); // what drawing a ring nowhere says
    SeriesPlot plot;
    plot.setData(twoLines());
    plot.setHighlighted({"s16"});
    show(plot);
    plot.grab();
    QCOMPARE(inner(plot).findChildren<QCPItemTracer*>().size(), 0);
    plot.setHighlighted({"s8"});
    QCOMPARE(inner(plot).findChildren<QCPItemTracer*>().size(), 1);
}

void TstPlots::guideIsDraggedAndMovedByKeys()
{
    SeriesPlot plot;
    plot.setData(twoLines());
    show(plot);
    plot.setGuide(8, 16);
    inner(plot).replot();
    QSignalSpy moved(&plot, &SeriesPlot::guideMoved);
    QTest::mousePress(&inner(plot), Qt::LeftButton, {}, pixel(plot, 8, 13));
    QTest::mouseMove(&inner(plot), pixel(plot, 12, 13));
    QTest::mouseRelease(&inner(plot), Qt::LeftButton, {}, pixel(plot, 12, 13));
    QCOMPARE(plot.guide(), std::optional<std::int64_t>(12));
    QTest::keyClick(&plot, Qt::Key_Right);
    QCOMPARE(plot.guide(), std::optional<std::int64_t>(13));
    QTest::keyClick(&plot, Qt::Key_Right, Qt::ShiftModifier); // 8 steps, held at the end
    QCOMPARE(plot.guide(), std::optional<std::int64_t>(16));
    QCOMPARE(moved.last().first().toLongLong(), 16);
    plot.hideGuide();
    QVERIFY(!plot.guide());
}

void TstPlots::logAxisHasPowers()
{
    SeriesPlot plot;
    PlotData data = twoLines();
    data.logY = true;
    plot.setData(data);
    QCOMPARE(inner(plot).yAxis->scaleType(), QCPAxis::stLogarithmic);
    QVERIFY(inner(plot).yAxis->range().lower > 0);
    QSignalSpy changed(&plot, &SeriesPlot::logAxesChanged);
    plot.setLogAxes(false, false);
    QCOMPARE(inner(plot).yAxis->scaleType(), QCPAxis::stLinear);
    QCOMPARE(changed.size(), 1);
    plot.setData(data); // the next layer's: the user's choice stays
    QCOMPARE(inner(plot).yAxis->scaleType(), QCPAxis::stLinear);
}

void TstPlots::wholeNumbersHaveWholeTicks()
{
    SeriesPlot plot;
    PlotData data = twoLines();
    for (Series& series : data.series) {
        series.x = {1, 2, 3};
    }
    const auto ticks = [&](double lower, double upper) {
        inner(plot).xAxis->setRange(lower, upper);
        inner(plot).replot();
        return inner(plot).xAxis->tickVector();
    };
    plot.setData(data);
    show(plot);
    for (const auto& [lower, upper] :
         {std::pair(0.9, 3.1), std::pair(0., 16.), std::pair(0., 2000.)}) {
        for (const double tick : ticks(lower, upper)) {
            QCOMPARE(tick, std::floor(tick));
        }
        QCOMPARE_GT(inner(plot).xAxis->tickVector().size(), 2);
    }
    data.series[0].x[1] = 1.5; // of weights there are some between
    plot.setData(data);
    const QVector<double> between = ticks(0.9, 3.1);
    QVERIFY(std::any_of(between.begin(), between.end(),
                        [](double tick) { return tick != std::floor(tick); }));
}

void TstPlots::labelsSwitchSeries()
{
    SeriesPlot plot;
    plot.setData(twoLines());
    show(plot);
    QList<QPoint> labels; // in the order of drawing: references come later
    for (int i = 0; i < inner(plot).itemCount() && labels.size() < 2; ++i) {
        if (auto* label = qobject_cast<QCPItemText*>(inner(plot).item(i))) {
            labels << QRectF(label->topLeft->pixelPosition(), label->bottomRight->pixelPosition())
                          .center()
                          .toPoint();
        }
    }
    QTest::mouseClick(&inner(plot), Qt::LeftButton, {}, labels[1]);
    QVERIFY(inner(plot).graph(0)->visible());
    QVERIFY(!inner(plot).graph(1)->visible());
    plot.setData(twoLines()); // newer numbers: it stays off
    QVERIFY(!inner(plot).graph(1)->visible());
    inner(plot).replot();
    QTest::mouseClick(&inner(plot), Qt::LeftButton, {}, labels[1]);
    QVERIFY(inner(plot).graph(1)->visible());
}

void TstPlots::keysZoomAndMove()
{
    SeriesPlot plot;
    PlotData data = twoLines();
    for (Series& series : data.series) {
        series.keys.clear(); // nothing to choose: arrows move
    }
    plot.setData(data);
    show(plot);
    const QCPRange all = inner(plot).xAxis->range();
    QTest::keyClick(&plot, Qt::Key_Plus);
    const QCPRange near = inner(plot).xAxis->range();
    QVERIFY(near.size() < all.size());
    QTest::keyClick(&plot, Qt::Key_Right);
    QVERIFY(inner(plot).xAxis->range().lower > near.lower);
    QCOMPARE(inner(plot).xAxis->range().size(), near.size());
    const QCPRange y = inner(plot).yAxis->range();
    QTest::keyClick(&plot, Qt::Key_Up);
    QVERIFY(inner(plot).yAxis->range().lower > y.lower);
    plot.setFocus();
    const QImage focused = plot.grab().toImage();
    QCOMPARE(focused.pixelColor(0, 0), plot.palette().color(QPalette::Highlight));
    plot.clearFocus();
    QCOMPARE(plot.grab().toImage().pixelColor(0, 0), plot.palette().color(QPalette::Base));
}

void TstPlots::keysChooseBars()
{
    SeriesPlot plot;
    Series bars;
    bars.draw = Series::Draw::Bars;
    bars.x = {0, 1, 2, 3};
    bars.y = {1, qw::kMissing, 3, 2};
    bars.keys = {"l0", "l1", "l2", "l3"};
    bars.labels = {"layer 0", "layer 1", "layer 2", "layer 3"};
    PlotData data;
    data.series = {bars};
    plot.setData(data);
    plot.setHighlighted({"l2"}); // is framed
    show(plot);
    plot.setFocus();
    QTRY_VERIFY(plot.hasFocus());
    QSignalSpy clicked(&plot, &SeriesPlot::pointClicked);
    QTest::keyClick(&plot, Qt::Key_Return); // nothing is chosen yet
    QCOMPARE(clicked.size(), 0);
    const auto marks = [&] { return inner(plot).findChildren<QCPItemTracer*>().size(); };
    QCOMPARE(marks(), 0);
    QTest::keyClick(&plot, Qt::Key_Right);
    QCOMPARE(plot.accessibleDescription(), u"layer 2\n2\n3"_s); // begins at the one highlighted
    QCOMPARE(marks(), 1);
    QTest::keyClick(&plot, Qt::Key_Left); // over the gap
    QVERIFY(plot.accessibleDescription().startsWith(u"layer 0"_s));
    QTest::keyClick(&plot, Qt::Key_Left); // there is no other
    QTest::keyClick(&plot, Qt::Key_Return);
    QCOMPARE(clicked.last().first().toString(), u"l0"_s);
    plot.setHighlighted({"l0"}); // what a click leads to
    plot.setData(data);
    QTest::keyClick(&plot, Qt::Key_Right);
    QTest::keyClick(&plot, Qt::Key_Right);
    QTest::keyClick(&plot, Qt::Key_Return);
    QCOMPARE(clicked.last().first().toString(), u"l3"_s);
    const QCPRange before = inner(plot).xAxis->range();
    QTest::keyClick(&plot, Qt::Key_Right, Qt::ControlModifier); // moves the part seen
    QVERIFY(inner(plot).xAxis->range().lower > before.lower);
    for (int i = 0; i < 20; ++i) {
        QTest::keyClick(&plot, Qt::Key_Right, Qt::ControlModifier);
    }
    QTest::keyClick(&plot, Qt::Key_Left); // brings the next one into sight
    QVERIFY(inner(plot).xAxis->range().contains(2));
    plot.clearFocus();
    QCOMPARE(marks(), 0);
    QCOMPARE(plot.accessibleDescription(), QString());
}

void TstPlots::keysChoosePoints_data()
{
    QTest::addColumn<bool>("scattered");
    QTest::addColumn<QList<int>>("arrows");
    QTest::addColumn<QString>("chosen");
    const QList<int> start = {Qt::Key_Right};
    const QList<int> on = {Qt::Key_Right, Qt::Key_Right};
    QTest::newRow("line, leftmost") << false << start << u"r0"_s;
    QTest::newRow("along the line") << false << on << u"r8"_s;
    QTest::newRow("next line") << false << on + QList<int>{Qt::Key_Down} << u"s8"_s;
    QTest::newRow("and back") << false << on + QList<int>{Qt::Key_Down, Qt::Key_Up} << u"r8"_s;
    QTest::newRow("nearest of the next line") // which has no third
        << false << on + QList<int>{Qt::Key_Right, Qt::Key_Down} << u"s8"_s;
    QTest::newRow("points, leftmost") << true << start << u"r0"_s;
    QTest::newRow("points by x") << true << on << u"s0"_s; // of whatever series
    QTest::newRow("nothing above") << true << QList<int>{Qt::Key_Right, Qt::Key_Up} << u"r0"_s;
    QTest::newRow("points downwards") << true << QList<int>{Qt::Key_Right, Qt::Key_Down} << u"s0"_s;
}

void TstPlots::keysChoosePoints()
{
    QFETCH(bool, scattered);
    QFETCH(QList<int>, arrows);
    QFETCH(QString, chosen);
    PlotData data = twoLines();
    for (Series& series : data.series) {
        series.draw = scattered ? Series::Draw::Points : Series::Draw::LineAndPoints;
    }
    SeriesPlot plot;
    plot.setData(data);
    show(plot);
    QSignalSpy clicked(&plot, &SeriesPlot::pointClicked);
    for (const int arrow : std::as_const(arrows)) {
        QTest::keyClick(&plot, static_cast<Qt::Key>(arrow));
    }
    QTest::keyClick(&plot, Qt::Key_Return);
    QCOMPARE(clicked.size(), 1);
    QCOMPARE(clicked.first().first().toString(), chosen);
}

void TstPlots::labelsDoNotCoverEachOther()
{
    SeriesPlot plot;
    PlotData data = twoLines();
    data.references.clear();
    data.series[1].y = data.series[0].y; // ends in the same place
    plot.setData(data);
    show(plot);
    QList<QRectF> boxes;
    for (int i = 0; i < inner(plot).itemCount(); ++i) {
        if (auto* label = qobject_cast<QCPItemText*>(inner(plot).item(i))) {
            boxes << QRectF(label->topLeft->pixelPosition(), label->bottomRight->pixelPosition());
        }
    }
    QCOMPARE(boxes.size(), 2);
    QVERIFY(!boxes[0].adjusted(0, 1, 0, -1).intersects(boxes[1].adjusted(0, 1, 0, -1)));
    QVERIFY(boxes[0].right() <= inner(plot).width());
}

void TstPlots::pointsAreLabelledWhereThereIsRoom()
{
    PlotData data;
    data.labelPoints = true;
    Series points;
    points.draw = Series::Draw::Points;
    points.x = {1, 2, 2, 3};
    points.y = {1, 2, 2, 3}; // two at one place
    points.labels = {"first run", "second run", "run below it", "third run"};
    points.keys = {"a", "b", "c", "d"};
    data.series = {points};
    SeriesPlot plot;
    plot.setData(data);
    show(plot);
    const auto written = [&] {
        QStringList texts;
        for (int i = 0; i < inner(plot).itemCount(); ++i) {
            if (const auto* text = qobject_cast<QCPItemText*>(inner(plot).item(i))) {
                texts << text->text();
            }
        }
        texts.sort();
        return texts;
    };
    QCOMPARE(written(),
             (QStringList{u"first run"_s, u"run below it"_s, u"second run"_s, u"third run"_s}));
    inner(plot).xAxis->setRange(2.5, 3.5);
    inner(plot).replot(); // what went out of sight takes its name along
    QCOMPARE(written(), QStringList{u"third run"_s});
    data.labelPoints = false;
    plot.setData(data);
    inner(plot).replot();
    QCOMPARE(written(), QStringList());
}

void TstPlots::aFrontOfOnePointIsSeen()
{
    PlotData data;
    Series points;
    points.name = "RTN";
    points.draw = Series::Draw::Points;
    points.x = {1, 2};
    points.y = {10, 12};
    Series front;
    front.name = "best for its size";
    front.draw = Series::Draw::Steps;
    front.x = {1};
    front.y = {10};
    data.series = {points, front};
    SeriesPlot plot;
    plot.setData(data);
    show(plot);
    QCOMPARE(inner(plot).graph(1)->scatterStyle().shape(), QCPScatterStyle::ssCircle);
    QCPItemLine* tail = nullptr;
    for (int i = 0; i < inner(plot).itemCount(); ++i) {
        tail = tail != nullptr ? tail : qobject_cast<QCPItemLine*>(inner(plot).item(i));
    }
    QVERIFY(tail != nullptr);
    QCOMPARE(tail->start->pixelPosition().toPoint(), pixel(plot, 1, 10));
    QCOMPARE(tail->end->pixelPosition().toPoint().x(), inner(plot).axisRect()->right() + 1);
    auto* entry = inner(plot).legend->itemWithPlottable(inner(plot).graph(1));
    QVERIFY(entry != nullptr);
    Q_EMIT inner(plot).legendClick(inner(plot).legend, entry, nullptr);
    QVERIFY(!tail->visible());
}

void TstPlots::referenceNamesLeaveTheDataFree()
{
    SeriesPlot plot;
    plot.setData(twoLines()); // above the reference, the first of them at the left edge
    show(plot);
    QCPItemText* name = nullptr;
    for (int i = 0; i < inner(plot).itemCount(); ++i) {
        auto* text = qobject_cast<QCPItemText*>(inner(plot).item(i));
        name = text != nullptr && text->text() == u"full precision"_s ? text : name;
    }
    QVERIFY(name != nullptr);
    const QRect area = inner(plot).axisRect()->rect();
    QCOMPARE_GT(name->topLeft->pixelPosition().x(), area.center().x());
    inner(plot).yAxis->setRange(8, 15);
    inner(plot).replot();
    QCOMPARE_GE(name->topLeft->pixelPosition().y(), pixel(plot, 16, 11).y() - 1); // below it
    inner(plot).yAxis->setRange(11, 15);                                          // no room there
    inner(plot).replot();
    QCOMPARE_LE(name->bottomRight->pixelPosition().y(), area.bottom() + 1);
}

void TstPlots::barsAreWhole()
{
    SeriesPlot plot;
    PlotData data = twoLines();
    data.series.resize(1);
    data.series[0].draw = Series::Draw::Bars; // at 0, 8, 16
    plot.setData(data);
    const double half = qobject_cast<QCPBars*>(inner(plot).plottable(0))->width() / 2;
    QVERIFY(inner(plot).xAxis->range().lower < -half);
    QVERIFY(inner(plot).xAxis->range().upper > 16 + half);
}

void TstPlots::savesPictureDocumentAndNumbers()
{
    QTemporaryDir folder;
    SeriesPlot plot;
    plot.setData(twoLines());
    show(plot);
    const QString png = folder.filePath(u"p.png"_s);
    plot.saveAs(png);
    QCOMPARE(QImage(png).size(), inner(plot).size() * 2);
    const QString pdf = folder.filePath(u"p.pdf"_s);
    plot.saveAs(pdf);
    QFile document(pdf);
    QVERIFY(document.open(QIODevice::ReadOnly));
    QVERIFY(document.read(5) == "%PDF-");
    const QString csv = folder.filePath(u"p.csv"_s);
    plot.saveAs(csv);
    QFile numbers(csv);
    QVERIFY(numbers.open(QIODevice::ReadOnly));
    QCOMPARE(QString::fromUtf8(numbers.readAll()), plot.csv());
    QVERIFY_THROWS_EXCEPTION(qw::Error, plot.saveAs(folder.filePath(u"no/such/p.csv"_s)));
}

void TstPlots::followsThePalette()
{
    SeriesPlot plot;
    plot.setData(twoLines());
    plot.setPalette(qw::theme::darkPalette());
    QCOMPARE(inner(plot).xAxis->tickLabelColor(), qw::theme::darkPalette().color(QPalette::Text));
    plot.setPalette(qw::theme::lightPalette());
    QCOMPARE(inner(plot).xAxis->tickLabelColor(), qw::theme::lightPalette().color(QPalette::Text));
}

void TstPlots::heatmapKeepsPlaceAndAsksForDetail()
{
    HeatmapPlot plot;
    qw::Heatmap map;
    map.rows = 2;
    map.cols = 2;
    map.values = {1, -2, 3, 4};
    map.diverging = true;
    map.valueLabel = "weight";
    plot.setData(map, QRectF(0, 0, 20, 10), QSizeF(20, 10));
    show(plot);
    QVERIFY(plot.csv().contains(u"5,10,4"_s)); // row 5, column 10 begins the last cell
    QSignalSpy wanted(&plot, &HeatmapPlot::areaWanted);
    QTest::qWait(250);
    QCOMPARE(wanted.size(), 0); // nothing was zoomed
    inner(plot).xAxis->setRange(4, 8);
    inner(plot).yAxis->setRange(2, 5);
    QTRY_COMPARE(wanted.size(), 1);
    QCOMPARE(wanted.first().first().toRectF(), QRectF(4, 2, 4, 3));
    // Detail arrives: the view stays where it is.
    plot.setData(map, QRectF(4, 2, 4, 3), QSizeF(20, 10));
    QCOMPARE(inner(plot).xAxis->range(), QCPRange(4, 8));
    plot.showAll();
    QTRY_COMPARE(wanted.size(), 2);
    QCOMPARE(wanted.last().first().toRectF(), QRectF(0, 0, 20, 10));
}

QTEST_MAIN(TstPlots)
#include "tst_plots.moc"
