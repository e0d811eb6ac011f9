#include "quant/quantized_linear.h"

#include <QtTest>

#include <ATen/ATen.h>

#include "base/error.h"
#include "support/tensor_model_files.h"
#include "support/tensor_quantizers.h"

using namespace qw;
using namespace qw::test;

using Tensors = std::map<std::string, at::Tensor>;

class TestQuantizedLinear : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void roundTrip_data();
    void roundTrip();
    void groupIndex();
    void ranks();
    void refusesWeights();
};

namespace {
constexpr std::int64_t kOut = 12;
constexpr std::int64_t kIn = 24;
constexpr std::int64_t kRank = 5;

QuantizedLinear quantized(const WeightFormat& format)
{
    GridOptions grid;
    grid.bits = format.bits;
    grid.groupSize = format.groupSize;
    grid.sym = format.sym;
    grid.scaleDtype = format.scaleDtype;
    return roundToNearest("layer", normal({kOut, kIn}), format, grid);
}

void addFactors(QuantizedLinear& linear, std::int64_t exponentBits)
{
    linear.a.value = normal({kIn, kRank}, 0.01, 2);
    linear.b.value = normal({kRank, kOut}, 1e-4, 3);
    if (exponentBits > 0) {
        linear.a.quantized = linear.b.quantized = true;
        linear.a.mx = linear.b.mx = {6, 4, exponentBits, MxRule::Lqer};
    }
}

std::int64_t bytesOf(const Tensors& tensors)
{
    std::int64_t bytes = 0;
    for (const auto& [name, tensor] : tensors) {
        bytes += static_cast<std::int64_t>(tensor.nbytes());
    }
    return bytes;
}

/// What packing rows to whole bytes may add.
std::int64_t paddingOf(const Tensors& tensors)
{
    std::int64_t bytes = 0;
    for (const auto& [name, tensor] : tensors) {
        bytes += tensor.scalar_type() == at::kByte ? tensor.size(0) : 0;
    }
    return bytes;
}

std::string differenceOf(const QuantizedLinear& x, const QuantizedLinear& y)
{
    const auto compare = [](const char* what, const at::Tensor& a, const at::Tensor& b) {
        const std::string found = a.defined() != b.defined() ? "only one has it"
                                  : a.defined()              ? difference(a, b)
                                                             : std::string();
        return found.empty() ? found : std::string(what) + ": " + found + "; ";
    };
    return compare("codes", x.codes, y.codes) + compare("scale", x.scale, y.scale) +
           compare("zero", x.zero, y.zero) + compare("exponents", x.exponents, y.exponents) +
           compare("group_index", x.groupIndex, y.groupIndex) + compare("a", x.a.value, y.a.value) +
           compare("b", x.b.value, y.b.value) +
           compare("a codes", x.a.codes.codes, y.a.codes.codes) +
           compare("b exponents", x.b.codes.exponents, y.b.codes.exponents) +
           compare("weights", x.dequantized(), y.dequantized()) +
           (x.format == y.format && x.activation == y.activation ? "" : "format");
}
} // namespace

void TestQuantizedLinear::roundTrip_data()
{
    QTest::addColumn<QString>("kind");
    QTest::addColumn<int>("bits");
    QTest::addColumn<int>("group");
    QTest::addColumn<int>("scaleType");
    QTest::addColumn<int>("exponentBits");
    QTest::addColumn<int>("factorExponents"); // -1: no factors, 0: floats
    for (int bits = 2; bits <= 8; ++bits) {
        for (const int factors : {-1, 0, 4, 8}) {
            for (const char* kind : {"sym", "asym"}) {
                for (const int group : {-1, 0, 8}) {
                    const at::ScalarType type = factors == 0   ? at::kHalf
                                                : factors == 4 ? at::kBFloat16
                                                               : at::kFloat;
                    QTest::addRow("%s %d bits, group %d, factors %d", kind, bits, group, factors)
                        << QString(kind) << bits << group << static_cast<int>(type) << 8 << factors;
                }
            }
            for (const int exponent : {4, 8}) {
                for (const int block : {5, 16}) {
                    QTest::addRow("mx %d bits, exponent %d, block %d, factors %d", bits, exponent,
                                  block, factors)
                        << QString("mx") << bits << block << static_cast<int>(at::kFloat)
                        << exponent << factors;
                }
            }
        }
    }
}

void TestQuantizedLinear::roundTrip()
{
    QFETCH(QString, kind);
    QFETCH(int, bits);
    QFETCH(int, group);
    QFETCH(int, scaleType);
    QFETCH(int, exponentBits);
    QFETCH(int, factorExponents);
    WeightFormat format;
    format.kind = kind == "mx" ? WeightFormat::Kind::Mx : WeightFormat::Kind::Int;
    format.bits = bits;
    format.groupSize = group;
    format.sym = kind == "sym";
    format.scaleDtype = static_cast<at::ScalarType>(scaleType);
    format.exponentBits = exponentBits;
    QuantizedLinear linear = quantized(format);
    if (factorExponents >= 0) {
        addFactors(linear, factorExponents);
    }
    linear.activation.kind = ActivationQuantizer::Kind::TensorStatic;
    linear.activation.scale = 0.1;
    linear.activation.zero = 7;
    for (const bool settled : {false, true}) {
        const QuantizedLinear stored = settled ? linear.withRank(linear.rank()) : linear;
        const Tensors tensors = toTensors(stored);
        const QuantizedLinear back =
            quantizedLinearFrom("layer", Json::parse(describeFormat(stored).dump()), tensors);
        QCOMPARE(differenceOf(back, stored), std::string());
        QCOMPARE(storedBits(back), storedBits(stored));
        QCOMPARE(describeFormat(back), describeFormat(stored));
        if (settled) { // the file takes what is counted, but for rows packed to whole bytes
            const std::int64_t bytes = bytesOf(tensors);
            QVERIFY(bytes * 8 >= storedBits(stored));
            QVERIFY(bytes * 8 < storedBits(stored) + 8 * paddingOf(tensors));
        }
    }
}

void TestQuantizedLinear::groupIndex()
{
    // Columns in another order, quantized in that order, are the same layer with an index.
    const at::Tensor w = normal({kOut, kIn});
    const at::Tensor order = at::randperm(kIn, at::TensorOptions(at::kLong)); // any order will do
    for (const bool sym : {false, true}) {
        WeightFormat format;
        format.groupSize = 8;
        format.sym = sym;
        GridOptions grid;
        grid.groupSize = 8;
        grid.sym = sym;
        const QuantizedLinear sorted =
            roundToNearest("layer", w.index_select(1, order), format, grid);
        QuantizedLinear linear = sorted;
        const at::Tensor back = order.argsort();
        linear.codes = sorted.codes.index_select(1, back);
        linear.groupIndex = at::div(back, 8, "floor").to(at::kInt);
        QCOMPARE(
            difference(linear.dequantizedCodes(), sorted.dequantizedCodes().index_select(1, back)),
            std::string());
        QCOMPARE(storedBits(linear), storedBits(sorted) + kIn * 32);
        const QuantizedLinear read =
            quantizedLinearFrom("layer", describeFormat(linear), toTensors(linear));
        QCOMPARE(differenceOf(read, linear), std::string());
        QCOMPARE(bytesOf(toTensors(linear)), bytesOf(toTensors(sorted)) + kIn * 4);
    }
}

void TestQuantizedLinear::ranks()
{
    QuantizedLinear linear = quantized({});
    addFactors(linear, 8);
    for (std::int64_t k = 0; k <= kRank; ++k) {
        // A slice of the floats is what is quantized, not a slice of codes.
        const QuantizedLinear cut = linear.withRank(k);
        QCOMPARE(cut.rank(), k);
        if (k > 0) {
            const MxOptions& mx = linear.a.mx;
            QCOMPARE(
                difference(cut.a.value, mxDecode(mxEncode(linear.a.value.narrow(1, 0, k), mx), mx)),
                std::string());
            QCOMPARE(
                difference(cut.b.value, mxDecode(mxEncode(linear.b.value.narrow(0, 0, k), mx), mx)),
                std::string());
            QVERIFY(cut.a.deployed().equal(cut.a.value));
        }
    }
    const QuantizedLinear settled = linear.withRank(kRank);
    QCOMPARE(differenceOf(settled.withRank(kRank), settled), std::string());
    QCOMPARE(sentenceOf([&] { settled.withRank(2); }),
             std::string("layer: its quantized factors are of rank 5 and cannot be cut to 2"));
    QCOMPARE(sentenceOf([&] { linear.withRank(6); }),
             std::string("layer: has no rank 6, only 0..5"));
}

void TestQuantizedLinear::refusesWeights()
{
    at::Tensor w = normal({kOut, kIn});
    w[3][7] = std::numeric_limits<float>::quiet_NaN();
    QCOMPARE(sentenceOf([&] { roundToNearest("model.q_proj", w, {}, {}); }),
             std::string("model.q_proj: the weight at row 3, column 7 is not a finite number"));
    GridOptions grid;
    grid.scaleDtype = at::kHalf;
    QCOMPARE(sentenceOf([&] {
                 roundToNearest("model.q_proj", normal({2, 8}, 1e7), {}, grid);
             }),
             std::string("model.q_proj: a scale is above the largest f16 number; store scales as "
                         "f32"));
    grid.groupSize = 5;
    QCOMPARE(sentenceOf([&] {
                 roundToNearest("model.q_proj", normal({2, 8}), {}, grid);
             }),
             std::string("model.q_proj: group size 5 does not divide 8 columns"));
}

QTEST_GUILESS_MAIN(TestQuantizedLinear)
#include "tst_quantized_linear.moc"
