#include "methods/input_statistics.h"

#include <QtTest>

#include <ATen/ATen.h>

#include "base/error.h"
#include "support/tensor_golden.h"
#include "support/tensor_low_rank.h"
#include "support/tensor_model_files.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

class TestInputStatistics : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void followsTheFormulas_data();
    void followsTheFormulas();
    void wideAndLong_data();
    void wideAndLong();
    void orderOfBatchesDoesNotMatter();
    void refusesWhatWasNotCollected();
    void refusesLateInputs();
};

namespace {
constexpr StatisticsNeeds kAll = {true, true, true};

/// Largest gap between entries, as a share of the expected one; zeros must be zeros.
double entryGap(const at::Tensor& actual, const at::Tensor& expected)
{
    const at::Tensor size = expected.abs().clamp_min(1e-100);
    return ((actual - expected).abs() / size).max().item<double>();
}

/// Largest gap of R_ij as a share of sqrt(R_ii R_jj).
double autocorrelationGap(const at::Tensor& actual, const at::Tensor& expected)
{
    const at::Tensor sizes = expected.diagonal().sqrt().clamp_min(1e-100);
    return ((actual - expected).abs() / at::outer(sizes, sizes)).max().item<double>();
}
} // namespace

void TestInputStatistics::followsTheFormulas_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<int>("part"); // windows that arrive together, 0: a batch
    for (const Json& entry : lowRankGolden("statistics")) {
        const auto name = QString::fromStdString(entry.at("name").get<std::string>());
        for (const int part : {0, 1, 3}) {
            QTest::addRow("%s, %d at once", qPrintable(name), part) << name << part;
        }
    }
}

void TestInputStatistics::followsTheFormulas()
{
    QFETCH(QString, name);
    QFETCH(int, part);
    const Json& golden = namedCase(lowRankGolden("statistics"), qPrintable(name));
    const Json& input = lowRankGolden("inputs").at(golden.at("input").get<std::string>());
    const at::Tensor tokens = matrixOf(input.at("tokens"));
    const auto windows = input.at("windows").get<std::int64_t>();
    const auto batch = golden.at("batch").get<std::int64_t>();
    const std::int64_t length = tokens.size(0) / windows;

    InputStatistics statistics(tokens.size(1), kAll);
    for (std::int64_t begin = 0; begin < windows; begin += batch) {
        const std::int64_t end = std::min(begin + batch, windows);
        const std::int64_t step = part == 0 ? batch : part;
        for (std::int64_t at = begin; at < end; at += step) {
            const std::int64_t count = std::min(step, end - at);
            statistics.add(tokens.narrow(0, at * length, count * length), at + count == end);
        }
    }
    const auto row = [&](const char* key) { return wideMatrixOf(golden.at(key)).flatten(); };
    QCOMPARE(statistics.tokens(), tokens.size(0));
    QVERIFY(entryGap(statistics.scaleMeanAbs(true), row("mean-abs-max")) < kStatisticGap);
    QVERIFY(entryGap(statistics.scaleMeanAbs(false), row("mean-abs-mean")) < kStatisticGap);
    QVERIFY(entryGap(statistics.scaleRms(true), row("rms-max")) < kStatisticGap);
    QVERIFY(entryGap(statistics.scaleRms(false), row("rms-mean")) < kStatisticGap);
    QVERIFY(entryGap(statistics.meanSquare(), row("mean_square")) < kStatisticGap);
    QVERIFY(autocorrelationGap(statistics.autocorrelation(),
                               wideMatrixOf(golden.at("autocorrelation"))) < kAutocorrelationGap);
}

void TestInputStatistics::wideAndLong_data()
{
    QTest::addColumn<int>("tokens");
    QTest::addColumn<int>("in");
    QTest::newRow("one token") << 1 << 40;
    QTest::newRow("one channel") << 50 << 1;
    QTest::newRow("as wide as a strip") << 60 << 512;
    QTest::newRow("wider than two strips") << 60 << 1030;
    QTest::newRow("more tokens than a chunk") << 5000 << 24;
}

void TestInputStatistics::wideAndLong()
{
    QFETCH(int, tokens);
    QFETCH(int, in);
    const at::Tensor x = correlatedInputs(tokens, in);
    InputStatistics statistics(in, kAll);
    statistics.add(x);
    const at::Tensor r = statistics.autocorrelation();
    QVERIFY(at::equal(r, r.t()));
    QVERIFY(autocorrelationGap(r, normOf("dense", x).dense) < kAutocorrelationGap);
    QVERIFY(entryGap(r.diagonal(), statistics.meanSquare()) < kAutocorrelationGap);
    QVERIFY(at::equal(r, statistics.autocorrelation())); // read twice
    const at::Tensor values = at::linalg_eigvalsh(r);
    QVERIFY(values[0].item<double>() > -kAutocorrelationGap * values[-1].item<double>());
}

void TestInputStatistics::orderOfBatchesDoesNotMatter()
{
    const at::Tensor x = correlatedInputs(40, 12);
    InputStatistics forwards(12, kAll);
    InputStatistics backwards(12, kAll);
    for (std::int64_t at = 0; at < 4; ++at) {
        forwards.add(x.narrow(0, at * 10, 10));
        backwards.add(x.narrow(0, (3 - at) * 10, 10));
    }
    QVERIFY(at::equal(forwards.scaleMeanAbs(true), backwards.scaleMeanAbs(true)));
    QVERIFY(at::equal(forwards.scaleRms(true), backwards.scaleRms(true)));
    QVERIFY(relativeGap(forwards.autocorrelation(), backwards.autocorrelation()) < 1e-14);
    // One batch of all: then maximum and mean are the same.
    InputStatistics whole(12, kAll);
    whole.add(x);
    QVERIFY(at::equal(whole.scaleMeanAbs(true), whole.scaleMeanAbs(false)));
    QVERIFY(entryGap(whole.scaleRms(true).square(), whole.meanSquare()) < kStatisticGap);
    QVERIFY(whole.scaleMeanAbs(true).lt(forwards.scaleMeanAbs(true)).all().item<bool>());
}

void TestInputStatistics::refusesWhatWasNotCollected()
{
    InputStatistics none(4, {});
    none.add(at::ones({3, 4}));
    QCOMPARE(sentenceOf([&] { none.scaleMeanAbs(true); }),
             std::string("mean |x| was not collected"));
    QCOMPARE(sentenceOf([&] { none.scaleRms(true); }), std::string("x^2 was not collected"));
    QCOMPARE(sentenceOf([&] { none.meanSquare(); }), std::string("x^2 was not collected"));
    QCOMPARE(sentenceOf([&] { none.autocorrelation(); }), std::string("x^T x was not collected"));
    const InputStatistics empty(4, kAll);
    QCOMPARE(sentenceOf([&] { empty.autocorrelation(); }), std::string("x^T x was not collected"));
}

void TestInputStatistics::refusesLateInputs()
{
    InputStatistics statistics(4, kAll);
    statistics.add(at::ones({3, 4}));
    statistics.autocorrelation();
    QCOMPARE(sentenceOf([&] {
                 statistics.add(at::ones({3, 4}));
             }),
             "inputs came after their statistics were read");
}

QTEST_GUILESS_MAIN(TestInputStatistics)
#include "tst_input_statistics.moc"
