#include <cmath>

#include <QtTest>

#include <ATen/ATen.h>

#include "base/error.h"
#include "methods/method.h"
#include "support/tensor_low_rank.h"
#include "support/tensor_model_files.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

class TestErrorCorrection : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void followsTheFormulas_data();
    void followsTheFormulas();
    void factorsAreDeployedInBlocks();
    void factorFormatFollowsTheSpec();
    void rankZeroIsRoundToNearest_data();
    void rankZeroIsRoundToNearest();
    void needsOnlyItsStatistic();
    void refusesMissingStatistics();
    void refusesInputsThatAreNotFinite();
    void unknownMethodNamesTheNearest();
};

namespace {
constexpr std::int64_t kIn = 10; // of the golden layers

std::string text(const Json& entry, const char* key)
{
    return entry.at(key).get<std::string>();
}

at::Tensor goldenWeight(const std::string& layer)
{
    return matrixOf(lowRankGolden("layers").at(layer).at("weight"));
}

InputStatistics goldenStatistics(const std::string& input, std::int64_t batch)
{
    const Json& golden = lowRankGolden("inputs").at(input);
    const at::Tensor tokens = matrixOf(golden.at("tokens"));
    const auto windows = golden.at("windows").get<std::int64_t>();
    const std::int64_t length = tokens.size(0) / windows;
    InputStatistics statistics(kIn, {true, true, true});
    for (std::int64_t at = 0; at < windows; at += batch) {
        const std::int64_t count = std::min(batch, windows - at);
        statistics.add(tokens.narrow(0, at * length, count * length));
    }
    return statistics;
}

/// What the golden layers were rounded with.
RunSpec goldenSpec(const std::string& method)
{
    RunSpec spec;
    spec.method = method;
    spec.weight.bits = lowRankGolden("bits").get<std::int64_t>();
    spec.weight.groupSize = kPerChannel;
    spec.weight.scaleDtype = "f32";
    return spec;
}

const LayerMethod& layerMethod(const std::string& id)
{
    return dynamic_cast<const LayerMethod&>(findMethod(id));
}

LayerOutcome quantize(const RunSpec& spec, const at::Tensor& weight, const InputStatistics* inputs,
                      std::int64_t rank)
{
    LayerTask task;
    task.name = "layer";
    task.weight = weight;
    task.statistics = inputs;
    task.settings = {spec.weight, rank, false};
    task.spec = &spec;
    return layerMethod(spec.method).quantize(task, {});
}

/// Largest gap as a share of the largest expected entry; where all are zero, all must be.
double shareGap(const at::Tensor& actual, const at::Tensor& expected)
{
    const double size = expected.abs().max().item<double>();
    return (actual - expected).abs().max().item<double>() / std::max(size, 1e-100);
}

at::Tensor productOf(const QuantizedLinear& linear)
{
    return at::matmul(linear.a.deployed().to(at::kDouble), linear.b.deployed().to(at::kDouble));
}
} // namespace

void TestErrorCorrection::followsTheFormulas_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("solver");
    for (const Json& entry : lowRankGolden("corrections")) {
        const auto name = QString::fromStdString(text(entry, "name"));
        for (const char* solver : {"randomized", "full"}) {
            QTest::addRow("%s, %s", qPrintable(name), solver) << name << solver;
        }
    }
}

void TestErrorCorrection::followsTheFormulas()
{
    QFETCH(QString, name);
    QFETCH(QString, solver);
    const Json& golden = namedCase(lowRankGolden("corrections"), qPrintable(name));
    const InputStatistics statistics =
        goldenStatistics(text(golden, "input"), golden.value("stat_batch", 2));
    RunSpec spec = goldenSpec(text(golden, "method"));
    spec.lowRank.solver = solver.toStdString();
    spec.lowRank.statistic = golden.value("statistic", spec.lowRank.statistic);
    spec.lowRank.reduce = golden.value("reduce", spec.lowRank.reduce);
    const at::Tensor weight = goldenWeight(text(golden, "layer"));
    const auto rank = golden.at("rank").get<std::int64_t>();

    const LayerOutcome outcome = quantize(spec, weight, &statistics, rank);
    const at::Tensor error =
        matrixOf(lowRankGolden("layers").at(text(golden, "layer")).at("error"));
    QCOMPARE(difference(weight - outcome.linear.dequantizedCodes(), error), std::string());

    const at::Tensor product = productOf(outcome.linear);
    if (golden.contains("product")) {
        const at::Tensor live = at::tensor(golden.at("live").get<std::vector<std::int64_t>>());
        QVERIFY(shareGap(product.index_select(0, live), wideMatrixOf(golden.at("product"))) <
                kCorrectionGap);
    } else {
        const at::Tensor root = wideMatrixOf(golden.at("root"));
        QVERIFY(shareGap(at::matmul(root, product), wideMatrixOf(golden.at("weighted"))) <
                kCorrectionGap);
    }
    // A channel that never fires is corrected by no more than its error.
    QVERIFY(product.norm(2, 1).le(error.t().norm(2, 1) * (1 + kCorrectionGap)).all().item<bool>() ||
            golden.contains("product"));

    const auto values = at::tensor(golden.at("values").get<std::vector<double>>(), at::kDouble);
    QVERIFY(shareGap(at::tensor(outcome.singularValues, at::kDouble), values) < kCorrectionGap);
    QCOMPARE(outcome.minimisesOutputError, spec.method == "qera-exact");
    if (!outcome.minimisesOutputError) {
        const double left = golden.at("left").get<double>();
        const double expected = std::sqrt(values.square().sum().item<double>() + left * left);
        QVERIFY(std::abs(outcome.errorNorm - expected) <= kCorrectionGap * expected);
    }
}

void TestErrorCorrection::factorsAreDeployedInBlocks()
{
    for (const Json& golden : lowRankGolden("factors")) {
        QuantizedLinear linear =
            quantize(goldenSpec("rtn"), goldenWeight("square"), nullptr, 0).linear;
        for (const Json& deployed : golden.at("deployed")) {
            const MxOptions mx = {deployed.at("bits").get<std::int64_t>(),
                                  golden.at("block").get<std::int64_t>(),
                                  deployed.at("exponent_bits").get<std::int64_t>(),
                                  text(deployed, "rule") == "qera" ? MxRule::Qera : MxRule::Lqer};
            linear.a = {matrixOf(golden.at("a")), true, mx, {}};
            linear.b = {matrixOf(golden.at("b")), true, mx, {}};
            const QuantizedLinear settled = linear.withRank(linear.rank());
            QCOMPARE(difference(settled.a.value, matrixOf(deployed.at("a"))), std::string());
            QCOMPARE(difference(settled.b.value, matrixOf(deployed.at("b"))), std::string());
        }
    }
}

void TestErrorCorrection::factorFormatFollowsTheSpec()
{
    const InputStatistics statistics = goldenStatistics("regular", 2);
    RunSpec spec = goldenSpec("l2qer");
    const LayerOutcome plain = quantize(spec, goldenWeight("tall"), &statistics, 4);
    QVERIFY(!plain.linear.a.quantized && !plain.linear.b.quantized);
    spec.lowRank.factorBits = 6;
    spec.lowRank.factorBlock = 4;
    spec.weight.exponentBits = 4;
    spec.weight.mxRule = "qera";
    const LayerOutcome outcome = quantize(spec, goldenWeight("tall"), &statistics, 4);
    const MxOptions expected = {6, 4, 4, MxRule::Qera};
    for (const auto& [factor, unquantized] :
         {std::pair(outcome.linear.a, plain.linear.a), {outcome.linear.b, plain.linear.b}}) {
        QVERIFY(factor.quantized && factor.mx == expected);
        QVERIFY(at::equal(factor.value, unquantized.value)); // still to be sliced
        QVERIFY(at::equal(factor.deployed(),
                          mxDecode(mxEncode(unquantized.value, expected), expected)));
    }
}

void TestErrorCorrection::rankZeroIsRoundToNearest_data()
{
    QTest::addColumn<QString>("method");
    for (const auto& method : builtinMethods()) {
        if (dynamic_cast<const LayerMethod*>(method.get()) == nullptr) {
            continue;
        }
        QTest::newRow(method->info().id.c_str()) << QString::fromStdString(method->info().id);
    }
}

void TestErrorCorrection::rankZeroIsRoundToNearest()
{
    QFETCH(QString, method);
    const InputStatistics statistics = goldenStatistics("regular", 2);
    for (const char* format : {"int", "mxint"}) {
        RunSpec spec = goldenSpec(method.toStdString());
        spec.weight.format = format;
        spec.weight.groupSize = 5;
        const LayerOutcome outcome = quantize(spec, goldenWeight("tall"), &statistics, 0);
        spec.method = "rtn";
        const LayerOutcome rounded = quantize(spec, goldenWeight("tall"), nullptr, 0);
        QVERIFY(!outcome.linear.a.defined() && !outcome.linear.b.defined());
        QVERIFY(outcome.singularValues.empty());
        QVERIFY(at::equal(outcome.linear.codes, rounded.linear.codes));
        QVERIFY(at::equal(outcome.linear.dequantized(), rounded.linear.dequantizedCodes()));
    }
}

void TestErrorCorrection::needsOnlyItsStatistic()
{
    RunSpec spec;
    QCOMPARE(layerMethod("rtn").needs(spec), StatisticsNeeds{});
    QCOMPARE(layerMethod("lqer").needs(spec), StatisticsNeeds{});
    QCOMPARE(layerMethod("l2qer").needs(spec), (StatisticsNeeds{true, false, false}));
    QCOMPARE(layerMethod("qera-approx").needs(spec), (StatisticsNeeds{false, true, false}));
    QCOMPARE(layerMethod("qera-exact").needs(spec), (StatisticsNeeds{false, false, true}));
    spec.lowRank.statistic = "rms";
    QCOMPARE(layerMethod("l2qer").needs(spec), (StatisticsNeeds{false, true, false}));
}

void TestErrorCorrection::refusesMissingStatistics()
{
    for (const char* method : {"l2qer", "qera-approx", "qera-exact"}) {
        QCOMPARE(
            sentenceOf([&] { quantize(goldenSpec(method), goldenWeight("tall"), nullptr, 2); }),
            std::string("layer: no input statistics were collected"));
    }
    QVERIFY(quantize(goldenSpec("lqer"), goldenWeight("tall"), nullptr, 2).linear.a.defined());
    QCOMPARE(sentenceOf([] { quantize(goldenSpec("lqer"), goldenWeight("wide"), nullptr, 7); }),
             std::string("rank 7 is not in 1..6"));
}

void TestErrorCorrection::refusesInputsThatAreNotFinite()
{
    for (const double value : {std::nan(""), HUGE_VAL}) {
        at::Tensor inputs = correlatedInputs(30, kIn);
        inputs[7][3] = value;
        InputStatistics statistics(kIn, {true, true, true});
        statistics.add(inputs);
        for (const char* method : {"l2qer", "qera-approx", "qera-exact"}) {
            QCOMPARE(sentenceOf([&] {
                         quantize(goldenSpec(method), goldenWeight("tall"), &statistics, 2);
                     }),
                     std::string("layer: its calibration inputs are not finite"));
        }
    }
}

void TestErrorCorrection::unknownMethodNamesTheNearest()
{
    const std::string sentence = sentenceOf([] { findMethod("qera-exakt"); });
    QVERIFY(sentence.find("did you mean \"qera-exact\"?") != std::string::npos);
    QVERIFY(sentence.find("rtn, lqer, l2qer, qera-approx, qera-exact") != std::string::npos);
}

QTEST_GUILESS_MAIN(TestErrorCorrection)
#include "tst_error_correction.moc"
