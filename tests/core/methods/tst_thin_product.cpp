#include "methods/thin_product.h"

#include <QtTest>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/error.h"

using namespace qw;

class TestThinProduct : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void multiplies_data();
    void multiplies();
    void sameBitsForEveryThreadCount();
    void takesAnyLayout();
    void refusesOtherShapes();
};

namespace {
at::Tensor random(std::int64_t rows, std::int64_t cols)
{
    return at::randn({rows, cols}, at::kFloat);
}

/// Largest gap as a share of what rounding every product by 2^-24 could sum to.
double gap(const at::Tensor& actual, const at::Tensor& a, const at::Tensor& b)
{
    const at::Tensor expected = at::matmul(a.to(at::kDouble), b.to(at::kDouble));
    const at::Tensor room = at::matmul(a.abs().to(at::kDouble), b.abs().to(at::kDouble)) + 1e-30;
    return ((actual.to(at::kDouble) - expected).abs() / room).max().item<double>();
}
} // namespace

void TestThinProduct::multiplies_data()
{
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("out");
    QTest::addColumn<int>("in");
    QTest::newRow("one row") << 1 << 40 << 24;
    QTest::newRow("whole tiles") << 16 << 512 << 256;
    QTest::newRow("two packs") << 32 << 264 << 80;
    QTest::newRow("nothing divides") << 19 << 277 << 101;
    QTest::newRow("narrower than a vector") << 16 << 300 << 7;
    QTest::newRow("few rows of the matrix") << 16 << 3 << 500;
    QTest::newRow("left to the library") << 80 << 50 << 60;
}

void TestThinProduct::multiplies()
{
    QFETCH(int, rows);
    QFETCH(int, out);
    QFETCH(int, in);
    constexpr double kTolerance = 1e-6; // float32 sums of a few hundred
    at::manual_seed(1);
    const at::Tensor e = random(out, in);
    const at::Tensor x = random(rows, in);
    const at::Tensor q = random(rows, out);
    for (const Simd simd : {Simd::Baseline, Simd::Avx2, Simd::Avx512}) {
        if (simd > bestSimd()) {
            continue;
        }
        const at::Tensor dots = timesTransposed(x, e, simd);
        QCOMPARE(dots.sizes(), at::IntArrayRef({rows, out}));
        QVERIFY2(gap(dots, x, e.t()) < kTolerance, std::to_string(gap(dots, x, e.t())).c_str());
        const at::Tensor sums = timesMatrix(q, e, simd);
        QCOMPARE(sums.sizes(), at::IntArrayRef({rows, in}));
        QVERIFY2(gap(sums, q, e) < kTolerance, std::to_string(gap(sums, q, e)).c_str());
    }
}

void TestThinProduct::sameBitsForEveryThreadCount()
{
    at::manual_seed(2);
    const at::Tensor e = random(700, 500);
    const at::Tensor x = random(16, 500);
    const at::Tensor q = random(16, 700);
    const int before = at::get_num_threads();
    at::set_num_threads(1);
    const at::Tensor dots = timesTransposed(x, e);
    const at::Tensor sums = timesMatrix(q, e);
    at::set_num_threads(3);
    QVERIFY(at::equal(timesTransposed(x, e), dots));
    QVERIFY(at::equal(timesMatrix(q, e), sums));
    at::set_num_threads(before);
}

void TestThinProduct::takesAnyLayout()
{
    at::manual_seed(3);
    const at::Tensor e = random(64, 96).t(); // not contiguous
    const at::Tensor x = random(64, 16).t();
    QVERIFY(at::allclose(timesTransposed(x, e), at::matmul(x, e.t()), 1e-4, 1e-4));
    const at::Tensor wide = random(96, 64);
    QVERIFY(at::allclose(timesTransposed(x, wide), at::matmul(x, wide.t()), 1e-4, 1e-4));
}

void TestThinProduct::refusesOtherShapes()
{
    QVERIFY_EXCEPTION_THROWN(timesTransposed(random(4, 8), random(5, 9)), Error);
    QVERIFY_EXCEPTION_THROWN(timesMatrix(random(4, 8), random(9, 8)), Error);
}

QTEST_APPLESS_MAIN(TestThinProduct)
#include "tst_thin_product.moc"
