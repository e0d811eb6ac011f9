#include "run/layer_measure.h"

#include <cmath>

#include <QtTest>

#include <ATen/ATen.h>

#include "base/error.h"
#include "methods/low_rank.h"
#include "support/tensor_low_rank.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

class TestLayerMeasure : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void agreesWithTheFormula_data();
    void agreesWithTheFormula();
    void fewTokens();
    void manyColumns();
    void withoutInputs();
    void exactCodes();
    void zeroWeight();
    void countsStoredBits();
    void stops();
};

namespace {
constexpr std::int64_t kOut = 20;
constexpr std::int64_t kIn = 24;

QuantizedLinear rounded(const at::Tensor& weight, WeightFormat::Kind kind, std::int64_t bits)
{
    WeightFormat format;
    format.kind = kind;
    format.bits = bits;
    format.groupSize = kind == WeightFormat::Kind::Mx ? 8 : 0;
    GridOptions grid;
    grid.bits = bits;
    grid.groupSize = format.groupSize;
    return roundToNearest("layer", weight, format, grid);
}

/// Factors by name, all of the rank of the whole matrix: "best" for inputs of that norm, "random"
/// ones that make it worse; each plain or to be quantized.
void addFactors(QuantizedLinear& linear, const at::Tensor& weight, const std::string& kind,
                const ErrorNorm& norm)
{
    const std::int64_t rank = std::min(linear.out, linear.in);
    if (kind == "random") {
        linear.a.value = normal({linear.in, rank}, 0.1, 3);
        linear.b.value = normal({rank, linear.out}, 0.1, 4);
        return;
    }
    FactorizeOptions options;
    options.rank = rank;
    const LowRankPair pair = lowRankPair(weight - linear.dequantizedCodes(), norm, options, {});
    linear.a.value = pair.a;
    linear.b.value = pair.b;
}

void quantizeFactors(QuantizedLinear& linear, const MxOptions& mx)
{
    for (Factor* factor : {&linear.a, &linear.b}) {
        factor->quantized = true;
        factor->mx = mx;
    }
}

/// W minus what is deployed at a rank, from the definition. [out, in] float64
at::Tensor remaining(const at::Tensor& weight, const QuantizedLinear& linear, std::int64_t rank)
{
    const QuantizedLinear cut = linear.withRank(rank);
    at::Tensor left = weight.to(at::kDouble) - linear.dequantizedCodes().to(at::kDouble);
    if (rank > 0) {
        left = left - at::matmul(cut.a.value.to(at::kDouble), cut.b.value.to(at::kDouble)).t();
    }
    return left;
}

double outputNorm(const at::Tensor& inputs, const at::Tensor& matrix)
{
    return at::matmul(inputs.to(at::kDouble), matrix.to(at::kDouble).t()).norm().item<double>();
}

double norm64(const at::Tensor& matrix)
{
    return matrix.to(at::kDouble).norm().item<double>();
}

bool close(double actual, double expected, double floor = 0)
{
    return std::abs(actual - expected) <= kMeasureGap * expected + floor;
}
} // namespace

void TestLayerMeasure::agreesWithTheFormula_data()
{
    QTest::addColumn<bool>("mx");
    QTest::addColumn<int>("bits");
    QTest::addColumn<QString>("factors");
    QTest::addColumn<QString>("rounding");
    for (const bool mx : {false, true}) {
        for (const int bits : {2, 4, 8}) {
            for (const char* factors : {"best", "random"}) {
                for (const char* rounding : {"none", "8 qera", "6 lqer", "4 narrow"}) {
                    QTest::addRow("%s %d, %s, %s", mx ? "mxint" : "int", bits, factors, rounding)
                        << mx << bits << factors << rounding;
                }
            }
        }
    }
}

void TestLayerMeasure::agreesWithTheFormula()
{
    QFETCH(bool, mx);
    QFETCH(int, bits);
    QFETCH(QString, factors);
    QFETCH(QString, rounding);
    const at::Tensor weight = normal({kOut, kIn});
    const at::Tensor inputs = correlatedInputs(150, kIn);
    const ErrorNorm norm = normOf("dense", inputs);
    QuantizedLinear linear =
        rounded(weight, mx ? WeightFormat::Kind::Mx : WeightFormat::Kind::Int, bits);
    addFactors(linear, weight, factors.toStdString(), norm);
    if (rounding == "8 qera") {
        quantizeFactors(linear, {8, 16, 8, MxRule::Qera});
    } else if (rounding == "6 lqer") {
        quantizeFactors(linear, {6, 16, 8, MxRule::Lqer});
    } else if (rounding == "4 narrow") {
        // Steps of a narrow exponent depend on the whole factor: a slice has codes of its own.
        quantizeFactors(linear, {4, 16, 4, MxRule::Lqer});
        linear.b.value = linear.b.value * 1e-4;
    }
    const LayerMeasure measure(weight, norm.dense, linear, {});
    const double weightNorm = norm64(weight);
    const double wholeOutput = outputNorm(inputs, weight);
    double smallest = 1;
    for (std::int64_t rank = 0; rank <= linear.rank(); ++rank) {
        const at::Tensor left = remaining(weight, linear, rank);
        const LayerResult result = measure.atRank(rank, {});
        const double weightError = norm64(left) / weightNorm;
        const double outputError = outputNorm(inputs, left) / wholeOutput;
        QVERIFY2(close(result.weightError, weightError),
                 message("rank ", rank, ": ", result.weightError, " ", weightError).c_str());
        QVERIFY2(close(result.outputError, outputError),
                 message("rank ", rank, ": ", result.outputError, " ", outputError).c_str());
        QVERIFY(std::abs(result.sqnrDb + 20 * std::log10(outputError)) < 1e-5);
        QCOMPARE(result.rank, rank);
        QCOMPARE(result.rows, kOut);
        QCOMPARE(result.cols, kIn);
        smallest = std::min(smallest, outputError);
    }
    if (factors == "best" && rounding == "none") {
        QVERIFY(smallest < 1e-6); // the rows include the case where a difference has no digits left
    }
    const double codes = outputNorm(inputs, remaining(weight, linear, 0)) / std::sqrt(150.0);
    QVERIFY(close(measure.codesOutputNorm(), codes));
}

void TestLayerMeasure::fewTokens()
{
    // More channels than tokens: the correction leaves an error that the inputs do not see, which a
    // matrix R of ten digits cannot tell from none.
    const at::Tensor weight = normal({kOut, kIn});
    const at::Tensor inputs = correlatedInputs(5, kIn);
    const ErrorNorm norm = normOf("dense", inputs);
    QuantizedLinear linear = rounded(weight, WeightFormat::Kind::Int, 3);
    addFactors(linear, weight, "best", norm);
    const LayerMeasure measure(weight, norm.dense, linear, {});
    const double wholeOutput = outputNorm(inputs, weight);
    const double codes = outputNorm(inputs, remaining(weight, linear, 0)) / wholeOutput;
    for (std::int64_t rank = 0; rank <= linear.rank(); ++rank) {
        const at::Tensor left = remaining(weight, linear, rank);
        const LayerResult result = measure.atRank(rank, {});
        QVERIFY(close(result.weightError, norm64(left) / norm64(weight)));
        QVERIFY(close(result.outputError, outputNorm(inputs, left) / wholeOutput,
                      kOutputFloor * codes));
    }
    QVERIFY(measure.atRank(5, {}).outputError < kFactorRounding);
    QVERIFY(measure.atRank(5, {}).weightError > 0.01);
}

void TestLayerMeasure::manyColumns()
{
    // So wide that rows are taken in several parts.
    const at::Tensor weight = normal({150, 9000});
    QuantizedLinear linear = rounded(weight, WeightFormat::Kind::Int, 4);
    linear.a.value = normal({9000, 3}, 0.01, 3);
    linear.b.value = normal({3, 150}, 0.01, 4);
    const LayerMeasure measure(weight, {}, linear, {});
    for (std::int64_t rank = 0; rank <= 3; ++rank) {
        QVERIFY(close(measure.atRank(rank, {}).weightError,
                      norm64(remaining(weight, linear, rank)) / norm64(weight)));
    }
}

void TestLayerMeasure::withoutInputs()
{
    const at::Tensor weight = normal({kOut, kIn});
    const QuantizedLinear linear = rounded(weight, WeightFormat::Kind::Int, 4);
    const LayerMeasure measure(weight, {}, linear, {});
    const LayerResult result = measure.atRank(0, {});
    QVERIFY(result.weightError > 0);
    QVERIFY(std::isnan(result.outputError) && std::isnan(result.sqnrDb));
    QVERIFY(std::isnan(measure.codesOutputNorm()));
}

void TestLayerMeasure::exactCodes()
{
    WeightFormat format;
    format.kind = WeightFormat::Kind::Mx;
    format.groupSize = 8;
    format.mxRule = MxRule::Qera; // which leaves its own values alone
    const at::Tensor weight =
        roundToNearest("layer", normal({kOut, kIn}), format, {}).dequantizedCodes();
    QuantizedLinear linear = roundToNearest("layer", weight, format, {});
    const ErrorNorm norm = normOf("dense", correlatedInputs(150, kIn));
    addFactors(linear, weight, "best", norm);
    const LayerMeasure measure(weight, norm.dense, linear, {});
    for (const std::int64_t rank : {std::int64_t{0}, kOut}) {
        QCOMPARE(measure.atRank(rank, {}).weightError, 0.0);
        QCOMPARE(measure.atRank(rank, {}).outputError, 0.0);
    }
    QCOMPARE(measure.codesOutputNorm(), 0.0);
}

void TestLayerMeasure::zeroWeight()
{
    const at::Tensor weight = at::zeros({kOut, kIn});
    const ErrorNorm norm = normOf("dense", correlatedInputs(150, kIn));
    const QuantizedLinear linear = rounded(weight, WeightFormat::Kind::Int, 4);
    const LayerMeasure measure(weight, norm.dense, linear, {});
    QCOMPARE(measure.atRank(0, {}).weightError, 0.0);
    QVERIFY(std::isnan(measure.atRank(0, {}).outputError)); // a share of nothing
}

void TestLayerMeasure::countsStoredBits()
{
    const at::Tensor weight = normal({kOut, kIn});
    QuantizedLinear linear = rounded(weight, WeightFormat::Kind::Int, 3);
    addFactors(linear, weight, "random", {});
    // 3-bit codes; a float32 scale and a 3-bit zero point a row; float32 factors.
    const auto expected = [](std::int64_t rank) {
        return kOut * kIn * 3 + kOut * (32 + 3) + rank * (kOut + kIn) * 32;
    };
    const LayerMeasure measure(weight, {}, linear, {});
    for (const std::int64_t rank : {0, 1, 7}) {
        const LayerResult result = measure.atRank(rank, {});
        QCOMPARE(result.bitsPerWeight,
                 static_cast<double>(expected(rank)) / static_cast<double>(kOut * kIn));
        QCOMPARE(result.bytes, (expected(rank) + 7) / 8);
    }
}

void TestLayerMeasure::stops()
{
    const at::Tensor weight = normal({kOut, kIn});
    const QuantizedLinear linear = rounded(weight, WeightFormat::Kind::Int, 4);
    std::stop_source source;
    source.request_stop();
    QVERIFY_EXCEPTION_THROWN(LayerMeasure(weight, {}, linear, RunContext(source.get_token(), {})),
                             Cancelled);
}

QTEST_GUILESS_MAIN(TestLayerMeasure)
#include "tst_layer_measure.moc"
