#include <QTemporaryDir>
#include <QtTest>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"
#include "engine_export.h"
#include "engine_import.h"
#include "model/checkpoint.h"
#include "random_model.h"
#include "run/artifact.h"
#include "store/run_store.h"
#include "support/tensor_model_files.h"

using namespace qw;
using test::sentenceOf;

namespace {
/// As users write it: "int 4 sym 32".
WeightSpec weightOf(const QString& text)
{
    WeightSpec weight;
    const QStringList words = text.split(' ');
    weight.format = words[0].toStdString();
    weight.bits = words[1].toInt();
    weight.sym = words.contains("sym");
    weight.groupSize = groupSizeFromText(words.last().toStdString());
    return weight;
}

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
    void cancelLeavesNothing();
    void isNotRepeated();
    void looks();

private:
    std::filesystem::path path() const { return m_folder.path().toStdString(); }
    RunSpec specOf(const QString& weight) const
    {
        RunSpec spec;
        spec.model = (path() / "model").string();
        spec.weight = weightOf(weight);
        return spec;
    }
    RunResult made(const RunSpec& spec)
    {
        RunStore store(path() / "runs.sqlite");
        RunOptions options;
        options.workFolder = path() / "work";
        return runQuantization(spec, store, options, {});
    }
    /// @return the folder, or GGUF file
    std::filesystem::path exported(const RunResult& run, const QString& target,
                                   const char* dtype = "f32", std::int64_t gptqVersion = 2)
    {
        ExportOptions options;
        options.target = target.toStdString();
        options.dtype = target == "gguf" ? "" : dtype;
        options.gptqVersion = gptqVersion;
        options.out = path() / ("out" + std::to_string(++m_number));
        exportRun(run, nullptr, options, {});
        return target == "gguf" ? options.out / "model.gguf" : options.out;
    }
    ImportOptions from(const std::filesystem::path& source) const
    {
        ImportOptions options;
        options.source = source;
        options.model = (path() / "model").string();
        options.workFolder = path() / "imports";
        return options;
    }
    RunResult imported(const ImportOptions& options)
    {
        RunStore store(path() / "runs.sqlite");
        const RunResult run = importRun(options, store, {});
        if (store.get(run.id) != run) {
            throw std::runtime_error("the store holds another run");
        }
        return run;
    }
    /// All layers of both, as values; tensors that were replaced too.
    static void compareRuns(const RunResult& run, const RunResult& other)
    {
        const ArtifactFolder a(run.artifactFolder, "");
        const ArtifactFolder b(other.artifactFolder, "");
        const Checkpoint model(resolveModel(run.spec.model));
        for (std::int64_t block = 0; block < model.config().layers; ++block) {
            const BlockArtifact one = a.readBlock(block);
            const BlockArtifact two = b.readBlock(block);
            QCOMPARE(one.linears.size(), two.linears.size());
            for (std::size_t i = 0; i < one.linears.size(); ++i) {
                QCOMPARE(two.linears[i].name, one.linears[i].name);
                QVERIFY2(two.linears[i].dequantizedCodes().equal(one.linears[i].dequantizedCodes()),
                         two.linears[i].name.c_str());
            }
        }
    }

    QTemporaryDir m_folder;
    int m_number = 0;
};

void TestImportRun::initTestCase()
{
    startEngine(1);
    RandomModelSpec shape;
    shape.hidden = 256;
    shape.intermediate = 512;
    shape.layers = 2;
    shape.vocabulary = 300;
    shape.maxPositions = 128;
    writeRandomModel(path() / "model", shape);
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
    QVERIFY(imported(from(options.source)).layers[0].weightError > run.layers[0].weightError);
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
    ImportOptions options = from(exported(run, "gguf"));
    options.model.clear();
    QVERIFY(sentenceOf([&] { imported(options); }).find("give the folder of the model") !=
            std::string::npos);
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

void TestImportRun::looks()
{
    QVERIFY(looksQuantized("x.gguf"));
    QVERIFY(looksQuantized(exported(made(specOf("int 4 sym 32")), "awq")));
    QVERIFY(!looksQuantized(path() / "model"));
    QVERIFY(!looksQuantized(path()));
}

QTEST_GUILESS_MAIN(TestImportRun)
#include "tst_import_run.moc"
