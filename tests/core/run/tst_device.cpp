// labels: slow
#include <cmath>
#include <fstream>
#include <stop_token>

#include <QtTest>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "engine.h"
#include "store/run_store.h"
#include "support/tensor_model_files.h"
#include "support/tensor_pretend_gpu.h"
#include "text_comparison.h"

using namespace qw;
using namespace qw::test;

namespace {
/// Sums in another order; a code that lies between two integers may fall the other way.
constexpr double kNllGap = 2e-3;
constexpr double kErrorGap = 0.02;       ///< of a layer's output error, relative
constexpr double kNarrowErrorGap = 0.05; ///< where products are rounded to bfloat16, fused or not
} // namespace

/// Everything that takes a device on one that is not the CPU, against the CPU.
class TestDevice : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        startEngine(1);
        if (!pretendGpu()) {
            QSKIP("this libtorch has a CUDA of its own");
        }
        writeRandomModel(path() / "model", smallShape());
        writeBytes(path() / "calibration.txt", demoText("calibration", 4000));
        writeBytes(path() / "evaluation.txt", demoText("evaluation", 1000));
    }
    void init() { ++m_number; }

    void foreignPointersAreFound()
    {
        const at::Tensor there = at::arange(6, at::TensorOptions().device("cuda"));
        QCOMPARE((there + 1).sum().item<std::int64_t>(), 21);
        QVERIFY_EXCEPTION_THROWN(there.view({2, 3}).matmul(at::zeros({3, 2}, at::kLong)),
                                 c10::Error);
    }

    void runsAgree_data()
    {
        QTest::addColumn<QByteArray>("spec");
        for (const char* spec : {
                 R"({"method":"rtn"})",
                 R"({"method":"rtn","weight":{"range":"lrq"}})",
                 R"({"method":"rtn","weight":{"range":"lp","sym":true,"group_size":"tensor"}})",
                 R"({"method":"rtn","weight":{"format":"mxint"},
                     "activation":{"format":"mxint","attention":true}})",
                 R"({"method":"lqer"})",
                 R"({"method":"l2qer","low_rank":{"factor_bits":8}})",
                 R"({"method":"l2qer","low_rank":{"solver":"full"}})",
                 R"({"method":"qera-approx"})",
                 R"({"method":"qera-exact","activation":{"format":"int"}})",
                 R"({"method":"gptq","gptq":{"act_order":true,"true_sequential":true}})",
                 R"({"method":"gptq","low_rank":{"correction":"qera-exact"}})",
                 R"({"method":"awq"})",
                 R"({"method":"smoothquant","activation":{"format":"int","scale":"tensor"},
                     "kv_cache":{"format":"int"}})",
                 R"({"method":"lrq","weight":{"group_size":"channel"}})",
                 R"({"method":"lrq","reconstruction":{"compute":"bf16"}})",
                 R"({"method":"flexround","reconstruction":{"divisor":"product"}})",
                 R"({"method":"lr-qat"})",
                 R"({"method":"lr-qat","training":{"phi":"int","init":"loftq","recompute":false}})",
                 R"({"method":"lr-qat","training":{"init":"qera-exact","compute":"bf16"}})",
                 R"({"method":"lr-qat","activation":{"points":"a8kv4"}})",
                 R"({"method":"lsq"})",
                 R"({"method":"peqa"})",
             }) {
            QTest::newRow(spec) << QByteArray(spec);
        }
    }
    void runsAgree()
    {
        QFETCH(QByteArray, spec);
        RunStore store(storeFile());
        RunSpec asked = specOf(spec);
        const RunResult host = runQuantization(asked, store, options(), {});
        asked.device = "cuda";
        const RunResult device = runQuantization(asked, store, options(), {});
        QCOMPARE(device.provenance.device, std::string("cuda"));
        compare(device, host, spec.contains("bf16") ? kNarrowErrorGap : kErrorGap);
    }

    void storedRunsAreUsedOnBoth()
    {
        RunStore store(storeFile());
        RunSpec spec = specOf(R"({"method":"l2qer","low_rank":{"factor_bits":8},
                                  "activation":{"format":"int"}})");
        spec.device = "cuda";
        const RunResult made = runQuantization(spec, store, options(), {});
        for (const char* compute : {"f32", "bf16"}) {
            EvaluationSpec evaluation = spec.evaluation;
            evaluation.compute = compute;
            for (const RunResult* run : {static_cast<const RunResult*>(nullptr), &made}) {
                const TextScore there =
                    evaluateModel(spec.model, run, evaluation, "cuda:0", {}).score;
                const TextScore here = evaluateModel(spec.model, run, evaluation, "cpu", {}).score;
                QVERIFY(std::abs(there.nll - here.nll) < kNllGap);
            }
        }
        GenerateOptions generate;
        generate.prompt = "It was";
        generate.maxTokens = 8;
        const auto textOn = [&](const char* device) {
            return generateTexts(spec.model, &made, generate, device, {}, {}).at(0).text;
        };
        QCOMPARE(textOn("cuda"), textOn("cpu"));
        const std::filesystem::path questions = path() / "choices.jsonl";
        writeBytes(questions, R"({"context":"The cat","endings":[" sat"," flew"],"answer":0})"
                              "\n");
        QCOMPARE(evaluateChoices(spec.model, &made, questions, "cuda", {}).accuracy,
                 evaluateChoices(spec.model, &made, questions, "cpu", {}).accuracy);
        const TextComparison compared =
            compareText(made, {"It was a dark night", 4}, {}, RunContext());
        QVERIFY(std::isfinite(compared.nll) && compared.fpNll != compared.nll);
        const VerifyReport verified = verifyRun(made, {});
        QVERIFY(verified.same);
    }

    void layersCanBeLookedAt()
    {
        RunSpec spec = specOf(R"({"method":"rtn"})");
        const std::string layer = "model.layers.1.mlp.down_proj";
        const LayerSpectra here = layerSpectra(spec, layer, nullptr, {});
        std::vector<ChannelStatistics> channelsHere;
        channelStatistics(
            spec, [&](const ChannelStatistics& group) { channelsHere.push_back(group); }, {});
        spec.device = "cuda";
        const LayerSpectra there = layerSpectra(spec, layer, nullptr, {});
        QCOMPARE(there.curves.size(), std::size_t{4});
        for (std::size_t i = 0; i < there.curves.size(); ++i) {
            QVERIFY(std::abs(there.curves[i].frobenius - here.curves[i].frobenius) <
                    1e-3 * here.curves[i].frobenius);
        }
        std::size_t groups = 0;
        channelStatistics(spec,
                          [&](const ChannelStatistics& group) {
                              QVERIFY(std::abs(group.meanAbs.front() -
                                               channelsHere[groups++].meanAbs.front()) < 1e-3);
                          },
                          {});
        QCOMPARE(groups, channelsHere.size());
        LayerViewRequest request;
        request.layer = layer;
        QVERIFY(layerView(spec, nullptr, request, {}).relativeError > 0);
    }

    void stoppedRunsGoOn_data()
    {
        QTest::addColumn<QByteArray>("spec");
        QTest::newRow("l2qer") << QByteArray(R"({"method":"l2qer"})");
        QTest::newRow("lr-qat") << QByteArray(R"({"method":"lr-qat"})");
    }
    void stoppedRunsGoOn()
    {
        QFETCH(QByteArray, spec);
        RunSpec asked = specOf(spec);
        asked.device = "cuda";
        RunStore store(storeFile());
        const RunResult whole = runQuantization(asked, store, options(), {});
        std::stop_source stop;
        std::string id;
        RunOptions stopped = options();
        stopped.started = [&](const RunResult& run) { id = run.id; };
        stopped.layerDone = [&](const LayerResult&) { stop.request_stop(); };
        stopped.stepDone = [&](const TrainingStep&) { stop.request_stop(); };
        QVERIFY_EXCEPTION_THROWN(
            runQuantization(asked, store, stopped, RunContext(stop.get_token(), {})), Cancelled);
        const RunResult resumed = resumeRuns(id, store, options(), {}).front();
        QCOMPARE(resumed.artifactHash, whole.artifactHash);
        QCOMPARE(resumed.score.nll, whole.score.nll);
        QVERIFY(verifyRun(resumed, {}).same); // nothing evaluated, which a run may leave out
    }

private:
    static void compare(const RunResult& device, const RunResult& host, double errorGap)
    {
        const double nllGap = std::max(kNllGap, errorGap / 5); // learned rounding drifts apart
        QVERIFY2(std::abs(device.score.nll - host.score.nll) < nllGap,
                 qPrintable(QString("%1, %2").arg(device.score.nll).arg(host.score.nll)));
        QVERIFY(std::abs(device.comparison.fpNll - host.comparison.fpNll) < kNllGap);
        QCOMPARE(device.layers.size(), host.layers.size());
        for (std::size_t i = 0; i < host.layers.size(); ++i) {
            const double gap = std::abs(device.layers[i].outputError - host.layers[i].outputError);
            QVERIFY2(std::isnan(gap) == std::isnan(host.layers[i].outputError) &&
                         !(gap > errorGap * host.layers[i].outputError),
                     qPrintable(QString("%1: %2, %3")
                                    .arg(host.layers[i].name.c_str())
                                    .arg(device.layers[i].outputError)
                                    .arg(host.layers[i].outputError)));
        }
        QCOMPARE(device.training.steps.size(), host.training.steps.size());
        for (std::size_t i = 0; i < host.training.steps.size(); ++i) {
            QVERIFY(std::abs(device.training.steps[i].loss - host.training.steps[i].loss) <
                    kNllGap);
        }
    }

    std::filesystem::path path() const { return m_folder.path().toStdString(); }
    std::string storeFile() const
    {
        return (path() / ("runs" + std::to_string(m_number) + ".sqlite")).string();
    }
    RunOptions options() const
    {
        RunOptions options;
        options.workFolder = path() / "runs";
        return options;
    }
    RunSpec specOf(const QByteArray& changes) const
    {
        Json json = parseJson(changes.toStdString(), "row");
        const bool trained = trainsModel(json.at("method"));
        Json base = {
            {"model", (path() / "model").string()},
            {"weight", {{"bits", 3}, {"group_size", 32}}},
            {"low_rank", {{"rank", 4}}},
            {"calibration",
             {{"text", (path() / "calibration.txt").string()}, {"nsamples", 3}, {"seqlen", 64}}},
            {"evaluation",
             {{"text", (path() / "evaluation.txt").string()}, {"seqlen", 64}, {"windows", 2}}},
            {"reconstruction", {{"iterations", 6}, {"compute", "f32"}}},
            {"device", "cpu"}};
        if (trained) {
            base["weight"]["sym"] = true;
            base["low_rank"]["rank"] = 0;
            base["training"] = {{"text", (path() / "calibration.txt").string()},
                                {"steps", 4},
                                {"batch_size", 2},
                                {"grad_accum", 2},
                                {"seqlen", 32},
                                {"compute", "f32"}};
        }
        base.merge_patch(json);
        return runSpecFromJson(base);
    }

    QTemporaryDir m_folder;
    int m_number = 0;
};

QTEST_GUILESS_MAIN(TestDevice)
#include "tst_device.moc"
