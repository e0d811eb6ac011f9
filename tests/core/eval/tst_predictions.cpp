#include <cmath>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <QtTest>

#include "base/error.h"
#include "eval/perplexity.h"
#include "eval/prediction_kernel.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

namespace {
at::Tensor noise(const std::vector<std::int64_t>& shape, std::uint64_t seed)
{
    return at::randn(shape, at::detail::createCPUGenerator(seed), at::kFloat);
}

/// In float64, straight from the definitions.
struct Expected {
    double nll, kl;
};
Expected expectedRow(const at::Tensor& x, const at::Tensor& r, std::int64_t target)
{
    const at::Tensor logQ = x.to(at::kDouble).log_softmax(-1);
    const at::Tensor logP = r.to(at::kDouble).log_softmax(-1);
    return {-logQ[target].item<double>(), (logP.exp() * (logP - logQ)).sum().item<double>()};
}
} // namespace

class TestPredictions : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void kernelEqualsDefinitions_data()
    {
        QTest::addColumn<int>("vocab");
        QTest::addColumn<double>("size");
        QTest::addColumn<double>("change");
        QTest::newRow("small vocabulary") << 3 << 1.0 << 0.5;
        QTest::newRow("odd vocabulary") << 1031 << 3.0 << 0.5;
        QTest::newRow("large logits") << 5000 << 30.0 << 1.0;
        QTest::newRow("small change") << 5000 << 4.0 << 0.01;
    }
    void kernelEqualsDefinitions()
    {
        QFETCH(int, vocab);
        QFETCH(double, size);
        QFETCH(double, change);
        constexpr std::int64_t kRows = 9;
        const at::Tensor r = noise({kRows, vocab}, 1) * size;
        const at::Tensor x = r + noise({kRows, vocab}, 2) * change;
        const at::Tensor targets =
            at::randint(vocab, {kRows}, at::detail::createCPUGenerator(3), at::kLong);
        for (int level = 0; level <= static_cast<int>(bestSimd()); ++level) {
            std::vector<PredictionOfRow> rows(kRows);
            scoreLogits(x.data_ptr<float>(), r.data_ptr<float>(), targets.data_ptr<std::int64_t>(),
                        kRows, vocab, rows.data(), static_cast<Simd>(level));
            for (std::int64_t i = 0; i < kRows; ++i) {
                const Expected e = expectedRow(x[i], r[i], targets[i].item<std::int64_t>());
                const PredictionOfRow& row = rows[static_cast<std::size_t>(i)];
                QVERIFY(std::abs(row.nll - e.nll) <= kNllGap * (1 + e.nll));
                QVERIFY2(std::abs(row.kl - e.kl) <= kKlGap + 1e-5 * e.kl,
                         qPrintable(QString("%1 and %2").arg(row.kl).arg(e.kl)));
                QCOMPARE(row.sameTop,
                         x[i].argmax().item<std::int64_t>() == r[i].argmax().item<std::int64_t>());
            }
        }
    }

    void bfloat16LogitsAreWidened()
    {
        const at::Tensor r = noise({5, 700}, 1).to(at::kBFloat16);
        const at::Tensor x = noise({5, 700}, 2).to(at::kBFloat16);
        const at::Tensor targets = at::tensor({3, 0, 699, 44, 5}, at::kLong);
        PredictionScores narrow;
        PredictionScores wide;
        addPredictions(x, r, targets, narrow);
        addPredictions(x.to(at::kFloat), r.to(at::kFloat), targets, wide);
        for (std::size_t i = 0; i < 5; ++i) { // another order of the float32 sums
            QVERIFY(std::abs(narrow.nll[i] - wide.nll[i]) <= kNllGap * (1 + wide.nll[i]));
            QVERIFY(std::abs(narrow.kl[i] - wide.kl[i]) <= kKlGap * (1 + wide.kl[i]));
        }
        QCOMPARE(narrow.top1Same, wide.top1Same);
    }

    void plainWayAgrees()
    {
        const at::Tensor r = noise({20, 333}, 1);
        const at::Tensor x = r + noise({20, 333}, 2) * 0.1;
        const at::Tensor targets =
            at::randint(333, {20}, at::detail::createCPUGenerator(3), at::kLong);
        PredictionScores kernel;
        PredictionScores plain;
        addPredictions(x, r, targets, kernel);
        addPredictionsPlain(x, r, targets, plain);
        for (std::size_t i = 0; i < 20; ++i) {
            QVERIFY(std::abs(kernel.nll[i] - plain.nll[i]) <= kNllGap * (1 + plain.nll[i]));
            QVERIFY(std::abs(kernel.kl[i] - plain.kl[i]) <= kPlainKlGap);
        }
        QCOMPARE(kernel.top1Same, plain.top1Same);
    }

    void equalLogitsHaveNoDivergence()
    {
        const at::Tensor x = noise({4, 900}, 1) * 5;
        PredictionScores scores;
        addPredictions(x, x.clone(), at::tensor({0, 1, 2, 3}, at::kLong), scores);
        for (const double kl : scores.kl) {
            QCOMPARE(kl, 0.0);
        }
        QCOMPARE(scores.top1Same, 4);
    }

    void tiesGoToTheSmallerToken()
    {
        const at::Tensor x = at::tensor({1.F, 2.F, 2.F, 0.F}, at::kFloat).view({1, 4});
        const at::Tensor first = at::tensor({0.F, 5.F, 4.F, 0.F}, at::kFloat).view({1, 4});
        const at::Tensor second = at::tensor({0.F, 4.F, 5.F, 0.F}, at::kFloat).view({1, 4});
        PredictionScores scores;
        addPredictions(x, first, at::tensor({0}, at::kLong), scores);
        QCOMPARE(scores.top1Same, 1);
        addPredictions(x, second, at::tensor({0}, at::kLong), scores);
        QCOMPARE(scores.top1Same, 1);
    }

    void notANumberIsNotHidden()
    {
        at::Tensor x = noise({2, 50}, 1);
        x[0][7].fill_(std::nan(""));
        PredictionScores scores;
        addPredictions(x, {}, at::tensor({0, 0}, at::kLong), scores);
        QVERIFY(std::isnan(scores.nll[0]));
        QVERIFY(std::isfinite(scores.nll[1]));
        QVERIFY(scores.kl.empty());
    }

    void refusesShapesThatDoNotFit()
    {
        PredictionScores scores;
        QVERIFY_EXCEPTION_THROWN(
            addPredictions(noise({2, 5}, 1), {}, at::tensor({0}, at::kLong), scores), Error);
        QVERIFY_EXCEPTION_THROWN(
            addPredictions(noise({1, 5}, 1), noise({1, 6}, 1), at::tensor({0}, at::kLong), scores),
            Error);
    }

    void quantiles()
    {
        const std::vector<double> values = {40, 10, 30, 20};
        QCOMPARE(quantile(values, 0), 10.0);
        QCOMPARE(quantile(values, 0.5), 25.0);
        QCOMPARE(quantile(values, 0.9), 37.0); // place 2.7
        QCOMPARE(quantile(values, 1), 40.0);
        QCOMPARE(quantile({7}, 0.99), 7.0);
        QVERIFY(std::isnan(quantile({}, 0.5)));
    }
};

QTEST_GUILESS_MAIN(TestPredictions)
#include "tst_predictions.moc"
