#include <cmath>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <QtTest>

#include "model/rope.h"
#include "model/row_kernels.h"
#include "model/row_ops.h"
#include "support/tensor_golden.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

namespace {
at::Tensor noise(const std::vector<std::int64_t>& shape, std::uint64_t seed)
{
    return at::randn(shape, at::detail::createCPUGenerator(seed), at::kFloat);
}

float* floats(const at::Tensor& x)
{
    return x.data_ptr<float>();
}
std::uint16_t* words(const at::Tensor& x)
{
    return static_cast<std::uint16_t*>(x.data_ptr());
}

void addLevels()
{
    QTest::addColumn<int>("level");
    QTest::addColumn<int>("width");
    const char* names[] = {"baseline", "avx2", "avx512", "avx512bf16"};
    for (int level = 0; level <= static_cast<int>(bestSimd()); ++level) {
        for (const int width : {1, 5, 16, 40, 259}) {
            QTest::newRow(qPrintable(QString("%1, %2 wide").arg(names[level]).arg(width)))
                << level << width;
        }
    }
}
} // namespace

/// The kernels of every kind of processor against plain ATen.
class TestRowKernels : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void exponential()
    {
        for (float x = -86.5F; x < 88; x += 0.0137F) {
            const double expected = std::exp(static_cast<double>(x));
            QVERIFY(std::abs(expOf(x) - expected) <= kExponentialGap * expected);
        }
        QCOMPARE(expOf(0), 1.0F);
        QCOMPARE(expOf(-90), 0.0F);
        QCOMPARE(expOf(500), expOf(88));
        QCOMPARE(expOf(-INFINITY), 0.0F);
        QVERIFY(std::isnan(expOf(NAN)));
    }

    void bfloat16RoundsToNearestEven()
    {
        const at::Tensor x = at::cat({noise({4000}, 1), noise({4000}, 2) * 1e-39,
                                      noise({4000}, 3) * 1e38, noise({4000}, 4).to(at::kBFloat16)});
        const at::Tensor expected = x.to(at::kBFloat16);
        for (std::int64_t i = 0; i < x.numel(); ++i) {
            QCOMPARE(narrowed(floats(x)[i]), words(expected)[i]);
            QCOMPARE(widen(words(expected)[i]),
                     static_cast<float>(expected[i].item<at::BFloat16>()));
        }
        QCOMPARE(narrowed(1.00390625F), std::uint16_t{0x3F80}); // half way: to even
        QCOMPARE(narrowed(1.01171875F), std::uint16_t{0x3F82});
        QVERIFY(std::isnan(widen(narrowed(std::bit_cast<float>(0x7F800001U)))));
    }

    void norms_data() { addLevels(); }
    void norms()
    {
        QFETCH(int, level);
        QFETCH(int, width);
        const auto simd = static_cast<Simd>(level);
        const at::Tensor x = noise({33, width}, 1) * 3 + 0.5;
        const NormWeights norm{noise({width}, 2), noise({width}, 3)};
        for (const bool centered : {false, true}) {
            if (centered && width == 1) {
                continue; // the oracle's 0 / 0 at one element is rounding noise
            }
            ArchSpec arch;
            arch.norm = centered ? Norm::Layer : Norm::Rms;
            ModelConfig config;
            config.arch = &arch;
            const NormParameters parameters{floats(norm.weight),
                                            centered ? floats(norm.bias) : nullptr,
                                            static_cast<float>(config.normEps), centered};
            const at::Tensor expected = plainNormalize(config, norm, x, at::kFloat);
            at::Tensor y = x.clone();
            normalizeRows(floats(y), parameters, 33, width, floats(y), simd); // in place
            QVERIFY(relativeGap(y, expected) <= kRegroupGap);
            at::Tensor narrow = x.to(at::kBFloat16);
            normalizeRows(floats(x), parameters, 33, width, words(narrow), simd);
            QVERIFY(relativeGap(narrow, expected) <= kBfloat16RoundingGap);
            narrow = x.to(at::kBFloat16);
            const at::Tensor narrowExpected = plainNormalize(config, norm, narrow, at::kFloat);
            normalizeRows(words(narrow), parameters, 33, width, words(narrow), simd);
            QVERIFY(relativeGap(narrow, narrowExpected) <= kBfloat16RoundingGap);
        }
    }

    void sums_data() { addLevels(); }
    void sums()
    {
        QFETCH(int, level);
        QFETCH(int, width);
        const at::Tensor y = noise({7, width}, 2);
        const at::Tensor narrow = y.to(at::kBFloat16);
        at::Tensor x = noise({7, width}, 1);
        at::Tensor z = x.clone();
        const at::Tensor expected = x + y;
        const at::Tensor narrowExpected = x + narrow.to(at::kFloat);
        addTo(floats(x), floats(y), x.numel(), static_cast<Simd>(level));
        addTo(floats(z), words(narrow), z.numel(), static_cast<Simd>(level));
        QVERIFY(at::equal(x, expected));
        QVERIFY(at::equal(z, narrowExpected));
    }

    void gates_data() { addLevels(); }
    void gates()
    {
        QFETCH(int, level);
        QFETCH(int, width);
        const at::Tensor gate = noise({9, width}, 1) * 40;
        const at::Tensor up = noise({9, width}, 2);
        at::Tensor y = gate.clone();
        siluTimes(floats(y), floats(up), y.numel(), static_cast<Simd>(level));
        QVERIFY(relativeGap(y, plainSiluTimesUp(gate, up)) <= kRegroupGap);
        const at::Tensor narrowGate = gate.to(at::kBFloat16);
        const at::Tensor narrowUp = up.to(at::kBFloat16);
        const at::Tensor expected =
            plainSiluTimesUp(narrowGate.to(at::kFloat), narrowUp.to(at::kFloat));
        siluTimes(words(narrowGate), words(narrowUp), narrowGate.numel(), static_cast<Simd>(level));
        QVERIFY(relativeGap(narrowGate, expected) <= kBfloat16RoundingGap);
    }

    void rotations_data() { addLevels(); }
    void rotations()
    {
        QFETCH(int, level);
        QFETCH(int, width);
        const RotaryTable table{noise({6, width}, 1), noise({6, width}, 2)};
        const at::Tensor x = noise({2, 6, 3, 2 * width + 3}, 3).transpose(1, 2);
        const RotaryShape shape{2, 3, 6, width};
        at::Tensor y = x.clone();
        rotateHeads(headsView<float>(y), floats(table.cosine), floats(table.sine), shape,
                    static_cast<Simd>(level));
        QVERIFY(relativeGap(y, applyRotary(x, table)) <= kRegroupGap);
        const at::Tensor narrow = x.to(at::kBFloat16);
        const at::Tensor expected = applyRotary(narrow.to(at::kFloat), table);
        rotateHeads(headsView<std::uint16_t>(narrow), floats(table.cosine), floats(table.sine),
                    shape, static_cast<Simd>(level));
        QVERIFY(relativeGap(narrow, expected) <= kBfloat16RoundingGap);
    }

    void rotaryTablesGrowAndFollowTheLength()
    {
        ModelConfig config;
        config.maxPositions = 16;
        config.rope.type = "dynamic";
        config.rope.factor = 2;
        config.rope.rotaryDims = 8;
        RotaryTables tables(config, "cpu");
        const std::vector<std::array<std::int64_t, 3>> calls = {
            {0, 5, 5}, {5, 1, 6}, {0, 16, 16}, {0, 40, 40}, {40, 1, 41}, {3, 2, 16}};
        for (const auto& [start, count, length] : calls) {
            const RotaryTable expected = rotaryTable(config, start, count, length);
            const RotaryTable rows = tables.rows(start, count, length);
            QVERIFY(at::equal(rows.cosine, expected.cosine));
            QVERIFY(at::equal(rows.sine, expected.sine));
        }
    }
};

QTEST_GUILESS_MAIN(TestRowKernels)
#include "tst_row_kernels.moc"
