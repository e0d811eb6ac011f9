#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <QtTest>

#include "model/bf16_product_kernel.h"
#include "model/matrix_product.h"

using namespace qw;

namespace {
/// Small integers: every sum of their products is exact in float32.
at::Tensor integers(at::IntArrayRef shape, std::uint64_t seed)
{
    return at::randint(-8, 9, shape, at::detail::createCPUGenerator(seed), at::kFloat);
}

at::Tensor learned(const at::Tensor& x)
{
    return x.clone().set_requires_grad(true);
}

std::uint16_t* words(const at::Tensor& x)
{
    return static_cast<std::uint16_t*>(x.data_ptr());
}

/// By the kernel, whatever the shapes; a and b have a stride of 1 each.
at::Tensor byKernel(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias,
                    at::ScalarType type)
{
    const at::Tensor c = at::full({a.size(0), b.size(1)}, 7, a.options().dtype(type));
    const std::uint16_t* biases = bias.defined() ? words(bias) : nullptr;
    const ProductSide sideA = {words(a), a.stride(0), a.stride(1)};
    const ProductSide sideB = {words(b), b.stride(1), b.stride(0)};
    if (type == at::kFloat) {
        bf16Product(sideA, sideB, a.size(0), b.size(1), a.size(1), biases, c.data_ptr<float>());
    } else {
        bf16Product(sideA, sideB, a.size(0), b.size(1), a.size(1), biases, words(c));
    }
    return c;
}

/// Puts the number of threads back.
class Threads
{
public:
    Threads() : m_before(at::get_num_threads()) {}
    ~Threads() { at::set_num_threads(m_before); }

private:
    int m_before;
};

#define QW_NEEDS(condition)                                                                        \
    if (!(condition)) {                                                                            \
        QSKIP("not on this processor");                                                            \
    }

bool usesOwnProducts()
{
    return hasBf16Product() && !hasBf16Tiles();
}
} // namespace

/// Products of bfloat16 against exact ones.
class TestMatrixProduct : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void kernel_data()
    {
        QTest::addColumn<int>("rows");
        QTest::addColumn<int>("columns");
        QTest::addColumn<int>("depth");
        const int shapes[][3] = {{32, 64, 32}, {33, 65, 34},   {97, 31, 258}, {250, 130, 2},
                                 {64, 1, 64},  {516, 200, 96}, {34, 96, 30},  {68, 383, 62},
                                 {1, 64, 32},  {5, 7, 2},      {0, 64, 32},   {32, 0, 32},
                                 {12, 70, 0}};
        for (const auto& [rows, columns, depth] : shapes) {
            QTest::addRow("%d x %d, depth %d", rows, columns, depth) << rows << columns << depth;
        }
    }
    void kernel()
    {
        QW_NEEDS(hasBf16Product());
        QFETCH(int, rows);
        QFETCH(int, columns);
        QFETCH(int, depth);
        const at::Tensor a = integers({rows, depth}, 1);
        const at::Tensor b = integers({depth, columns}, 2);
        const at::Tensor bias = integers({columns}, 3);
        const auto narrow = [](const at::Tensor& x) { return x.to(at::kBFloat16); };
        const auto across = [](const at::Tensor& x) { return x.t().contiguous().t(); };
        for (const at::Tensor& left : {narrow(a), across(narrow(a))}) {
            for (const at::Tensor& right : {narrow(b), across(narrow(b))}) {
                for (const at::Tensor& added : {at::Tensor(), narrow(bias)}) {
                    const at::Tensor exact = added.defined() ? at::mm(a, b) + bias : at::mm(a, b);
                    QVERIFY(at::equal(byKernel(left, right, added, at::kFloat), exact));
                    QVERIFY(at::equal(byKernel(left, right, added, at::kBFloat16), narrow(exact)));
                }
            }
        }
    }

    void sameBitsWithAnyNumberOfThreads()
    {
        QW_NEEDS(hasBf16Product());
        const at::Tensor a = at::randn({300, 512}).to(at::kBFloat16);
        const at::Tensor b = at::randn({512, 260}).to(at::kBFloat16);
        const Threads restored;
        at::set_num_threads(1);
        const at::Tensor alone = byKernel(a, b, {}, at::kFloat);
        const at::Tensor aloneAcross = byKernel(b.t(), a.t(), {}, at::kFloat);
        for (const int threads : {2, 3, 7}) {
            at::set_num_threads(threads);
            QVERIFY(at::equal(byKernel(a, b, {}, at::kFloat), alone));
            QVERIFY(at::equal(byKernel(b.t(), a.t(), {}, at::kFloat), aloneAcross));
        }
    }

    void anyStrides()
    {
        QW_NEEDS(usesOwnProducts());
        const at::Tensor wide = integers({48, 200}, 1).to(at::kBFloat16);
        const at::Tensor a = wide.narrow(1, 10, 100);
        const at::Tensor b = integers({100, 70}, 2).to(at::kBFloat16);
        const auto exact = [](const at::Tensor& x, const at::Tensor& y) {
            return at::mm(x.to(at::kFloat), y.to(at::kFloat));
        };
        const auto check = [&](const at::Tensor& x, const at::Tensor& y) {
            return at::equal(matrixProduct(x, y, at::kFloat), exact(x, y));
        };
        QVERIFY(check(a, b));
        QVERIFY(check(a.slice(1, 0, 100, 2), b.slice(0, 0, 100, 2))); // neither stride is 1
        QVERIFY(check(a.narrow(0, 0, 1).expand({40, 100}), b));       // a stride of 0
        // The narrow side of the result goes to the rows.
        QVERIFY(check(wide.narrow(1, 0, 100).t().narrow(1, 0, 48), wide.narrow(1, 100, 16)));
        QVERIFY(
            check(integers({128, 32}, 4).to(at::kBFloat16), b.narrow(0, 0, 32).narrow(1, 0, 8)));
        QVERIFY(matrixProduct(integers({128, 32}, 4).to(at::kBFloat16),
                              b.narrow(0, 0, 32).narrow(1, 0, 8), at::kFloat)
                    .is_contiguous());
    }

    void libraryDoesTheRest()
    {
        const at::Tensor few = at::randn({7, 64}).to(at::kBFloat16);
        const at::Tensor odd = at::randn({64, 33}).to(at::kBFloat16);
        const at::Tensor none = at::empty({40, 0}, at::kBFloat16);
        const at::Tensor wide = at::randn({64, 64});
        QVERIFY(at::equal(matrixProduct(few, odd, at::kBFloat16), at::mm(few, odd)));
        QVERIFY(at::equal(matrixProduct(odd, odd.t(), at::kBFloat16), at::mm(odd, odd.t())));
        QVERIFY(at::equal(matrixProduct(none, none.t(), at::kFloat), at::zeros({40, 40})));
        QVERIFY(at::equal(matrixProduct(wide, wide, at::kFloat), at::mm(wide, wide)));
        QVERIFY(at::equal(linearProduct(wide, wide, {}), at::linear(wide, wide)));
    }

    void shapesThatDoNotFitAreRefused()
    {
        const auto narrow = [](at::IntArrayRef shape) { return at::ones(shape, at::kBFloat16); };
        QVERIFY_EXCEPTION_THROWN(linearProduct(narrow({40, 64}), narrow({96, 32}), {}), c10::Error);
        QVERIFY_EXCEPTION_THROWN(matrixProduct(narrow({40, 64}), narrow({32, 96}), at::kBFloat16),
                                 c10::Error);
        QVERIFY_EXCEPTION_THROWN(linearProduct(narrow({40, 64}), narrow({96, 64}), narrow({95})),
                                 c10::Error);
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
        QW_NEEDS(usesOwnProducts());
        QFETCH(bool, biased);
        QFETCH(bool, ofX);
        QFETCH(bool, ofWeight);
        const at::Tensor wideX = integers({2, 35, 66}, 1);
        const at::Tensor wideW = integers({90, 66}, 2);
        const at::Tensor bias = biased ? integers({90}, 3) : at::Tensor();
        const auto with = [](const at::Tensor& x, bool wanted) {
            return wanted ? learned(x) : x.clone();
        };
        for (const bool expanded : {false, true}) { // as sum() gives it
            const at::Tensor above =
                expanded ? at::ones({1, 1, 1}).expand({2, 35, 90}) : integers({2, 35, 90}, 4);
            const at::Tensor x = with(wideX.to(at::kBFloat16), ofX);
            const at::Tensor w = with(wideW.to(at::kBFloat16), ofWeight);
            const at::Tensor y = linearProduct(x, w, biased ? bias.to(at::kBFloat16) : bias);
            const at::Tensor expectedX = learned(wideX);
            const at::Tensor expectedW = learned(wideW);
            const at::Tensor expected = at::linear(expectedX, expectedW, bias);
            QCOMPARE(y.sizes(), expected.sizes());
            QVERIFY(at::equal(y.detach(), expected.detach().to(at::kBFloat16)));
            QCOMPARE(y.requires_grad(), ofX || ofWeight);
            if (!y.requires_grad()) {
                continue;
            }
            y.backward(expanded ? at::ones({1, 1, 1}, at::kBFloat16).expand({2, 35, 90})
                                : above.to(at::kBFloat16));
            expected.backward(above);
            QCOMPARE(x.grad().defined(), ofX);
            QCOMPARE(w.grad().defined(), ofWeight);
            QVERIFY(!ofX || at::equal(x.grad(), expectedX.grad().to(at::kBFloat16)));
            QVERIFY(!ofWeight || at::equal(w.grad(), expectedW.grad().to(at::kBFloat16)));
        }
    }

    void biasThatLearnsGetsAGradient()
    {
        const at::Tensor x = integers({40, 32}, 1).to(at::kBFloat16);
        const at::Tensor w = integers({96, 32}, 2).to(at::kBFloat16);
        const at::Tensor bias = learned(integers({96}, 3).to(at::kBFloat16));
        linearProduct(x, w, bias).sum().backward();
        QVERIFY(at::equal(bias.grad(), at::full({96}, 40, at::kBFloat16)));
    }

    /// The loss lives on, what its gradient was made of does not.
    void operandsGoWithTheGradient()
    {
        const at::Tensor w = learned(at::randn({96, 64}).to(at::kBFloat16));
        at::Tensor x = at::randn({40, 64}).to(at::kBFloat16);
        const c10::weak_intrusive_ptr<c10::TensorImpl> watched(x.getIntrusivePtr());
        const at::Tensor loss = linearProduct(x, w, {}).sum();
        x.reset();
        QVERIFY(!watched.expired());
        loss.backward();
        QVERIFY(watched.expired());
    }

    void lowRankGradientsKeepTheirSums_data()
    {
        QTest::addColumn<int>("rank");
        for (const int rank : {8, 16, 32, 100}) {
            QTest::addRow("rank %d", rank) << rank;
        }
    }
    void lowRankGradientsKeepTheirSums()
    {
        QW_NEEDS(usesOwnProducts());
        QFETCH(int, rank);
        const at::Tensor left = learned(integers({128, rank}, 1));
        const at::Tensor right = learned(integers({rank, 160}, 2));
        const at::Tensor above = integers({128, 160}, 3);
        const at::Tensor z = lowRankProduct(left, right, at::kBFloat16);
        QCOMPARE(z.scalar_type(), at::kBFloat16);
        QVERIFY(at::equal(z.detach(), at::mm(left.detach(), right.detach()).to(at::kBFloat16)));
        z.backward(above.to(at::kBFloat16));
        QCOMPARE(left.grad().scalar_type(), at::kFloat);
        QVERIFY(at::equal(left.grad(), at::mm(above, right.detach().t())));
        QVERIFY(at::equal(right.grad(), at::mm(left.detach().t(), above)));
        const at::Tensor alone = learned(left.detach());
        lowRankProduct(alone, right.detach(), at::kBFloat16).backward(above.to(at::kBFloat16));
        QVERIFY(at::equal(alone.grad(), left.grad()));
    }
};

QTEST_GUILESS_MAIN(TestMatrixProduct)
#include "tst_matrix_product.moc"
