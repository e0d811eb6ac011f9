#include "methods/apply_quantized.h"

#include <QtTest>

#include <ATen/ATen.h>

#include "support/tensor_model_files.h"
#include "support/tensor_quantizers.h"

using namespace qw;
using namespace qw::test;

class TestApplyQuantized : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void appliesLikeItsWeights()
    {
        constexpr std::int64_t kOut = 12;
        constexpr std::int64_t kIn = 24;
        constexpr std::int64_t kRank = 5;
        QuantizedLinear linear = roundToNearest("layer", normal({kOut, kIn}), {}, {});
        linear.a.value = normal({kIn, kRank}, 0.01, 2);
        linear.b.value = normal({kRank, kOut}, 1e-4, 3);
        const at::Tensor x = normal({7, kIn}, 1.0, 4);
        const at::Tensor bias = normal({kOut}, 1.0, 5);
        const at::Tensor y = applyQuantized(linear, linear.dequantizedCodes(), x, bias);
        const at::Tensor expected = at::linear(x, linear.dequantized(), bias);
        QVERIFY(at::allclose(y, expected, 1e-5, 1e-6));
        // With an activation quantizer x, x A, x A B and the bias are quantized, as LQER's code
        // does.
        linear.activation.kind = ActivationQuantizer::Kind::Mx;
        linear.activation.mx = {6, 16, 8, MxRule::Lqer};
        const auto q = [&](const at::Tensor& t) {
            return quantizeActivation(t, linear.activation);
        };
        const at::Tensor correction =
            q(at::matmul(q(at::matmul(q(x), linear.a.value)), linear.b.value));
        QVERIFY(applyQuantized(linear, linear.dequantizedCodes(), x, bias)
                    .equal(at::linear(q(x), linear.dequantizedCodes(), q(bias)) + correction));
        QVERIFY(!q(bias).equal(bias));
        QVERIFY(applyQuantized(linear, linear.dequantizedCodes(), x, {})
                    .equal(at::linear(q(x), linear.dequantizedCodes()) + correction));
        // Integers are for inputs alone.
        linear.activation.kind = ActivationQuantizer::Kind::TokenAsymmetric;
        linear.a = linear.b = {};
        QVERIFY(applyQuantized(linear, linear.dequantizedCodes(), x, bias)
                    .equal(at::linear(q(x), linear.dequantizedCodes(), bias)));
    }
};

QTEST_GUILESS_MAIN(TestApplyQuantized)
#include "tst_apply_quantized.moc"
