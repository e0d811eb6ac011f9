#include "quant/mxint.h"

#include <QtTest>

#include <ATen/ATen.h>

#include "base/error.h"
#include "support/tensor_model_files.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

class TestMxint : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void golden_data();
    void golden();
    void laws_data();
    void laws();
    void rulesAgree_data();
    void rulesAgree();
    void scaling_data();
    void scaling();
    void narrowExponents();
    void zeroBlocksDecideNothing();
    void refusals();
};

namespace {
const char* ruleName(MxRule rule)
{
    return rule == MxRule::Lqer ? "lqer" : "qera";
}

/// Rows for each awkward weight, rule, width, and some block and exponent sizes.
void addRows()
{
    QTest::addColumn<QString>("weight");
    QTest::addColumn<int>("rule");
    QTest::addColumn<int>("bits");
    QTest::addColumn<int>("block");
    QTest::addColumn<int>("exponentBits");
    for (const auto& [name, w] : awkwardWeights()) {
        for (const MxRule rule : {MxRule::Lqer, MxRule::Qera}) {
            for (int bits = 2; bits <= 8; ++bits) {
                for (const auto& [block, width] : {std::pair(16, 8), {5, 8}, {16, 4}}) {
                    QTest::addRow("%s, %s, %d bits, block %d, exponent %d", name.c_str(),
                                  ruleName(rule), bits, block, width)
                        << QString::fromStdString(name) << static_cast<int>(rule) << bits << block
                        << width;
                }
            }
        }
    }
}

MxOptions optionsOfRow()
{
    QFETCH(int, rule);
    QFETCH(int, bits);
    QFETCH(int, block);
    QFETCH(int, exponentBits);
    return {bits, block, exponentBits, static_cast<MxRule>(rule)};
}

/// Step of each value of x.
at::Tensor stepsOf(const MxCodes& codes, const MxOptions& options)
{
    return at::pow(2.0, codes.exponents.to(at::kDouble))
        .repeat_interleave(options.blockSize, -1)
        .narrow(-1, 0, codes.codes.size(-1));
}
} // namespace

void TestMxint::golden_data()
{
    QTest::addColumn<QByteArray>("name");
    for (const Json& entry : quantizerGolden("mx")) {
        const auto name = QByteArray::fromStdString(entry.at("name").get<std::string>());
        QTest::newRow(name.constData()) << name;
    }
}

void TestMxint::golden()
{
    QFETCH(QByteArray, name);
    const Json& entry = namedCase(quantizerGolden("mx"), name.constData());
    const at::Tensor x =
        matrixOf(quantizerGolden("mx_inputs").at(entry.at("input").get<std::string>()));
    const MxOptions options = {entry.at("bits").get<std::int64_t>(),
                               entry.at("block").get<std::int64_t>(),
                               entry.at("exponent_bits").get<std::int64_t>(),
                               entry.at("rule") == "lqer" ? MxRule::Lqer : MxRule::Qera};
    const at::Tensor stored = matrixOf(entry.at("stored"));
    const at::Tensor passed = matrixOf(entry.at("passed"));
    QCOMPARE(difference(mxDecode(mxEncode(x, options), options), stored), std::string());
    QCOMPARE(difference(mxFakeQuantize(x, options), passed), std::string());
    QCOMPARE(difference(mxDecodeByOps(mxEncodeByOps(x, options), options), stored), std::string());
    QCOMPARE(difference(mxFakeQuantizeByOps(x, options), passed), std::string());
}

void TestMxint::laws_data()
{
    addRows();
}

void TestMxint::laws()
{
    QFETCH(QString, weight);
    const MxOptions options = optionsOfRow();
    const at::Tensor& x = awkwardWeight(weight.toStdString());
    const MxCodes codes = mxEncode(x, options);
    const std::int64_t largest = (1 << (options.bits - 1)) - 1;
    QVERIFY(codes.codes.abs().max().item<std::int64_t>() <= largest);

    const MxCodes byOps = mxEncodeByOps(x, options);
    QCOMPARE(difference(codes.codes, byOps.codes), std::string());
    QCOMPARE(difference(codes.exponents, byOps.exponents), std::string());
    const at::Tensor decoded = mxDecode(codes, options);
    QCOMPARE(difference(decoded, mxDecodeByOps(codes, options)), std::string());
    QCOMPARE(difference(mxFakeQuantize(x, options), mxFakeQuantizeByOps(x, options)),
             std::string());

    QVERIFY(decoded.masked_select(x.eq(0)).eq(0).all().item<bool>());
    // Half a step, a whole one where the largest code bites; the nudge comes on top.
    const at::Tensor steps = stepsOf(codes, options);
    const at::Tensor error = (decoded.to(at::kDouble) - x.to(at::kDouble)).abs();
    const double nudge = options.rule == MxRule::Lqer ? kMxNudge : 0;
    QVERIFY((error <= steps + nudge).all().item<bool>());
    const at::Tensor interior = x.to(at::kDouble).abs() < (largest + 0.5) * steps - nudge;
    QVERIFY((error <= steps / 2 + nudge).masked_select(interior).all().item<bool>());

    // Again: the same, except where LQER's rule finds a maximum rounded up to a power of two.
    const MxCodes again = mxEncode(decoded, options);
    const at::Tensor twice = mxDecode(again, options);
    at::Tensor stays = at::ones_like(x, at::kBool);
    if (options.rule == MxRule::Lqer) {
        const std::int64_t n = x.size(-1);
        at::Tensor padded = at::constant_pad_nd(
            codes.codes.abs(), {0, codes.exponents.size(-1) * options.blockSize - n});
        const at::Tensor top =
            padded.reshape({x.size(0), -1, options.blockSize}).amax(-1).ne(largest / 2 + 1);
        stays = top.repeat_interleave(options.blockSize, -1).narrow(-1, 0, n);
        stays = stays.logical_and(x.abs() > kMxNudge * 1e4); // the nudge decides no tie there
    }
    QVERIFY(twice.eq(decoded).masked_select(stays).all().item<bool>());
}

void TestMxint::rulesAgree_data()
{
    QTest::addColumn<int>("bits");
    for (int bits = 2; bits <= 8; ++bits) {
        QTest::addRow("%d bits", bits) << bits;
    }
}

void TestMxint::rulesAgree()
{
    QFETCH(int, bits);
    const at::Tensor x = normal({64, 64}); // no maximum is a power of two, no value a tie
    QCOMPARE(difference(mxFakeQuantize(x, {bits, 16, 8, MxRule::Lqer}),
                        mxFakeQuantize(x, {bits, 16, 8, MxRule::Qera})),
             std::string());
    // For a power of two LQER's step is half of QERA's and the maximum saturates.
    const at::Tensor power = at::full({1, 16}, 0.25F);
    const double top = (1 << (bits - 1)) - 1;
    QCOMPARE(mxFakeQuantize(power, {bits, 16, 8, MxRule::Lqer})[0][0].item<double>(),
             top * 0.25 / (1 << (bits - 1)));
    QCOMPARE(mxFakeQuantize(power, {bits, 16, 8, MxRule::Qera})[0][0].item<double>(), 0.25);
}

void TestMxint::scaling_data()
{
    QTest::addColumn<int>("rule");
    QTest::addColumn<int>("power");
    for (const int power : {-90, -20, -1, 1, 20, 100}) {
        QTest::addRow("qera, 2^%d", power) << static_cast<int>(MxRule::Qera) << power;
        if (power >= -1) { // below, what LQER's code adds is no longer lost in the last digit
            QTest::addRow("lqer, 2^%d", power) << static_cast<int>(MxRule::Lqer) << power;
        }
    }
}

void TestMxint::scaling()
{
    QFETCH(int, rule);
    QFETCH(int, power);
    // Of a usual size; one block's maximum is a power of two, where the rules differ.
    at::Tensor x = normal({16, 48}, 1);
    x.narrow(1, 0, 16).select(0, 0).clamp_(-1, 1).select(0, 3).fill_(2);
    const auto factor = static_cast<float>(std::ldexp(1.0, power));
    for (int bits = 2; bits <= 8; ++bits) {
        const MxOptions options = {bits, 16, 8, static_cast<MxRule>(rule)};
        QCOMPARE(
            difference(mxFakeQuantize(x * factor, options), mxFakeQuantize(x, options) * factor),
            std::string());
    }
}

void TestMxint::narrowExponents()
{
    const MxOptions narrow = {4, 16, 4, MxRule::Lqer};
    const MxOptions wide = {4, 16, 8, MxRule::Lqer};
    // Within -7..8 four bits change nothing.
    const at::Tensor usual = normal({16, 64});
    QCOMPARE(difference(mxEncode(usual, narrow).exponents, mxEncode(usual, wide).exponents),
             std::string());
    // Factors of a small layer lie below 2^-7: the field moves and nothing is lost.
    const at::Tensor small = normal({16, 64}, 1e-3);
    QCOMPARE(difference(mxDecode(mxEncode(small, narrow), narrow),
                        mxDecode(mxEncode(small, wide), wide)),
             std::string());
    // Of what spans more than 16 octaves the largest blocks are kept.
    at::Tensor spread = at::cat({normal({1, 16}, 1e-6), normal({1, 16}, 1)}, 1);
    const MxCodes codes = mxEncode(spread, narrow);
    QCOMPARE(codes.exponents[0][1].item<int>() - codes.exponents[0][0].item<int>(), 15);
    QVERIFY(codes.codes.narrow(1, 0, 16).eq(0).all().item<bool>());
    // Between layers the field stays where LQER's code has it: large values saturate.
    QCOMPARE(mxFakeQuantize(at::full({1, 16}, 5000.0F), narrow)[0][0].item<double>(),
             7 * std::ldexp(1.0, 8 - 3));
}

void TestMxint::zeroBlocksDecideNothing()
{
    for (const MxRule rule : {MxRule::Lqer, MxRule::Qera}) {
        const MxOptions options = {4, 16, 4, rule};
        at::Tensor x = normal({4, 32});
        const at::Tensor alone = mxDecode(mxEncode(x, options), options);
        const at::Tensor beside =
            mxDecode(mxEncode(at::cat({x, at::zeros({4, 32})}), options), options);
        QCOMPARE(difference(beside.narrow(0, 0, 4), alone), std::string());
        QVERIFY(beside.narrow(0, 4, 4).eq(0).all().item<bool>());
    }
}

void TestMxint::refusals()
{
    const at::Tensor x = at::ones({2, 16});
    const auto sentence = [&](const MxOptions& options, const at::Tensor& values) {
        return sentenceOf([&] { mxEncode(values, options); });
    };
    QCOMPARE(sentence({1, 16, 8, MxRule::Lqer}, x), std::string("MXINT bits 1 is not in 2..8"));
    QCOMPARE(sentence({9, 16, 8, MxRule::Lqer}, x), std::string("MXINT bits 9 is not in 2..8"));
    QCOMPARE(sentence({4, 0, 8, MxRule::Lqer}, x), std::string("MXINT block 0 is not above 0"));
    QCOMPARE(sentence({4, 16, 5, MxRule::Lqer}, x),
             std::string("MXINT exponent bits 5 is not 4 or 8"));
    QCOMPARE(sentence({4, 16, 8, MxRule::Lqer}, at::ones({2, 0})),
             std::string("block floating point needs at least one value a row"));
}

QTEST_GUILESS_MAIN(TestMxint)
#include "tst_mxint.moc"
