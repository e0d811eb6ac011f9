// labels: slow
#include <cmath>
#include <filesystem>
#include <stop_token>

#include <QtTest>

#include "base/error.h"
#include "engine.h"
#include "store/run_store.h"
#include "support/tensor_golden.h"
#include "support/tensor_model_files.h"

using namespace qw;
using namespace qw::test;

namespace {
struct MethodRow {
    const char* id;
    const char* settings; ///< on top of those of baseSpec()
};
const std::vector<MethodRow> kMethods = {
    {"rtn", "{}"},
    {"l2qer", R"({"weight":{"format":"mxint"},"low_rank":{"rank":4,"factor_bits":8},)"
              R"("activation":{"format":"mxint","block_size":8,"attention":true}})"},
    {"qera-exact", R"({"low_rank":{"rank":4}})"},
    {"gptq", R"({"gptq":{"act_order":true,"true_sequential":true}})"},
    {"awq", R"({"awq":{"ratios":3}})"},
    {"smoothquant", R"({"activation":{"format":"int"}})"},
    {"lrq", R"({"reconstruction":{"rank":"4"}})"},
    {"flexround", "{}"},
    {"lr-qat", R"({"training":{"rank":4}})"},
    {"lsq", "{}"},
    {"peqa", "{}"}};

/// Letters enough for a few windows of any of the models, whose tokens are characters.
std::string someText(int lines)
{
    std::string text;
    for (int i = 0; i < lines; ++i) {
        text += "Line " + std::to_string(i * i * 7919) + " of a text; ";
    }
    return text;
}

/// Names of measures that are not finite.
std::string notFinite(const RunResult& run)
{
    std::string names;
    const auto check = [&](const std::string& name, double value) {
        names += std::isfinite(value) ? "" : name + " ";
    };
    check("nll", run.score.nll);
    check("perplexity", run.score.perplexity);
    check("klMean", run.comparison.klMean);
    check("deltaNll", run.comparison.deltaNll);
    check("top1Agreement", run.comparison.top1Agreement);
    check("bitsPerWeight", run.bitsPerWeight);
    for (const LayerResult& layer : run.layers) {
        check(layer.name + " weightError", layer.weightError);
        check(layer.name + " outputError", layer.outputError);
        check(layer.name + " bitsPerWeight", layer.bitsPerWeight);
    }
    for (const BlockResult& block : run.blocks) {
        check(message("errorBefore of block ", block.block), block.errorBefore);
        check(message("errorAfter of block ", block.block), block.errorAfter);
        for (const double loss : block.losses) {
            check(message("loss of block ", block.block), loss);
        }
    }
    for (const TrainingStep& step : run.training.steps) {
        check("loss", step.loss);
        check("gradientNorm", step.gradientNorm);
    }
    return names;
}
} // namespace

/// Every method on every architecture, from the model's files to the stored run.
class TestArchitectures : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        startEngine(1);
        for (const std::string& name : goldenModelNames()) {
            std::filesystem::copy(goldenModel(name).folder, path() / name);
            writeBytes(path() / name / "tokenizer.json", smallTokenizer());
        }
        writeBytes(path() / "calibration.txt", someText(40));
        writeBytes(path() / "evaluation.txt", someText(4));
    }
    void init() { ++m_number; }

    void runsAndGoesOn_data()
    {
        QTest::addColumn<QString>("model");
        QTest::addColumn<int>("method");
        for (const std::string& model : goldenModelNames()) {
            if (model == "llama_linear" || model == "llama_llama3") {
                continue; // llama with another table of angles
            }
            for (std::size_t i = 0; i < kMethods.size(); ++i) {
                QTest::addRow("%s, %s", model.c_str(), kMethods[i].id)
                    << QString::fromStdString(model) << static_cast<int>(i);
            }
        }
    }
    void runsAndGoesOn()
    {
        QFETCH(QString, model);
        QFETCH(int, method);
        const RunSpec spec =
            specOf(model.toStdString(), kMethods[static_cast<std::size_t>(method)]);
        RunStore store(path() / message("store", m_number, ".sqlite"));
        const RunResult whole = runQuantization(spec, store, options(), {});
        QCOMPARE(whole.status, std::string("finished"));
        QVERIFY(store.get(whole.id) == whole);
        QCOMPARE(estimateRun(spec).bytes, whole.bytes);
        QCOMPARE(notFinite(whole), std::string());
        // Of a weight that was taken for another, or turned, nothing would be left.
        for (const LayerResult& layer : whole.layers) {
            QVERIFY2(layer.outputError < kLargestError,
                     message(layer.name, ": ", layer.outputError).c_str());
        }
        QVERIFY2(whole.comparison.klMean < kLargestKl, message(whole.comparison.klMean).c_str());
        const EvaluationResult again =
            evaluateModel(spec.model, &whole, spec.evaluation, "cpu", RunContext());
        QCOMPARE(again.score.nll, whole.score.nll);
        QCOMPARE(again.score.windowNll, whole.score.windowNll);

        // Stopped when the first of two blocks is done, and continued.
        std::stop_source stop;
        std::string id;
        RunOptions stopped = options();
        stopped.started = [&](const RunResult& run) { id = run.id; };
        stopped.layerDone = [&](const LayerResult&) { stop.request_stop(); };
        QVERIFY_EXCEPTION_THROWN(
            runQuantization(spec, store, stopped, RunContext(stop.get_token(), {})), Cancelled);
        std::size_t made = 0;
        std::size_t kept = 0;
        RunOptions counted = options();
        counted.layerDone = [&](const LayerResult&) { ++made; };
        counted.layerKept = [&](const LayerResult&) { ++kept; };
        const RunResult resumed = resumeRuns(id, store, counted, {}).front();
        QCOMPARE(kept, whole.layers.size() / 2);
        QCOMPARE(made, whole.layers.size() / 2);
        QCOMPARE(resumed.artifactHash, whole.artifactHash);
        QCOMPARE(resumed.score.windowNll, whole.score.windowNll);
    }

private:
    /// Of a layer's output, and of the model's predictions: far above what the coarsest method
    /// here does, and far below what a wrong weight would.
    static constexpr double kLargestError = 0.4;
    static constexpr double kLargestKl = 1;

    std::filesystem::path path() const { return m_folder.path().toStdString(); }
    RunOptions options() const
    {
        RunOptions made;
        made.workFolder = path() / message("runs", m_number);
        return made;
    }
    /// Windows of 16 tokens: a model has no more positions. Groups of 8: rows have 32, 40 or 48.
    RunSpec specOf(const std::string& model, const MethodRow& method) const
    {
        RunSpec spec;
        spec.model = (path() / model).string();
        spec.method = method.id;
        spec.weight = usualWeight(method.id);
        spec.weight.bits = 4;
        spec.weight.groupSize = 8;
        spec.reconstruction.iterations = 2;
        spec.reconstruction.lr = 1e-3;
        spec.reconstruction.compute = "f32";
        spec.calibration.text = (path() / "calibration.txt").string();
        spec.calibration.nsamples = 6;
        spec.calibration.seqlen = 16;
        spec.training.text = spec.calibration.text;
        spec.training.steps = 2;
        spec.training.batchSize = 2;
        spec.training.gradAccum = 1;
        spec.training.seqlen = 16;
        spec.training.compute = "f32";
        spec.evaluation.text = (path() / "evaluation.txt").string();
        spec.evaluation.seqlen = 16;
        spec.evaluation.windows = 3;
        Json json = toJson(spec);
        json.merge_patch(parseJson(method.settings, "row"));
        return runSpecFromJson(json);
    }

    QTemporaryDir m_folder;
    int m_number = 0;
};

QTEST_GUILESS_MAIN(TestArchitectures)
#include "tst_architectures.moc"
