#include "methods/low_rank.h"

#include <cmath>

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

// The laws that LQER, L2QER and QERA obey on any data. Ranks are no small part of the matrices, so
// that the corrections are the best ones; what iteration leaves is measured in tst_factorize.
class TestLowRank : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void fullRankRestoresTheWeight_data() { errorsAndNorms(); }
    void fullRankRestoresTheWeight();
    void leavesTheTailOfTheSpectrum_data() { errorsAndNorms(); }
    void leavesTheTailOfTheSpectrum();
    void eachIsBestInItsOwnNorm_data() { errors(); }
    void eachIsBestInItsOwnNorm();
    void noCorrectionBeatsExact_data() { errors(); }
    void noCorrectionBeatsExact();
    void lessIsLeftAtHigherRank_data() { errorsAndNorms(); }
    void lessIsLeftAtHigherRank();
    void singularValuesGoIntoB_data() { errorsAndNorms(); }
    void singularValuesGoIntoB();
    void constantScaleIsLqer();
    void sizeOfTheScaleDoesNotMatter_data();
    void sizeOfTheScaleDoesNotMatter();
    void diagonalAutocorrelationIsApprox();
    void errorIsThatOfTheOutputs();
    void rootsAgree_data();
    void rootsAgree();
    void solversAgree_data() { errorsAndNorms(); }
    void solversAgree();
    void deadChannels();
    void nothingToCorrect();
    void silence();
    void equalSingularValues();
    void scaleOfLqer();
    void normOfAnError();

private:
    void errors();
    void errorsAndNorms();
};

namespace {
constexpr std::int64_t kRank = 6;
const std::vector<const char*> kNorms = {"none", "diagonal", "dense"};

LowRankPair pairOf(const at::Tensor& error, const ErrorNorm& norm, std::int64_t rank,
                   bool full = false)
{
    FactorizeOptions options;
    options.rank = rank;
    options.full = full;
    return lowRankPair(error, norm, options, {});
}

at::Tensor productOf(const LowRankPair& pair)
{
    return at::matmul(pair.a.to(at::kDouble), pair.b.to(at::kDouble));
}

at::Tensor correction(const at::Tensor& error, const ErrorNorm& norm, std::int64_t rank)
{
    return productOf(pairOf(error, norm, rank));
}

/// As QFETCH finds it in the row: an error, and inputs of its width.
struct Row {
    at::Tensor error, inputs, root;
    ErrorNorm norm;
    std::int64_t smaller;
};

at::Tensor errorNamed(const std::string& name)
{
    const std::map<std::string, std::pair<std::int64_t, std::int64_t>> shapes = {
        {"tall", {40, 24}},
        {"wide", {24, 40}},
        {"square", {32, 32}},
        {"row", {1, 20}},
        {"column", {20, 1}}};
    const auto [out, in] = shapes.at(name);
    if (out > 1 && in > 1) {
        return matrixWithSpectrum("slow", out, in, 11) * 0.01;
    }
    return normal({out, in}, 0.01, 11);
}

Row fetchRow(const QString& name, const QString& normName)
{
    Row row;
    row.error = errorNamed(name.toStdString());
    row.inputs = correlatedInputs(200, row.error.size(1));
    row.norm = normOf(normName.toStdString(), row.inputs);
    row.root = rootOf(row.norm, row.error.size(1));
    row.smaller = std::min(row.error.size(0), row.error.size(1));
    return row;
}

at::Tensor weightedValues(const at::Tensor& error, const at::Tensor& root)
{
    return singularValuesOf(at::matmul(root, error.t().to(at::kDouble)));
}

double sizeOf(const Row& row)
{
    return errorLeft(row.error, at::zeros_like(row.error.t()), row.root);
}
} // namespace

void TestLowRank::errors()
{
    QTest::addColumn<QString>("error");
    for (const char* error : {"tall", "wide", "square", "row", "column"}) {
        QTest::newRow(error) << error;
    }
}

void TestLowRank::errorsAndNorms()
{
    QTest::addColumn<QString>("error");
    QTest::addColumn<QString>("norm");
    for (const char* error : {"tall", "wide", "square", "row", "column"}) {
        for (const char* norm : kNorms) {
            QTest::addRow("%s, %s", error, norm) << error << norm;
        }
    }
}

void TestLowRank::fullRankRestoresTheWeight()
{
    QFETCH(QString, error);
    QFETCH(QString, norm);
    const Row row = fetchRow(error, norm);
    const at::Tensor product = correction(row.error, row.norm, row.smaller);
    const double largest = row.error.abs().max().item<double>();
    const double gap = (product - row.error.t()).abs().max().item<double>();
    QVERIFY2(gap <= kFactorRounding * largest, message(gap / largest).c_str());
}

void TestLowRank::leavesTheTailOfTheSpectrum()
{
    QFETCH(QString, error);
    QFETCH(QString, norm);
    const Row row = fetchRow(error, norm);
    const at::Tensor values = weightedValues(row.error, row.root);
    for (std::int64_t rank = std::min(row.smaller, kRank); rank <= row.smaller; rank += 7) {
        const LowRankPair pair = pairOf(row.error, row.norm, rank);
        const double left = errorLeft(row.error, productOf(pair), row.root);
        QVERIFY(std::abs(left - leastError(values, rank)) <= kFactorRounding * sizeOf(row));
        const at::Tensor found = at::tensor(pair.singularValues, at::kDouble);
        QVERIFY((found - values.narrow(0, 0, rank)).abs().max().item<double>() <=
                kFactorRounding * values[0].item<double>());
    }
}

void TestLowRank::eachIsBestInItsOwnNorm()
{
    QFETCH(QString, error);
    for (const char* first : kNorms) {
        const Row row = fetchRow(error, first);
        const std::int64_t rank = std::min(row.smaller, kRank);
        const double own = errorLeft(row.error, correction(row.error, row.norm, rank), row.root);
        for (const char* second : kNorms) {
            const ErrorNorm other = normOf(second, row.inputs);
            const double theirs =
                errorLeft(row.error, correction(row.error, other, rank), row.root);
            QVERIFY2(own <= theirs + kFactorRounding * sizeOf(row),
                     message(first, " ", own, " ", second, " ", theirs).c_str());
        }
    }
}

void TestLowRank::noCorrectionBeatsExact()
{
    QFETCH(QString, error);
    const Row row = fetchRow(error, "dense");
    const std::int64_t rank = std::min(row.smaller, kRank);
    const LowRankPair exact = pairOf(row.error, row.norm, rank);
    const double best = errorLeft(row.error, productOf(exact), row.root);
    const double rounding = kFactorRounding * sizeOf(row);
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        // Any columns with the best rows for them, and the exact factors moved a little or a lot.
        const at::Tensor a = normal({row.error.size(1), rank}, 1.0, seed).to(at::kDouble);
        const at::Tensor weighted = at::matmul(row.root, a);
        const at::Tensor b = at::linalg_solve(
            at::matmul(weighted.t(), weighted),
            at::matmul(weighted.t(), at::matmul(row.root, row.error.t().to(at::kDouble))));
        QVERIFY(best <= errorLeft(row.error, at::matmul(a, b), row.root) + rounding);
        const double step = std::pow(10.0, -static_cast<double>(seed % 6));
        const at::Tensor moved = at::matmul(
            exact.a.to(at::kDouble) * (1 + step * normal(exact.a.sizes(), 1.0, seed + 100)),
            exact.b.to(at::kDouble) * (1 + step * normal(exact.b.sizes(), 1.0, seed + 200)));
        QVERIFY(best <= errorLeft(row.error, moved, row.root) + rounding);
    }
}

void TestLowRank::lessIsLeftAtHigherRank()
{
    QFETCH(QString, error);
    QFETCH(QString, norm);
    const Row row = fetchRow(error, norm);
    const LowRankPair whole = pairOf(row.error, row.norm, row.smaller);
    const at::Tensor values = weightedValues(row.error, row.root);
    double before = sizeOf(row);
    for (std::int64_t rank = 1; rank <= row.smaller; ++rank) {
        const at::Tensor sliced = at::matmul(whole.a.narrow(1, 0, rank).to(at::kDouble),
                                             whole.b.narrow(0, 0, rank).to(at::kDouble));
        const double left = errorLeft(row.error, sliced, row.root);
        QVERIFY(left <= before + kFactorRounding * sizeOf(row));
        QVERIFY(std::abs(left - leastError(values, rank)) <= kFactorRounding * sizeOf(row));
        const at::Tensor sizes = singularValuesOf(sliced);
        if (rank < row.smaller) { // what lies beyond the rank is float64 rounding
            QVERIFY(sizes[rank].item<double>() <= 1e-12 * sizes[0].item<double>());
        }
        before = left;
    }
}

void TestLowRank::singularValuesGoIntoB()
{
    QFETCH(QString, error);
    QFETCH(QString, norm);
    const Row row = fetchRow(error, norm);
    const std::int64_t rank = std::min(row.smaller, kRank);
    const LowRankPair pair = pairOf(row.error, row.norm, rank);
    const at::Tensor scaled = at::matmul(row.root, pair.a.to(at::kDouble));
    const at::Tensor unit = at::matmul(scaled.t(), scaled);
    QVERIFY((unit - at::eye(rank, at::kDouble)).abs().max().item<double>() < kOrthonormalGap);
    const at::Tensor lengths = pair.b.to(at::kDouble).norm(2, 1);
    const at::Tensor values = at::tensor(pair.singularValues, at::kDouble);
    QVERIFY((lengths / values - 1).abs().max().item<double>() < kOrthonormalGap);
}

void TestLowRank::constantScaleIsLqer()
{
    const at::Tensor error = errorNamed("tall");
    const at::Tensor plain = correction(error, {}, kRank);
    for (const double size : {1e-12, 0.3, 1.0, 1e12}) {
        const at::Tensor constant = at::full({error.size(1)}, size, at::kDouble);
        QVERIFY(relativeGap(correction(error, {constant, {}}, kRank), plain) < kCorrectionGap);
        QVERIFY(relativeGap(correction(error, {{}, at::diag(constant)}, kRank), plain) <
                kCorrectionGap);
    }
    // LoftQ after one step is the plain pair; a silent L2QER statistic becomes a constant.
    QVERIFY(relativeGap(correction(error, {lqerScale(at::zeros({24})).square(), {}}, kRank),
                        plain) < kCorrectionGap);
}

void TestLowRank::sizeOfTheScaleDoesNotMatter_data()
{
    QTest::addColumn<double>("size");
    for (const double size : {1e-20, 1e-6, 3.0, 1e6, 1e20}) {
        QTest::addRow("%g", size) << size;
    }
}

void TestLowRank::sizeOfTheScaleDoesNotMatter()
{
    QFETCH(double, size);
    for (const char* norm : {"diagonal", "dense"}) {
        const Row row = fetchRow("wide", norm);
        ErrorNorm larger = row.norm;
        at::Tensor& weights = larger.dense.defined() ? larger.dense : larger.diagonal;
        weights = weights * (size * size);
        for (const bool full : {false, true}) {
            const LowRankPair pair = pairOf(row.error, row.norm, kRank, full);
            const LowRankPair scaled = pairOf(row.error, larger, kRank, full);
            QVERIFY(relativeGap(productOf(scaled), productOf(pair)) < kCorrectionGap);
            QVERIFY(std::abs(scaled.singularValues[0] / (size * pair.singularValues[0]) - 1) <
                    kCorrectionGap);
        }
    }
}

void TestLowRank::diagonalAutocorrelationIsApprox()
{
    const Row row = fetchRow("wide", "diagonal");
    QVERIFY(relativeGap(correction(row.error, {{}, at::diag(row.norm.diagonal)}, kRank),
                        correction(row.error, row.norm, kRank)) < kCorrectionGap);
}

void TestLowRank::errorIsThatOfTheOutputs()
{
    const Row row = fetchRow("wide", "dense");
    const LowRankPair pair = pairOf(row.error, row.norm, kRank);
    const at::Tensor left = row.error.t().to(at::kDouble) - productOf(pair);
    const double measured =
        at::matmul(row.inputs.to(at::kDouble), left).square().sum(1).mean().item<double>();
    const at::Tensor values = weightedValues(row.error, row.root);
    const double predicted = std::pow(leastError(values, kRank), 2);
    QVERIFY(std::abs(measured - predicted) <= kCorrectionGap * predicted);
}

void TestLowRank::rootsAgree_data()
{
    errors();
}

void TestLowRank::rootsAgree()
{
    QFETCH(QString, error);
    const Row row = fetchRow(error, "dense");
    const std::int64_t rank = std::min(row.smaller, kRank);
    const at::Tensor byEigen = textbookCorrection(row.error, row.root, rank);
    const at::Tensor byCholesky = textbookCorrection(row.error, choleskyOf(row.norm.dense), rank);
    const at::Tensor bySchur = textbookCorrection(row.error, schurRootOf(row.norm.dense), rank);
    QVERIFY(relativeGap(byCholesky, byEigen) < kOracleGap);
    QVERIFY(relativeGap(bySchur, byEigen) < kOracleGap);
    QVERIFY(relativeGap(correction(row.error, row.norm, rank), byEigen) < kCorrectionGap);
}

void TestLowRank::solversAgree()
{
    QFETCH(QString, error);
    QFETCH(QString, norm);
    const Row row = fetchRow(error, norm);
    const std::int64_t rank = std::min(row.smaller, kRank);
    QVERIFY(relativeGap(productOf(pairOf(row.error, row.norm, rank, true)),
                        productOf(pairOf(row.error, row.norm, rank, false))) < kCorrectionGap);
}

void TestLowRank::deadChannels()
{
    const at::Tensor error = errorNamed("tall");
    at::Tensor inputs = correlatedInputs(200, error.size(1));
    const at::Tensor dead = at::tensor({0, 5, 23}, at::kLong);
    inputs.index_fill_(1, dead, 0);
    for (const char* kind : {"diagonal", "dense"}) {
        const ErrorNorm norm = normOf(kind, inputs);
        for (const std::int64_t rank : {kRank, error.size(1) - 3, error.size(1)}) {
            for (const bool full : {false, true}) {
                const at::Tensor product = productOf(pairOf(error, norm, rank, full));
                // No division by what never fires: a channel gets at most its own error.
                QVERIFY(product.norm(2, 1)
                            .le(error.t().to(at::kDouble).norm(2, 1) * (1 + kFactorRounding))
                            .all()
                            .item<bool>());
                const at::Tensor values = weightedValues(error, rootOf(norm, error.size(1)));
                const double left = errorLeft(error, product, rootOf(norm, error.size(1)));
                QVERIFY(std::abs(left - leastError(values, rank)) <=
                        kFactorRounding * values.norm().item<double>());
            }
        }
        QVERIFY(relativeGap(correction(error, norm, error.size(1)), error.t()) < kFactorRounding);
    }
}

void TestLowRank::nothingToCorrect()
{
    for (const auto& shape : {std::pair<int, int>{40, 24}, {200, 240}, {1, 9}, {9, 1}}) {
        const at::Tensor error = at::zeros({shape.first, shape.second});
        const at::Tensor inputs = correlatedInputs(30, shape.second);
        for (const char* kind : kNorms) {
            for (const bool full : {false, true}) {
                const LowRankPair pair = pairOf(error, normOf(kind, inputs), 1, full);
                QCOMPARE(pair.a.sizes(), at::IntArrayRef({shape.second, 1}));
                QCOMPARE(pair.b.sizes(), at::IntArrayRef({1, shape.first}));
                QVERIFY(productOf(pair).eq(0).all().item<bool>());
                QVERIFY(pair.a.isfinite().all().item<bool>());
                QCOMPARE(pair.singularValues, std::vector<double>{0.0});
            }
        }
    }
}

void TestLowRank::silence()
{
    for (const auto& shape : {std::pair<int, int>{40, 24}, {200, 240}}) {
        const at::Tensor error = normal({shape.first, shape.second});
        for (const char* kind : {"diagonal", "dense"}) {
            for (const bool full : {false, true}) {
                const ErrorNorm norm = normOf(kind, at::zeros({10, shape.second}));
                const LowRankPair pair = pairOf(error, norm, 2, full);
                QVERIFY(productOf(pair).isfinite().all().item<bool>());
                QVERIFY(productOf(pair).norm().item<double>() <= error.norm().item<double>());
                QCOMPARE(pair.singularValues, std::vector<double>(2, 0.0));
            }
        }
    }
}

void TestLowRank::equalSingularValues()
{
    // Every direction is as good: the product is free, what it leaves is not.
    const at::Tensor error = svdOf(normal({24, 24})).u.to(at::kFloat);
    for (std::int64_t rank = 3; rank <= 24; rank += 7) {
        const at::Tensor product = correction(error, {}, rank);
        const double left = errorLeft(error, product, at::eye(24, at::kDouble));
        QVERIFY(std::abs(left - std::sqrt(24.0 - static_cast<double>(rank))) < kCorrectionGap);
        QVERIFY(std::abs(product.norm().item<double>() - std::sqrt(static_cast<double>(rank))) <
                kCorrectionGap);
    }
}

void TestLowRank::scaleOfLqer()
{
    const at::Tensor statistic = at::tensor({0.0, 1e-5, 0.01, 4.0}, at::kDouble);
    const at::Tensor expected = at::tensor({1e-4, 1e-4, 0.01, 4.0}, at::kDouble) / 0.02;
    QVERIFY(relativeGap(lqerScale(statistic), expected) < 1e-15);
    // Free of the unit above the floor, and smallest times largest is 1.
    const at::Tensor above = at::tensor({0.5, 0.01, 4.0}, at::kDouble);
    QVERIFY(relativeGap(lqerScale(above * 1000), lqerScale(above)) < 1e-15);
    QVERIFY(std::abs((lqerScale(above).min() * lqerScale(above).max()).item<double>() - 1) < 1e-15);
}

void TestLowRank::normOfAnError()
{
    for (const std::int64_t rows : {1, 63, 64, 200}) {
        const at::Tensor error = normal({rows, 30});
        const ErrorNorm norm = normOf("diagonal", correlatedInputs(50, 30));
        for (const ErrorNorm& each : {ErrorNorm{}, norm}) {
            const double expected =
                errorLeft(error, at::zeros({30, rows}), rootOf(each, error.size(1)));
            QVERIFY(std::abs(weightedNorm(error, each.diagonal) / expected - 1) < 1e-12);
        }
    }
}

QTEST_GUILESS_MAIN(TestLowRank)
#include "tst_low_rank.moc"
