#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <QtTest>

#include "model/bf16_product_kernel.h"
#include "model/matrix_product.h"

using namespace qw;

#define QW_SKIP_WITHOUT_OWN_PRODUCTS                                                               \
    if (!hasBf16Product()) {                                                                       \
        QSKIP("this processor has no products of bfloat16, or better ones than ours");             \
    }

namespace {
/// Small integers: every sum of their products is exact in float32.
at::Tensor integers(std::int64_t rows, std::int64_t columns, std::uint64_t seed)
{
    return at::randint(-8, 9, {rows, columns}, at::detail::createCPUGenerator(seed), at::kFloat);
}

at::Tensor learned(const at::Tensor& x)
{
    return x.clone().set_requires_grad(true);
}

void addShapes()
{
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("columns");
    QTest::addColumn<int>("depth");
    const int shapes[][3] = {{32, 64, 32}, {33, 65, 34},   {97, 31, 258}, {250, 130, 2},
                             {64, 1, 64},  {516, 200, 96}, {34, 96, 30},  {68, 383, 62}};
    for (const auto& [rows, columns, depth] : shapes) {
        QTest::addRow("%d x %d, depth %d", rows, columns, depth) << rows << columns << depth;
    }
}
} // namespace

/// Products of bfloat16 against exact ones.
class TestMatrixProduct : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void exactForIntegers_data() { addShapes(); }
    void exactForIntegers()
    {
        QW_SKIP_WITHOUT_OWN_PRODUCTS
        QFETCH(int, rows);
        QFETCH(int, columns);
        QFETCH(int, depth);
        const at::Tensor a = integers(rows, depth, 1);
        const at::Tensor b = integers(depth, columns, 2);
        const at::Tensor expected = at::mm(a, b);
        const at::Tensor narrowA = a.to(at::kBFloat16);
        const at::Tensor narrowB = b.to(at::kBFloat16);
        const at::Tensor acrossA = narrowA.t().contiguous().t();
        const at::Tensor acrossB = narrowB.t().contiguous().t();
        for (const at::Tensor& left : {narrowA, acrossA}) {
            for (const at::Tensor& right : {narrowB, acrossB}) {
                QVERIFY(
                    at::equal(multiply(left, right, at::kBFloat16), expected.to(at::kBFloat16)));
            }
        }
        QVERIFY(at::equal(multiply(acrossA, narrowB, at::kFloat), expected));
    }

    void libraryDoesTheRest()
    {
        const at::Tensor few = at::randn({31, 64}).to(at::kBFloat16);
        const at::Tensor odd = at::randn({64, 33}).to(at::kBFloat16);
        const at::Tensor wide = at::randn({64, 64});
        QVERIFY(at::equal(multiply(few, odd, at::kBFloat16), at::mm(few, odd)));
        QVERIFY(at::equal(multiply(odd, odd.t(), at::kBFloat16), at::mm(odd, odd.t())));
        QVERIFY(at::equal(multiply(wide, wide, at::kFloat), at::mm(wide, wide)));
        QVERIFY(at::equal(qw::linear(wide, wide, {}), at::linear(wide, wide)));
    }

    void columnsOfAWiderMatrix()
    {
        QW_SKIP_WITHOUT_OWN_PRODUCTS
        const at::Tensor wide = integers(48, 200, 1).to(at::kBFloat16);
        const at::Tensor a = wide.narrow(1, 10, 100);
        const at::Tensor b = integers(100, 70, 2).to(at::kBFloat16);
        const at::Tensor expected = at::mm(a.to(at::kFloat), b.to(at::kFloat)).to(at::kBFloat16);
        QVERIFY(at::equal(multiply(a, b, at::kBFloat16), expected));
        QVERIFY(at::equal(
            multiply(a.slice(1, 0, 100, 2), b.slice(0, 0, 100, 2), at::kBFloat16),
            at::mm(a.to(at::kFloat).slice(1, 0, 100, 2), b.to(at::kFloat).slice(0, 0, 100, 2))
                .to(at::kBFloat16)));
    }

    void sameBitsWithAnyNumberOfThreads()
    {
        QW_SKIP_WITHOUT_OWN_PRODUCTS
        const at::Tensor a = at::randn({300, 512}).to(at::kBFloat16);
        const at::Tensor b = at::randn({512, 260}).to(at::kBFloat16);
        const int before = at::get_num_threads();
        at::set_num_threads(1);
        const at::Tensor alone = multiply(a, b, at::kFloat);
        const at::Tensor aloneAcross = multiply(b.t(), a.t(), at::kFloat);
        for (const int threads : {2, 3, 7}) {
            at::set_num_threads(threads);
            QVERIFY(at::equal(multiply(a, b, at::kFloat), alone));
            QVERIFY(at::equal(multiply(b.t(), a.t(), at::kFloat), aloneAcross));
        }
        at::set_num_threads(before);
    }

    void linearAndItsGradients_data()
    {
        QTest::addColumn<bool>("biased");
        QTest::addColumn<bool>("ofX");
        QTest::addColumn<bool>("ofWeight");
        QTest::newRow("both") << false << true << true;
        QTest::newRow("with a bias") << true << true << true;
        QTest::newRow("of x") << false << true << false;
        QTest::newRow("of the weight") << true << false << true;
        QTest::newRow("none") << true << false << false;
    }
    void linearAndItsGradients()
    {
        QW_SKIP_WITHOUT_OWN_PRODUCTS
        QFETCH(bool, biased);
        QFETCH(bool, ofX);
        QFETCH(bool, ofWeight);
        const at::Tensor wideX = integers(2 * 35, 66, 1).view({2, 35, 66});
        const at::Tensor wideW = integers(90, 66, 2);
        const at::Tensor bias = biased ? integers(1, 90, 3).view({90}) : at::Tensor();
        const at::Tensor above = integers(2 * 35, 90, 4).view({2, 35, 90});
        const auto with = [](const at::Tensor& x, bool wanted) {
            return wanted ? learned(x) : x.clone();
        };
        const at::Tensor x = with(wideX.to(at::kBFloat16), ofX);
        const at::Tensor w = with(wideW.to(at::kBFloat16), ofWeight);
        const at::Tensor y = qw::linear(x, w, biased ? bias.to(at::kBFloat16) : at::Tensor());
        const at::Tensor expectedX = learned(wideX);
        const at::Tensor expectedW = learned(wideW);
        const at::Tensor expected = at::linear(expectedX, expectedW, bias);
        QCOMPARE(y.sizes(), expected.sizes());
        QVERIFY(at::equal(y.detach(), expected.detach().to(at::kBFloat16)));
        QCOMPARE(y.requires_grad(), ofX || ofWeight);
        if (!y.requires_grad()) {
            return;
        }
        y.backward(above.to(at::kBFloat16));
        expected.backward(above);
        QCOMPARE(x.grad().defined(), ofX);
        QCOMPARE(w.grad().defined(), ofWeight);
        QVERIFY(!ofX || at::equal(x.grad(), expectedX.grad().to(at::kBFloat16)));
        QVERIFY(!ofWeight || at::equal(w.grad(), expectedW.grad().to(at::kBFloat16)));
    }

    void biasThatLearnsGetsAGradient()
    {
        QW_SKIP_WITHOUT_OWN_PRODUCTS
        const at::Tensor x = integers(40, 32, 1).to(at::kBFloat16);
        const at::Tensor w = integers(48, 32, 2).to(at::kBFloat16);
        const at::Tensor bias = learned(integers(1, 48, 3).view({48}).to(at::kBFloat16));
        qw::linear(x, w, bias).sum().backward();
        QVERIFY(at::equal(bias.grad(), at::full({48}, 40, at::kBFloat16)));
    }

    void lowRankGradientsKeepTheirSums()
    {
        QW_SKIP_WITHOUT_OWN_PRODUCTS
        const at::Tensor left = learned(integers(128, 32, 1));
        const at::Tensor right = learned(integers(32, 160, 2));
        const at::Tensor above = integers(128, 160, 3);
        const at::Tensor z = lowRankProduct(left, right, at::kBFloat16);
        QCOMPARE(z.scalar_type(), at::kBFloat16);
        QVERIFY(at::equal(z.detach(), at::mm(left.detach(), right.detach()).to(at::kBFloat16)));
        z.backward(above.to(at::kBFloat16));
        const at::Tensor ofLeft = at::mm(above, right.detach().t());
        const at::Tensor ofRight = at::mm(left.detach().t(), above);
        QCOMPARE(left.grad().scalar_type(), at::kFloat);
        QVERIFY(at::equal(left.grad(), ofLeft));
        QVERIFY(at::equal(right.grad(), ofRight));
    }
};

QTEST_GUILESS_MAIN(TestMatrixProduct)
#include "tst_matrix_product.moc"
