#include "run/activation_points.h"

#include <set>

#include <ATen/ATen.h>
#include <QtTest>

#include "support/tensor_quantizers.h"

using namespace qw;
using namespace qw::test;

namespace {
using Kind = ActivationQuantizer::Kind;

ActivationQuantizer quantizer(Kind kind, std::int64_t bits)
{
    ActivationQuantizer made;
    made.kind = kind;
    made.bits = bits;
    return made;
}

RunSpec specOf(const char* points)
{
    RunSpec spec;
    spec.activation.points = points;
    return spec;
}
} // namespace

class TestActivationPoints : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void patternsNameWidths_data()
    {
        QTest::addColumn<QString>("points");
        QTest::addColumn<qint64>("inputs");
        QTest::addColumn<qint64>("cache");
        QTest::addColumn<qint64>("heads");
        QTest::newRow("a8") << "a8" << qint64{8} << qint64{8} << qint64{8};
        QTest::newRow("a8kv4") << "a8kv4" << qint64{8} << qint64{4} << qint64{8};
        QTest::newRow("a4") << "a4" << qint64{4} << qint64{4} << qint64{4};
    }
    void patternsNameWidths()
    {
        QFETCH(QString, points);
        QFETCH(qint64, inputs);
        QFETCH(qint64, cache);
        QFETCH(qint64, heads);
        const RunSpec spec = specOf(points.toUtf8().constData());
        for (const LinearRole role : {LinearRole::Query, LinearRole::FusedQkv, LinearRole::Up,
                                      LinearRole::Gate, LinearRole::Down}) {
            QVERIFY(inputQuantizer(spec, role) == quantizer(Kind::TokenAsymmetric, inputs));
        }
        QVERIFY(!inputQuantizer(spec, LinearRole::AttentionOut).active());
        BlockHooks hooks;
        addPoints(modelQuantizers(spec), quantizeActivation, hooks);
        QVERIFY(std::set(hooks.points.begin(), hooks.points.end()) ==
                (std::set{BlockPoint::Query, BlockPoint::Key, BlockPoint::Mixed,
                          BlockPoint::KeyPreRope, BlockPoint::Value}));
        const at::Tensor x = normal({2, 3, 5, 8}, 1); // a scale for each token and head
        for (const BlockPoint point : hooks.points) {
            const bool cached = point == BlockPoint::KeyPreRope || point == BlockPoint::Value;
            const at::Tensor expected =
                quantizeActivation(x, quantizer(Kind::TokenAsymmetric, cached ? cache : heads));
            QVERIFY(at::equal(hooks.point(point, x), expected));
        }
    }

    void linearIsWhatTheFormatSays()
    {
        RunSpec spec = specOf("linear");
        QVERIFY(!inputQuantizer(spec, LinearRole::Query).active());
        spec.activation.format = "int";
        spec.activation.bits = 5;
        spec.activation.zeroPoint = "float";
        QVERIFY(inputQuantizer(spec, LinearRole::AttentionOut) ==
                quantizer(Kind::TokenAsymmetricFloat, 5));
        spec.kvCache = {"int", 3};
        BlockHooks hooks;
        addPoints(modelQuantizers(spec), quantizeActivation, hooks);
        QCOMPARE(hooks.points.size(), std::size_t{2});
    }

    /// What is clamped is further than half a step from where it was.
    void insideIsWhatIsNotClamped_data()
    {
        QTest::addColumn<int>("kind");
        QTest::newRow("asymmetric") << static_cast<int>(Kind::TokenAsymmetric);
        QTest::newRow("symmetric") << static_cast<int>(Kind::TokenSymmetric);
        QTest::newRow("static") << static_cast<int>(Kind::TensorStatic);
    }
    void insideIsWhatIsNotClamped()
    {
        QFETCH(int, kind);
        ActivationQuantizer how = quantizer(static_cast<Kind>(kind), 4);
        how.scale = 0.1;
        how.zero = 6;
        at::Tensor x = normal({6, 40}, 1);
        x.narrow(0, 4, 2).abs_().add_(3); // one-signed: saturates under the rounded zero point
        const at::Tensor step = how.kind == Kind::TensorStatic ? at::full({6, 1}, 0.1)
                                : how.kind == Kind::TokenSymmetric
                                    ? x.abs().amax(-1, true) / 7
                                    : (x.amax(-1, true) - x.amin(-1, true)) / 15;
        const at::Tensor expected =
            (quantizeActivation(x, how) - x).abs() <= step * 0.5 * (1 + 1e-4);
        const at::Tensor inside = insideGrid(x, how);
        QVERIFY(at::equal(inside, expected.to(at::kFloat)));
        if (how.kind != Kind::TokenSymmetric) {
            QVERIFY(inside.min().item<float>() == 0 && inside.max().item<float>() == 1);
        }

        const at::Tensor gradient = normal({6, 40}, 1, 2);
        const at::Tensor leaf = x.clone().set_requires_grad(true);
        const at::Tensor y = quantizeThrough(leaf, how);
        QVERIFY(at::equal(y, quantizeActivation(x, how)));
        y.backward(gradient);
        QVERIFY(at::equal(leaf.grad(), gradient * inside));
    }

    void floatZeroPointKeepsTheInterior()
    {
        const at::Tensor x = normal({3, 50}, 1) + 4;
        const at::Tensor inside = insideGrid(x, quantizer(Kind::TokenAsymmetricFloat, 4));
        const at::Tensor step = (x.amax(-1, true) - x.amin(-1, true)) / 15;
        const at::Tensor interior =
            (x > x.amin(-1, true) + step).logical_and(x < x.amax(-1, true) - step);
        QVERIFY(at::equal(inside * interior.to(at::kFloat), interior.to(at::kFloat)));
    }

    void withoutQuantizerNothingChanges()
    {
        const at::Tensor x = normal({2, 3}, 1);
        QVERIFY(quantizeThrough(x, {}).is_same(x));
    }
};

QTEST_GUILESS_MAIN(TestActivationPoints)
#include "tst_activation_points.moc"
