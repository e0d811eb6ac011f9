#include "base/error.h"
#include "report/rank_prediction.h"

#include <QtTest>

using namespace qw;

namespace {
/// 6 x 4 with singular values 4, 2 and a norm of 5: five of 25 parts are left at rank 2.
CorrectionSpectrum sample()
{
    CorrectionSpectrum spectrum;
    spectrum.singularValues = {4, 2};
    spectrum.errorNorm = 5;
    spectrum.weightNorm = 50;
    spectrum.rows = 6;
    spectrum.cols = 4;
    spectrum.baseBits = 100;
    spectrum.measuredRank = 1;
    spectrum.measuredOutputError = 0.3;
    spectrum.measuredWeightError = 0.12;
    return spectrum;
}
} // namespace

class TestRankPrediction : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void energyAndErrors_data();
    void energyAndErrors();
    void bytes_data();
    void bytes();
    void baseBitsComeFromTheResult();
    void withoutSpectrumNothingIsClaimed();
    void fullRankMeasuredSaysNothingOfOthers();
    void wrongArguments();
};

void TestRankPrediction::energyAndErrors_data()
{
    QTest::addColumn<int>("rank");
    QTest::addColumn<double>("energy");
    QTest::addColumn<double>("residual");
    QTest::addColumn<double>("outputError");
    QTest::addColumn<double>("weightError");
    QTest::newRow("none") << 0 << 0.0 << 1.0 << 0.5 << 0.2;
    QTest::newRow("as measured") << 1 << 0.64 << 0.6 << 0.3 << 0.12;
    QTest::newRow("largest stored")
        << 2 << 0.8 << std::sqrt(0.2) << 0.5 * std::sqrt(0.2) << 0.2 * std::sqrt(0.2);
    QTest::newRow("beyond what is stored") << 3 << qQNaN() << qQNaN() << qQNaN() << qQNaN();
    QTest::newRow("full rank") << 4 << 1.0 << 0.0 << 0.0 << 0.0;
    QTest::newRow("more than full") << 9 << 1.0 << 0.0 << 0.0 << 0.0;
}

void TestRankPrediction::energyAndErrors()
{
    QFETCH(int, rank);
    QFETCH(double, energy);
    QFETCH(double, residual);
    QFETCH(double, outputError);
    QFETCH(double, weightError);
    const RankPoint point = atRank(sample(), rank);
    QCOMPARE(point.energy, energy);
    QCOMPARE(point.residual, residual);
    QCOMPARE(point.outputError, outputError);
    QCOMPARE(point.weightError, weightError);
    QCOMPARE(point.shareOfWeight, residual / 10);
}

void TestRankPrediction::bytes_data()
{
    QTest::addColumn<int>("factorBits");
    QTest::addColumn<int>("rank");
    QTest::addColumn<int>("bits");
    QTest::newRow("no factors") << 0 << 0 << 100;
    QTest::newRow("float32") << 0 << 2 << 100 + 2 * 10 * 32;
    QTest::newRow("no wider than the layer") << 0 << 9 << 100 + 4 * 10 * 32;
    // A: 4 rows of 2 columns, a block each; B: 2 rows of 6 columns in blocks of 4.
    QTest::newRow("mxint") << 3 << 2 << 100 + 2 * 10 * 3 + (4 * 1 + 2 * 2) * 8;
}

void TestRankPrediction::bytes()
{
    QFETCH(int, factorBits);
    QFETCH(int, rank);
    QFETCH(int, bits);
    CorrectionSpectrum spectrum = sample();
    spectrum.lowRank.factorBits = factorBits;
    spectrum.lowRank.factorBlock = 4;
    const RankPoint point = atRank(spectrum, rank);
    QCOMPARE(point.bytes, (bits + 7) / 8);
    QCOMPARE(point.bitsPerWeight, bits / 24.0);
}

void TestRankPrediction::baseBitsComeFromTheResult()
{
    LayerResult layer;
    layer.rows = 6;
    layer.cols = 4;
    layer.rank = 2;
    layer.singularValues = {4, 2};
    layer.errorNorm = 5;
    layer.bitsPerWeight = (100 + 2 * 10 * 32) / 24.0;
    layer.bytes = 93; // rounded up: 744 bits
    layer.outputError = 0.25;
    const CorrectionSpectrum spectrum = correctionSpectrum(layer, RunSpec{});
    QCOMPARE(spectrum.baseBits, 100);
    QCOMPARE(atRank(spectrum, 2).bytes, 93);
    QCOMPARE(atRank(spectrum, 2).outputError, 0.25);
    QCOMPARE(atRank(spectrum, 0).bytes, 13);
}

void TestRankPrediction::withoutSpectrumNothingIsClaimed()
{
    CorrectionSpectrum spectrum = sample();
    spectrum.singularValues.clear();
    spectrum.errorNorm = kMissing;
    const RankPoint point = atRank(spectrum, 1);
    QVERIFY(std::isnan(point.energy) && std::isnan(point.outputError));
    QVERIFY(std::isnan(point.shareOfWeight));
    QCOMPARE(point.bytes, (100 + 320 + 7) / 8);
}

void TestRankPrediction::fullRankMeasuredSaysNothingOfOthers()
{
    CorrectionSpectrum spectrum = sample();
    spectrum.measuredRank = 4;
    spectrum.measuredOutputError = 0;
    QVERIFY(std::isnan(atRank(spectrum, 1).outputError));
}

void TestRankPrediction::wrongArguments()
{
    QVERIFY_EXCEPTION_THROWN(atRank(sample(), -1), Error);
    QVERIFY_EXCEPTION_THROWN(atRank(CorrectionSpectrum{}, 1), Error);
}

QTEST_GUILESS_MAIN(TestRankPrediction)
#include "tst_rank_prediction.moc"
