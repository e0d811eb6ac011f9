#include <algorithm>
#include <set>
#include <stop_token>
#include <thread>

#include <QtTest>

#include <sys/mman.h>
#include <unistd.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"
#include "methods/method.h"
#include "run/artifact.h"
#include "run/cost_model.h"
#include "run/group_run.h"
#include "run/run_plan.h"
#include "run/run_texts.h"
#include "store/run_store.h"
#include "support/tensor_model_files.h"

using namespace qw;
using namespace qw::test;

namespace {
constexpr std::int64_t kBlocks = 3;

/// All that must not depend on interruptions: everything measured, no times.
struct Outcome {
    std::string hash;
    TextScore score;
    Comparison comparison;
    std::vector<LayerResult> layers;
    std::int64_t bytes = 0;
    bool operator==(const Outcome&) const = default;
};

Outcome outcomeOf(const RunResult& run)
{
    Outcome outcome{run.artifactHash, run.score, run.comparison, run.layers, run.bytes};
    outcome.score.seconds = 0;
    for (LayerResult& layer : outcome.layers) {
        layer.seconds = 0;
    }
    return outcome;
}

std::vector<Outcome> outcomesOf(const std::vector<RunResult>& runs)
{
    std::vector<Outcome> outcomes;
    std::transform(runs.begin(), runs.end(), std::back_inserter(outcomes), outcomeOf);
    return outcomes;
}

constexpr std::chrono::milliseconds kEachStep(0); // reports come at each

/// Says stop at the beginning of a phase, or after so many layers.
struct Interrupter {
    std::stop_source stop;
    std::string phase;
    int layers = -1;

    RunContext context()
    {
        return RunContext(stop.get_token(), [this](const Progress& progress) {
            if (progress.phase == phase) {
                stop.request_stop();
            }
        });
    }
    void layerDone()
    {
        if (layers >= 0 && layers-- == 0) {
            stop.request_stop();
        }
    }
};
} // namespace

class TestRun : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        startEngine(1);
        writeRandomModel(path() / "model", smallShape(kBlocks));
        writeBytes(path() / "calibration.txt", demoText("calibration", 8000));
        writeBytes(path() / "evaluation.txt", demoText("evaluation", 2000));
    }
    void init() { ++m_number; }

    void shardedModelIsTheSame()
    {
        RandomModelSpec shape = smallShape(kBlocks);
        shape.shardBytes = 50000;
        writeRandomModel(path() / "sharded", shape);
        QVERIFY(!std::filesystem::exists(path() / "sharded/model.safetensors"));
        RunSpec sharded = baseSpec();
        sharded.model = (path() / "sharded").string();
        RunStore store(storeFile());
        const Outcome a = outcomeOf(runQuantization(baseSpec(), store, options(), {}));
        QVERIFY(outcomeOf(runQuantization(sharded, store, options(), {})) == a);
    }

    void storedResultIsComplete()
    {
        RunStore store(storeFile());
        const RunResult result = runQuantization(baseSpec(), store, options(), {});
        QVERIFY(store.get(result.id) == result);
        QCOMPARE(result.status, std::string("finished"));
        QCOMPARE(result.layers.size(), std::size_t{7 * kBlocks});
        QVERIFY(result.comparison.klMean > 0);
        QCOMPARE(result.estimate.bytes, result.bytes);
        QVERIFY(result.estimate.seconds > 0);
        QVERIFY(result.estimate.peakRssBytes > 0);
        QCOMPARE(result.provenance.factorRank, 4);
        QVERIFY(std::filesystem::exists(std::filesystem::path(result.artifactFolder) /
                                        "artifact.json"));
        // What was measured can be measured again from the artifact alone.
        const EvaluationResult again =
            evaluateModel(result.spec.model, &result, result.spec.evaluation, "cpu", RunContext());
        QCOMPARE(again.score.nll, result.score.nll);
    }

    void sizeIsPredictedExactly_data()
    {
        QTest::addColumn<QByteArray>("spec");
        for (const char* spec :
             {"{}", "{\"weight\":{\"sym\":true}}",
              "{\"weight\":{\"bits\":5,\"scale_dtype\":\"f32\"}}",
              "{\"weight\":{\"group_size\":\"channel\"}}",
              "{\"weight\":{\"group_size\":\"tensor\"}}", "{\"weight\":{\"format\":\"mxint\"}}",
              "{\"weight\":{\"format\":\"mxint\",\"group_size\":24,\"exponent_bits\":4},\"adjust\":"
              "true}",
              "{\"low_rank\":{\"rank\":0}}", "{\"low_rank\":{\"rank\":7,\"factor_bits\":8}}",
              "{\"low_rank\":{\"rank\":7,\"factor_bits\":5,\"factor_block\":32}}",
              "{\"low_rank\":{\"rank\":1000}}",
              "{\"overrides\":[{\"pattern\":\"down\",\"bits\":8,\"rank\":0},"
              "{\"pattern\":\"layers.1\",\"skip\":true}]}"}) {
            QTest::newRow(spec) << QByteArray(spec);
        }
    }
    void sizeIsPredictedExactly()
    {
        QFETCH(QByteArray, spec);
        Json json = toJson(baseSpec());
        json.merge_patch(parseJson(spec.toStdString(), "row"));
        const RunSpec asked = runSpecFromJson(json);
        RunStore store(storeFile());
        const RunResult result = runQuantization(asked, store, options(), {});
        QCOMPARE(estimateRun(asked).bytes, result.bytes);
        QCOMPARE(result.estimate.bytes, result.bytes);
    }

    /// 8 bits a value and 8 an exponent of 16 values, along the last axis of each factor.
    void factorsAreStoredAsCodes()
    {
        constexpr std::int64_t kRank = 16;
        RunStore store(storeFile());
        RunSpec spec = baseSpec();
        spec.lowRank.rank = 0;
        const RunResult without = runQuantization(spec, store, options(), {});
        spec.lowRank.rank = kRank;
        spec.lowRank.factorBits = 8;
        const RunResult coded = runQuantization(spec, store, options(), {});
        QVERIFY(coded.layers.size() == without.layers.size());
        for (std::size_t i = 0; i < coded.layers.size(); ++i) {
            const LayerResult& layer = coded.layers[i];
            const std::int64_t values = kRank * (layer.rows + layer.cols);
            QCOMPARE(layer.rank, kRank);
            QCOMPARE(layer.bytes - without.layers[i].bytes, values + values / 16);
            QVERIFY(layer.outputError < without.layers[i].outputError);
        }
        const ArtifactFolder folder(coded.artifactFolder, "");
        for (std::int64_t block = 0; block < kBlocks; ++block) {
            for (const QuantizedLinear& linear : folder.readBlock(block).linears) {
                QVERIFY(linear.a.quantized && linear.a.codes.codes.defined());
                QVERIFY(linear.b.quantized && linear.b.codes.codes.defined());
                QCOMPARE(linear.b.codes.exponents.numel(), kRank * linear.out / 16);
            }
        }
    }

    void cancelledThenResumed_data()
    {
        QTest::addColumn<QString>("phase");
        QTest::addColumn<int>("layers");
        QTest::newRow("before the first block") << "quantize" << -1;
        QTest::newRow("in the second block") << "none" << 6;
        QTest::newRow("in the last block") << "none" << 13;
        QTest::newRow("after the last block") << "none" << 20;
        QTest::newRow("evaluate") << "evaluate" << -1;
    }
    void cancelledThenResumed()
    {
        QFETCH(QString, phase);
        QFETCH(int, layers);
        RunStore store(storeFile());
        const RunResult whole = runQuantization(baseSpec(), store, options(), {});
        Interrupter interrupter;
        interrupter.phase = phase.toStdString();
        interrupter.layers = layers;
        std::string id;
        RunOptions stopped = options();
        stopped.started = [&](const RunResult& run) { id = run.id; };
        stopped.layerDone = [&](const LayerResult&) { interrupter.layerDone(); };
        QVERIFY_EXCEPTION_THROWN(runQuantization(baseSpec(), store, stopped, interrupter.context()),
                                 Cancelled);
        QCOMPARE(store.get(id).status, std::string("cancelled"));
        QCOMPARE(firstUnfinished(id, store).id, id);
        int made = 0;
        RunOptions counted = options();
        counted.layerDone = [&](const LayerResult&) { ++made; };
        std::vector<LayerResult> kept;
        counted.layerKept = [&](const LayerResult& layer) { kept.push_back(layer); };
        const std::vector<RunResult> resumed = resumeRuns(id, store, counted, {});
        QCOMPARE(resumed.size(), 1U);
        QCOMPARE(resumed.front().id, id);
        QVERIFY(outcomeOf(resumed.front()) == outcomeOf(whole));
        QVERIFY(store.get(id) == resumed.front());
        // Blocks that were done are not done again.
        const int blocksDone = layers < 0 ? (phase == "evaluate" ? kBlocks : 0) : layers / 7 + 1;
        QCOMPARE(made, static_cast<int>(7 * (kBlocks - blocksDone)));
        QCOMPARE(kept.size(), static_cast<std::size_t>(7 * blocksDone));
        QVERIFY(std::equal(kept.begin(), kept.end(), resumed.front().layers.begin()));
        const std::string refusal = sentenceOf([&] { resumeRuns(id, store, options(), {}); });
        QVERIFY2(refusal.find("is finished") != std::string::npos, refusal.c_str());
    }

    void cancelledBeforeWorkLeavesNothing()
    {
        RunStore store(storeFile());
        Interrupter interrupter;
        interrupter.phase = "prepare";
        QVERIFY_EXCEPTION_THROWN(
            runQuantization(baseSpec(), store, options(), interrupter.context()), Cancelled);
        QVERIFY(store.list().empty());
    }

    void resumeWithAnotherTextIsRefused()
    {
        RunStore store(storeFile());
        RunSpec spec = baseSpec();
        const std::filesystem::path text = path() / "changing.txt";
        const std::string before = readTextFile(path() / "calibration.txt");
        writeBytes(text, before);
        spec.calibration.text = text.string();
        const std::string id = cancelInSecondBlock(spec, store);
        const RunResult stored = store.get(id);
        writeBytes(text, before + " One more sentence.");
        try {
            resumeRuns(id, store, options(), {});
            QFAIL("was not refused");
        } catch (const Error& refusal) {
            QCOMPARE(refusal.code(), ErrorCode::Mismatch);
            QVERIFY(std::string(refusal.what()).find("cannot continue") != std::string::npos);
        }
        QVERIFY(store.get(id) == stored);
        writeBytes(text, before);
        QCOMPARE(resumeRuns(id, store, options(), {}).front().status, std::string("finished"));
    }

    void runAtWorkIsNotResumed()
    {
        RunStore store(storeFile());
        const std::string id = cancelInSecondBlock(baseSpec(), store);
        const std::filesystem::path folder = store.get(id).artifactFolder;
        const FileLock lock(folder / "lock");
        const std::filesystem::path half = folder / "block-00001.safetensors.1.part";
        writeBytes(half, "being written");
        const RunResult stored = store.get(id);
        const std::string refusal = sentenceOf([&] { resumeRuns(id, store, options(), {}); });
        QVERIFY2(refusal.find("another process is at work") != std::string::npos, refusal.c_str());
        QVERIFY(std::filesystem::exists(half));
        QVERIFY(store.get(id) == stored);
    }

    void theTimeOfAKilledRunIsThatOfItsBlocks()
    {
        RunStore store(storeFile());
        const std::string id = cancelInSecondBlock(baseSpec(), store);
        RunResult killed = store.get(id);
        killed.status = "running"; // as a process leaves it that could not say good-bye
        killed.seconds = 0;
        store.save(killed);
        std::vector<LayerResult> kept;
        RunOptions counted = options();
        counted.layerKept = [&](const LayerResult& layer) { kept.push_back(layer); };
        const RunResult resumed = resumeRuns(id, store, counted, {}).front();
        QVERIFY(!kept.empty());
        double before = 0;
        for (const LayerResult& layer : kept) {
            before += layer.seconds;
        }
        double now = 0;
        for (const PhaseTime& phase : resumed.phases) {
            now += phase.seconds;
        }
        QVERIFY(before > 0);
        QVERIFY2(resumed.seconds >= now + before - 1e-9,
                 qPrintable(
                     QStringLiteral("%1 of %2 and %3").arg(resumed.seconds).arg(now).arg(before)));
    }

    void blocksElsewhereAreFound()
    {
        RunStore store(storeFile());
        const std::string id = cancelInSecondBlock(baseSpec(), store);
        const std::string folder = store.get(id).artifactFolder;
        RunOptions moved = options();
        moved.workFolder = path() / "elsewhere";
        int made = 0;
        moved.layerDone = [&](const LayerResult&) { ++made; };
        QCOMPARE(resumeRuns(id, store, moved, {}).front().artifactFolder, folder);
        QCOMPARE(made, 7); // the last block
    }

    void lostBlocksAreTold()
    {
        RunStore store(storeFile());
        const std::string id = cancelInSecondBlock(baseSpec(), store);
        std::filesystem::remove_all(store.get(id).artifactFolder);
        std::vector<std::string> log;
        int made = 0;
        RunOptions counted = options();
        counted.layerDone = [&](const LayerResult&) { ++made; };
        resumeRuns(id, store, counted,
                   RunContext({}, {}, [&](const std::string& line) { log.push_back(line); }));
        QCOMPARE(made, static_cast<int>(7 * kBlocks));
        QCOMPARE(log.size(), 1U);
        QVERIFY2(log.front().find("begins again") != std::string::npos, log.front().c_str());
    }

    void blocksOfALostFingerprintAreMadeAgain()
    {
        RunStore store(storeFile());
        RunSpec spec = baseSpec();
        const std::filesystem::path text = path() / "lost.txt";
        writeBytes(text, readTextFile(path() / "calibration.txt"));
        spec.calibration.text = text.string();
        int made = 0;
        RunOptions counted = options();
        counted.layerDone = [&](const LayerResult&) { ++made; };
        const auto resumed = [&](std::size_t cut) {
            const std::string id = cancelInSecondBlock(spec, store);
            std::filesystem::remove(std::filesystem::path(store.get(id).artifactFolder) /
                                    "fingerprint.txt");
            writeBytes(text, readTextFile(text).substr(cut));
            made = 0;
            return resumeRuns(id, store, counted, {}).front();
        };
        resumed(0);
        QCOMPARE(made, 7); // the blocks are this run's after all
        const RunResult again = resumed(500);
        QCOMPARE(made, static_cast<int>(7 * kBlocks));
        QVERIFY(outcomeOf(again) == outcomeOf(runQuantization(spec, store, options(), {})));
    }

    void blocksWithoutResultsAreRefused()
    {
        RunStore store(storeFile());
        const std::string id = cancelInSecondBlock(baseSpec(), store);
        const std::filesystem::path folder = store.get(id).artifactFolder;
        const ArtifactFolder artifact(folder, readTextFile(folder / "fingerprint.txt"));
        BlockArtifact block = artifact.readBlock(0);
        block.results.clear();
        artifact.writeBlock(block);
        const std::string refusal = sentenceOf([&] { resumeRuns(id, store, options(), {}); });
        QVERIFY2(refusal.find("has the results of 0 runs, not of 1") != std::string::npos,
                 refusal.c_str());
    }

    void rankZeroIsTold()
    {
        const Checkpoint checkpoint(path() / "model");
        const auto told = [&](const RunSpec& spec) {
            const std::vector<std::string> said = planRun(spec, checkpoint).substitutions;
            return std::count(said.begin(), said.end(),
                              "rank 0: no error is corrected; for a model this wide begin with "
                              "rank 2"); // of 64
        };
        RunSpec spec = baseSpec();
        QCOMPARE(told(spec), 0);
        spec.lowRank.rank = 0;
        QCOMPARE(told(spec), 1);
        spec.method = "gptq";
        QCOMPARE(told(spec), 0);
        spec.lowRank.correction = "lqer";
        QCOMPARE(told(spec), 1);
        LayerOverride one;
        one.pattern = "down_proj";
        one.rank = 4;
        spec.overrides = {one};
        QCOMPARE(told(spec), 0);
    }

    /// What the block or the run before took is no part of a peak.
    void peakMemoryIsOfTheRunAndOfTheBlock()
    {
        constexpr std::int64_t kMuch = std::int64_t{1} << 28;
        const auto take = [] {
            void* pages = ::mmap(nullptr, kMuch, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
            QVERIFY(pages != MAP_FAILED);
            ::munmap(pages, kMuch);
        };
        take();
        if (const std::int64_t peak = recentPeakRssBytes(); restartPeakRss() > peak - kMuch / 2) {
            QSKIP("this kernel does not let a process restart its peak");
        }
        RunStore store(storeFile());
        RunSpec spec = baseSpec();
        spec.method = "gptq";
        spec.lowRank.rank = 0;
        RunOptions greedy = options();
        int layers = 0;
        greedy.layerDone = [&](const LayerResult&) {
            if (layers++ == 0) { // the first block is done
                take();
            }
        };
        const RunResult first = runQuantization(spec, store, greedy, {});
        const RunResult second = runQuantization(spec, store, options(), {});
        QVERIFY(second.peakRssBytes + kMuch / 2 < first.peakRssBytes);
        QCOMPARE(first.blocks.size(), std::size_t{kBlocks});
        for (const BlockResult& block : first.blocks) {
            QVERIFY(block.peakRssBytes > 0);
            QVERIFY(block.peakRssBytes + kMuch / 2 < first.peakRssBytes);
        }
    }

    /// The window imports a folder while a run is at work.
    void aPeakOutlastsTheRestartOfAnotherThread()
    {
        constexpr std::int64_t kMuch = std::int64_t{1} << 28;
        const std::int64_t before = restartPeakRss();
        void* pages = ::mmap(nullptr, kMuch, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        QVERIFY(pages != MAP_FAILED);
        ::munmap(pages, kMuch);
        std::thread(restartPeakRss).join();
        QVERIFY(recentPeakRssBytes() > before + kMuch / 2);
    }

    /// GPTQ goes over the calibration text again and again, AWQ more often still.
    void methodsThatGoByBlocksTakeLonger()
    {
        RunSpec spec = baseSpec();
        spec.lowRank.rank = 0;
        const Checkpoint checkpoint(path() / "model");
        const Workload work{30, 64, 0, 0, 0};
        const auto seconds = [&](const char* method, double rate = 2e10) {
            spec.method = method;
            return estimateGroup(planGroup({spec}, checkpoint), checkpoint, work, 0, rate).seconds;
        };
        const double nearest = seconds("rtn");
        const double gptq = seconds("gptq");
        QCOMPARE(seconds("rtn"), nearest);
        QVERIFY(seconds("rtn", 1e10) > nearest);
        QVERIFY2(gptq > 1.5 * nearest, qPrintable(QString::number(gptq / nearest)));
        QVERIFY(seconds("awq") > 3 * nearest);
        spec.gptq.trueSequential = true;
        QVERIFY(seconds("gptq") > 1.2 * gptq);
    }

    void stateOfAFinishedBlockIsSweptUp()
    {
        RunStore store(storeFile());
        const std::string id = cancelInSecondBlock(baseSpec(), store);
        const std::filesystem::path folder = store.get(id).artifactFolder;
        QVERIFY(std::filesystem::exists(folder / "block-00000.safetensors"));
        writeBytes(folder / "block-00000.state", "killed before it was removed");
        resumeRuns(id, store, options(), {});
        QVERIFY(!std::filesystem::exists(folder / "block-00000.state"));
    }

    void sweepSharesFactorsOverRanksOnly()
    {
        RunStore store(storeFile());
        const std::vector<RunSpec> specs = mixedSpecs();
        const std::vector<RunResult> results = runSweep(specs, store, sweepOptions(), {});
        QCOMPARE(results.size(), specs.size());
        for (std::size_t i = 0; i < specs.size(); ++i) {
            QVERIFY(results[i].spec == specs[i]);
            QVERIFY(store.get(results[i].id) == results[i]);
            for (std::size_t j = 0; j < i; ++j) {
                RunSpec sliced = specs[j];
                sliced.lowRank.rank = specs[i].lowRank.rank;
                QCOMPARE(results[i].artifactFolder == results[j].artifactFolder,
                         sliced == specs[i]);
                QVERIFY(results[i].artifactHash != results[j].artifactHash);
            }
            // A run of its own gives the same where it was not sliced from a larger rank.
            if (specs[i].lowRank.rank == results[i].provenance.factorRank) {
                const RunResult alone = runQuantization(specs[i], store, options(), {});
                QVERIFY(outcomeOf(alone).layers == outcomeOf(results[i]).layers);
            }
            const VerifyReport report = verifyRun(results[i], {});
            QVERIFY2(report.same, qPrintable(QString::number(i)));
            QVERIFY(report.differences.empty());
        }
    }

    /// Bits, scores and errors of each run are those of a run by itself.
    void sweepSharesTheFullPrecisionModel()
    {
        std::vector<RunSpec> specs;
        for (const char* method : {"rtn", "smoothquant", "l2qer", "gptq", "awq", "lrq", "rtn"}) {
            RunSpec& spec = specs.emplace_back(baseSpec());
            spec.method = method;
            spec.lowRank.rank = spec.method == "l2qer" ? 4 : 0;
            spec.reconstruction.iterations = 3;
            spec.awq.ratios = 2;
        }
        specs[1].activation = {"int", 8};
        specs[1].activation.scale = "tensor";
        specs[3].lowRank.correction = "qera-approx";
        specs[3].lowRank.rank = 3;
        specs.back().weight.bits = 4;
        RunStore store(storeFile());
        const std::vector<RunResult> swept = runSweep(specs, store, sweepOptions(), {});
        QCOMPARE(swept.size(), specs.size());
        for (std::size_t i = 0; i < specs.size(); ++i) {
            const RunResult alone = runQuantization(specs[i], store, options(), {});
            QVERIFY2(outcomeOf(swept[i]) == outcomeOf(alone), specs[i].method.c_str());
            QCOMPARE(swept[i].blocks.size(), alone.blocks.size());
            for (std::size_t block = 0; block < alone.blocks.size(); ++block) {
                QVERIFY(alone.blocks[block].errorAfter > 0);
                QCOMPARE(swept[i].blocks[block].errorAfter, alone.blocks[block].errorAfter);
            }
        }
    }

    void laterGroupsTakeWhatTheFirstKept()
    {
        RunStore store(storeFile());
        SharedWork shared(path());
        const auto outcome = [&](const char* method, SharedWork* with) {
            RunResult fresh;
            fresh.id = store.newRunId();
            fresh.spec = baseSpec();
            fresh.spec.method = method;
            const RunOptions made = options();
            return outcomeOf(
                GroupRun({fresh}, false, false, store, made, {}, with).execute().front());
        };
        outcome("l2qer", &shared);
        for (std::int64_t block = 0; block < kBlocks; ++block) {
            QVERIFY(shared.knows(block));
        }
        const Outcome alone = outcome("qera-exact", nullptr);
        QVERIFY(outcome("qera-exact", &shared) == alone);
        BlockStatistics other = shared.statistics(0);
        other.begin()->second->divideBy(at::arange(1, 65, at::kFloat));
        shared.keep(0, other);
        const Outcome taken = outcome("qera-exact", &shared);
        QVERIFY(taken.layers[0].outputError != alone.layers[0].outputError);
        QVERIFY(taken.layers.back() == alone.layers.back());
        // The full-precision score, too, comes from what was kept.
        const Checkpoint checkpoint(path() / "model");
        const RunTexts texts =
            readTexts(baseSpec(), checkpoint.config(), Tokenizer::fromFolder(checkpoint.folder()));
        ReferenceStates* kept =
            shared.reference({checkpoint.hash(), "cpu", texts.evaluation->ids, at::kFloat, 0},
                             checkpoint.config().hidden);
        QVERIFY(kept != nullptr && kept->known);
        kept->states.store(0, at::ones({1, 64, checkpoint.config().hidden}));
        const Outcome spoilt = outcome("qera-exact", &shared);
        QVERIFY(spoilt.comparison.fpNll != alone.comparison.fpNll);
        QCOMPARE(spoilt.score.nll, taken.score.nll);
    }

    /// Where a store was moved, its work folder may be missing.
    void nothingIsKeptInAMissingFolder()
    {
        RunStore store(storeFile());
        const auto outcome = [&](SharedWork* with) {
            RunResult fresh;
            fresh.id = store.newRunId();
            fresh.spec = baseSpec();
            const RunOptions made = options();
            return outcomeOf(
                GroupRun({fresh}, false, false, store, made, {}, with).execute().front());
        };
        SharedWork shared(path() / "not there");
        QVERIFY(outcome(&shared) == outcome(nullptr));
        QVERIFY(!shared.knows(0));
    }

    void cancelledSweepLeavesNothingWaiting()
    {
        RunStore store(storeFile());
        std::stop_source stop;
        RunOptions stopping = sweepOptions();
        stopping.started = [&](const RunResult& /*run*/) { stop.request_stop(); };
        QVERIFY_EXCEPTION_THROWN(
            runSweep(mixedSpecs(), store, stopping, RunContext(stop.get_token(), {})), Cancelled);
        const std::vector<RunSummary> runs = store.list();
        QCOMPARE(runs.size(), mixedSpecs().size());
        for (const RunSummary& run : runs) {
            QCOMPARE(run.result.status, std::string("cancelled"));
        }
        for (const RunResult& run : resumeRuns(runs.front().result.sweep, store, options(), {})) {
            QCOMPARE(run.status, std::string("finished"));
        }
    }

    void slicedRunIsRepeatedAsItWasMade()
    {
        RunStore store(storeFile());
        const std::vector<RunResult> sweep = runSweep(mixedSpecs(), store, sweepOptions(), {});
        const RunResult& sliced = sweep.front();
        QCOMPARE(sliced.rank, 2);
        QCOMPARE(sliced.provenance.factorRank, 8);
        const RunResult again = repeatRun(sliced, store, options(), {});
        QVERIFY(again.id != sliced.id);
        QVERIFY(outcomeOf(again) == outcomeOf(sliced));
        QCOMPARE(again.provenance.factorRank, 8);
        QVERIFY(store.get(again.id) == again);
        QVERIFY(verifyRun(again, {}).same);
        QVERIFY(again.artifactHash !=
                runQuantization(sliced.spec, store, options(), {}).artifactHash);

        Interrupter interrupter;
        interrupter.layers = 8;
        std::string id;
        RunOptions stopped = options();
        stopped.started = [&](const RunResult& run) { id = run.id; };
        stopped.layerDone = [&](const LayerResult&) { interrupter.layerDone(); };
        QVERIFY_EXCEPTION_THROWN(repeatRun(sliced, store, stopped, interrupter.context()),
                                 Cancelled);
        QVERIFY(outcomeOf(resumeRuns(id, store, options(), {}).front()) == outcomeOf(sliced));
    }

    void blocksAreToldAsTheyComeAndAgainOnResuming()
    {
        RunStore store(storeFile());
        RunSpec spec = mixedSpecs().front();
        spec.method = "lrq";
        spec.lowRank = {};
        spec.weight.groupSize = kPerChannel;
        spec.reconstruction.iterations = 3;
        std::string id;
        std::vector<BlockResult> told;
        std::map<std::int64_t, std::vector<double>> losses;
        Interrupter interrupter;
        RunOptions telling = options();
        telling.started = [&](const RunResult& run) { id = run.id; };
        telling.blockDone = [&](const BlockResult& block) {
            told.push_back(block);
            if (told.size() == 1) {
                interrupter.stop.request_stop();
            }
        };
        telling.lossesCame = [&](const BlockLosses& came) {
            losses[came.block].resize(static_cast<std::size_t>(came.first));
            losses[came.block].insert(losses[came.block].end(), came.losses.begin(),
                                      came.losses.end());
        };
        QVERIFY_EXCEPTION_THROWN(runQuantization(spec, store, telling, interrupter.context()),
                                 Cancelled);
        QCOMPARE(told.size(), std::size_t{1});
        QCOMPARE(losses.at(0).size(), std::size_t{3});
        const RunResult resumed = resumeRuns(id, store, telling, {}).front();
        QCOMPARE(told.size(), resumed.blocks.size() + 1);
        QVERIFY(told[1] == told[0]); // kept, and told again
        QVERIFY(std::equal(told.begin() + 1, told.end(), resumed.blocks.begin()));
        for (const BlockResult& block : resumed.blocks) {
            QVERIFY(losses.at(block.block) == block.losses);
        }
    }

    void failedGroupDoesNotEndTheSweep()
    {
        RunStore store(storeFile());
        const std::vector<RunResult> whole = runSweep(mixedSpecs(), store, sweepOptions(), {});
        RunOptions full = sweepOptions();
        full.sweep = "failing";
        std::filesystem::path trap;
        full.started = [&](const RunResult& run) { // the second group's disk is full
            if (run.spec == mixedSpecs()[3]) {
                std::filesystem::create_directories(run.artifactFolder);
                trap = std::filesystem::path(run.artifactFolder) /
                       message("block-00001.safetensors.", ::getpid(), ".part");
                std::filesystem::create_symlink("/dev/full", trap);
            }
        };
        std::vector<std::string> log;
        const std::vector<RunResult> results =
            runSweep(mixedSpecs(), store, full,
                     RunContext({}, {}, [&](const std::string& line) { log.push_back(line); }));
        QCOMPARE(results.size(), whole.size());
        for (std::size_t i = 0; i < results.size(); ++i) {
            const bool second = i == 3 || i == 4;
            QVERIFY(results[i].spec == mixedSpecs()[i]);
            QCOMPARE(results[i].status, std::string(second ? "failed" : "finished"));
            QCOMPARE(results[i].problem.find("No space left on device") != std::string::npos,
                     second);
            QVERIFY(store.get(results[i].id) == results[i]);
        }
        QCOMPARE(log.size(), 1U);
        QVERIFY2(log.front().find("No space left") != std::string::npos, log.front().c_str());
        // With room again the rest is done, and only that.
        std::filesystem::remove(trap);
        QVERIFY(outcomesOf(resumeRuns("failing", store, options(), {})) == outcomesOf(whole));
    }

    void wrongInputEndsASweepBeforeItBegins_data()
    {
        QTest::addColumn<QByteArray>("last");
        QTest::newRow("method") << QByteArray(R"({"method":"lqre"})");
        QTest::newRow("group size") << QByteArray(R"({"weight":{"group_size":7}})");
        QTest::newRow("no calibration") << QByteArray(R"({"calibration":{"text":""}})");
        QTest::newRow("no such text") << QByteArray(R"({"evaluation":{"text":"/nowhere"}})");
        QTest::newRow("window") << QByteArray(R"({"evaluation":{"seqlen":5000}})");
        QTest::newRow("no such model") << QByteArray(R"({"model":"/nowhere"})");
    }
    void wrongInputEndsASweepBeforeItBegins()
    {
        QFETCH(QByteArray, last);
        Json json = toJson(baseSpec());
        json.merge_patch(parseJson(last.toStdString(), "row"));
        RunStore store(storeFile());
        QVERIFY_EXCEPTION_THROWN(
            runSweep({baseSpec(), runSpecFromJson(json)}, store, sweepOptions(), {}), Error);
        QVERIFY(store.list().empty());
    }

    void verifySeesAnotherResult()
    {
        RunStore store(storeFile());
        RunResult stored = runQuantization(baseSpec(), store, options(), {});
        stored.spec.seed = 77;
        QVERIFY(!verifyRun(stored, {}).same);
        stored.provenance.tokenizerHash = "another";
        stored.provenance.trainingHash = "some text";
        stored.provenance.device = "cuda:7";
        const std::vector<std::string> differences = verifyRun(stored, {}).differences;
        QCOMPARE(differences.size(), 3U);
        QCOMPARE(differences[0].find("tokenizer: another then, "), 0U);
        QCOMPARE(differences[1], std::string("training text: some text then,  now"));
        QCOMPARE(differences[2], std::string("device: cuda:7 then, cpu now"));
    }

    void stoppedSweepResumesWhole_data()
    {
        QTest::addColumn<int>("from");
        QTest::newRow("by the sweep") << -1;
        QTest::newRow("by a finished run") << 0;
        QTest::newRow("by a stopped run") << 3;
        QTest::newRow("by a run that had not begun") << 5;
    }
    void stoppedSweepResumesWhole()
    {
        QFETCH(int, from);
        RunStore store(storeFile());
        const std::vector<RunResult> whole = runSweep(mixedSpecs(), store, sweepOptions(), {});
        RunOptions stopped = sweepOptions();
        stopped.sweep = "stopped";
        Interrupter interrupter;
        interrupter.layers = 7 * kBlocks + 9; // in the second block of the second group
        stopped.layerDone = [&](const LayerResult&) { interrupter.layerDone(); };
        QVERIFY_EXCEPTION_THROWN(runSweep(mixedSpecs(), store, stopped, interrupter.context()),
                                 Cancelled);
        RunFilter filter;
        filter.sweep = "stopped";
        std::vector<RunSummary> runs = store.list(filter);
        QCOMPARE(runs.size(), whole.size());
        std::sort(runs.begin(), runs.end(), [](const RunSummary& a, const RunSummary& b) {
            return a.result.id < b.result.id;
        });
        std::set<std::string> states;
        for (const RunSummary& run : runs) {
            states.insert(run.result.status);
        }
        QCOMPARE(states, (std::set<std::string>{"cancelled", "finished"}));
        const std::string id =
            from < 0 ? "stopped" : runs[static_cast<std::size_t>(from)].result.id;
        const std::vector<RunResult> resumed = resumeRuns(id, store, options(), {});
        QVERIFY(outcomesOf(resumed) == outcomesOf(whole));
        QVERIFY_EXCEPTION_THROWN(firstUnfinished("stopped", store), Error);
    }

    void deletedRunGoesAlongWithItsGroup_data()
    {
        QTest::addColumn<int>("gone");
        QTest::newRow("that names the folder") << 0;
        QTest::newRow("of the largest rank") << 1;
    }
    void deletedRunGoesAlongWithItsGroup()
    {
        QFETCH(int, gone);
        RunStore store(storeFile());
        std::vector<RunSpec> specs = mixedSpecs();
        specs.resize(3);
        std::vector<Outcome> expected = outcomesOf(runSweep(specs, store, sweepOptions(), {}));
        expected.erase(expected.begin() + gone);
        std::vector<std::string> ids;
        Interrupter interrupter;
        interrupter.layers = 8;
        RunOptions stopped = options();
        stopped.sweep = "stopped";
        stopped.started = [&](const RunResult& run) { ids.push_back(run.id); };
        stopped.layerDone = [&](const LayerResult&) { interrupter.layerDone(); };
        QVERIFY_EXCEPTION_THROWN(runSweep(specs, store, stopped, interrupter.context()), Cancelled);
        store.remove(ids.at(static_cast<std::size_t>(gone)));
        int made = 0;
        RunOptions counted = options();
        counted.layerDone = [&](const LayerResult&) { ++made; };
        const std::vector<RunResult> resumed = resumeRuns("stopped", store, counted, {});
        QCOMPARE(made, 7); // the last block
        QVERIFY(outcomesOf(resumed) == expected);
        QCOMPARE(store.removed().size(), 1U); // and stays deleted
    }

    void shardsMergeWithoutDuplicates()
    {
        RunStore wholeStore(storeFile());
        const std::vector<RunSpec> specs = mixedSpecs();
        const std::vector<RunResult> whole = runSweep(specs, wholeStore, sweepOptions(), {});
        const std::filesystem::path first = path() / "first.sqlite";
        const std::filesystem::path second = path() / "second.sqlite";
        const auto middle = specs.begin() + 3; // between two groups
        {
            RunStore a(first);
            RunStore b(second);
            runSweep({specs.begin(), middle}, a, sweepOptions(), {});
            runSweep({middle, specs.end()}, b, sweepOptions(), {});
        }
        RunStore merged(path() / "merged.sqlite");
        QCOMPARE(merged.mergeFrom(first).added, 3);
        QCOMPARE(merged.mergeFrom(second).added, static_cast<std::int64_t>(specs.size()) - 3);
        QCOMPARE(merged.mergeFrom(second).added, 0);
        std::multiset<std::string> expected;
        std::multiset<std::string> got;
        for (const RunResult& run : whole) {
            expected.insert(run.artifactHash);
        }
        for (const RunSummary& run : merged.list()) {
            got.insert(run.result.artifactHash);
        }
        QCOMPARE(got, expected);
    }

    void memoryBudgetDoesNotChangeBits()
    {
        RunStore store(storeFile());
        RunOptions tiny = options();
        tiny.hiddenBudgetBytes = 1000;
        const RunResult inFile = runQuantization(baseSpec(), store, tiny, {});
        const RunResult inMemory = runQuantization(baseSpec(), store, options(), {});
        QVERIFY(outcomeOf(inFile) == outcomeOf(inMemory));
    }

    void learnedRoundingIsStoredAndGoesOnMidBlock()
    {
        RunSpec spec = baseSpec();
        spec.method = "lrq";
        spec.reconstruction.iterations = 520;
        spec.reconstruction.lr = 1e-3;
        spec.reconstruction.compute = "f32";
        RunStore store(storeFile());
        const RunResult whole = runQuantization(spec, store, options(), {});
        QVERIFY(store.get(whole.id) == whole);
        QCOMPARE(whole.rank, 0);
        QCOMPARE(whole.estimate.bytes, whole.bytes);
        QCOMPARE(whole.blocks.size(), std::size_t{kBlocks});
        QCOMPARE(whole.blocks[1].losses.size(), std::size_t{520});
        QVERIFY(whole.blocks[1].errorAfter < whole.blocks[1].errorBefore);
        const LayerResult& layer = whole.layers.front();
        QVERIFY(layer.moved1 > 0);
        QVERIFY(std::abs(layer.moved0 + layer.moved1 + layer.moved2plus - 1) < 1e-12);

        std::stop_source stop; // 10 iterations after the state of the second block was kept
        const auto stopThere = [&](const Progress& progress) {
            if (progress.phase == "quantize" && progress.done >= 520 + 510) {
                stop.request_stop();
            }
        };
        const RunContext interrupted(stop.get_token(), stopThere, {}, kEachStep);
        std::string id;
        RunOptions counted = options();
        counted.started = [&](const RunResult& run) { id = run.id; };
        QVERIFY_EXCEPTION_THROWN(runQuantization(spec, store, counted, interrupted), Cancelled);
        QCOMPARE(store.get(id).status, std::string("cancelled"));
        std::vector<std::int64_t> seen;
        const auto watch = [&](const Progress& progress) {
            if (progress.phase == "quantize") {
                seen.push_back(progress.done);
            }
        };
        const std::vector<RunResult> resumed =
            resumeRuns(id, store, options(), RunContext({}, watch, {}, kEachStep));
        QCOMPARE(std::count(seen.begin(), seen.end(), 519), 0);       // neither the first block
        QCOMPARE(std::count(seen.begin(), seen.end(), 520 + 499), 0); // nor what the state has
        QVERIFY(std::count(seen.begin(), seen.end(), 520 + 505) > 0);
        QVERIFY(resumed.front().artifactHash == whole.artifactHash);
        for (std::size_t i = 0; i < kBlocks; ++i) {
            QVERIFY(resumed.front().blocks[i].losses == whole.blocks[i].losses);
        }
        const std::filesystem::path folder = resumed.front().artifactFolder;
        for (const auto& file : std::filesystem::directory_iterator(folder)) {
            QVERIFY(file.path().extension() != ".state");
        }
    }

    void skippedBlocksStay_data()
    {
        QTest::addColumn<QString>("method");
        for (const char* method : {"gptq", "awq", "smoothquant", "flexround", "lrq"}) {
            QTest::newRow(method) << method;
        }
    }
    void skippedBlocksStay()
    {
        QFETCH(QString, method);
        RunStore store(storeFile());
        RunSpec spec = baseSpec();
        spec.method = method.toStdString();
        spec.lowRank.rank = 0;
        spec.reconstruction.iterations = 2;
        spec.awq.ratios = 2;
        LayerOverride skipped;
        skipped.pattern = "layers\\.1\\.";
        skipped.skip = true;
        spec.overrides = {skipped};
        const RunResult result = runQuantization(spec, store, options(), {});
        QCOMPARE(result.layers.size(), std::size_t{7 * (kBlocks - 1)});
        QCOMPARE(result.blocks.size(), std::size_t{kBlocks});
        QVERIFY(result.blocks[1].losses.empty());
        QCOMPARE(estimateRun(spec).bytes, result.bytes);
        // The block itself makes no error. What differs is what it gets: the quantized model's
        // states, and its targets are the full-precision model's.
        const bool quantizedInputs =
            dynamic_cast<const BlockMethod&>(findMethod(spec.method)).quantizedInputs();
        QCOMPARE(quantizedInputs, method != "awq" && method != "smoothquant");
        const double noise = 1e-6 * result.blocks[0].errorAfter; // other groups of windows
        QCOMPARE(result.blocks[1].errorBefore > noise, quantizedInputs);
        QCOMPARE(result.blocks[1].errorAfter > noise, quantizedInputs);
    }

    void blockMethodsLookAtTheQuantizedPath_data()
    {
        QTest::addColumn<QString>("method");
        QTest::newRow("gptq") << "gptq";
        QTest::newRow("flexround") << "flexround";
    }
    void blockMethodsLookAtTheQuantizedPath()
    {
        QFETCH(QString, method);
        RunStore store(storeFile());
        RunSpec spec = baseSpec();
        spec.method = method.toStdString();
        spec.lowRank.rank = 0;
        spec.reconstruction.iterations = 3;
        const RunResult both = runQuantization(spec, store, options(), {});
        // Another first block changes what the second one is made from.
        spec.overrides = {{"layers\\.0\\.", 8, {}, {}, {}}};
        const RunResult other = runQuantization(spec, store, options(), {});
        const std::size_t second = both.layers.size() / kBlocks;
        QVERIFY(both.layers[second].weightError != other.layers[second].weightError);
        QVERIFY(other.blocks[1].errorBefore < both.blocks[1].errorBefore);
        // A correction comes on top and changes no code.
        spec.overrides.clear();
        spec.lowRank.correction = "qera-exact";
        spec.lowRank.rank = 4;
        const RunResult corrected = runQuantization(spec, store, options(), {});
        QCOMPARE(corrected.rank, 4);
        QCOMPARE(corrected.blocks[2].errorAfter, both.blocks[2].errorAfter);
        for (std::size_t i = 0; i < both.layers.size(); ++i) {
            QVERIFY(corrected.layers[i].outputError < both.layers[i].outputError);
        }
        QCOMPARE(corrected.estimate.bytes, corrected.bytes);
    }

    void correctionIsOfTheDeployedCodes_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<QString>("correction");
        for (const char* method : {"gptq", "lrq", "flexround", "awq"}) {
            for (const char* correction : {"lqer", "l2qer", "qera-approx", "qera-exact"}) {
                QTest::addRow("%s, %s", method, correction) << method << correction;
            }
        }
    }
    /// Of full rank it leaves nothing, which no correction of other codes does.
    void correctionIsOfTheDeployedCodes()
    {
        QFETCH(QString, method);
        QFETCH(QString, correction);
        constexpr double kLeft = 1e-4; // of the weight
        RunStore store(storeFile());
        RunSpec spec = baseSpec();
        spec.method = method.toStdString();
        spec.reconstruction.iterations = 5;
        spec.reconstruction.lr = 0.01;
        spec.gptq.actOrder = true;
        spec.awq.ratios = 3;
        spec.lowRank.rank = 0;
        const RunResult codes = runQuantization(spec, store, options(), {});
        spec.lowRank.correction = correction.toStdString();
        spec.lowRank.rank = 96; // cut to each layer's own
        const RunResult whole = runQuantization(spec, store, options(), {});
        for (std::size_t i = 0; i < whole.layers.size(); ++i) {
            const LayerResult& layer = whole.layers[i];
            const double moved0 = codes.layers[i].moved0;
            QCOMPARE(layer.rank, std::min(layer.rows, layer.cols));
            QVERIFY(codes.layers[i].weightError > 0.05);
            QVERIFY2(layer.weightError < kLeft,
                     message(layer.name, ": ", layer.weightError).c_str());
            // AWQ moves none, and GPTQ finds the grids of its groups as it goes.
            QCOMPARE(std::isnan(moved0), spec.method == "awq" || spec.method == "gptq");
            QVERIFY(layer.moved0 == moved0 || (std::isnan(layer.moved0) && std::isnan(moved0)));
        }
    }

    void foldedRunIsMeasuredAsItIs_data()
    {
        QTest::addColumn<QString>("method");
        QTest::newRow("awq") << "awq";
        QTest::newRow("smoothquant") << "smoothquant";
    }
    void foldedRunIsMeasuredAsItIs()
    {
        QFETCH(QString, method);
        RunStore store(storeFile());
        RunSpec spec = baseSpec();
        spec.method = method.toStdString();
        spec.lowRank.rank = 0;
        spec.awq.ratios = 6;
        const RunResult whole = runQuantization(spec, store, options(), {});
        QCOMPARE(estimateRun(spec).bytes, whole.bytes);
        QCOMPARE(whole.blocks.size(), std::size_t{kBlocks});
        QVERIFY(evaluateModel(spec.model, &whole, spec.evaluation, "cpu", {}).score.nll ==
                whole.score.nll);
        // At 8 bits nothing is left of the folding in the logits.
        spec.weight.bits = 8;
        const RunResult fine = runQuantization(spec, store, options(), {});
        QVERIFY(fine.comparison.klMean < whole.comparison.klMean / 50);
        QVERIFY(fine.layers.front().outputError < 0.02);
        // A layer is seen as the codes stand for it.
        LayerViewRequest request;
        request.layer = fine.layers.front().name;
        const LayerView view = layerView(spec, &fine, request, {});
        QVERIFY(view.fromRun);
        QVERIFY(std::abs(view.relativeError - fine.layers.front().weightError) < 1e-6);
        // A correction comes on top: of the folded weight, for the folded inputs.
        spec.weight.bits = 3;
        spec.lowRank.correction = "qera-exact";
        spec.lowRank.rank = 4;
        const RunResult corrected = runQuantization(spec, store, options(), {});
        for (std::size_t i = 0; i < whole.layers.size(); ++i) {
            QVERIFY(corrected.layers[i].outputError < whole.layers[i].outputError);
        }
        QVERIFY(corrected.comparison.klMean < whole.comparison.klMean);
        // It goes on where it was stopped.
        spec.lowRank = {};
        const std::string id = cancelInSecondBlock(spec, store);
        const RunResult resumed = resumeRuns(id, store, options(), {}).front();
        QVERIFY(outcomeOf(resumed) == outcomeOf(whole));
    }

    void activationsOfOneScale()
    {
        RunStore store(storeFile());
        RunSpec spec = baseSpec();
        spec.method = "rtn";
        spec.lowRank.rank = 0;
        spec.weight.bits = 8;
        spec.activation = {"int", 8};
        const RunResult dynamic = runQuantization(spec, store, options(), {});
        spec.activation.scale = "tensor";
        const RunResult fixed = runQuantization(spec, store, options(), {});
        const QuantizedLinear layer =
            ArtifactFolder(fixed.artifactFolder, {}).readBlock(1).linears.front();
        QVERIFY(layer.activation.kind == ActivationQuantizer::Kind::TensorStatic);
        QVERIFY(layer.activation.scale > 0 && layer.activation.zero > 0);
        QVERIFY(fixed.comparison.klMean > dynamic.comparison.klMean);
        QVERIFY(fixed.comparison.klMean < 30 * dynamic.comparison.klMean);
        const auto isSaid = [](const std::string& note) {
            return note.find("experimental: activations") != std::string::npos;
        };
        QVERIFY(std::any_of(fixed.substitutions.begin(), fixed.substitutions.end(), isSaid));
        spec.activation.zeroPoint = "none";
        QVERIFY(runQuantization(spec, store, options(), {}).artifactHash != fixed.artifactHash);
        spec.method = "l2qer";
        const std::string refusal =
            sentenceOf([&] { runQuantization(spec, store, options(), {}); });
        QVERIFY2(refusal.find("low-rank correction") != std::string::npos, refusal.c_str());
        spec.method = "rtn";
        spec.calibration.text.clear();
        const std::string missing =
            sentenceOf([&] { runQuantization(spec, store, options(), {}); });
        QVERIFY2(missing.find("give a calibration text") != std::string::npos, missing.c_str());
    }

    void statesPastTheBudgetAreRounded()
    {
        RunStore store(storeFile());
        RunSpec spec = baseSpec();
        spec.method = "gptq";
        spec.lowRank.rank = 0;
        RunOptions tiny = options();
        tiny.hiddenBudgetBytes = 1000;
        const RunResult inFile = runQuantization(spec, store, tiny, {});
        const RunResult inMemory = runQuantization(spec, store, options(), {});
        const auto isSaid = [](const std::string& note) {
            return note.find("rounded to bfloat16") != std::string::npos;
        };
        QVERIFY(std::any_of(inFile.substitutions.begin(), inFile.substitutions.end(), isSaid));
        QVERIFY(std::none_of(inMemory.substitutions.begin(), inMemory.substitutions.end(), isSaid));
        QVERIFY(inFile.artifactHash != inMemory.artifactHash);
        QVERIFY(std::abs(inFile.score.nll - inMemory.score.nll) < 0.01);
        QVERIFY(runQuantization(spec, store, tiny, {}).artifactHash == inFile.artifactHash);
    }

    void correctedRoundToNearestIsLqer()
    {
        RunStore store(storeFile());
        RunSpec spec = baseSpec();
        const RunResult lqer = runQuantization(spec, store, options(), {});
        spec.method = "rtn";
        spec.lowRank.correction = "l2qer";
        QCOMPARE(runQuantization(spec, store, options(), {}).artifactHash, lqer.artifactHash);
        spec.method = "lqer";
        const std::string said = sentenceOf([&] { runQuantization(spec, store, options(), {}); });
        QVERIFY2(said.find("drop --correction") != std::string::npos, said.c_str());
    }

    void kvCacheIsMeasured()
    {
        RunStore store(storeFile());
        RunSpec spec = baseSpec();
        const RunResult plain = runQuantization(spec, store, options(), {});
        spec.kvCache = {"int", 2};
        const RunResult rough = runQuantization(spec, store, options(), {});
        spec.kvCache = {"int", 8};
        const RunResult fine = runQuantization(spec, store, options(), {});
        QVERIFY(rough.comparison.klMean > plain.comparison.klMean);
        QVERIFY(std::abs(fine.score.nll - plain.score.nll) <
                std::abs(rough.score.nll - plain.score.nll));
        QVERIFY(rough.artifactHash != plain.artifactHash);
        QVERIFY(rough.artifactHash != fine.artifactHash);
    }

    void unwritableFolderIsOneSentence()
    {
        RunStore store(storeFile());
        writeBytes(path() / "a file", "");
        RunOptions blocked = options();
        blocked.workFolder = path() / "a file";
        const std::string sentence =
            sentenceOf([&] { runQuantization(baseSpec(), store, blocked, {}); });
        QVERIFY2(sentence.find("cannot be made") != std::string::npos, sentence.c_str());
        const RunResult stored = store.list().front().result;
        QCOMPARE(stored.status, std::string("failed"));
        QCOMPARE(stored.problem, sentence);
    }

    void fullDiskIsOneSentence_data()
    {
        QTest::addColumn<QString>("file");
        QTest::newRow("first block") << "block-00000.safetensors";
        QTest::newRow("last block") << "block-00002.safetensors";
        QTest::newRow("model") << "model.qw.safetensors";
        QTest::newRow("description") << "artifact.json";
    }
    void fullDiskIsOneSentence()
    {
        QFETCH(QString, file);
        RunStore store(storeFile());
        RunOptions full = options();
        std::filesystem::path trap;
        full.started = [&](const RunResult& run) { // that file is written to a full device
            std::filesystem::create_directories(run.artifactFolder);
            trap = std::filesystem::path(run.artifactFolder) /
                   message(file.toStdString(), ".", ::getpid(), ".part");
            std::filesystem::create_symlink("/dev/full", trap);
        };
        const std::string sentence =
            sentenceOf([&] { runQuantization(baseSpec(), store, full, {}); });
        QVERIFY2(sentence.find("No space left on device") != std::string::npos, sentence.c_str());
        QVERIFY2(sentence.find(file.toStdString()) != std::string::npos, sentence.c_str());
        const RunResult stored = store.list().front().result;
        QCOMPARE(stored.status, std::string("failed"));
        QCOMPARE(stored.problem, sentence);
        // With room again it goes on.
        std::filesystem::remove(trap);
        QCOMPARE(resumeRuns(stored.id, store, options(), {}).front().status,
                 std::string("finished"));
    }

private:
    std::filesystem::path path() const { return m_folder.path().toStdString(); }
    std::filesystem::path storeFile() const
    {
        return path() / message("store", m_number, ".sqlite");
    }
    RunSpec baseSpec() const
    {
        RunSpec spec;
        spec.model = (path() / "model").string();
        spec.method = "l2qer";
        spec.weight.bits = 3;
        spec.weight.groupSize = 32;
        spec.lowRank.rank = 4;
        spec.calibration.text = (path() / "calibration.txt").string();
        spec.calibration.nsamples = 3;
        spec.calibration.seqlen = 64;
        spec.evaluation.text = (path() / "evaluation.txt").string();
        spec.evaluation.seqlen = 64;
        spec.evaluation.windows = 2;
        return spec;
    }
    /// Groups of three, two and one.
    std::vector<RunSpec> mixedSpecs() const
    {
        std::vector<RunSpec> specs(6, baseSpec());
        specs[0].lowRank.rank = 2;
        specs[1].lowRank.rank = 8;
        specs[2].lowRank.rank = 5;
        specs[3].method = specs[4].method = "qera-exact";
        specs[4].lowRank.rank = 1;
        specs[5].seed = 5;
        specs[5].weight.groupSize = kPerChannel;
        return specs;
    }
    RunOptions options() const
    {
        RunOptions made;
        made.workFolder = path() / message("runs", m_number);
        return made;
    }
    RunOptions sweepOptions() const
    {
        RunOptions made = options();
        made.sweep = "sweep";
        return made;
    }
    std::string cancelInSecondBlock(const RunSpec& spec, RunStore& store) const
    {
        Interrupter interrupter;
        interrupter.layers = 8;
        std::string id;
        RunOptions stopped = options();
        stopped.started = [&](const RunResult& run) { id = run.id; };
        stopped.layerDone = [&](const LayerResult&) { interrupter.layerDone(); };
        try {
            runQuantization(spec, store, stopped, interrupter.context());
        } catch (const Cancelled&) {
        }
        return id;
    }

    QTemporaryDir m_folder;
    int m_number = 0;
};

QTEST_GUILESS_MAIN(TestRun)
#include "tst_run.moc"
