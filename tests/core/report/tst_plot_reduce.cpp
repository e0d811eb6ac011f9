#include "base/error.h"
#include "report/plot_reduce.h"

#include <QtTest>

using namespace qw;

class TestPlotReduce : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void thinningKeepsExtremesAndEnds();
    void thinningKeepsGaps();
    void shortSeriesStay();
    void heatmapKeepsExtremes();
    void histogram_data();
    void histogram();
    void wrongArguments();
};

void TestPlotReduce::thinningKeepsExtremesAndEnds()
{
    Series series;
    for (int i = 0; i < 10000; ++i) {
        series.x.push_back(i);
        series.y.push_back(std::sin(i * 0.01));
        series.keys.push_back(std::to_string(i));
    }
    series.y[4321] = 50;
    series.y[4322] = -70;
    const Series thin = thinned(series, 400);
    QVERIFY(thin.x.size() <= 400 && thin.x.size() > 200);
    QCOMPARE(thin.keys.size(), thin.x.size());
    QCOMPARE(thin.x.front(), 0.0);
    QCOMPARE(thin.x.back(), 9999.0);
    QVERIFY(std::is_sorted(thin.x.begin(), thin.x.end()));
    bool peak = false;
    bool valley = false;
    for (std::size_t i = 0; i < thin.x.size(); ++i) {
        QCOMPARE(thin.y[i], series.y[static_cast<std::size_t>(thin.x[i])]);
        QCOMPARE(thin.keys[i], std::to_string(static_cast<int>(thin.x[i])));
        peak = peak || thin.y[i] == 50;
        valley = valley || thin.y[i] == -70;
    }
    QVERIFY(peak && valley);
}

void TestPlotReduce::thinningKeepsGaps()
{
    Series series;
    for (int i = 0; i < 1000; ++i) {
        series.x.push_back(i);
        series.y.push_back(i >= 480 && i < 520 ? qQNaN() : i);
    }
    const Series thin = thinned(series, 40);
    QVERIFY(std::any_of(thin.y.begin(), thin.y.end(), [](double y) { return std::isnan(y); }));
}

void TestPlotReduce::shortSeriesStay()
{
    Series series;
    series.x = {1, 2, 3, 4};
    series.y = {1, 2, 3, 4};
    QVERIFY(thinned(series, 4) == series);
}

void TestPlotReduce::heatmapKeepsExtremes()
{
    Heatmap map;
    map.rows = 5;
    map.cols = 6;
    map.values.assign(30, 0.25);
    map.values[1] = 1;      // first cell
    map.values[2 * 6] = -3; // row 2 of 5 falls in the first of two
    map.values[29] = qQNaN();
    map.rowNames = {"a", "b", "c", "d", "e"};
    const Heatmap thin = thinned(map, 2, 2);
    QCOMPARE(thin.rows, 2);
    QCOMPARE(thin.cols, 2);
    QVERIFY(thin.values == std::vector<double>({-3, 0.25, 0.25, 0.25}));
    QVERIFY(thin.rowNames.empty());
    QCOMPARE(thinned(map, 5, 6).rowNames.size(), 5U);
}

void TestPlotReduce::histogram_data()
{
    QTest::addColumn<QVector<float>>("values");
    QTest::addColumn<int>("bins");
    QTest::addColumn<QVector<double>>("edges");
    QTest::addColumn<QVector<qint64>>("counts");
    const float nan = std::numeric_limits<float>::quiet_NaN();
    QTest::newRow("upper edge is inside")
        << QVector<float>{0, 1, 1.5F, 2, 4, 4} << 4 << QVector<double>{0, 1, 2, 3, 4}
        << QVector<qint64>{1, 2, 1, 2};
    QTest::newRow("equal values") << QVector<float>{2, 2} << 10 << QVector<double>{1, 3}
                                  << QVector<qint64>{2};
    QTest::newRow("zeros") << QVector<float>{0} << 3 << QVector<double>{-0.5, 0.5}
                           << QVector<qint64>{1};
    QTest::newRow("nothing finite")
        << QVector<float>{nan} << 3 << QVector<double>{} << QVector<qint64>{};
    QTest::newRow("one NaN") << QVector<float>{-1, nan, 1} << 2 << QVector<double>{-1, 0, 1}
                             << QVector<qint64>{1, 1};
}

void TestPlotReduce::histogram()
{
    QFETCH(QVector<float>, values);
    QFETCH(int, bins);
    QFETCH(QVector<double>, edges);
    QFETCH(QVector<qint64>, counts);
    const Histogram made = qw::histogram({values.constData(), std::size_t(values.size())}, bins);
    QCOMPARE(QVector<double>(made.edges.begin(), made.edges.end()), edges);
    QCOMPARE(QVector<qint64>(made.counts.begin(), made.counts.end()), counts);
    const auto total = std::accumulate(made.counts.begin(), made.counts.end(), made.nonFinite);
    QCOMPARE(total, qint64(values.size()));
}

void TestPlotReduce::wrongArguments()
{
    QVERIFY_EXCEPTION_THROWN(thinned(Series{}, 3), Error);
    QVERIFY_EXCEPTION_THROWN(thinned(Heatmap{}, 0, 3), Error);
    QVERIFY_EXCEPTION_THROWN(qw::histogram({}, 0), Error);
}

QTEST_GUILESS_MAIN(TestPlotReduce)
#include "tst_plot_reduce.moc"
