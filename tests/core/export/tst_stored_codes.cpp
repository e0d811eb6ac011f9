#include <QtTest>

#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randperm.h>

#include "base/error.h"
#include "export/stored_codes.h"
#include "support/tensor_model_files.h"

using namespace qw;
using test::sentenceOf;

namespace {
StoredCodes anyCodes(std::int64_t bits, std::int64_t groups)
{
    constexpr std::int64_t kRows = 6, kCols = 64;
    const std::int64_t count = std::int64_t{1} << bits;
    StoredCodes stored;
    stored.bits = bits;
    stored.codes = at::randint(0, count, {kRows, kCols}, at::kShort);
    stored.zero = at::randint(0, count, {kRows, groups}, at::kShort);
    stored.scale = at::randn({kRows, groups}).abs().to(at::kHalf).to(at::kFloat) + 1;
    stored.groupOf = at::arange(kCols, at::kLong).floor_divide(kCols / groups).to(at::kInt);
    return stored;
}
} // namespace

/// Codes of other programs as runs hold them: other numbers, the same values.
class TestStoredCodes : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void valuesStay_data();
    void valuesStay();
    void symmetricOnes();
    void negativeScales();
    void scalesOfZero();
    void columnsOutOfOrder();
    void scalesThatAreNoNumbers();
};

void TestStoredCodes::valuesStay_data()
{
    QTest::addColumn<int>("bits");
    QTest::addColumn<int>("groups");
    for (const int bits : {2, 3, 4, 5, 8}) {
        for (const int groups : {1, 4}) {
            QTest::addRow("%d bits, %d groups", bits, groups) << bits << groups;
        }
    }
}

void TestStoredCodes::valuesStay()
{
    QFETCH(int, bits);
    QFETCH(int, groups);
    const StoredCodes stored = anyCodes(bits, groups);
    const QuantizedLinear linear = importedLinear("layer", stored);
    QVERIFY(linear.dequantizedCodes().equal(valuesOf(stored)));
    QVERIFY(!linear.format.sym && !linear.groupIndex.defined());
    QCOMPARE(linear.format.groupSize, groups == 1 ? 0 : 16);
    // As the artifact has it, which trusts nothing.
    const QuantizedLinear again =
        quantizedLinearFrom("layer", describeFormat(linear), toTensors(linear));
    QVERIFY(again.dequantizedCodes().equal(valuesOf(stored)));
    // By hand, one element.
    const auto code =
        stored.codes[3][40].item<double>() - stored.zero[3][groups == 1 ? 0 : 2].item<double>();
    const auto scale = stored.scale[3][groups == 1 ? 0 : 2].item<double>();
    QCOMPARE(valuesOf(stored)[3][40].item<float>(), static_cast<float>(code * scale));
}

void TestStoredCodes::symmetricOnes()
{
    StoredCodes stored = anyCodes(4, 4);
    stored.zero.fill_(8);
    const QuantizedLinear linear = importedLinear("layer", stored);
    QVERIFY(linear.format.sym && !linear.zero.defined());
    QCOMPARE(linear.codes.scalar_type(), at::kChar);
    QVERIFY(linear.dequantizedCodes().equal(valuesOf(stored)));
}

/// ggml's own quantizer makes them: the value with the largest magnitude becomes the code -8.
void TestStoredCodes::negativeScales()
{
    StoredCodes stored = anyCodes(4, 4);
    stored.zero.fill_(8);
    stored.scale[2][1] = -0.5;
    stored.scale[4][0] = -2;
    const QuantizedLinear linear = importedLinear("layer", stored);
    QVERIFY(linear.scale.gt(0).all().item<bool>() && !linear.format.sym);
    QVERIFY(linear.dequantizedCodes().equal(valuesOf(stored)));
}

void TestStoredCodes::scalesOfZero()
{
    StoredCodes stored = anyCodes(4, 4);
    stored.scale[1][3] = 0;
    const QuantizedLinear linear = importedLinear("layer", stored);
    QVERIFY(linear.scale.gt(0).all().item<bool>());
    QVERIFY(linear.dequantizedCodes().equal(valuesOf(stored)));
    QVERIFY(linear.dequantizedCodes()[1].slice(0, 48).eq(0).all().item<bool>());
}

void TestStoredCodes::columnsOutOfOrder()
{
    StoredCodes stored = anyCodes(4, 4);
    stored.groupOf = stored.groupOf.index_select(0, at::randperm(64));
    const QuantizedLinear linear = importedLinear("layer", stored);
    QVERIFY(linear.groupIndex.equal(stored.groupOf));
    QVERIFY(linear.dequantizedCodes().equal(valuesOf(stored)));
}

void TestStoredCodes::scalesThatAreNoNumbers()
{
    StoredCodes stored = anyCodes(4, 4);
    stored.scale[0][2] = NAN;
    QCOMPARE(sentenceOf([&] { importedLinear("layer", stored); }),
             std::string("layer: has a scale that is not a finite number"));
}

QTEST_GUILESS_MAIN(TestStoredCodes)
#include "tst_stored_codes.moc"
