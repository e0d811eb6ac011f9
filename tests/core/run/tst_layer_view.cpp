#include <cmath>
#include <map>
#include <numeric>

#include <QtTest>

#include "base/error.h"
#include "engine.h"
#include "support/tolerances.h"

using namespace qw;

namespace {
const std::string kLayer = "model.layers.1.mlp.down_proj";

RunSpec demoSpec()
{
    RunSpec spec;
    spec.model = "demo";
    spec.weight.bits = 3;
    spec.weight.groupSize = 64;
    spec.calibration.nsamples = 2;
    return spec;
}

LayerViewRequest request()
{
    LayerViewRequest made;
    made.layer = kLayer;
    return made;
}

double largest(const Heatmap& map)
{
    double most = 0;
    for (const double value : map.values) {
        most = std::max(most, std::abs(value));
    }
    return most;
}
} // namespace

class TestLayerView : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void histogramCountsEveryWeight();
    void gridHasItsPoints_data();
    void gridHasItsPoints();
    void moreBitsMeanLessError();
    void thinnedMapKeepsExtremes();
    void partOfTheMapIsThatPart();
    void scaledErrorIsErrorTimesScale();
    void skippedLayerHasNoError();
    void wrongScaleIsRefused();
    void statisticsAgreeWithTheSpectrum();
    void channelsCoverEveryLayer();
};

void TestLayerView::histogramCountsEveryWeight()
{
    const LayerView view = layerView(demoSpec(), nullptr, request(), {});
    const std::int64_t weights = view.rows * view.cols;
    QCOMPARE(
        std::accumulate(view.weights.counts.begin(), view.weights.counts.end(), std::int64_t{0}),
        weights);
    QCOMPARE(std::accumulate(view.deployed.begin(), view.deployed.end(), std::int64_t{0}), weights);
    QVERIFY(!view.fromRun);
}

void TestLayerView::gridHasItsPoints_data()
{
    QTest::addColumn<QString>("format");
    QTest::addColumn<int>("bits");
    QTest::addColumn<bool>("sym");
    QTest::addColumn<int>("points");
    QTest::newRow("int 2") << "int" << 2 << false << 4;
    QTest::newRow("int 4 symmetric") << "int" << 4 << true << 16;
    QTest::newRow("mxint 4") << "mxint" << 4 << false << 15; // sign and magnitude: one zero
}

void TestLayerView::gridHasItsPoints()
{
    QFETCH(QString, format);
    QFETCH(int, bits);
    QFETCH(bool, sym);
    QFETCH(int, points);
    RunSpec spec = demoSpec();
    spec.weight.format = format.toStdString();
    spec.weight.bits = bits;
    spec.weight.sym = sym;
    spec.weight.groupSize = 32;
    const LayerView view = layerView(spec, nullptr, request(), {});
    QCOMPARE(view.gridPoints.size(), static_cast<std::size_t>(points));
    const double step = view.gridPoints[1] - view.gridPoints[0];
    QVERIFY(step > 0);
    for (std::size_t i = 2; i < view.gridPoints.size(); ++i) {
        QCOMPARE(view.gridPoints[i] - view.gridPoints[i - 1], step);
    }
    QVERIFY(view.gridPoints.front() < 0 && view.gridPoints.back() > 0);
}

void TestLayerView::moreBitsMeanLessError()
{
    double before = 1;
    for (const std::int64_t bits : {2, 3, 4, 6}) {
        RunSpec spec = demoSpec();
        spec.weight.bits = bits;
        const double error = layerView(spec, nullptr, request(), {}).relativeError;
        QVERIFY2(error > 0 && error < before, std::to_string(error).c_str());
        before = error;
    }
}

void TestLayerView::thinnedMapKeepsExtremes()
{
    LayerViewRequest whole = request();
    whole.maxRows = whole.maxCols = 100000;
    const LayerView full = layerView(demoSpec(), nullptr, whole, {});
    LayerViewRequest small = request();
    small.maxRows = small.maxCols = 16;
    const LayerView thin = layerView(demoSpec(), nullptr, small, {});
    QCOMPARE(full.map.rows, full.rows);
    QCOMPARE_LE(thin.map.rows, 16);
    QCOMPARE(largest(thin.map), largest(full.map));
}

void TestLayerView::partOfTheMapIsThatPart()
{
    LayerViewRequest whole = request();
    whole.map = LayerViewRequest::Map::Error;
    whole.maxRows = whole.maxCols = 100000;
    const LayerView full = layerView(demoSpec(), nullptr, whole, {});
    LayerViewRequest part = whole;
    part.firstRow = 3;
    part.firstCol = 5;
    part.rows = 2;
    part.cols = 4;
    const LayerView view = layerView(demoSpec(), nullptr, part, {});
    QCOMPARE(view.map.rows, 2);
    QCOMPARE(view.map.cols, 4);
    for (std::int64_t r = 0; r < 2; ++r) {
        for (std::int64_t c = 0; c < 4; ++c) {
            QCOMPARE(view.map.values[static_cast<std::size_t>(r * 4 + c)],
                     full.map.values[static_cast<std::size_t>((r + 3) * full.cols + c + 5)]);
        }
    }
    part.firstRow = full.rows - 1; // reaches past the end
    QCOMPARE(layerView(demoSpec(), nullptr, part, {}).map.rows, 1);
}

void TestLayerView::scaledErrorIsErrorTimesScale()
{
    LayerViewRequest plain = request();
    plain.map = LayerViewRequest::Map::Error;
    plain.maxRows = plain.maxCols = 100000;
    const LayerView error = layerView(demoSpec(), nullptr, plain, {});
    LayerViewRequest scaled = plain;
    scaled.map = LayerViewRequest::Map::ScaledError;
    scaled.inputScale.assign(static_cast<std::size_t>(error.cols), 1);
    scaled.inputScale[7] = 4;
    const LayerView view = layerView(demoSpec(), nullptr, scaled, {});
    QCOMPARE(view.map.values[6], error.map.values[6]);
    QCOMPARE(view.map.values[7], 4 * error.map.values[7]);
}

void TestLayerView::skippedLayerHasNoError()
{
    RunSpec spec = demoSpec();
    LayerOverride skip;
    skip.pattern = kLayer;
    skip.skip = true;
    RunResult run; // without artifact, which would not hold the layer either
    run.spec = spec;
    run.spec.overrides = {skip};
    LayerViewRequest asked = request();
    asked.map = LayerViewRequest::Map::Error;
    const LayerView view = layerView(spec, &run, asked, {});
    QVERIFY(view.skipped && view.fromRun);
    QCOMPARE(view.relativeError, 0.0);
    QCOMPARE(largest(view.map), 0.0);
    QCOMPARE(view.deployed, view.weights.counts);
    QVERIFY(view.gridPoints.empty());
    QCOMPARE(view.codeBits, view.rows * view.cols * 16); // bfloat16, as in the folder
    run.spec.overrides.clear();
    const LayerView rounded = layerView(spec, &run, asked, {});
    QVERIFY(!rounded.skipped && !rounded.fromRun);
    QVERIFY(rounded.relativeError > 0);
}

void TestLayerView::wrongScaleIsRefused()
{
    LayerViewRequest scaled = request();
    scaled.map = LayerViewRequest::Map::ScaledError;
    scaled.inputScale = {1, 2};
    QVERIFY_THROWS_EXCEPTION(Error, layerView(demoSpec(), nullptr, scaled, {}));
    LayerViewRequest unknown = request();
    unknown.layer = "model.layers.9.mlp.down_proj";
    QVERIFY_THROWS_EXCEPTION(Error, layerView(demoSpec(), nullptr, unknown, {}));
}

void TestLayerView::statisticsAgreeWithTheSpectrum()
{
    std::vector<WeightStatistics> all;
    weightStatistics("demo", [&](const WeightStatistics& s) { all.push_back(s); }, {});
    const ModelOverview model = inspectModel("demo", true, {});
    QCOMPARE(all.size(), model.layers.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        QCOMPARE(all[i].overview, model.layers[i]);
    }
    for (const std::size_t i : {std::size_t{0}, all.size() / 2, all.size() - 1}) {
        const LayerSpectra exact = layerSpectra(demoSpec(), all[i].overview.name, nullptr, {});
        QVERIFY(std::abs(all[i].stableRank / exact.stableRank - 1) < test::kPowerIterationGap);
    }
}

void TestLayerView::channelsCoverEveryLayer()
{
    RunSpec spec = demoSpec();
    QVERIFY_THROWS_EXCEPTION(Error, channelStatistics(spec, {}, {})); // no text
    spec.calibration.text = "demo:calibration";
    std::map<std::string, std::size_t> widths;
    channelStatistics(spec,
                      [&](const ChannelStatistics& group) {
                          for (const std::string& layer : group.layers) {
                              widths[layer] = group.meanAbs.size();
                          }
                          for (const double size : group.meanAbs) {
                              QVERIFY(size > 0);
                          }
                      },
                      {});
    const ModelOverview model = inspectModel("demo", false, {});
    QCOMPARE(widths.size(), model.layers.size());
    for (const LayerOverview& layer : model.layers) {
        QCOMPARE(widths.at(layer.name), static_cast<std::size_t>(layer.cols));
    }
}

QTEST_GUILESS_MAIN(TestLayerView)
#include "tst_layer_view.moc"
