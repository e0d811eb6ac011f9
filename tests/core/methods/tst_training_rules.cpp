#include <QTest>

#include "methods/training_rules.h"

using namespace qw;

class TestTrainingRules : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void ratesGrowWhereStepsAreFew_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<int>("bits");
        QTest::addColumn<int>("steps");
        QTest::addColumn<double>("lr");
        QTest::addColumn<double>("lrScale");
        QTest::newRow("the recipe") << "lr-qat" << 4 << 10000 << 1e-3 << 1e-5;
        QTest::newRow("longer than the recipe") << "lr-qat" << 4 << 20000 << 1e-3 << 1e-5;
        QTest::newRow("half of it") << "lr-qat" << 4 << 5000 << 2e-3 << 2e-5;
        QTest::newRow("300 steps") << "lr-qat" << 3 << 300 << 1e-2 << 1e-4;
        QTest::newRow("300 steps, 2 bits") << "lr-qat" << 2 << 300 << 1e-2 << 1e-5 * 10000 / 300;
        QTest::newRow("50 steps, 2 bits") << "lr-qat" << 2 << 50 << 1e-2 << 1e-3;
        QTest::newRow("whole weights") << "lsq" << 4 << 5000 << 1e-4 << 2e-5;
    }
    void ratesGrowWhereStepsAreFew()
    {
        QFETCH(QString, method);
        QFETCH(int, bits);
        QFETCH(int, steps);
        QFETCH(double, lr);
        QFETCH(double, lrScale);
        RunSpec spec;
        spec.method = method.toStdString();
        spec.weight.bits = bits;
        spec.training.steps = steps;
        ModelConfig config;
        config.hidden = 256;
        const TrainingRules rules = trainingRules(spec, config);
        QCOMPARE(rules.lr, lr);
        QCOMPARE(rules.lrScale, lrScale);
        QCOMPARE(rules.warmup, steps / 10);
        QVERIFY(rules.said.size() >= 2); // where both rates come from
    }

    void whatIsAskedIsTaken()
    {
        RunSpec spec;
        spec.method = "lr-qat";
        spec.training.steps = 50;
        spec.training.lr = 0.5;
        spec.training.lrScale = 0;
        spec.training.warmup = 7;
        spec.training.rank = 5;
        spec.training.compute = "f32";
        spec.weight.scaleDtype = "f32";
        const TrainingRules rules = trainingRules(spec, {});
        QCOMPARE(rules.lr, 0.5);
        QCOMPARE(rules.lrScale, 0.0);
        QCOMPARE(rules.warmup, std::int64_t{7});
        QCOMPARE(rules.rank, std::int64_t{5});
        QVERIFY(rules.said.empty());
        spec.weight.scaleDtype = "bf16"; // unlike what was published
        const std::vector<std::string> said = trainingRules(spec, {}).said;
        QCOMPARE(said.size(), std::size_t{1});
        QVERIFY(said.front().find("rounded to bf16") != std::string::npos);
    }

    void rateGoesUpAndDown()
    {
        QCOMPARE(scheduledRate(1, 0, 4, 12), 0.25);
        QCOMPARE(scheduledRate(1, 3, 4, 12), 1.0);
        QCOMPARE(scheduledRate(1, 4, 4, 12), 1.0);
        QCOMPARE(scheduledRate(1, 8, 4, 12), 0.5);
        QCOMPARE(scheduledRate(2, 11, 4, 12), 0.25);
    }
};

QTEST_GUILESS_MAIN(TestTrainingRules)
#include "tst_training_rules.moc"
