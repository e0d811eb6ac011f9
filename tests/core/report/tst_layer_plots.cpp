#include "report/layer_plots.h"
#include "support/base_results.h"

#include <QtTest>

using namespace qw;
using test::sampleResult;

namespace {
LayerResult layer(const std::string& name, double outputError)
{
    LayerResult result;
    result.name = name;
    result.rows = 4;
    result.cols = 8;
    result.outputError = outputError;
    result.weightError = 0.5;
    result.bitsPerWeight = 3;
    return result;
}

RunResult twoBlocks(const std::string& id)
{
    RunResult run = sampleResult(id);
    run.layers.clear();
    for (const char* block : {"0", "1"}) {
        for (const char* kind : {"q_proj", "k_proj", "v_proj", "o_proj", "up_proj"}) {
            run.layers.push_back(layer("model.layers." + std::string(block) + ".x." + kind,
                                       0.01 * static_cast<double>(run.layers.size() + 1)));
        }
    }
    return run;
}
} // namespace

class TestLayerPlots : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void oneRunIsBars();
    void runsAreAlignedByLayer();
    void otherModelsAndTextsStandApart();
    void layersWithoutTheMetricAreLeftOut();
    void mapOfBlocksAndKinds();
    void spectraAreNormalisedAndDrawnOnce();
    void predictionsOverRank();
};

void TestLayerPlots::oneRunIsBars()
{
    const auto set = layerPlot({twoBlocks("a")}, LayerMetric::OutputError);
    const PlotData& plot = set.plots.at(0);
    QCOMPARE(plot.yLabel, std::string("output error, %"));
    QVERIFY(plot.series.at(0).draw == Series::Draw::Bars);
    QCOMPARE(plot.series.at(0).y.at(9), 10.0); // percent
    QCOMPARE(plot.series.at(0).keys.at(9), std::string("model.layers.1.x.up_proj"));
    QVERIFY(plot.xTicks == std::vector<PlotTick>({{0, "0"}, {5, "1"}}));
    QCOMPARE(plot.xLabel, std::string("block"));
    QVERIFY(!layerPlot({}, LayerMetric::OutputError).plots.at(0).empty.empty());
}

void TestLayerPlots::runsAreAlignedByLayer()
{
    RunResult a = twoBlocks("a");
    RunResult b = twoBlocks("b");
    b.spec.seed = 9;
    b.layers.erase(b.layers.begin());
    std::reverse(b.layers.begin(), b.layers.end());
    const PlotData plot = layerPlot({a, b}, LayerMetric::OutputError).plots.at(0);
    QCOMPARE(plot.series.size(), 2U);
    QCOMPARE(plot.series[1].y.size(), 10U);
    QVERIFY(std::isnan(plot.series[1].y[0]));
    QCOMPARE(plot.series[1].y[1], 2.0);
    QCOMPARE(plot.series[1].y[9], 10.0);
    QVERIFY(plot.series[1].draw != Series::Draw::Bars);
}

void TestLayerPlots::otherModelsAndTextsStandApart()
{
    RunResult model = twoBlocks("model");
    model.provenance.modelHash = "another";
    RunResult text = twoBlocks("text");
    text.provenance.calibrationHash = "another";
    RunResult unevaluated = twoBlocks("unevaluated");
    unevaluated.score = {};
    const std::vector<RunResult> runs = {twoBlocks("a"), model, text, unevaluated};
    const auto outputs = layerPlot(runs, LayerMetric::OutputError);
    QCOMPARE(outputs.plots.size(), 3U);
    QCOMPARE(outputs.plots[0].series.size(), 2U); // an evaluation is not needed here
    QVERIFY(outputs.plots[1].apart.find("different models") != std::string::npos);
    QVERIFY(outputs.plots[2].apart.find("calibration texts") != std::string::npos);
    // The weight error does not depend on a text.
    QCOMPARE(layerPlot(runs, LayerMetric::WeightError).plots.size(), 2U);
}

void TestLayerPlots::layersWithoutTheMetricAreLeftOut()
{
    RunResult blind = twoBlocks("blind");
    for (LayerResult& one : blind.layers) {
        one.outputError = kMissing;
    }
    const auto set = layerPlot({blind, twoBlocks("a")}, LayerMetric::OutputError);
    QCOMPARE(set.plots.at(0).series.size(), 1U);
    QCOMPARE(set.leftOut.at(0).run, std::string("blind"));
    QVERIFY(set.leftOut.at(0).reason.find("output error") != std::string::npos);
}

void TestLayerPlots::mapOfBlocksAndKinds()
{
    RunResult run = twoBlocks("a");
    run.layers.erase(run.layers.begin() + 6);
    const Heatmap map = layerMap(run, LayerMetric::OutputError);
    QCOMPARE(map.rows, 2);
    QCOMPARE(map.cols, 5);
    QVERIFY(map.rowNames == std::vector<std::string>({"0", "1"}));
    QCOMPARE(map.columnNames.at(4), std::string("up_proj"));
    QCOMPARE(map.values.at(4), 5.0);
    QVERIFY(std::isnan(map.values.at(6)));
    QCOMPARE(map.values.at(9), 10.0);
}

void TestLayerPlots::spectraAreNormalisedAndDrawnOnce()
{
    const std::string name = "model.layers.0.x.q_proj";
    RunResult a = twoBlocks("a");
    a.layers[0].singularValues = {4, 2};
    a.layers[0].errorNorm = 5;
    RunResult sameFactors = a;
    sameFactors.id = "b";
    sameFactors.rank = 1;
    RunResult exact = a;
    exact.id = "c";
    exact.spec.method = "qera-exact";
    exact.layers[0].singularValues = {3};
    RunResult shorter = a; // found at a lower rank, a little off
    shorter.id = "d";
    shorter.spec.lowRank.rank = 1;
    shorter.layers[0].singularValues = {4.01};
    const auto set = spectraPlot({shorter, a, sameFactors, exact, twoBlocks("none")}, name);
    const PlotData& plot = set.plots.at(0);
    QCOMPARE(plot.series.size(), 2U);
    RunResult otherSeed = a;
    otherSeed.id = "e";
    otherSeed.spec.seed = 1;
    QCOMPARE(spectraPlot({a, otherSeed}, name).plots.at(0).series.size(), 2U);
    QVERIFY(plot.series[0].y == std::vector<double>({0.8, 0.4}));
    QVERIFY(plot.series[0].x == std::vector<double>({1, 2}));
    QCOMPARE(plot.series[0].name, std::string("L²QER W3 g128, S·E"));
    QCOMPARE(plot.series[1].name, std::string("QERA-exact W3 g128, R½·E"));
    QCOMPARE(set.leftOut.at(0).run, std::string("none"));
    QVERIFY(!spectraPlot({twoBlocks("none")}, name).plots.at(0).empty.empty());
}

void TestLayerPlots::predictionsOverRank()
{
    RunResult a = twoBlocks("a");
    a.layers[0].singularValues = {4, 2};
    a.layers[0].errorNorm = 5;
    const PlotData plot =
        predictionPlot({a}, "model.layers.0.x.q_proj", Prediction::Energy).plots.at(0);
    QVERIFY(plot.series.at(0).x == std::vector<double>({0, 1, 2}));
    QCOMPARE(plot.series[0].y[0], 0.0);
    QCOMPARE(plot.series[0].y[1], 64.0);
    QCOMPARE(plot.series[0].y[2], 80.0);
    const PlotData error =
        predictionPlot({a}, "model.layers.0.x.q_proj", Prediction::OutputError).plots.at(0);
    QCOMPARE(error.series.at(0).y.at(1), 0.6); // measured 1 % at rank 0, sqrt(1 - 0.64) is left
}

QTEST_GUILESS_MAIN(TestLayerPlots)
#include "tst_layer_plots.moc"
