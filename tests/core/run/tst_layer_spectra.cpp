#include <cmath>
#include <cstring>

#include <QTemporaryDir>
#include <QtTest>

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"
#include "eval/text_windows.h"
#include "methods/low_rank.h"
#include "methods/settings.h"
#include "model/decoder.h"
#include "model/tokenizer.h"
#include "store/run_store.h"
#include "support/tensor_low_rank.h"
#include "support/tensor_model_files.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

class TestLayerSpectra : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void curvesAreThoseOfTheMatrices_data();
    void curvesAreThoseOfTheMatrices();
    void curvesShareANorm();
    void withoutTextTwoCurves();
    void cacheHits();
    void cacheForgetsWhatChanged_data();
    void cacheForgetsWhatChanged();
    void otherWeightsAreOtherCurves();
    void otherTextIsOtherCurves();
    void stops();
    void unknownLayerNamesTheNearest();
};

namespace {
const std::string kQuery = "model.layers.1.self_attn.q_proj";
const std::string kDown = "model.layers.0.mlp.down_proj";

RunSpec demoSpec()
{
    RunSpec spec;
    spec.model = "demo";
    spec.method = "l2qer";
    spec.weight.bits = 3;
    spec.weight.groupSize = 64;
    spec.calibration.text = "demo:calibration";
    spec.calibration.nsamples = 3;
    spec.calibration.seqlen = 64;
    return spec;
}

/// A store in a folder of its own, and what a call had to compute with it.
class Cached
{
public:
    Cached() : m_store(m_folder.filePath("runs.sqlite").toStdString()) {}
    std::filesystem::path file(const QString& name) const
    {
        return m_folder.filePath(name).toStdString();
    }

    LayerSpectra spectra(const RunSpec& spec, const std::string& layer = kQuery)
    {
        m_decompositions = 0;
        m_calibrated = false;
        const RunContext run({}, [this](const Progress& progress) {
            m_calibrated = m_calibrated || progress.phase == "calibrate";
            m_decompositions += progress.detail.rfind("eigenvalues of", 0) == 0 ? 1 : 0;
        });
        return layerSpectra(spec, layer, &m_store, run);
    }
    int decompositions() const { return m_decompositions; }
    bool calibrated() const { return m_calibrated; }

private:
    QTemporaryDir m_folder;
    RunStore m_store;
    int m_decompositions = 0;
    bool m_calibrated = false;
};

bool sameCurves(const LayerSpectra& a, const LayerSpectra& b)
{
    return a.stableRank == b.stableRank && a.marchenkoPasturEdge == b.marchenkoPasturEdge &&
           a.aboveEdge == b.aboveEdge &&
           std::equal(a.curves.begin(), a.curves.end(), b.curves.begin(), b.curves.end(),
                      [](const auto& x, const auto& y) {
                          return x.kind == y.kind && x.values == y.values &&
                                 x.normalized == y.normalized && x.frobenius == y.frobenius &&
                                 x.weightNorm == y.weightNorm;
                      });
}

/// Inputs of a layer on the calibration windows, from the model as a whole. [tokens, in] float32
at::Tensor inputsOf(const RunSpec& spec, const Checkpoint& checkpoint, const LinearInfo& layer)
{
    const Tokenizer tokenizer = Tokenizer::fromFolder(checkpoint.folder());
    const TextWindows windows =
        calibrationWindows(spec.calibration, resolveText(spec.calibration.text).string(),
                           checkpoint.config(), tokenizer, static_cast<std::uint64_t>(spec.seed));
    const Decoder decoder(checkpoint, {at::kFloat, "cpu"});
    at::Tensor seen;
    at::Tensor hidden = decoder.embed(windows.ids);
    for (std::int64_t block = 0; block <= layer.block; ++block) {
        BlockHooks hooks;
        hooks.input = [&](const LinearInfo& first, const at::Tensor& input) {
            if (block == layer.block && first.inputGroup == layer.inputGroup) {
                seen = input.clone();
            }
        };
        hidden = decoder.forwardBlock(decoder.loadBlock(block), hidden, hooks);
    }
    return seen;
}

std::vector<double> squares(std::vector<double> values)
{
    for (double& value : values) {
        value *= value;
    }
    return values;
}

double gapOf(const std::vector<double>& found, const at::Tensor& expected)
{
    const at::Tensor values = at::tensor(found, at::kDouble);
    return (values - expected).abs().max().item<double>() / expected[0].item<double>();
}
} // namespace

void TestLayerSpectra::curvesAreThoseOfTheMatrices_data()
{
    QTest::addColumn<QString>("layer");
    QTest::addColumn<QString>("statistic");
    QTest::newRow("square, mean |x|") << QString::fromStdString(kQuery) << "mean-abs";
    QTest::newRow("square, rms") << QString::fromStdString(kQuery) << "rms";
    QTest::newRow("wide, mean |x|") << QString::fromStdString(kDown) << "mean-abs";
}

void TestLayerSpectra::curvesAreThoseOfTheMatrices()
{
    QFETCH(QString, layer);
    QFETCH(QString, statistic);
    const at::NoGradGuard noGrad;
    RunSpec spec = demoSpec();
    spec.lowRank.statistic = statistic.toStdString();
    spec.calibration.statBatch = 2;
    const LayerSpectra found = layerSpectra(spec, layer.toStdString(), nullptr, {});

    const Checkpoint checkpoint(resolveModel(spec.model));
    const std::vector<LinearInfo>& all = checkpoint.linears();
    const LinearInfo linear = *std::find_if(all.begin(), all.end(), [&](const LinearInfo& each) {
        return each.name == layer.toStdString();
    });
    const at::Tensor weight = checkpoint.linearWeight(linear).to(at::kFloat);
    const at::Tensor error = weight - roundToNearest("layer", weight, weightFormat(spec.weight),
                                                     gridOptions(spec.weight))
                                          .dequantizedCodes();
    const at::Tensor wide = error.to(at::kDouble);
    const at::Tensor x = inputsOf(spec, checkpoint, linear).to(at::kDouble);
    // L2QER's statistic over batches of two windows of 64 tokens, the last one short.
    const at::Tensor sizes = statistic == "rms" ? x.square() : x.abs();
    at::Tensor scale =
        at::maximum(sizes.narrow(0, 0, 128).mean(0), sizes.narrow(0, 128, 64).mean(0));
    scale = statistic == "rms" ? scale.sqrt() : scale;

    QCOMPARE(found.layer, layer.toStdString());
    QCOMPARE(found.curves.size(), std::size_t{4});
    const std::map<std::string, at::Tensor> expected = {
        {"W", singularValuesOf(weight)},
        {"E", singularValuesOf(error)},
        {"SE", singularValuesOf(wide * lqerScale(scale))},
        // x E^T has the singular values of R^(1/2) E^T, times the root of the number of tokens
        {"RE", singularValuesOf(at::matmul(x, wide.t())) / std::sqrt(x.size(0))}};
    const at::Tensor w = weight.to(at::kDouble);
    const std::map<std::string, at::Tensor> weightNorms = {
        {"W", w.norm()},
        {"E", w.norm()},
        {"SE", (w * lqerScale(scale)).norm()},
        {"RE", at::matmul(x, w.t()).norm() / std::sqrt(x.size(0))}};
    for (const LayerSpectra::Curve& curve : found.curves) {
        const at::Tensor values = expected.at(curve.kind);
        const std::int64_t count = std::min(linear.out, linear.in);
        QCOMPARE(static_cast<std::int64_t>(curve.values.size()), count);
        const std::int64_t known = values.size(0); // no more than tokens for R^(1/2) E
        const std::vector<double> first(curve.values.begin(), curve.values.begin() + known);
        // Rounding of R moves eigenvalues, the squares; small roots of them move more.
        const double gap =
            curve.kind == "RE" ? gapOf(squares(first), values.square()) : gapOf(first, values);
        QVERIFY2(gap <= kInputScaleGap, message(curve.kind, " ", gap).c_str());
        const double frobenius = values.norm().item<double>();
        QVERIFY(std::abs(curve.frobenius / frobenius - 1) < kInputScaleGap);
        const double ofWeight = weightNorms.at(curve.kind).item<double>();
        QVERIFY2(std::abs(curve.weightNorm / ofWeight - 1) < kInputScaleGap,
                 message(curve.kind, " ", curve.weightNorm, " ", ofWeight).c_str());
    }
    const double edge = std::sqrt(weight.to(at::kDouble).square().mean().item<double>()) *
                        (std::sqrt(linear.out) + std::sqrt(linear.in));
    QVERIFY(std::abs(found.marchenkoPasturEdge / edge - 1) < 1e-10);
    QCOMPARE(found.aboveEdge, expected.at("W").gt(edge).sum().item<std::int64_t>());
}

void TestLayerSpectra::curvesShareANorm()
{
    for (const LayerSpectra::Curve& curve : layerSpectra(demoSpec(), kQuery, nullptr, {}).curves) {
        const at::Tensor normalized = at::tensor(curve.normalized, at::kDouble);
        QVERIFY(std::abs(normalized.norm().item<double>() - 1) < 1e-12);
        QVERIFY(gapOf(curve.values, normalized * curve.frobenius) < 1e-12);
    }
}

void TestLayerSpectra::withoutTextTwoCurves()
{
    RunSpec spec = demoSpec();
    const LayerSpectra all = layerSpectra(spec, kQuery, nullptr, {});
    spec.calibration.text.clear();
    const LayerSpectra two = layerSpectra(spec, kQuery, nullptr, {});
    QCOMPARE(two.curves.size(), std::size_t{2});
    QCOMPARE(two.curves[0].values, all.curves[0].values);
    QCOMPARE(two.curves[1].values, all.curves[1].values);
}

void TestLayerSpectra::cacheHits()
{
    Cached cached;
    const LayerSpectra first = cached.spectra(demoSpec());
    QCOMPARE(cached.decompositions(), 4);
    QVERIFY(cached.calibrated());
    QVERIFY(sameCurves(first, layerSpectra(demoSpec(), kQuery, nullptr, {})));

    RunSpec same = demoSpec(); // what decides no curve
    same.method = "qera-exact";
    same.lowRank.rank = 17;
    same.lowRank.factorBits = 8;
    same.activation.format = "int";
    same.evaluation.text = "demo:evaluation";
    same.artifacts = "discard";
    QVERIFY(sameCurves(cached.spectra(same), first));
    QCOMPARE(cached.decompositions(), 0);
    QVERIFY(!cached.calibrated());
    // The store outlives the process: here, another connection.
    RunStore reopened(cached.file("runs.sqlite"));
    int computed = 0;
    const RunContext run({}, [&](const Progress&) { ++computed; });
    QVERIFY(sameCurves(layerSpectra(demoSpec(), kQuery, &reopened, run), first));
    QCOMPARE(computed, 0);
}

void TestLayerSpectra::cacheForgetsWhatChanged_data()
{
    QTest::addColumn<QString>("change");
    QTest::addColumn<int>("decompositions"); // of W, E, S E and R^(1/2) E, those that depend on it
    QTest::newRow("layer") << "layer" << 4;
    QTest::newRow("bits") << "bits" << 3;
    QTest::newRow("group") << "group" << 3;
    QTest::newRow("format") << "format" << 3;
    QTest::newRow("override") << "override" << 3;
    QTest::newRow("seed") << "seed" << 2;
    QTest::newRow("samples") << "samples" << 2;
    QTest::newRow("length") << "length" << 2;
    QTest::newRow("batch") << "batch" << 2;
    QTest::newRow("statistic") << "statistic" << 2;
    QTest::newRow("reduce") << "reduce" << 2;
}

void TestLayerSpectra::cacheForgetsWhatChanged()
{
    QFETCH(QString, change);
    QFETCH(int, decompositions);
    Cached cached;
    cached.spectra(demoSpec());
    RunSpec spec = demoSpec();
    std::string layer = kQuery;
    if (change == "layer") {
        layer = "model.layers.0.self_attn.q_proj";
    } else if (change == "bits") {
        spec.weight.bits = 4;
    } else if (change == "group") {
        spec.weight.groupSize = 32;
    } else if (change == "format") {
        spec.weight.format = "mxint";
    } else if (change == "override") {
        spec.overrides = {{"q_proj", 5, {}, {}, {}}};
    } else if (change == "seed") {
        spec.seed = 1;
    } else if (change == "samples") {
        spec.calibration.nsamples = 4;
    } else if (change == "length") {
        spec.calibration.seqlen = 48;
    } else if (change == "batch") {
        spec.calibration.statBatch = 1;
    } else if (change == "statistic") {
        spec.lowRank.statistic = "rms";
    } else {
        spec.lowRank.reduce = "mean";
    }
    const LayerSpectra fresh = layerSpectra(spec, layer, nullptr, {});
    QVERIFY(sameCurves(cached.spectra(spec, layer), fresh));
    QCOMPARE(cached.decompositions(), decompositions);
    // Both are kept.
    QVERIFY(sameCurves(cached.spectra(spec, layer), fresh));
    cached.spectra(demoSpec());
    QCOMPARE(cached.decompositions(), 0);
}

void TestLayerSpectra::otherWeightsAreOtherCurves()
{
    Cached cached;
    const auto copy = cached.file("model");
    std::filesystem::copy(resolveModel("demo"), copy);
    RunSpec spec = demoSpec();
    spec.model = copy.string();
    spec.calibration.text.clear();
    const LayerSpectra before = cached.spectra(spec);
    cached.spectra(spec);
    QCOMPARE(cached.decompositions(), 0);

    // The layer's first weight becomes 1; bfloat16, so two bytes.
    const Checkpoint checkpoint(copy);
    const auto file = copy / "model.safetensors";
    std::string bytes = readTextFile(file);
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    const Json entry = parseJson(bytes.substr(8, header), "header").at(kQuery + ".weight");
    const auto begin = entry.at("data_offsets").at(0).get<std::uint64_t>() + 8 + header;
    bytes.replace(begin, 2, std::string("\x80\x3f"));
    writeBytes(file, bytes);
    const LayerSpectra after = cached.spectra(spec);
    QCOMPARE(cached.decompositions(), 2);
    QVERIFY(after.curves[0].values != before.curves[0].values);
}

void TestLayerSpectra::otherTextIsOtherCurves()
{
    Cached cached;
    const std::string text = readTextFile(resolveText("demo:calibration"));
    RunSpec spec = demoSpec();
    const auto file = cached.file("text.txt");
    spec.calibration.text = file.string();
    writeBytes(file, text);
    const LayerSpectra before = cached.spectra(spec);
    writeBytes(file, text.substr(text.size() / 2)); // the same path
    const LayerSpectra after = cached.spectra(spec);
    QCOMPARE(cached.decompositions(), 2);
    QCOMPARE(after.curves[1].values, before.curves[1].values);
    QVERIFY(after.curves[2].values != before.curves[2].values);
    QVERIFY(after.curves[3].values != before.curves[3].values);
}

void TestLayerSpectra::stops()
{
    Cached cached;
    std::stop_source source;
    const RunContext run(source.get_token(), [&](const Progress& progress) {
        if (progress.phase == "calibrate") {
            source.request_stop();
        }
    });
    RunStore store(cached.file("runs.sqlite"));
    QVERIFY_EXCEPTION_THROWN(layerSpectra(demoSpec(), kQuery, &store, run), Cancelled);
    cached.spectra(demoSpec());
    QCOMPARE(cached.decompositions(), 2); // what was done before the stop is kept
}

void TestLayerSpectra::unknownLayerNamesTheNearest()
{
    const std::string sentence =
        sentenceOf([] { layerSpectra(demoSpec(), "model.layers.1.self_attn.q_pro", nullptr, {}); });
    QVERIFY(sentence.find("did you mean \"" + kQuery + "\"?") != std::string::npos);
}

QTEST_GUILESS_MAIN(TestLayerSpectra)
#include "tst_layer_spectra.moc"
