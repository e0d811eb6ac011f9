#include "base/error.h"
#include "report/run_plots.h"
#include "support/base_results.h"

#include <cmath>

#include <QtTest>

using namespace qw;
using test::sampleResult;

namespace {
RunResult made(const std::string& id, const std::string& method, std::int64_t rank,
               double perplexity, std::int64_t bytes = 1000000)
{
    RunResult run = sampleResult(id);
    run.spec.method = method;
    run.spec.lowRank.rank = rank;
    run.rank = rank;
    run.score.perplexity = perplexity;
    run.bytes = bytes;
    return run;
}

const Series* seriesNamed(const PlotData& plot, const std::string& name)
{
    for (const Series& series : plot.series) {
        if (series.name == name) {
            return &series;
        }
    }
    return nullptr;
}
} // namespace

class TestRunPlots : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void paretoFront_data();
    void paretoFront();
    void paretoMarksTheFront();
    void moreAgreementIsBetter();
    void rankCurves();
    void learnedRanks();
    void ranksBeingTyped();
    void curvesWithOneNameAreToldApart();
    void wideRangesAreLogarithmic();
    void incomparableRunsNeverShareAxes();
    void unmeasuredRunsAreLeftOut();
    void nothingToShowSaysWhatFillsIt();
    void errorsOfQualities();
    void parallelDropsEqualAxes();
};

void TestRunPlots::paretoFront_data()
{
    using List = QVector<double>;
    QTest::addColumn<List>("x");
    QTest::addColumn<List>("y");
    QTest::addColumn<QVector<int>>("front");
    const double nan = qQNaN();
    QTest::newRow("nothing") << List{} << List{} << QVector<int>{};
    QTest::newRow("one") << List{1} << List{1} << QVector<int>{0};
    QTest::newRow("dominated point") << List{1, 2, 3} << List{5, 6, 4} << QVector<int>{0, 2};
    QTest::newRow("order of input does not matter")
        << List{3, 2, 1} << List{4, 6, 5} << QVector<int>{2, 0};
    QTest::newRow("same size, worse quality") << List{1, 1} << List{5, 4} << QVector<int>{1};
    QTest::newRow("larger, same quality") << List{1, 2} << List{5, 5} << QVector<int>{0};
    QTest::newRow("equal points are both there") << List{1, 1} << List{5, 5} << QVector<int>{0, 1};
    QTest::newRow("missing numbers") << List{nan, 1, 2} << List{1, nan, 7} << QVector<int>{2};
}

void TestRunPlots::paretoFront()
{
    QFETCH(QVector<double>, x);
    QFETCH(QVector<double>, y);
    QFETCH(QVector<int>, front);
    const auto found = qw::paretoFront({x.begin(), x.end()}, {y.begin(), y.end()});
    QCOMPARE(QVector<int>(found.begin(), found.end()), front);
}

void TestRunPlots::paretoMarksTheFront()
{
    const auto set =
        paretoPlot({made("a", "rtn", 0, 14, 1000000), made("b", "lqer", 8, 13, 2000000),
                    made("c", "rtn", 0, 15, 3000000), made("d", "lqer", 16, 12, 4000000)},
                   Quality::Perplexity, SizeAxis::Megabytes);
    QCOMPARE(set.plots.size(), 1U);
    const PlotData& plot = set.plots.front();
    QCOMPARE(plot.series.size(), 3U);
    QVERIFY(seriesNamed(plot, "RTN")->keys == std::vector<std::string>({"a", "c"}));
    QVERIFY(plot.series.back().keys == std::vector<std::string>({"a", "b", "d"}));
    QVERIFY(plot.series.back().x == std::vector<double>({1, 2, 4})); // 10^6 bytes
    QVERIFY(plot.references == std::vector<ReferenceLine>({{"full precision", 11.02}}));
}

void TestRunPlots::moreAgreementIsBetter()
{
    RunResult good = made("good", "lqer", 8, 13);
    RunResult bad = made("bad", "rtn", 0, 14);
    good.comparison.top1Agreement = 0.9;
    bad.comparison.top1Agreement = 0.5;
    const auto set = paretoPlot({bad, good}, Quality::Top1, SizeAxis::BitsPerWeight);
    QVERIFY(set.plots.front().series.back().keys == std::vector<std::string>({"good"}));
    QVERIFY(set.plots.front().series.back().y == std::vector<double>({90}));
}

void TestRunPlots::rankCurves()
{
    RunResult otherThreads = made("d", "lqer", 16, 12.5);
    otherThreads.spec.threads = 7; // does not change a result: the same curve
    const auto set = rankPlot({made("a", "lqer", 8, 13), made("b", "lqer", 4, 13.5),
                               made("c", "l2qer", 8, 12), otherThreads},
                              Quality::Perplexity);
    const PlotData& plot = set.plots.front();
    QCOMPARE(plot.series.size(), 2U);
    const Series* lqer = seriesNamed(plot, "LQER W3 g128");
    QVERIFY(lqer != nullptr);
    QVERIFY(lqer->x == std::vector<double>({4, 8, 16}));
    QVERIFY(lqer->y == std::vector<double>({13.5, 13, 12.5}));
    QVERIFY(lqer->keys == std::vector<std::string>({"b", "a", "d"}));
    QCOMPARE(lqer->yError.at(1), 13 * 0.002); // paired with full precision
    QCOMPARE(plot.xTicks.size(), 3U);
    QVERIFY(plot.xTicks.at(2) == (PlotTick{16, "16"}));
    QVERIFY(!plot.logY && plot.apart.empty() && plot.empty.empty());
}

/// LRQ's divisor and LR-QAT's A and B are merged away: what was deployed has rank 0.
void TestRunPlots::learnedRanks()
{
    const auto learned = [](const std::string& id, const std::string& rank, std::int64_t found) {
        RunResult run = made(id, "lrq", 0, 13);
        run.spec.reconstruction.rank = rank;
        run.layers[0].trainRank = found;
        return run;
    };
    const RunResult small = learned("a", "3", 3);
    RunResult byRho = learned("b", "relative", 7); // as a list has it
    byRho.layers.clear();
    byRho.listedTotals = {7, 910};
    const RunResult full = learned("c", "full", 0);
    QVERIFY(knownRank(small) == (KnownRank{3, true, false}));
    QCOMPARE(shortName(small), std::string("LRQ W3 g128 r3"));
    QCOMPARE(shortName(byRho), std::string("LRQ W3 g128 r7"));
    QCOMPARE(shortName(byRho.spec), std::string("LRQ W3 g128")); // not known before
    QCOMPARE(shortName(full), std::string("LRQ W3 g128 full rank"));
    QCOMPARE(rankText(knownRank(small)), std::string("3 (learned)"));
    QCOMPARE(rankText(knownRank(full)), std::string("full (learned)"));
    QCOMPARE(rankText(knownRank(small.layers[0], small.spec)), std::string("2")); // deployed first
    LayerResult merged = small.layers[0];
    merged.rank = 0;
    QCOMPARE(rankText(knownRank(merged, small.spec)), std::string("3 (learned)"));
    merged.trainRank = 0;
    QCOMPARE(rankText(knownRank(merged, small.spec)), std::string("full (learned)"));
    merged.trainedParameters = 0; // skipped
    QCOMPARE(rankText(knownRank(merged, small.spec)), std::string("0"));
    QCOMPARE(rankNumber(knownRank(small)), 3.0);
    QVERIFY(std::isnan(rankNumber(knownRank(full))));
    QVERIFY(std::isnan(rankNumber(knownRank(byRho.spec))));

    // Without the low-rank terms a rank means nothing, whatever it says and the layers have.
    RunResult rows = learned("f", "51", 3);
    rows.spec.reconstruction.without = "low-rank";
    QVERIFY(knownRank(rows) == (KnownRank{0, true, false}));
    QVERIFY(knownRank(rows.spec) == (KnownRank{0, true, false}));
    QCOMPARE(shortName(rows), std::string("LRQ W3 g128"));
    QVERIFY(!learnedRank(rows.spec, 64, 64, 64));

    auto set = rankPlot({byRho, full, small}, Quality::Perplexity);
    const PlotData& plot = set.plots.front();
    QCOMPARE(plot.series.size(), 1U);
    QVERIFY(plot.series[0].x == std::vector<double>({3, 7}));
    QCOMPARE(plot.series[0].name, std::string("LRQ W3 g128"));
    QCOMPARE(plot.xLabel, std::string("learned rank"));
    QCOMPARE(set.leftOut.size(), 1U);
    QCOMPARE(set.leftOut[0].run, std::string("c"));

    RunResult corrected = learned("d", "3", 3);
    corrected.spec.lowRank.correction = "lqer";
    corrected.spec.lowRank.rank = corrected.rank = 16;
    QVERIFY(knownRank(corrected) == (KnownRank{16, false, false}));
    set = rankPlot({small, corrected}, Quality::Perplexity);
    QCOMPARE(set.plots.front().series.size(), 2U);
    QCOMPARE(set.plots.front().xLabel, std::string("rank of the correction, or learned rank"));

    RunResult trained = made("e", "lr-qat", 0, 13);
    trained.spec.training.rank = 5;
    trained.status = "running";
    QCOMPARE(shortName(trained), std::string("LR-QAT W3 g128 r5"));
}

/// The window asks while the rank is being typed.
void TestRunPlots::ranksBeingTyped()
{
    RunSpec spec;
    spec.method = "lrq";
    const auto rank = [&](const char* typed) {
        spec.reconstruction.rank = typed;
        return learnedRank(spec, 64, 48, 64);
    };
    for (const char* nothing : {"", "half", "12x", "-3", "0", "99999999999999999999"}) {
        QVERIFY2(!rank(nothing), nothing);
        QVERIFY_EXCEPTION_THROWN(divisorRank(spec.reconstruction, 64, 48), Error);
    }
    QVERIFY(rank("12") == (KnownRank{12, true, false}));
    QVERIFY(rank("300") == (KnownRank{48, true, false}));
    QVERIFY(rank("full") == (KnownRank{0, true, true}));
    spec.method = "rtn";
    QVERIFY(!rank("12"));
}

void TestRunPlots::curvesWithOneNameAreToldApart()
{
    RunResult other = made("b", "lqer", 8, 13);
    other.spec.seed = 5;
    const auto set = rankPlot({made("a", "lqer", 8, 13), other}, Quality::Kl);
    QVERIFY(seriesNamed(set.plots.front(), "LQER W3 g128, seed 0") != nullptr);
    QVERIFY(seriesNamed(set.plots.front(), "LQER W3 g128, seed 5") != nullptr);
    QCOMPARE(set.plots.front().series[0].variant, 0);
    QCOMPARE(set.plots.front().series[1].variant, 1); // dashed otherwise
    // Nothing but the id is left to tell these apart.
    QVERIFY(distinctNames({made("x", "rtn", 0, 1), made("y", "rtn", 0, 1)}) ==
            std::vector<std::string>({"RTN W3 g128, x", "RTN W3 g128, y"}));
    // Of models and texts what their paths end in, unless that is the same.
    std::vector<RunResult> runs = {made("x", "rtn", 0, 1), made("y", "rtn", 0, 1)};
    runs[0].spec.model = "/models/one";
    runs[1].spec.model = "/models/two";
    QVERIFY(distinctNames(runs) ==
            std::vector<std::string>({"RTN W3 g128, model one", "RTN W3 g128, model two"}));
    runs[1].spec.model = "/others/one";
    QVERIFY(distinctNames(runs) ==
            std::vector<std::string>({"RTN W3 g128, model one, x", "RTN W3 g128, model one, y"}));
}

void TestRunPlots::wideRangesAreLogarithmic()
{
    const auto set =
        rankPlot({made("a", "lqer", 0, 5000), made("b", "lqer", 8, 13)}, Quality::Perplexity);
    QVERIFY(set.plots.front().logY);
}

void TestRunPlots::incomparableRunsNeverShareAxes()
{
    RunResult text = made("text", "lqer", 8, 12);
    text.score.textHash = "another";
    RunResult model = made("model", "lqer", 8, 11);
    model.provenance.modelHash = "another";
    const std::vector<RunResult> runs = {made("a", "lqer", 8, 13), text, made("b", "rtn", 0, 14),
                                         model};
    for (const auto& set : {rankPlot(runs, Quality::Perplexity),
                            paretoPlot(runs, Quality::Perplexity, SizeAxis::Megabytes)}) {
        QCOMPARE(set.plots.size(), 3U);
        QCOMPARE(set.plots[0].apart, std::string());
        QVERIFY(set.plots[1].apart.find("different texts") != std::string::npos);
        QVERIFY(set.plots[2].apart.find("different models") != std::string::npos);
        QVERIFY(set.leftOut.empty());
    }
    const auto parallel = parallelPlot(runs);
    QCOMPARE(parallel.plots.size(), 3U);
    QCOMPARE(parallel.plots[0].lines.size(), 2U);
}

void TestRunPlots::unmeasuredRunsAreLeftOut()
{
    RunResult failed = made("failed", "lqer", 8, 12);
    failed.status = "failed";
    const auto set = rankPlot({failed, made("a", "lqer", 8, 13)}, Quality::Perplexity);
    QCOMPARE(set.plots.size(), 1U);
    QCOMPARE(set.plots[0].series.front().keys.size(), 1U);
    QCOMPARE(set.leftOut.size(), 1U);
    QCOMPARE(set.leftOut[0].run, std::string("failed"));
    QVERIFY(set.leftOut[0].reason.find("failed") != std::string::npos);
}

void TestRunPlots::nothingToShowSaysWhatFillsIt()
{
    QVERIFY(!rankPlot({}, Quality::Perplexity).plots.at(0).empty.empty());
    QVERIFY(!paretoPlot({}, Quality::Kl, SizeAxis::Megabytes).plots.at(0).empty.empty());
    QVERIFY(!parallelPlot({}).plots.at(0).empty.empty());
}

void TestRunPlots::errorsOfQualities()
{
    const RunResult run = sampleResult("a");
    QCOMPARE(qualityError(run, Quality::Perplexity), 12.18 * 0.01);
    QCOMPARE(qualityError(run, Quality::DeltaNll), 0.002);
    QVERIFY(std::isnan(qualityError(run, Quality::Kl)));
    QCOMPARE(qualityValue(run, Quality::Top1), 93.0);
}

void TestRunPlots::parallelDropsEqualAxes()
{
    RunResult other = made("b", "rtn", 0, 14);
    other.comparison.klMean = kMissing;
    const ParallelPlot plot = parallelPlot({made("a", "lqer", 8, 12), other}).plots.at(0);
    QStringList labels;
    for (const ParallelAxis& axis : plot.axes) {
        labels << QString::fromStdString(axis.label);
    }
    QCOMPARE(labels, QStringList({"method", "rank", "perplexity"}));
    QVERIFY(plot.axes[0].ticks == std::vector<PlotTick>({{0, "LQER"}, {1, "RTN"}}));
    QVERIFY(plot.axes[1].ticks == std::vector<PlotTick>({{0, "0"}, {8, "8"}}));
    QVERIFY(plot.lines[1].values == std::vector<double>({1, 0, 14}));
    QCOMPARE(plot.axes[2].low, 12.0);
    QCOMPARE(plot.axes[2].high, 14.0);
}

QTEST_GUILESS_MAIN(TestRunPlots)
#include "tst_run_plots.moc"
