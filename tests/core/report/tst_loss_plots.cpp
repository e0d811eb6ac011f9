#include <QTest>

#include "report/loss_plots.h"
#include "support/base_results.h"

using namespace qw;

namespace {
RunResult learned(const std::string& id, const std::vector<double>& losses)
{
    RunResult run = test::sampleResult(id);
    run.spec.method = "lrq";
    run.blocks.clear();
    run.training = {};
    BlockResult block;
    block.block = 2;
    block.losses = losses;
    run.blocks.push_back(block);
    return run;
}
} // namespace

class TstLossPlots : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void aCurveForEachRun();
    void longCurvesAreMeans();
    void othersAreLeftOutOrApart();
    void blocksAreListed();
    void wholeModelsHaveACurve();
    void earlierBlocksAreQuiet();
};

void TstLossPlots::earlierBlocksAreQuiet()
{
    RunResult run = learned("a", {3, 2, 1});
    PlotData plot = blocksPlot(run);
    QCOMPARE(plot.series.size(), 1U);
    QCOMPARE(plot.series[0].name, std::string("block 2"));
    QCOMPARE(plot.series[0].method, std::string("lrq"));
    QVERIFY(!plot.series[0].quiet);
    run.blocks.push_back(run.blocks[0]);
    run.blocks.back().block = 3;
    run.blocks.push_back({}); // begun, nothing learned yet
    run.blocks.back().block = 4;
    run.blocks.push_back({});
    run.blocks.back().block = 5;
    run.blocks.back().losses = {8, 4};
    plot = blocksPlot(run);
    QCOMPARE(plot.series.size(), 3U); // a curve for each that learned
    for (std::size_t i = 0; i < 2; ++i) {
        QVERIFY(plot.series[i].quiet);
        QCOMPARE(plot.series[i].name, "block " + std::to_string(i + 2));
        QCOMPARE(plot.series[i].y, (std::vector<double>{3, 2, 1}));
    }
    QCOMPARE(plot.series[2].name, std::string("block 5"));
    QCOMPARE(plot.series[2].y, (std::vector<double>{8, 4}));
    QVERIFY(!plot.series[2].quiet);
    run.blocks.clear();
    QVERIFY(blocksPlot(run).series.empty());
}

void TstLossPlots::wholeModelsHaveACurve()
{
    const auto trained = [](const std::string& id, const std::string& text) {
        RunResult run = learned(id, {});
        run.provenance.trainingHash = text;
        run.training.steps = {{3}, {2}, {1}};
        return run;
    };
    const std::vector<RunResult> runs = {trained("a", "t"), trained("b", "t"), trained("c", "u"),
                                         learned("d", {1})};
    QCOMPARE(learnedBlocks(runs), (std::vector<std::int64_t>{kWholeModel, 2}));
    const auto set = lossPlot(runs, kWholeModel);
    QCOMPARE(set.plots[0].series.size(), 2U);
    QCOMPARE(set.plots[0].series[1].y, (std::vector<double>{3, 2, 1}));
    QCOMPARE(set.plots[0].xLabel, std::string("step"));
}

void TstLossPlots::aCurveForEachRun()
{
    const auto set = lossPlot({learned("a", {3, 2, 1}), learned("b", {4, 2})}, 2);
    QCOMPARE(set.plots.size(), 1U);
    QCOMPARE(set.plots[0].series.size(), 2U);
    QCOMPARE(set.plots[0].series[0].x, (std::vector<double>{1, 2, 3}));
    QCOMPARE(set.plots[0].series[0].y, (std::vector<double>{3, 2, 1}));
    QCOMPARE(set.plots[0].series[1].keys, (std::vector<std::string>{"b", "b"}));
}

void TstLossPlots::longCurvesAreMeans()
{
    std::vector<double> losses;
    for (int i = 0; i < 1000; ++i) {
        losses.push_back(i);
    }
    const auto set = lossPlot({learned("a", losses)}, 2);
    const Series& series = set.plots[0].series[0];
    QCOMPARE(series.x.size(), 334U); // stretches of three, the last of one
    QCOMPARE(series.x[0], 2.0);
    QCOMPARE(series.y[0], 1.0);
    QCOMPARE(series.x.back(), 1000.0);
    QCOMPARE(series.y.back(), 999.0);
}

void TstLossPlots::othersAreLeftOutOrApart()
{
    RunResult none = learned("none", {});
    RunResult text = learned("text", {1});
    text.provenance.calibrationHash = "another";
    RunResult model = learned("model", {1});
    model.provenance.modelHash = "another";
    const auto set = lossPlot({learned("a", {1}), none, text, model}, 2);
    QCOMPARE(set.plots.size(), 3U);
    QVERIFY(set.plots[1].apart.find("texts") != std::string::npos);
    QVERIFY(set.plots[2].apart.find("models") != std::string::npos);
    QCOMPARE(set.leftOut.size(), 1U);
    QCOMPARE(set.leftOut[0].run, std::string("none"));
    QVERIFY(!lossPlot({none}, 2).plots[0].empty.empty());
}

void TstLossPlots::blocksAreListed()
{
    RunResult more = learned("b", {1});
    more.blocks.push_back(more.blocks.front());
    more.blocks.back().block = 0;
    QCOMPARE(learnedBlocks({learned("a", {1}), more, learned("c", {})}),
             (std::vector<std::int64_t>{0, 2}));
}

QTEST_GUILESS_MAIN(TstLossPlots)
#include "tst_loss_plots.moc"
