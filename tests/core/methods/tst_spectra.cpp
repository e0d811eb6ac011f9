#include "methods/spectra.h"

#include <cmath>
#include <numeric>

#include <QtTest>

#include <ATen/ATen.h>

#include "base/error.h"
#include "support/tensor_low_rank.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

class TestSpectra : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void agreesWithTheSvd_data();
    void agreesWithTheSvd();
    void curvesShareANorm();
    void energyGrowsToOne();
    void stableRanks();
    void gaussianEndsAtTheEdge_data();
    void gaussianEndsAtTheEdge();
    void spikesLieAboveTheEdge();
    void stopsBeforeWork();
};

void TestSpectra::agreesWithTheSvd_data()
{
    QTest::addColumn<QString>("spectrum");
    QTest::addColumn<int>("out");
    QTest::addColumn<int>("in");
    QTest::addColumn<QString>("norm");
    QTest::addColumn<double>("size");
    for (const char* norm : {"none", "diagonal", "dense"}) {
        for (const char* spectrum : {"fast", "slow", "flat", "rank 5"}) {
            QTest::addRow("%s, %s, tall", spectrum, norm) << spectrum << 90 << 60 << norm << 1.0;
            QTest::addRow("%s, %s, wide", spectrum, norm) << spectrum << 60 << 90 << norm << 1.0;
        }
        QTest::addRow("%s, one row", norm) << "flat" << 1 << 40 << norm << 1.0;
        QTest::addRow("%s, one column", norm) << "flat" << 40 << 1 << norm << 1.0;
        QTest::addRow("%s, tiny", norm) << "slow" << 40 << 50 << norm << 1e-20;
        QTest::addRow("%s, huge", norm) << "slow" << 50 << 40 << norm << 1e20;
        QTest::addRow("%s, zeros", norm) << "slow" << 20 << 30 << norm << 0.0;
    }
}

void TestSpectra::agreesWithTheSvd()
{
    QFETCH(QString, spectrum);
    QFETCH(int, out);
    QFETCH(int, in);
    QFETCH(QString, norm);
    QFETCH(double, size);
    const at::Tensor error = matrixWithSpectrum(spectrum.toStdString(), out, in) * size;
    const ErrorNorm weights = normOf(norm.toStdString(), correlatedInputs(300, in));
    const at::Tensor weighted = at::matmul(error.to(at::kDouble), rootOf(weights, in));
    const at::Tensor expected = singularValuesOf(weighted);
    const std::vector<double> found = singularValues(error, weights, {});
    QCOMPARE(static_cast<std::int64_t>(found.size()), expected.size(0));
    const at::Tensor gap = (at::tensor(found, at::kDouble) - expected).abs();
    QVERIFY(gap.max().item<double>() <= kGramGap * expected[0].item<double>());
    // All energy is there, whatever becomes of the smallest values.
    const double energy = std::inner_product(found.begin(), found.end(), found.begin(), 0.0);
    const double all = weighted.square().sum().item<double>();
    QVERIFY(std::abs(energy - all) <= 1e-12 * all);
}

void TestSpectra::curvesShareANorm()
{
    for (const double size : {1e-20, 1.0, 1e20}) {
        const Spectrum spectrum{"E", {4 * size, 2 * size, 1 * size, 0}};
        const std::vector<double> curve = spectrum.normalized();
        QCOMPARE(curve.size(), std::size_t{4});
        for (std::size_t i = 0; i < 4; ++i) {
            QVERIFY(std::abs(curve[i] - spectrum.values[i] / size / std::sqrt(21)) < 1e-15);
        }
    }
    QCOMPARE((Spectrum{"E", {0, 0}}).normalized(), std::vector<double>(2, 0.0));
}

void TestSpectra::energyGrowsToOne()
{
    const Spectrum spectrum{"E", {4, 2, 1, 0}};
    const std::vector<double> expected = {0, 16 / 21.0, 20 / 21.0, 1, 1, 1};
    for (std::size_t k = 0; k < expected.size(); ++k) {
        QVERIFY(std::abs(spectrum.energyAt(static_cast<std::int64_t>(k)) - expected[k]) < 1e-15);
    }
    QCOMPARE(spectrum.energyAt(-1), 0.0);
    QCOMPARE((Spectrum{"E", {0, 0}}).energyAt(1), 1.0); // nothing is missing
}

void TestSpectra::stableRanks()
{
    const auto rankOf = [](const at::Tensor& matrix) {
        return stableRank({"W", singularValues(matrix, {}, {})});
    };
    QVERIFY(std::abs(rankOf(at::eye(30)) - 30) < 1e-12);
    QVERIFY(std::abs(rankOf(at::ones({30, 20})) - 1) < 1e-12);
    QVERIFY(std::abs(rankOf(matrixWithSpectrum("rank 5", 40, 30)) - 5) < kCorrectionGap);
    QCOMPARE(rankOf(at::zeros({3, 4})), 0.0);
    QCOMPARE(stableRank({"W", {}}), 0.0);
    // By its definition, without singular vectors: Frobenius norm and largest value.
    const at::Tensor w = normal({50, 70});
    const double largest = singularValuesOf(w)[0].item<double>();
    const double frobenius = w.to(at::kDouble).square().sum().item<double>();
    QVERIFY(std::abs(rankOf(w) - frobenius / (largest * largest)) < 1e-10);
}

void TestSpectra::gaussianEndsAtTheEdge_data()
{
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("cols");
    for (const auto& [rows, cols] : {std::pair(400, 400), {600, 200}, {200, 600}}) {
        QTest::addRow("%d x %d", rows, cols) << rows << cols;
    }
}

void TestSpectra::gaussianEndsAtTheEdge()
{
    QFETCH(int, rows);
    QFETCH(int, cols);
    const Spectrum spectrum{"W", singularValues(normal({rows, cols}, 0.03, 4), {}, {})};
    const MarchenkoPastur found = marchenkoPastur(spectrum, rows, cols);
    const double edge = 0.03 * (std::sqrt(rows) + std::sqrt(cols));
    QVERIFY(std::abs(found.edge / edge - 1) < kSampledDeviation);
    QVERIFY(std::abs(spectrum.values[0] / edge - 1) < kEdgeFluctuation);
    QVERIFY(found.above <= 2);
}

void TestSpectra::spikesLieAboveTheEdge()
{
    const at::Tensor noise = normal({300, 200}, 0.03, 4);
    const at::Tensor spikes = matrixWithSpectrum("rank 5", 300, 200) * 2; // twice the edge of noise
    const Spectrum spectrum{"W", singularValues(noise + spikes, {}, {})};
    QCOMPARE(marchenkoPastur(spectrum, 300, 200).above, std::int64_t{5});
    const Spectrum none{"W", singularValues(at::zeros({30, 20}), {}, {})};
    QCOMPARE(marchenkoPastur(none, 30, 20).above, std::int64_t{0});
    QCOMPARE(marchenkoPastur(none, 30, 20).edge, 0.0);
}

void TestSpectra::stopsBeforeWork()
{
    std::stop_source source;
    std::vector<std::string> announced;
    const RunContext run(source.get_token(), [&](const Progress& progress) {
        if (progress.uninterruptible) {
            announced.push_back(progress.detail);
        }
    });
    const at::Tensor w = normal({20, 30});
    singularValues(w, {}, run);
    QCOMPARE(announced, std::vector<std::string>{"eigenvalues of 20 x 20"});
    source.request_stop();
    QVERIFY_EXCEPTION_THROWN(singularValues(w, {}, run), Cancelled);
    QCOMPARE(announced.size(), std::size_t{1});
}

QTEST_GUILESS_MAIN(TestSpectra)
#include "tst_spectra.moc"
