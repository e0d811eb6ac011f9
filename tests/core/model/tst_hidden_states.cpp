#include <csignal>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <QtTest>

#include <sys/resource.h>

#include "base/error.h"
#include "methods/block_error.h"
#include "model/hidden_states.h"
#include "run/block_calibration.h"
#include "support/tensor_golden.h"
#include "support/tensor_model_files.h"

using namespace qw;
using namespace qw::test;

class TestHiddenStates : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void fileHoldsWhatMemoryHolds_data()
    {
        QTest::addColumn<int>("perCall");
        QTest::newRow("one window at a time") << 1;
        QTest::newRow("two, the last alone") << 2;
        QTest::newRow("all") << 5;
    }
    void fileHoldsWhatMemoryHolds()
    {
        QFETCH(int, perCall);
        HiddenStates memory(5, 3, 4, "cpu", {});
        HiddenStates file(5, 3, 4, "cpu", tinyBudget());
        QVERIFY(!memory.inFile());
        QVERIFY(file.inFile());
        QCOMPARE(file.bytes(), 5 * 3 * 4 * 4);
        for (std::int64_t at = 0; at < 5; at += perCall) {
            const std::int64_t count = std::min<std::int64_t>(perCall, 5 - at);
            const at::Tensor states = at::randn(
                {count, 3, 4}, at::detail::createCPUGenerator(static_cast<std::uint64_t>(at)),
                at::kFloat);
            memory.store(at, states);
            file.store(at, states);
        }
        for (std::int64_t at = 0; at < 5; ++at) {
            QVERIFY(at::equal(memory.load(at, 1), file.load(at, 1)));
        }
        QVERIFY(at::equal(memory.load(1, 3), file.load(1, 3)));
    }

    void narrowFileRoundsAndTakesHalf()
    {
        HiddenStatesPlace place = tinyBudget();
        place.fileType = at::kBFloat16;
        HiddenStates file(5, 3, 4, "cpu", place);
        const at::Tensor states =
            at::randn({5, 3, 4}, at::detail::createCPUGenerator(1), at::kFloat);
        file.store(0, states);
        QVERIFY(
            at::equal(file.load(1, 3), states.narrow(0, 1, 3).to(at::kBFloat16).to(at::kFloat)));
        QVERIFY(file.load(0, 1).scalar_type() == at::kFloat);
        place.budgetBytes = 1000; // enough memory: every bit stays
        HiddenStates memory(5, 3, 4, "cpu", place);
        memory.store(0, states);
        QVERIFY(!memory.inFile() && at::equal(memory.load(0, 5), states));
    }

    void fileHasNoNameThatCouldStay()
    {
        const HiddenStates file(5, 3, 4, "cpu", tinyBudget());
        QVERIFY(QDir(m_folder.path()).entryList(QDir::Files | QDir::Hidden).isEmpty());
    }

    void fullDiskIsOneSentence()
    {
        HiddenStates file(5, 3, 4, "cpu", tinyBudget());
        rlimit before{};
        QCOMPARE(getrlimit(RLIMIT_FSIZE, &before), 0);
        const rlimit small{16, before.rlim_max};
        std::signal(SIGXFSZ, SIG_IGN);
        QCOMPARE(setrlimit(RLIMIT_FSIZE, &small), 0);
        const std::string sentence = sentenceOf([&] {
            file.store(3, at::randn({1, 3, 4}, at::detail::createCPUGenerator(1), at::kFloat));
        });
        setrlimit(RLIMIT_FSIZE, &before);
        QVERIFY2(sentence.find("writing hidden states failed: File too large") != std::string::npos,
                 sentence.c_str());
    }

    void missingFolderIsOneSentence()
    {
        const std::string sentence = sentenceOf([&] {
            HiddenStates(5, 3, 4, "cpu", {0, m_folder.path().toStdString() + "/none"});
        });
        QVERIFY2(sentence.find("cannot be made") != std::string::npos, sentence.c_str());
    }

    /// Statistics of every block are the same bits, whether states live in memory or in a file.
    void calibrationIsTheSameEitherWay()
    {
        const GoldenModel golden = goldenModel("llama");
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        const at::Tensor ids = golden.ids.repeat({3, 1});
        const RunContext run;
        BlockCalibration memory(decoder, ids, 2, {}, run);
        BlockCalibration file(decoder, ids, 2, tinyBudget(), run);
        const StatisticsNeeds needs{true, true, true};
        for (std::int64_t i = 0; i < decoder.blockCount(); ++i) {
            const BlockWeights block = decoder.loadBlock(i);
            const auto a = memory.advance(block, needs, run);
            const auto b = file.advance(block, needs, run);
            QCOMPARE(a.size(), 4U);
            for (const auto& [group, statistics] : a) {
                const InputStatistics& other = *b.at(group);
                QCOMPARE(statistics->tokens(), ids.numel());
                QVERIFY(at::equal(statistics->autocorrelation(), other.autocorrelation()));
                QVERIFY(at::equal(statistics->scaleMeanAbs(true), other.scaleMeanAbs(true)));
                QVERIFY(at::equal(statistics->meanSquare(), other.meanSquare()));
            }
        }
    }

    /// One pass gives what moving on and measuring by itself give, to the bit.
    void movingOnMeasuresTheBlock()
    {
        const Checkpoint checkpoint(goldenFolder("llama"));
        const Decoder decoder(checkpoint);
        const BlockWeights block = decoder.loadBlock(0);
        const at::Tensor ids = at::arange(5 * 16).remainder(90).view({5, 16}) + 4;
        const RunContext run;
        std::int64_t products = 0;
        BlockHooks hooks; // another block than full precision's
        hooks.linear = [&](const LinearWeights& linear, const at::Tensor& x) {
            ++products;
            return at::linear(x, linear.weight * 1.05, linear.bias);
        };
        BlockCalibration full(decoder, ids, 3, {}, run);
        BlockCalibration moved(decoder, ids, 3, {}, run);
        BlockCalibration measured(decoder, ids, 3, {}, run);
        full.advance(block, {}, run);
        moved.advance(block, {}, run, hooks);
        const std::int64_t once = products;
        const double error = measured.advanceTowards(full.states(), block, run, hooks);
        QCOMPARE(products, 2 * once);
        const at::Tensor made = measured.states().load(0, 5);
        QVERIFY(at::equal(made, moved.states().load(0, 5)));
        double sum = 0;
        for (std::int64_t i = 0; i < 5; ++i) {
            sum += blockLoss(made.narrow(0, i, 1), full.states().load(i, 1)).item<double>();
        }
        QVERIFY(error > 0);
        QCOMPARE(error, sum / 5);
    }

private:
    HiddenStatesPlace tinyBudget() const { return {100, m_folder.path().toStdString()}; }
    QTemporaryDir m_folder;
};

QTEST_GUILESS_MAIN(TestHiddenStates)
#include "tst_hidden_states.moc"
