#include "eval/next_token_loss.h"

#include <cmath>

#include <ATen/ATen.h>
#include <QtTest>

#include "eval/prediction_kernel.h"
#include "support/tensor_golden.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

class TestNextTokenLoss : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void kernelEqualsDefinition_data()
    {
        QTest::addColumn<int>("vocab");
        QTest::addColumn<double>("size");
        QTest::newRow("small vocabulary") << 3 << 1.0;
        QTest::newRow("odd vocabulary") << 1031 << 3.0;
        QTest::newRow("large logits") << 5000 << 30.0;
    }
    void kernelEqualsDefinition()
    {
        QFETCH(int, vocab);
        QFETCH(double, size);
        constexpr std::int64_t kRows = 7;
        constexpr float kScale = 0.125F;
        const at::Tensor x = normal({kRows, vocab}, size);
        const at::Tensor targets = at::arange(kRows) % vocab;
        const at::Tensor logP = x.to(at::kDouble).log_softmax(1);
        const at::Tensor wanted = logP.gather(1, targets.unsqueeze(1)).squeeze(1);
        const at::Tensor expected =
            (logP.exp() - at::one_hot(targets, vocab).to(at::kDouble)) * kScale;
        for (int level = 0; level <= static_cast<int>(bestSimd()); ++level) {
            at::Tensor gradient = x.clone();
            std::vector<double> nll(kRows);
            lossGradient(gradient.data_ptr<float>(), targets.data_ptr<std::int64_t>(), kRows, vocab,
                         kScale, nll.data(), static_cast<Simd>(level));
            for (std::int64_t i = 0; i < kRows; ++i) {
                const double value = -wanted[i].item<double>();
                QVERIFY(std::abs(nll[static_cast<std::size_t>(i)] - value) <=
                        kNllGap * (1 + value));
            }
            QVERIFY((gradient - expected).abs().max().item<double>() < 1e-6 * kScale);
            at::Tensor narrow = x.to(at::kBFloat16);
            at::Tensor wide = narrow.to(at::kFloat);
            lossGradient(static_cast<std::uint16_t*>(narrow.data_ptr()),
                         targets.data_ptr<std::int64_t>(), kRows, vocab, kScale, nll.data(),
                         static_cast<Simd>(level));
            lossGradient(wide.data_ptr<float>(), targets.data_ptr<std::int64_t>(), kRows, vocab,
                         kScale, nll.data(), static_cast<Simd>(level));
            QVERIFY(relativeGap(narrow.to(at::kFloat), wide) < 1.0 / 256); // bfloat16's rounding
        }
    }

    void everyArchitecture_data()
    {
        QTest::addColumn<QString>("name");
        for (const std::string& name : goldenModelNames()) {
            QTest::newRow(name.c_str()) << QString::fromStdString(name);
        }
    }
    /// Against autograd through plain operations and all logits at once.
    void everyArchitecture()
    {
        QFETCH(QString, name);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        const std::int64_t hiddenWidth = decoder.config().hidden;
        const at::Tensor hidden = normal({2, 11, hiddenWidth}, 1, 4);
        const at::Tensor ids = golden.ids.narrow(1, 0, 11).narrow(0, 0, 1).repeat({2, 1});

        const at::Tensor x = hidden.clone().set_requires_grad(true);
        const at::Tensor finished = decoder.differentiateFinish(x.narrow(1, 0, 10));
        const at::Tensor head = decoder.logits(at::eye(finished.size(2))); // [width, vocab]
        const at::Tensor logP =
            at::matmul(finished.reshape({20, -1}), head).to(at::kDouble).log_softmax(1);
        const at::Tensor targets = ids.narrow(1, 1, 10).reshape({20, 1});
        const at::Tensor nll = -logP.gather(1, targets).sum();
        (nll * 0.05).backward();

        const NextTokenLoss loss = nextTokenLoss(decoder, hidden, ids, 0.05, {});
        QVERIFY(std::abs(loss.nll - nll.item<double>()) < 1e-5 * loss.nll);
        QVERIFY(relativeGap(loss.gradient, x.grad()) < kBlockGradientGap);
        QVERIFY(at::equal(loss.gradient.select(1, 10), at::zeros({2, hiddenWidth})));
        const double again = nextTokenNll(decoder, hidden, ids, {});
        QVERIFY(std::abs(again - loss.nll) < 1e-6 * loss.nll);
    }
};

QTEST_GUILESS_MAIN(TestNextTokenLoss)
#include "tst_next_token_loss.moc"
