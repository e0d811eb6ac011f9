#include "quant/activation_quantizer.h"

#include <QtTest>

#include <ATen/ATen.h>

#include "base/error.h"
#include "support/tensor_model_files.h"
#include "support/tensor_quantizers.h"

using namespace qw;
using namespace qw::test;
using Kind = ActivationQuantizer::Kind;

class TestActivationQuantizer : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void golden_data();
    void golden();
    void kernelsEqualOps_data();
    void kernelsEqualOps();
    void tokensAreIndependent();
    void oneSignedTokens();
    void leavesAlone();
    void refusesBits();
};

namespace {
const std::map<std::string, Kind> kKinds = {{"token-asymmetric", Kind::TokenAsymmetric},
                                            {"token-asymmetric-float", Kind::TokenAsymmetricFloat},
                                            {"token-symmetric", Kind::TokenSymmetric},
                                            {"tensor-static", Kind::TensorStatic},
                                            {"mxint", Kind::Mx}};

ActivationQuantizer quantizer(Kind kind, std::int64_t bits)
{
    ActivationQuantizer result;
    result.kind = kind;
    result.bits = bits;
    result.mx = {bits, 16, 8, MxRule::Lqer};
    result.scale = 0.0625;
    result.zero = 3;
    return result;
}
} // namespace

void TestActivationQuantizer::golden_data()
{
    QTest::addColumn<QByteArray>("name");
    for (const Json& entry : quantizerGolden("activation").at("cases")) {
        const auto name = QByteArray::fromStdString(entry.at("name").get<std::string>());
        QTest::newRow(name.constData()) << name;
    }
}

void TestActivationQuantizer::golden()
{
    QFETCH(QByteArray, name);
    const Json& all = quantizerGolden("activation");
    const Json& entry = namedCase(all.at("cases"), name.constData());
    ActivationQuantizer options = quantizer(kKinds.at(entry.at("kind").get<std::string>()),
                                            entry.at("bits").get<std::int64_t>());
    options.scale = entry.at("scale").get<double>();
    options.zero = entry.at("zero").get<double>();
    const at::Tensor x = matrixOf(all.at("x"));
    const at::Tensor y = matrixOf(entry.at("y"));
    QCOMPARE(difference(quantizeActivation(x, options), y), std::string());
    QCOMPARE(difference(quantizeActivationByOps(x, options), y), std::string());
}

void TestActivationQuantizer::kernelsEqualOps_data()
{
    QTest::addColumn<int>("kind");
    QTest::addColumn<int>("bits");
    for (const auto& [name, kind] : kKinds) {
        for (int bits = 2; bits <= 8; ++bits) {
            QTest::addRow("%s, %d bits", name.c_str(), bits) << static_cast<int>(kind) << bits;
        }
    }
}

void TestActivationQuantizer::kernelsEqualOps()
{
    QFETCH(int, kind);
    QFETCH(int, bits);
    const ActivationQuantizer options = quantizer(static_cast<Kind>(kind), bits);
    const auto compare = [&](const at::Tensor& x, const std::string& what) {
        const std::string found =
            difference(quantizeActivation(x, options), quantizeActivationByOps(x, options));
        QVERIFY2(found.empty(), (what + ": " + found).c_str());
    };
    for (const auto& [name, w] : awkwardWeights()) {
        compare(w, name);
        compare(w.to(at::kBFloat16), name + " in bfloat16");
        compare(w.t(), name + ", transposed");
    }
    const at::Tensor deep = normal({2, 3, 5, 40}, 2.0);
    compare(deep, "four dimensions");
    compare(deep.to(at::kBFloat16), "four dimensions in bfloat16");
    compare(normal({600, 100}, 3.0), "many tokens");
    QVERIFY(quantizeActivation(deep.to(at::kBFloat16), options).scalar_type() == at::kBFloat16);
}

void TestActivationQuantizer::tokensAreIndependent()
{
    const at::Tensor x = normal({7, 48}, 1.5);
    for (const auto& [name, kind] : kKinds) {
        const ActivationQuantizer options = quantizer(kind, 4);
        const at::Tensor together = quantizeActivation(x, options);
        for (std::int64_t token = 0; token < x.size(0); ++token) {
            QCOMPARE(difference(quantizeActivation(x[token], options), together[token]),
                     std::string());
        }
    }
}

void TestActivationQuantizer::oneSignedTokens()
{
    // Min and max need not reach zero: an integer zero point saturates, a float one does not.
    const at::Tensor x = normal({1, 64}, 0.1) + 10;
    const auto error = [&](Kind kind) {
        const at::Tensor y = quantizeActivation(x, quantizer(kind, 8));
        return ((y - x).norm() / x.norm()).item<double>();
    };
    QVERIFY(error(Kind::TokenAsymmetric) > 0.5);
    QVERIFY(error(Kind::TokenAsymmetricFloat) < 1e-3);
}

void TestActivationQuantizer::leavesAlone()
{
    const at::Tensor x = normal({3, 8});
    QVERIFY(quantizeActivation(x, {}).is_same(x));
    const at::Tensor none = at::empty({0, 8});
    QCOMPARE(quantizeActivation(none, quantizer(Kind::TokenSymmetric, 8)).numel(), 0);
    const at::Tensor before = x.clone();
    quantizeActivation(x, quantizer(Kind::TokenAsymmetric, 2));
    QVERIFY(at::equal(x, before));
}

void TestActivationQuantizer::refusesBits()
{
    for (const auto& [name, kind] : kKinds) {
        for (const std::int64_t bits : {1, 9}) {
            const std::string sentence = sentenceOf([&] {
                quantizeActivation(at::ones({2, 4}), quantizer(kind, bits));
            });
            QVERIFY2(sentence.find(message("bits ", bits)) != std::string::npos, sentence.c_str());
        }
    }
}

QTEST_GUILESS_MAIN(TestActivationQuantizer)
#include "tst_activation_quantizer.moc"
