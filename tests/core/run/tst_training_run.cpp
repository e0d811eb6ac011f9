#include <cmath>
#include <map>
#include <stop_token>

#include <QtTest>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"
#include "engine_settled.h"
#include "store/run_store.h"
#include "support/tensor_model_files.h"

using namespace qw;
using namespace qw::test;

namespace {
/// What must not depend on interruptions: all but times and memory.
TrainingResult timeless(TrainingResult training)
{
    training.seconds = 0;
    training.peakBytesAboveModel = 0;
    for (TrainingStep& step : training.steps) {
        step.tokensPerSecond = 0;
    }
    return training;
}

bool mentions(const RunResult& run, const std::string& part)
{
    return std::any_of(run.substitutions.begin(), run.substitutions.end(),
                       [&](const std::string& said) { return said.find(part) != said.npos; });
}
} // namespace

class TestTrainingRun : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        startEngine(1);
        writeRandomModel(path() / "model", smallShape());
        writeBytes(path() / "train.txt", demoText("calibration", 4000));
        writeBytes(path() / "evaluation.txt", demoText("evaluation", 2000));
    }
    void init() { ++m_number; }

    void everyMethodLearnsAndIsStored_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<QString>("points");
        QTest::newRow("lr-qat") << "lr-qat"
                                << "linear";
        QTest::newRow("lr-qat a8kv4") << "lr-qat"
                                      << "a8kv4";
        QTest::newRow("lsq") << "lsq"
                             << "linear";
        QTest::newRow("peqa") << "peqa"
                              << "linear";
    }
    void everyMethodLearnsAndIsStored()
    {
        QFETCH(QString, method);
        QFETCH(QString, points);
        RunSpec spec = baseSpec(method.toStdString());
        spec.activation.points = points.toStdString();
        RunStore store(storeFile());
        std::vector<TrainingStep> told;
        RunOptions options = this->options();
        options.stepDone = [&](const TrainingStep& step) { told.push_back(step); };
        const RunResult run = runQuantization(spec, store, options, {});
        QVERIFY(store.get(run.id) == run);
        QCOMPARE(run.estimate.bytes, run.bytes);
        QVERIFY(run.estimate.seconds > 0);
        QCOMPARE(run.rank, 0); // nothing of the pair is deployed
        const TrainingResult& training = run.training;
        QVERIFY(training.steps == told);
        QCOMPARE(training.steps.size(), std::size_t{20});
        QVERIFY(training.steps.back().loss < training.steps.front().loss);
        QVERIFY(training.steps.front().gradientNorm > 0);
        QVERIFY(training.steps.front().tokensPerSecond > 0);
        QVERIFY(std::isnan(training.steps[0].validationPerplexity));
        QVERIFY(training.steps[1].validationPerplexity > training.steps[19].validationPerplexity);
        QCOMPARE(training.warmup, 2);
        QVERIFY(training.steps[0].rate < training.steps[1].rate);
        QVERIFY(training.steps[19].rate < training.steps[2].rate);
        QVERIFY(training.trainedParameters > 0);
        std::int64_t weights = 0;
        for (const LayerResult& layer : run.layers) {
            weights += layer.rows * layer.cols;
        }
        if (method == "lr-qat") { // fixed8: a byte each, and no other copy of them
            QCOMPARE(training.frozenBytes, weights);
        }
        QVERIFY(training.peakBytesAboveModel >
                training.frozenBytes + 12 * training.trainedParameters);
        QVERIFY(training.peakBytesAboveModel < run.peakRssBytes);
        QVERIFY(mentions(run, "of scales"));
        QVERIFY(run.layers.front().trainedParameters > 0);
        QCOMPARE(run.layers.front().trainRank, method == "lr-qat" ? 4 : 0);
        QVERIFY(!run.provenance.trainingHash.empty());
        // What was measured can be measured again from the artifact alone.
        const EvaluationResult again =
            evaluateModel(spec.model, &run, spec.evaluation, "cpu", RunContext());
        QCOMPARE(again.score.nll, run.score.nll);
        QVERIFY(leftOvers(run).isEmpty());
    }

    void numbersLeftOpenAreToldBefore_data()
    {
        QTest::addColumn<QString>("method");
        for (const char* method : {"lr-qat", "lsq", "peqa"}) {
            QTest::newRow(method) << method;
        }
    }
    void numbersLeftOpenAreToldBefore()
    {
        QFETCH(QString, method);
        RunSpec spec = baseSpec(method.toStdString());
        spec.training.rank = 0;
        spec.training.steps = 2;
        RunStore store(storeFile());
        const TrainingResult taken = runQuantization(spec, store, options(), {}).training;
        const std::map<std::string, double> told = settledNumbers(spec);
        QCOMPARE(told.at("training.lr_scale"), taken.lrScale);
        QCOMPARE(told.at("training.warmup"), static_cast<double>(taken.warmup));
        QCOMPARE(told.count("training.lr") == 1, method != "peqa");
        if (method != "peqa") {
            QCOMPARE(told.at("training.lr"), taken.lr);
            QCOMPARE(told.at("training.weight_decay"), taken.weightDecay);
        }
        QCOMPARE(told.count("training.rank") == 1, method == "lr-qat");
        if (method == "lr-qat") {
            QCOMPARE(told.at("training.rank"), static_cast<double>(taken.rank));
        }
        QCOMPARE(told.count("training.seqlen"), 0U); // the spec says it
        QCOMPARE(told.count("evaluation.seqlen"), 0U);
    }

    void withoutLearningTheResultIsRoundToNearest_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<QString>("phi");
        QTest::newRow("lr-qat fp32") << "lr-qat"
                                     << "fp32";
        QTest::newRow("lr-qat int") << "lr-qat"
                                    << "int";
        QTest::newRow("lsq") << "lsq"
                             << "";
        QTest::newRow("peqa") << "peqa"
                              << "";
    }
    void withoutLearningTheResultIsRoundToNearest()
    {
        QFETCH(QString, method);
        QFETCH(QString, phi);
        RunSpec spec = baseSpec(method.toStdString());
        if (method == "lr-qat") {
            spec.training.phi = phi.toStdString();
        }
        if (method != "peqa") {
            spec.training.lr = 0;
        }
        spec.training.lrScale = 0;
        spec.training.steps = 3;
        RunSpec nearest = spec;
        nearest.method = "rtn";
        RunStore store(storeFile());
        QCOMPARE(runQuantization(spec, store, options(), {}).artifactHash,
                 runQuantization(nearest, store, options(), {}).artifactHash);
    }

    void sameSeedSameBits()
    {
        RunSpec spec = baseSpec("lr-qat");
        RunStore store(storeFile());
        const RunResult first = runQuantization(spec, store, options(), {});
        const RunResult second = runQuantization(spec, store, options(), {});
        QCOMPARE(first.artifactHash, second.artifactHash);
        QVERIFY(timeless(first.training) == timeless(second.training));
        spec.training.recompute = false;
        QCOMPARE(runQuantization(spec, store, options(), {}).artifactHash, first.artifactHash);
        spec.seed = 1;
        QVERIFY(runQuantization(spec, store, options(), {}).artifactHash != first.artifactHash);
    }

    void cancelledTrainingGoesOnToTheSameBits_data()
    {
        QTest::addColumn<int>("at");
        QTest::newRow("before the first step") << 0;
        QTest::newRow("between states") << 9;
        QTest::newRow("at the last step") << 20;
    }
    void cancelledTrainingGoesOnToTheSameBits()
    {
        QFETCH(int, at);
        RunSpec spec = baseSpec("lr-qat");
        spec.training.saveEvery = 4;
        RunStore store(storeFile());
        const RunResult whole = runQuantization(spec, store, options(), {});
        std::stop_source stop;
        int steps = 0;
        RunOptions counted = options();
        std::string id;
        counted.started = [&](const RunResult& run) { id = run.id; };
        counted.stepDone = [&](const TrainingStep&) {
            if (++steps == at) {
                stop.request_stop();
            }
        };
        const RunContext run(stop.get_token(), [&](const Progress& progress) {
            if (at == 0 && progress.phase == "train") {
                stop.request_stop();
            }
        });
        QVERIFY_EXCEPTION_THROWN(runQuantization(spec, store, counted, run), Cancelled);
        steps = 0;
        counted.stepDone = [&](const TrainingStep&) { ++steps; };
        const RunResult resumed = resumeRuns(id, store, counted, {}).front();
        QCOMPARE(steps, 20); // those done before are told too
        QCOMPARE(resumed.artifactHash, whole.artifactHash);
        QVERIFY(timeless(resumed.training) == timeless(whole.training));
        QCOMPARE(resumed.score.nll, whole.score.nll);
        QVERIFY(leftOvers(resumed).isEmpty());
    }

    void cancelledBetweenBlocksKeepsWhatWasTrained()
    {
        const RunSpec spec = baseSpec("lr-qat");
        RunStore store(storeFile());
        const RunResult whole = runQuantization(spec, store, options(), {});
        std::stop_source stop;
        RunOptions counted = options();
        std::string id;
        counted.started = [&](const RunResult& run) { id = run.id; };
        counted.layerDone = [&](const LayerResult&) { stop.request_stop(); };
        QVERIFY_EXCEPTION_THROWN(
            runQuantization(spec, store, counted, RunContext(stop.get_token(), {})), Cancelled);
        const RunResult resumed = resumeRuns(id, store, options(), {}).front();
        QCOMPARE(resumed.artifactHash, whole.artifactHash);
        QVERIFY(timeless(resumed.training) == timeless(whole.training));
    }

    void overflowStopsTheRunAndKeepsTheState()
    {
        RunSpec spec = baseSpec("lr-qat");
        spec.training.lrScale = 1e38;
        spec.training.clip = 0;
        RunStore store(storeFile());
        const QString said = QString::fromStdString(
            sentenceOf([&] { runQuantization(spec, store, options(), {}); }));
        QVERIFY2(
            QRegularExpression("^step [2-9]: the (loss|gradient) is not finite, beginning with "
                               "model\\.layers\\.[01]\\..*; try a smaller learning rate")
                .match(said)
                .hasMatch(),
            qPrintable(said));
        const RunResult stored = store.list().front().result;
        QCOMPARE(stored.status, std::string("failed"));
    }

    void startFromAnotherMethodsFactors_data()
    {
        QTest::addColumn<QString>("init");
        QTest::newRow("loftq") << "loftq";
        QTest::newRow("lqer") << "lqer";
        QTest::newRow("qera-exact") << "qera-exact";
    }
    void startFromAnotherMethodsFactors()
    {
        QFETCH(QString, init);
        RunSpec spec = baseSpec("lr-qat");
        spec.training.init = init.toStdString();
        spec.training.steps = 2;
        RunStore store(storeFile());
        if (init == "qera-exact") {
            QVERIFY(sentenceOf([&] {
                        runQuantization(spec, store, options(), {});
                    }).find("give a calibration text") != std::string::npos);
            spec.calibration.text = spec.training.text;
            spec.calibration.nsamples = 2;
            spec.calibration.seqlen = 64;
        }
        QCOMPARE(runQuantization(spec, store, options(), {}).training.steps.size(), std::size_t{2});
    }

    void missingTextIsRefused()
    {
        RunSpec spec = baseSpec("peqa");
        spec.training.text.clear();
        RunStore store(storeFile());
        QVERIFY(sentenceOf([&] {
                    runQuantization(spec, store, options(), {});
                }).find("peqa trains on a text") != std::string::npos);
        QVERIFY(store.list().empty());
    }

private:
    std::filesystem::path path() const { return m_folder.path().toStdString(); }
    std::filesystem::path storeFile() const
    {
        return path() / message("store", m_number, ".sqlite");
    }
    RunOptions options() const
    {
        RunOptions made;
        made.workFolder = path() / message("runs", m_number);
        return made;
    }
    RunSpec baseSpec(const std::string& method) const
    {
        RunSpec spec;
        spec.model = (path() / "model").string();
        spec.method = method;
        spec.weight = usualWeight(method);
        spec.weight.bits = 2;
        spec.weight.groupSize = kPerChannel;
        spec.training.text = (path() / "train.txt").string();
        spec.training.steps = 20;
        spec.training.batchSize = 2;
        spec.training.gradAccum = 2;
        spec.training.seqlen = 32;
        spec.training.rank = method == "lr-qat" ? 4 : 0;
        spec.training.compute = "f32";
        spec.evaluation.text = (path() / "evaluation.txt").string();
        spec.evaluation.seqlen = 64;
        spec.evaluation.windows = 2;
        return spec;
    }
    /// Files of a state that should be gone.
    static QStringList leftOvers(const RunResult& run)
    {
        return QDir(QString::fromStdString(run.artifactFolder)).entryList({"*.state", "*.part"});
    }

    QTemporaryDir m_folder;
    int m_number = 0;
};

QTEST_GUILESS_MAIN(TestTrainingRun)
#include "tst_training_run.moc"
