#include <QtTest>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "model/attention_gradient.h"
#include "model/block_forward.h"
#include "model/custom_gradient.h"
#include "support/tensor_golden.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

namespace {
/// The block's loss against noise, and the gradients of its weights, through some operations.
struct Taken {
    at::Tensor output;
    std::vector<at::Tensor> gradients;
};

Taken take(const Decoder& decoder, const BlockWeights& block, const at::Tensor& x,
           const BlockOps& ops, at::ScalarType type = at::kFloat)
{
    std::vector<at::Tensor> weights;
    BlockHooks hooks;
    hooks.linear = [&](const LinearWeights& linear, const at::Tensor& input) {
        weights.push_back(linear.weight.detach().clone().set_requires_grad(true));
        return at::linear(input, weights.back().to(type),
                          linear.bias.defined() ? linear.bias.to(type) : linear.bias);
    };
    RotaryTables rotary(decoder.config(), "cpu");
    Taken taken;
    taken.output = BlockForward(decoder.config(), type, block, hooks, nullptr, rotary, ops).run(x);
    (taken.output * normal(x.sizes(), 1, 9)).sum().backward();
    for (const at::Tensor& weight : weights) {
        taken.gradients.push_back(weight.grad());
    }
    taken.output = taken.output.detach();
    return taken;
}

struct Heads {
    at::Tensor q, k, v;
    Heads(std::int64_t queries, std::int64_t keys, std::int64_t dim)
        : q(normal({2, 4, queries, dim}, 1, 1).set_requires_grad(true)),
          k(normal({2, 2, keys, dim}, 1, 2).set_requires_grad(true)),
          v(normal({2, 2, keys, dim}, 1, 3).set_requires_grad(true))
    {
    }
};
} // namespace

class TestBlockGradient : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void everyArchitecture_data()
    {
        QTest::addColumn<QString>("name");
        for (const std::string& name : goldenModelNames()) {
            QTest::newRow(name.c_str()) << QString::fromStdString(name);
        }
    }
    void everyArchitecture()
    {
        QFETCH(QString, name);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        const BlockWeights block = decoder.loadBlock(1);
        const at::Tensor x = normal({2, 13, decoder.config().hidden}, 1, 4);
        const Taken fused = take(decoder, block, x, differentiableOps());
        const Taken plain = take(decoder, block, x, plainDifferentiableOps());
        QVERIFY(relativeGap(fused.output, decoder.forwardBlock(block, x)) < kRegroupGap);
        QVERIFY(relativeGap(plain.output, fused.output) < kRegroupGap);
        QCOMPARE(fused.gradients.size(), block.linears.size());
        for (std::size_t i = 0; i < fused.gradients.size(); ++i) {
            QVERIFY(plain.gradients[i].abs().max().item<float>() > 0);
            QVERIFY(relativeGap(fused.gradients[i], plain.gradients[i]) < kBlockGradientGap);
        }
        if (decoder.config().mlp == Mlp::Relu) {
            return; // rounded to bfloat16, a unit near zero may be on or off
        }
        const Taken narrow = take(decoder, block, x, differentiableOps(), at::kBFloat16);
        const Taken narrowPlain = take(decoder, block, x, plainDifferentiableOps(), at::kBFloat16);
        QVERIFY(relativeGap(narrow.output, fused.output) < kBfloat16Gap);
        for (std::size_t i = 0; i < fused.gradients.size(); ++i) {
            QVERIFY(relativeGap(narrow.gradients[i], narrowPlain.gradients[i]) < kBfloat16Gap);
        }
    }

    void attention_data()
    {
        QTest::addColumn<qint64>("queries");
        QTest::addColumn<qint64>("first");
        QTest::addColumn<qint64>("window");
        QTest::addColumn<qint64>("dim");
        QTest::newRow("one") << qint64{1} << qint64{40} << qint64{0} << qint64{8};
        QTest::newRow("one tile") << qint64{20} << qint64{0} << qint64{0} << qint64{8};
        QTest::newRow("tiles") << qint64{300} << qint64{0} << qint64{0} << qint64{64};
        QTest::newRow("window") << qint64{300} << qint64{0} << qint64{50} << qint64{8};
        QTest::newRow("after others") << qint64{141} << qint64{33} << qint64{0} << qint64{21};
        QTest::newRow("wide heads") << qint64{65} << qint64{0} << qint64{0} << qint64{112};
    }
    void attention()
    {
        QFETCH(qint64, queries);
        QFETCH(qint64, first);
        QFETCH(qint64, window);
        QFETCH(qint64, dim);
        const Heads h(queries, queries + first, dim);
        AttentionOptions options;
        options.scale = 0.3;
        options.firstPosition = first;
        options.window = window;
        const at::Tensor gradient = normal({2, 4, queries, dim}, 1, 5);
        (plainAttention(h.q, h.k, h.v, options) * gradient).sum().backward();
        const at::Tensor expected[] = {h.q.grad(), h.k.grad(), h.v.grad()};
        for (int level = 0; level <= static_cast<int>(bestSimd()); ++level) {
            for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
                const auto take = [&] {
                    return attentionGradients(h.q.detach().to(type), h.k.detach().to(type),
                                              h.v.detach().to(type), gradient.to(type), options,
                                              static_cast<Simd>(level));
                };
                const std::vector<at::Tensor> found = take();
                const double most = type == at::kFloat ? kBlockGradientGap : kBfloat16Gap;
                for (std::size_t i = 0; i < found.size(); ++i) {
                    const double gap = relativeGap(found[i].to(at::kFloat), expected[i]);
                    QVERIFY2(gap < most, qPrintable(QStringLiteral("level %1, gradient %2: %3")
                                                        .arg(level)
                                                        .arg(i)
                                                        .arg(gap)));
                }
                if (level == static_cast<int>(bestSimd())) {
                    at::set_num_threads(3);
                    const std::vector<at::Tensor> again = take();
                    at::set_num_threads(1);
                    for (std::size_t i = 0; i < found.size(); ++i) {
                        QVERIFY(at::equal(found[i], again[i]));
                    }
                }
            }
        }
    }

    void customGradientsAreTaken()
    {
        const at::Tensor a = normal({3}, 1, 1).set_requires_grad(true);
        const at::Tensor b = normal({3}, 1, 2).set_requires_grad(true);
        const at::Tensor product = applyWithGradient(
            {a, b}, {[=] { return a * b; },
                     [=](const at::Tensor& gradient) {
                         return std::vector<at::Tensor>{gradient * b, at::Tensor()};
                     }});
        (product * 2).sum().backward();
        QVERIFY(at::equal(a.grad(), 2 * b.detach()));
        QVERIFY(!b.grad().defined());
    }

    void recomputedFunctionsGiveTheSameGradients()
    {
        const at::Tensor x = normal({4, 3}, 1, 1).set_requires_grad(true);
        const at::Tensor fixed = normal({4, 3}, 1, 2);
        const at::Tensor w = normal({3, 3}, 1, 3).set_requires_grad(true); // no input
        int calls = 0;
        const auto function = [&](const std::vector<at::Tensor>& inputs) {
            ++calls;
            return at::tanh(at::matmul(inputs[0] * inputs[1], w));
        };
        const auto gradients = [&](const at::Tensor& y) {
            (y * fixed).sum().backward();
            const std::vector<at::Tensor> all = {x.grad().clone(), w.grad().clone()};
            x.mutable_grad().reset();
            w.mutable_grad().reset();
            return all;
        };
        const at::Tensor y = function({x * 2, fixed});
        const std::vector<at::Tensor> expected = gradients(y);
        calls = 0;
        const at::Tensor again = recomputed({x * 2, fixed}, function);
        QCOMPARE(calls, 1);
        QVERIFY(at::equal(again, y));
        const std::vector<at::Tensor> found = gradients(again);
        QCOMPARE(calls, 2);
        QVERIFY(at::equal(found[0], expected[0]));
        QVERIFY(at::equal(found[1], expected[1]));
    }
};

QTEST_GUILESS_MAIN(TestBlockGradient)
#include "tst_block_gradient.moc"
