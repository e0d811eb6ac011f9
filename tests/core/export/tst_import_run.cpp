#include <QTemporaryDir>
#include <QtTest>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"
#include "engine_export.h"
#include "engine_import.h"
#include "run/artifact.h"
#include "store/run_store.h"
#include "support/tensor_exports.h"
#include "support/tensor_model_files.h"

using namespace qw;
using test::differingLayer;
using test::sentenceOf;

namespace {
/// Lines of a text that no tokenizer minds.
std::string anyText()
{
    std::string text;
    for (int i = 0; i < 400; ++i) {
        text += "Line " + std::to_string(i * i) + " of a text.\n";
    }
    return text;
}
} // namespace

/// Exports read back as runs: the codes that were written, over the same model.
class TestImportRun : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase();
    void roundTrip_data();
    void roundTrip();
    void otherArchitectures_data();
    void otherArchitectures();
    void correctionComesAlong_data();
    void correctionComesAlong();
    void columnsOutOfOrder();
    void quantizedActivations();
    void withoutTheModel();
    void measured();
    void keptLayersAndRoundedTensors();
    void wrappedZeros();
    void zerosUnderTheOtherName();
    void cancelLeavesNothing();
    void isNotRepeated();
    void found();

private:
    std::filesystem::path path() const { return m_folder.path().toStdString(); }
    RunSpec specOf(const QString& weight) const { return m_bench->spec(weight.toStdString()); }
    RunResult made(const RunSpec& spec) { return m_bench->made(spec); }
    std::filesystem::path exported(const RunResult& run, const QString& target,
                                   const char* dtype = "f32", std::int64_t gptqVersion = 2)
    {
        return m_bench->exported(run, target.toStdString(), dtype, gptqVersion);
    }
    ImportOptions from(const std::filesystem::path& source) const { return m_bench->from(source); }
    RunResult imported(const ImportOptions& options) { return m_bench->imported(options); }
    static void compareRuns(const RunResult& run, const RunResult& other)
    {
        QCOMPARE(differingLayer(run, other), std::string());
    }

    QTemporaryDir m_folder;
    std::optional<test::ExportBench> m_bench;
};

void TestImportRun::initTestCase()
{
    startEngine(1);
    m_bench.emplace(path());
    test::writeBytes(path() / "text.txt", anyText());
}

void TestImportRun::roundTrip_data()
{
    QTest::addColumn<QString>("weight");
    QTest::addColumn<QString>("target");
    const auto row = [](const char* weight, const char* target) {
        QTest::addRow("%s from %s", weight, target) << weight << target;
    };
    for (const char* target : {"compressed-tensors", "gptq", "awq", "gguf"}) {
        row("int 4 sym 32", target);
        row("int 4 asym 64", target);
        row("int 3 asym 64", target);
        row("int 4 sym channel", target);
        row("mxint 4 32", target);
    }
    for (const char* target : {"compressed-tensors", "gptq"}) {
        row("int 8 asym 32", target);
        row("int 8 sym channel", target);
        row("int 2 asym 16", target);
    }
    row("int 5 sym 32", "gguf");
    row("int 8 sym 32", "gguf");
    row("mxint 4 16", "gguf"); // Q6_K
}

void TestImportRun::roundTrip()
{
    QFETCH(QString, weight);
    QFETCH(QString, target);
    const RunResult run = made(specOf(weight));
    const RunResult back = imported(from(exported(run, target)));
    compareRuns(run, back);
    QCOMPARE(back.spec.method, std::string("imported"));
    QCOMPARE(back.status, std::string("finished"));
    QCOMPARE(back.layers.size(), run.layers.size());
    for (std::size_t i = 0; i < run.layers.size(); ++i) {
        QCOMPARE(back.layers[i].weightError, run.layers[i].weightError);
    }
    if (weight == "int 4 sym 32") { // held by all as it is
        QCOMPARE(back.spec.weight.bits, run.spec.weight.bits);
        QCOMPARE(back.spec.weight.groupSize, run.spec.weight.groupSize);
        QVERIFY(back.spec.weight.sym);
        QCOMPARE(back.bytes, run.bytes);
    }
    QCOMPARE(back.substitutions.size(), std::size_t{1});
    QVERIFY(back.substitutions.front().find("imported from " + path().string()) == 0);
}

void TestImportRun::otherArchitectures_data()
{
    QTest::addColumn<QString>("model");
    QTest::addColumn<QString>("target");
    for (const char* model : {"gpt2", "neox_parallel", "qwen2_window", "qwen3",
                              "llama_bias_head_dim", "llama_tied_bf16"}) {
        QTest::addRow("%s from GGUF", model) << model << "gguf";
    }
    for (const char* model : {"neox_parallel", "opt", "opt_post_norm", "qwen2_window", "qwen3"}) {
        QTest::addRow("%s from compressed-tensors", model) << model << "compressed-tensors";
    }
}

void TestImportRun::otherArchitectures()
{
    QFETCH(QString, model);
    QFETCH(QString, target);
    const auto folder = path() / ("golden " + model.toStdString());
    if (!std::filesystem::exists(folder)) {
        std::filesystem::copy(QW_GOLDEN_DIR "/models/" + model.toStdString(), folder);
        test::writeBytes(folder / "tokenizer.json", test::smallTokenizer());
    }
    RunSpec spec = specOf("int 4 sym channel");
    spec.model = folder.string();
    if (target == "gguf") { // has no blocks for rows of 40 and 48: these stay plain
        spec.overrides = {{"(o|down)_proj|4h_to_h", {}, {}, {}, true}};
    }
    const RunResult run = made(spec);
    ImportOptions options = from(exported(run, target));
    options.model = spec.model;
    const RunResult back = imported(options);
    compareRuns(run, back);
    const ArtifactFolder artifact(back.artifactFolder, ""); // nothing else changed
    QVERIFY(artifact.readModel().replaced.empty() && artifact.readBlock(0).replaced.empty());
}

void TestImportRun::correctionComesAlong_data()
{
    QTest::addColumn<QString>("target");
    QTest::newRow("PEFT") << "gptq";
    QTest::newRow("GGUF") << "gguf";
}

void TestImportRun::correctionComesAlong()
{
    QFETCH(QString, target);
    RunSpec spec = specOf("int 3 sym 32");
    spec.method = "lqer";
    spec.lowRank.rank = 4;
    const RunResult run = made(spec);
    ImportOptions options = from(exported(run, target));
    const auto folder = target == "gguf" ? options.source.parent_path() : options.source;
    options.adapter = folder / (target == "gguf" ? "adapter.gguf" : "adapter");
    const RunResult back = imported(options);
    compareRuns(run, back);
    QCOMPARE(back.rank, std::int64_t{4});
    for (std::size_t i = 0; i < run.layers.size(); ++i) { // A·B is in it
        QCOMPARE(back.layers[i].weightError, run.layers[i].weightError);
    }
    const RunResult without = imported(from(options.source));
    QVERIFY(without.layers[0].weightError > run.layers[0].weightError);
    QVERIFY2(without.substitutions.back().find(options.adapter.string()) != std::string::npos,
             without.substitutions.back().c_str());
}

void TestImportRun::columnsOutOfOrder()
{
    RunSpec spec = specOf("int 4 asym 64");
    spec.method = "gptq";
    spec.gptq.actOrder = true;
    spec.calibration.text = (path() / "text.txt").string();
    spec.calibration.nsamples = 2;
    spec.calibration.seqlen = 64;
    const RunResult run = made(spec);
    const auto folder = exported(run, "gptq");
    const RunResult back = imported(from(folder));
    compareRuns(run, back);
    const BlockArtifact block = ArtifactFolder(back.artifactFolder, "").readBlock(1);
    QVERIFY(block.linears[0].groupIndex.defined());
    QCOMPARE(readJsonFile(folder / "config.json")["quantization_config"]["desc_act"], Json(true));
    for (const ExportPlan& plan : planExports(run, {}, {})) { // no other has a group index
        const bool coded = plan.target != "peft" && plan.target != "safetensors";
        QCOMPARE(plan.possible, plan.target == "gptq" || plan.target == "safetensors");
        QVERIFY(plan.possible || !coded || plan.nearest == "gptq");
        QVERIFY(plan.possible || !coded ||
                plan.refusal.find("grouped out of order") != std::string::npos);
    }
}

void TestImportRun::quantizedActivations()
{
    RunSpec spec = specOf("int 8 sym channel");
    spec.activation.format = "int";
    const RunResult run = made(spec);
    const RunResult back = imported(from(exported(run, "compressed-tensors")));
    compareRuns(run, back);
    const BlockArtifact block = ArtifactFolder(back.artifactFolder, "").readBlock(0);
    QCOMPARE(block.linears[0].activation.kind, ActivationQuantizer::Kind::TokenSymmetric);
    QCOMPARE(back.spec.activation.format, std::string("int"));
    QVERIFY(back.substitutions.back().find("over another range") != std::string::npos);
}

void TestImportRun::withoutTheModel()
{
    const RunResult run = made(specOf("int 4 asym 64"));
    for (const char* target : {"compressed-tensors", "gptq", "awq"}) {
        ImportOptions options = from(exported(run, target));
        options.model.clear();
        options.evaluation.text = (path() / "text.txt").string();
        options.evaluation.seqlen = 64;
        options.evaluation.windows = 4;
        const RunResult back = imported(options);
        compareRuns(run, back);
        QVERIFY(back.spec.model.find(path() / "imports" / back.id) == 0);
        QCOMPARE(back.layers[0].weightError, 0.0); // the codes' own values
        QVERIFY(std::abs(back.comparison.klMean) < 1e-9);
        QVERIFY(back.substitutions[1].find("is not known") != std::string::npos);
        // As the run is: the model beside it has the values of its codes.
        const EvaluationResult own =
            evaluateModel(run.spec.model, &run, options.evaluation, "cpu", {});
        QCOMPARE(back.score.nll, own.score.nll);
    }
}

void TestImportRun::measured()
{
    const RunResult run = made(specOf("int 3 sym 32"));
    ImportOptions options = from(exported(run, "gptq"));
    options.evaluation.text = (path() / "text.txt").string();
    options.evaluation.seqlen = 64;
    options.evaluation.windows = 4;
    const RunResult back = imported(options);
    const EvaluationResult own = evaluateModel(run.spec.model, &run, options.evaluation, "cpu", {});
    QCOMPARE(back.score.nll, own.score.nll);
    QCOMPARE(back.comparison.klMean, own.comparison.klMean);
    QVERIFY(back.comparison.klMean > 0);
    QCOMPARE(incomparableReason(back, back), std::string());
    // And exported again, to another target.
    ExportOptions again;
    again.target = "compressed-tensors";
    again.dtype = "f32";
    again.out = path() / "again";
    QVERIFY(exportRun(back, nullptr, again, {}).lossless);
}

void TestImportRun::keptLayersAndRoundedTensors()
{
    RunSpec spec = specOf("int 4 sym 32");
    spec.overrides = {{"1.mlp.down_proj", {}, {}, {}, true}};
    const RunResult run = made(spec);
    // The model is in BF16: its embedding and norms do not fit F16 exactly.
    const RunResult back = imported(from(exported(run, "compressed-tensors", "f16")));
    QCOMPARE(back.layers.size(), std::size_t{13});
    const ArtifactFolder artifact(back.artifactFolder, "");
    QVERIFY(artifact.readModel().replaced.contains("model.embed_tokens.weight"));
    QVERIFY(artifact.readBlock(1).replaced.contains("model.layers.1.mlp.down_proj.weight"));
    QVERIFY2(back.substitutions.back().find("differ from the model's") != std::string::npos,
             back.substitutions.back().c_str());
    // They are no codes, and do not count as such.
    QCOMPARE(back.bytes, run.bytes);
    QCOMPARE(back.bitsPerWeight, run.bitsPerWeight);
    // What was stored exactly is not stored again.
    const RunResult exact = imported(from(exported(run, "compressed-tensors", "f32")));
    QVERIFY(ArtifactFolder(exact.artifactFolder, "").readModel().replaced.empty());
}

void TestImportRun::wrappedZeros()
{
    const auto folder = exported(made(specOf("int 2 asym 16")), "gptq");
    // Read as version 1, what version 2 stored as the largest zero point wraps around to 0.
    Json config = readJsonFile(folder / "config.json");
    config["quantization_config"]["checkpoint_format"] = "gptq";
    test::writeBytes(folder / "config.json", config.dump());
    const RunResult back = imported(from(folder));
    QVERIFY(back.substitutions.back().find("some clients read another") != std::string::npos);
}

/// What transformers saves of a version 1 model that it loaded: version 2 under the old name.
void TestImportRun::zerosUnderTheOtherName()
{
    const RunResult run = made(specOf("int 4 sym 32"));
    const auto rename = [](const std::filesystem::path& folder, const char* key, const char* name) {
        Json config = readJsonFile(folder / "config.json");
        config["quantization_config"][key] = name;
        test::writeBytes(folder / "config.json", config.dump());
    };
    const auto folder = exported(run, "gptq");
    rename(folder, "checkpoint_format", "gptq");
    RunResult back = imported(from(folder));
    compareRuns(run, back);
    QVERIFY2(back.substitutions.back().find("of version 2 of GPTQ under the name") !=
                 std::string::npos,
             back.substitutions.back().c_str());
    // Version 1 itself has nothing to say.
    back = imported(from(exported(run, "gptq", "f32", 1)));
    compareRuns(run, back);
    QCOMPARE(back.substitutions.size(), std::size_t{1});
}

void TestImportRun::cancelLeavesNothing()
{
    const auto folder = exported(made(specOf("int 4 sym 32")), "gptq");
    for (const char* phase : {"dequantize", "import", "evaluate"}) {
        std::stop_source stop;
        const RunContext context(stop.get_token(), [&](const Progress& progress) {
            if (progress.phase == phase) {
                stop.request_stop();
            }
        });
        ImportOptions options = from(folder);
        options.model.clear();
        options.evaluation.text = (path() / "text.txt").string();
        options.evaluation.seqlen = 64;
        options.evaluation.windows = 4;
        options.workFolder = path() / "cancelled";
        RunStore store(path() / "empty.sqlite");
        QVERIFY_EXCEPTION_THROWN(importRun(options, store, context), Cancelled);
        QVERIFY(std::filesystem::is_empty(options.workFolder));
        QVERIFY(store.list().empty());
    }
}

void TestImportRun::isNotRepeated()
{
    const RunResult back = imported(from(exported(made(specOf("int 4 sym 32")), "gptq")));
    RunStore store(path() / "runs.sqlite");
    RunOptions options;
    options.workFolder = path() / "work";
    QVERIFY(sentenceOf([&] { repeatRun(back, store, options, {}); }).find("import them again") !=
            std::string::npos);
}

void TestImportRun::found()
{
    RunSpec spec = specOf("int 4 sym 32");
    spec.method = "lqer";
    spec.lowRank.rank = 4;
    const RunResult run = made(spec);
    const auto gguf = exported(run, "gguf");
    for (const auto& opened : {gguf, gguf.parent_path()}) {
        const auto found = findQuantized(opened);
        QVERIFY(found.has_value());
        QCOMPARE(found->model, gguf);
        QCOMPARE(found->adapter, gguf.parent_path() / "adapter.gguf");
        ImportOptions options = from(opened);
        options.adapter = found->adapter;
        compareRuns(run, imported(options));
    }
    const auto folder = exported(run, "awq");
    const auto found = findQuantized(folder);
    QVERIFY(found.has_value());
    QCOMPARE(found->model, folder);
    QCOMPARE(found->adapter, folder / "adapter");
    QVERIFY(findQuantized("x.gguf")->adapter.empty());
    QVERIFY(!findQuantized(path() / "model"));
    QVERIFY(!findQuantized(path()));
}

QTEST_GUILESS_MAIN(TestImportRun)
#include "tst_import_run.moc"
