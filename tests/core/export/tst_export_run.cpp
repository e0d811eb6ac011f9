#include <QTemporaryDir>
#include <QtTest>

#include <fstream>
#include <functional>

#include <ATen/ops/equal.h>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"
#include "engine_export.h"
#include "export/export_reader.h"
#include "model/safetensors.h"
#include "run/artifact.h"
#include "store/run_store.h"
#include "support/tensor_exports.h"
#include "support/tensor_model_files.h"

using namespace qw;
using test::sentenceOf;

/// Stored runs written for other programs, read back by code that shares nothing with the writer.
class TestExportRun : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase();
    void roundTrip_data();
    void roundTrip();
    void otherArchitectures_data();
    void otherArchitectures();
    void foldedRuns_data();
    void foldedRuns();
    void learnedRoundingCostsNothing_data();
    void learnedRoundingCostsNothing();
    void foldedArchitectures_data();
    void foldedArchitectures();
    void refusals_data();
    void refusals();
    void tokenizerOfAnotherKind();
    void plansForAllTargets();
    void foreseen_data();
    void foreseen();
    void everythingIsSaid();
    void cardsSayHowToLoad();
    void activationsAreLost();
    void keptLayersAreListed();
    void mixedLayersHaveGroups();
    void sweepMemberTakesItsRank();
    void failureLeavesNothing();
    void cancelLeavesNothing();
    void nothingIsReplaced();
    void unknownOptions();
    void damagedFileIsFound();

private:
    std::filesystem::path path() const { return m_folder.path().toStdString(); }
    RunSpec specOf(const QString& weight) const { return m_bench->spec(weight.toStdString()); }
    RunResult made(const RunSpec& spec) { return m_bench->made(spec); }
    ExportOptions to(const QString& target, const char* dtype = "")
    {
        ExportOptions options;
        options.target = target.toStdString();
        options.dtype = dtype;
        options.out = m_bench->freshPath();
        return options;
    }
    ExportReport exported(const RunResult& run, const ExportOptions& options)
    {
        return exportRun(run, nullptr, options, {});
    }
    RunSpec foldedSpec(const QString& method) const
    {
        RunSpec spec = specOf("int 4 asym 64");
        spec.method = method.toStdString();
        spec.awq.ratios = 4;
        spec.calibration.text = (path() / "calibration.txt").string();
        spec.calibration.nsamples = 2;
        spec.calibration.seqlen = 32;
        return spec;
    }
    static Json configOf(const ExportOptions& options)
    {
        return readJsonFile(options.out / "config.json");
    }

    QTemporaryDir m_folder;
    std::optional<test::ExportBench> m_bench;
};

void TestExportRun::initTestCase()
{
    startEngine(1);
    m_bench.emplace(path());
    const std::filesystem::path demo = std::filesystem::path(QW_RESOURCES_DIR) / "demo_model";
    test::writeBytes(path() / "calibration.txt",
                     readTextFile(demo / "calibration.txt").substr(0, 8000));
}

void TestExportRun::roundTrip_data()
{
    QTest::addColumn<QString>("weight");
    QTest::addColumn<QString>("target");
    for (const char* target : {"compressed-tensors", "gptq", "awq", "safetensors"}) {
        const auto row = [&](const char* weight) {
            QTest::addRow("%s to %s", weight, target) << weight << target;
        };
        row("int 4 sym 32");
        row("int 4 sym 128");
        row("int 4 sym channel");
        row("int 4 asym 64");
        row("int 4 sym tensor");
        row("int 3 asym 64");
        row("int 2 sym 64");
        row("mxint 4 32");
        if (QString(target) != "awq") {
            row("int 8 sym channel");
            row("int 8 asym 32");
            row("int 5 sym 32");
            row("int 7 asym channel");
            row("mxint 4 16");
            row("mxint 6 32");
        }
    }
    const auto blocks = [](const char* weight, const char* type) {
        QTest::addRow("%s to gguf", weight) << weight << QStringLiteral("gguf ") + type;
    };
    blocks("int 4 sym 32", "Q4_0");
    blocks("int 4 sym channel", "Q4_0");
    blocks("int 2 sym 64", "Q4_0");
    blocks("int 3 asym 64", "Q4_0");
    blocks("int 4 asym 64", "Q5_0");
    blocks("int 5 sym 32", "Q5_0");
    blocks("int 7 asym channel", "Q8_0");
    blocks("int 8 sym tensor", "Q8_0");
    blocks("mxint 4 32", "Q4_0");
    blocks("mxint 5 64", "Q5_0");
    blocks("mxint 6 32", "Q8_0");
    blocks("mxint 4 16", "Q6_K");
}

void TestExportRun::roundTrip()
{
    QFETCH(QString, weight);
    QFETCH(QString, target);
    const RunResult run = made(specOf(weight));
    const QStringList words = target.split(' ');
    ExportOptions options = to(words[0], words[0] == "gguf" ? "" : "f32");
    options.gptqVersion = 2;
    const ExportReport report = exported(run, options);
    QVERIFY2(report.lossless, report.verdict.c_str());
    QCOMPARE(report.maxAbsDifference, 0.0);
    QCOMPARE(report.maxLogitDifference, 0.0);
    QVERIFY(report.plan.possible && report.plan.lossless && report.plan.lost.empty());
    if (words.size() > 1) {
        const QString storage = QString::fromStdString(report.plan.storage);
        QVERIFY2(storage.startsWith(words[1] + " for 14 layers: ") &&
                     storage.endsWith(" bits per weight"),
                 qPrintable(storage));
        // Q4_0 and Q5_0 are just that: codes of 4 and 5 bits, a half float for 32 columns.
        const bool same = weight == "int 4 sym 32" || weight == "int 5 sym 32";
        const auto& notes = report.plan.notes;
        const bool larger = std::any_of(notes.begin(), notes.end(), [](const std::string& note) {
            return note.find("the file larger") != std::string::npos;
        });
        QCOMPARE(larger, !same);
    }
    // The predicted size, but for headers and the tokenizer.
    std::int64_t tensors = 0;
    for (const std::string& file : report.files) {
        if (file.ends_with(".safetensors") || file.ends_with(".gguf")) {
            tensors += static_cast<std::int64_t>(std::filesystem::file_size(options.out / file));
        }
    }
    QVERIFY2(tensors > report.plan.bytes && tensors < report.plan.bytes + 16384,
             qPrintable(QStringLiteral("%1 %2").arg(tensors).arg(report.plan.bytes)));
}

void TestExportRun::otherArchitectures_data()
{
    QTest::addColumn<QString>("model");
    for (const char* model : {"gpt2", "neox_parallel", "opt", "opt_post_norm", "qwen2_window",
                              "qwen3", "llama_bias_head_dim", "mistral_window"}) {
        QTest::newRow(model) << model;
    }
}

void TestExportRun::otherArchitectures()
{
    QFETCH(QString, model);
    RunSpec spec = specOf("int 4 sym channel");
    const std::filesystem::path golden(QW_GOLDEN_DIR "/models");
    const auto folder = path() / ("golden " + model.toStdString());
    std::filesystem::copy(golden / model.toStdString(), folder);
    test::writeBytes(folder / "tokenizer.json", test::smallTokenizer());
    spec.model = folder.string();
    spec.method = "lqer";
    spec.lowRank.rank = 2;
    const RunResult run = made(spec);
    for (const QString target : {"safetensors", "peft", "compressed-tensors", "gguf"}) {
        if ((model == "gpt2" && target == "compressed-tensors") ||
            (model.startsWith("opt") && target == "gguf")) {
            continue;
        }
        ExportOptions options = to(target, "f32");
        options.lora = "separate";
        const ExportReport report = exported(run, options);
        QVERIFY2(report.lossless, report.verdict.c_str());
        QVERIFY(report.maxLogitDifference == 0);
    }
    // Merged: the sum is rounded once, which a forward in another order shows.
    const ExportReport merged = exported(run, to("safetensors", "f32"));
    QCOMPARE(merged.maxAbsDifference, 0.0);
    QVERIFY(merged.maxLogitDifference > 0);
}

void TestExportRun::foldedRuns_data()
{
    QTest::addColumn<QString>("method");
    QTest::addColumn<QString>("target");
    for (const char* method : {"awq", "smoothquant"}) {
        for (const char* target : {"compressed-tensors", "gptq", "awq", "gguf", "safetensors"}) {
            QTest::addRow("%s to %s", method, target) << method << target;
        }
    }
}

/// Norms that scales were folded into go into the files, and come back.
void TestExportRun::foldedRuns()
{
    QFETCH(QString, method);
    QFETCH(QString, target);
    const RunResult run = made(foldedSpec(method));
    const std::string name = "model.layers.1.input_layernorm.weight";
    const ReplacedTensors replaced = ArtifactFolder(run.artifactFolder, {}).readBlock(1).replaced;
    QVERIFY(replaced.contains(name));
    ExportOptions options = to(target, target == "gguf" ? "" : "f32");
    options.gptqVersion = 2;
    const ExportReport report = exported(run, options);
    QVERIFY2(report.lossless, report.verdict.c_str());
    QCOMPARE(report.maxAbsDifference, 0.0);
    QCOMPARE(report.maxLogitDifference, 0.0);
    if (target != "gguf") {
        const SafetensorsFile file(options.out / "model.safetensors");
        QVERIFY(at::equal(file.borrow(name), replaced.at(name)));
    }
}

void TestExportRun::learnedRoundingCostsNothing_data()
{
    QTest::addColumn<QString>("method");
    QTest::addColumn<QString>("target");
    for (const char* method : {"lrq", "flexround"}) {
        for (const char* target : {"compressed-tensors", "gptq", "awq", "gguf", "safetensors"}) {
            QTest::addRow("%s to %s", method, target) << method << target;
        }
    }
}

/// What was learned is no part of the files: they have the tensors of round to nearest, no other,
/// and as many bytes, but other codes.
void TestExportRun::learnedRoundingCostsNothing()
{
    QFETCH(QString, method);
    QFETCH(QString, target);
    RunSpec spec = foldedSpec(QStringLiteral("rtn"));
    spec.weight.bits = target == "gptq" ? 3 : 4;
    const RunResult nearest = made(spec);
    spec.method = method.toStdString();
    spec.reconstruction.iterations = 8;
    spec.reconstruction.lr = 0.01;
    const RunResult learned = made(spec);
    QVERIFY(learned.layers.front().trainedParameters > 0);
    QCOMPARE(learned.bytes, nearest.bytes);
    QCOMPARE(learned.bitsPerWeight, nearest.bitsPerWeight);
    for (std::size_t i = 0; i < nearest.layers.size(); ++i) {
        QCOMPARE(learned.layers[i].bytes, nearest.layers[i].bytes);
    }
    const auto sameTensors = [](const std::filesystem::path& a, const std::filesystem::path& b) {
        const SafetensorsFile one(a);
        const SafetensorsFile other(b);
        return std::equal(one.entries().begin(), one.entries().end(), other.entries().begin(),
                          other.entries().end(), [](const auto& x, const auto& y) {
                              return x.first == y.first && x.second.dtype == y.second.dtype &&
                                     x.second.shape == y.second.shape;
                          });
    };
    for (const char* block : {"block-00000.safetensors", "block-00001.safetensors"}) {
        QVERIFY(sameTensors(std::filesystem::path(learned.artifactFolder) / block,
                            std::filesystem::path(nearest.artifactFolder) / block));
    }
    const auto written = [&](const RunResult& run) {
        ExportOptions options = to(target, target == "gguf" ? "" : "f32");
        options.gptqVersion = 2;
        const ExportReport report = exported(run, options);
        return std::pair{options.out, report};
    };
    const auto [folder, report] = written(learned);
    const auto [plainFolder, plainReport] = written(nearest);
    QVERIFY2(report.lossless, report.verdict.c_str());
    QCOMPARE(report.plan.bytes, plainReport.plan.bytes);
    QCOMPARE(report.files, plainReport.files);
    const std::string file = target == "gguf" ? "model.gguf" : "model.safetensors";
    const std::string bytes = readTextFile(folder / file);
    const std::string plainBytes = readTextFile(plainFolder / file);
    QCOMPARE(bytes.size(), plainBytes.size());
    QVERIFY(bytes != plainBytes);
    QVERIFY(target == "gguf" || sameTensors(folder / file, plainFolder / file));
}

void TestExportRun::foldedArchitectures_data()
{
    QTest::addColumn<QString>("model");
    for (const char* model : {"gpt2", "neox_parallel", "opt", "qwen3", "llama_bias_head_dim"}) {
        QTest::newRow(model) << model;
    }
}

/// Biases of norms and of layers whose outputs were scaled, too.
void TestExportRun::foldedArchitectures()
{
    QFETCH(QString, model);
    RunSpec spec = foldedSpec("awq");
    spec.weight.groupSize = kPerChannel;
    const auto folder = path() / ("folded " + model.toStdString());
    std::filesystem::copy(std::filesystem::path(QW_GOLDEN_DIR "/models") / model.toStdString(),
                          folder);
    test::writeBytes(folder / "tokenizer.json", test::smallTokenizer());
    spec.model = folder.string();
    const RunResult run = made(spec);
    for (const QString target : {"safetensors", "compressed-tensors", "gguf"}) {
        if ((model == "gpt2" && target == "compressed-tensors") ||
            (model.startsWith("opt") && target == "gguf")) {
            continue;
        }
        const ExportReport report = exported(run, to(target, "f32"));
        QVERIFY2(report.lossless, report.verdict.c_str());
        QCOMPARE(report.maxLogitDifference, 0.0);
    }
}

void TestExportRun::refusals_data()
{
    QTest::addColumn<QString>("weight");
    QTest::addColumn<QString>("target");
    QTest::addColumn<QString>("sentence");
    QTest::addColumn<QString>("nearest");
    QTest::newRow("8 bits to AWQ")
        << "int 8 sym 32"
        << "awq"
        << "model.layers.0.self_attn.q_proj: 8-bit codes, AWQ has 4 bits only"
        << "compressed-tensors";
    QTest::newRow("blocks of 16 to AWQ")
        << "mxint 4 16"
        << "awq"
        << "a scale for 16 columns; AWQ's kernels need a multiple of 32"
        << "compressed-tensors";
    QTest::newRow("asymmetric 8 bits to GGUF")
        << "int 8 asym 32"
        << "gguf"
        << "model.layers.0.self_attn.q_proj: asymmetric codes of 8 bits need 9 around zero"
        << "compressed-tensors";
    QTest::newRow("groups of 16 to GGUF") << "int 4 sym 16"
                                          << "gguf"
                                          << "a scale for 16 columns, GGUF's blocks have one for 32"
                                          << "compressed-tensors";
    QTest::newRow("wide blocks of 16 to GGUF")
        << "mxint 7 16"
        << "gguf"
        << "the exponents of its blocks of 16 lie too far apart for GGUF's types"
        << "compressed-tensors";
    QTest::newRow("no correction") << "int 4 sym 32"
                                   << "peft"
                                   << "no low-rank correction"
                                   << "safetensors";
    QTest::newRow("zero point 0 to GPTQ v1")
        << "int 2 asym 16"
        << "gptq"
        << "has a zero point 0, which version 1 of GPTQ cannot hold"
        << "compressed-tensors";
}

void TestExportRun::refusals()
{
    QFETCH(QString, weight);
    QFETCH(QString, target);
    QFETCH(QString, sentence);
    QFETCH(QString, nearest);
    const RunResult run = made(specOf(weight));
    const ExportOptions options = to(target);
    const ExportPlan plan = planExport(run, options, {});
    QVERIFY(!plan.possible && !plan.lossless);
    QVERIFY2(plan.refusal.find(sentence.toStdString()) != std::string::npos, plan.refusal.c_str());
    QCOMPARE(QString::fromStdString(plan.nearest), nearest);
    const std::string said = sentenceOf([&] { exported(run, options); });
    QVERIFY2(said.find(plan.refusal) != std::string::npos, said.c_str());
    QVERIFY(!std::filesystem::exists(options.out));
}

/// Before anything is written.
void TestExportRun::tokenizerOfAnotherKind()
{
    RunSpec spec = specOf("int 4 sym 32");
    const auto folder = path() / "another tokenizer";
    std::filesystem::copy(spec.model, folder);
    std::string tokenizer = test::smallTokenizer();
    const std::string splitter = "\"use_regex\":true";
    QVERIFY(tokenizer.find(splitter) != std::string::npos);
    tokenizer.replace(tokenizer.find(splitter), splitter.size(), "\"use_regex\":false");
    test::writeBytes(folder / "tokenizer.json", tokenizer);
    spec.model = folder.string();
    const RunResult run = made(spec);
    const ExportPlan plan = planExport(run, to("gguf"), {});
    QVERIFY(!plan.possible);
    QVERIFY2(plan.refusal.find("llama.cpp has no splitter") != std::string::npos,
             plan.refusal.c_str());
    QVERIFY(planExport(run, to("awq"), {}).possible);
}

void TestExportRun::plansForAllTargets()
{
    const RunResult run = made(specOf("int 4 sym 32"));
    const std::vector<ExportPlan> plans = planExports(run, {}, {});
    QCOMPARE(plans.size(), exportTargets().size());
    for (const ExportPlan& plan : plans) {
        QCOMPARE(plan.possible, plan.target != "peft");
        QCOMPARE(plan.bytes > 0, plan.possible);
        QVERIFY(!plan.title.empty());
    }
}

void TestExportRun::foreseen_data()
{
    QTest::addColumn<RunSpec>("spec");
    for (const char* weight : {"int 4 sym 32", "int 4 asym 64", "int 8 asym channel",
                               "int 5 sym tensor", "int 4 sym 16", "mxint 4 16", "mxint 6 32"}) {
        QTest::newRow(weight) << specOf(QString::fromLatin1(weight));
    }
    const auto row = [this](const char* name, const std::function<void(RunSpec&)>& change) {
        RunSpec spec = specOf(QStringLiteral("int 4 sym 32"));
        change(spec);
        QTest::newRow(name) << spec;
    };
    row("scales of 32 bits", [](RunSpec& spec) { spec.weight.scaleDtype = "f32"; });
    row("a layer kept", [](RunSpec& spec) {
        spec.overrides = {{"1.mlp.down_proj", {}, {}, {}, true}};
    });
    row("a wider layer", [](RunSpec& spec) { spec.overrides = {{"q_proj", 8, {}, {}, {}}}; });
    row("corrected", [](RunSpec& spec) {
        spec.method = "lqer";
        spec.lowRank.rank = 4;
    });
    row("activations", [](RunSpec& spec) { spec.activation.format = "int"; });
    row("keys and values", [](RunSpec& spec) { spec.kvCache.format = "int"; });
    for (const char* method : {"awq", "smoothquant", "gptq"}) {
        QTest::newRow(method) << foldedSpec(QString::fromLatin1(method));
    }
    RunSpec ordered = foldedSpec(QStringLiteral("gptq"));
    ordered.gptq.actOrder = true;
    QTest::newRow("act-order") << ordered;
}

/// What is said before a run is what is said of it afterwards.
void TestExportRun::foreseen()
{
    QFETCH(RunSpec, spec);
    const std::vector<ExportPlan> plans = planExports(made(spec), {}, {});
    const std::vector<ExportPlan> before = foreseeExports(spec);
    QCOMPARE(before.size(), plans.size());
    for (std::size_t i = 0; i < plans.size(); ++i) {
        const char* target = plans[i].target.c_str();
        QCOMPARE(before[i].target, plans[i].target);
        QVERIFY2(before[i].possible == plans[i].possible, target);
        QVERIFY2(before[i].lossless == plans[i].lossless, target);
        QCOMPARE(before[i].refusal, plans[i].refusal);
        QCOMPARE(before[i].lost, plans[i].lost);
    }
}

void TestExportRun::everythingIsSaid()
{
    RunStore store(path() / "runs.sqlite");
    const RunResult run = made(specOf("int 4 sym 32"));
    const ExportOptions options = to("gptq");
    const ExportReport report = exportRun(run, &store, options, {});
    const Json config = configOf(options);
    QCOMPARE(config.at("dtype"), Json("float16"));
    QCOMPARE(config.at("quantization_config"), readJsonFile(options.out / "quantize_config.json"));
    QCOMPARE(config["quantization_config"]["group_size"], Json(32));
    QCOMPARE(config["quantization_config"]["sym"], Json(true));
    const std::string card = readTextFile(options.out / "README.md");
    QVERIFY(card.find(run.id) != std::string::npos && card.find("rtn") != std::string::npos);
    QVERIFY(card.find("## Load") != std::string::npos);
    QVERIFY(std::filesystem::exists(options.out / "tokenizer.json"));

    const RunResult stored = store.get(run.id);
    QCOMPARE(stored.exports.size(), std::size_t{1});
    QCOMPARE(stored.exports[0].target, std::string("gptq"));
    QCOMPARE(stored.exports[0].verdict, report.verdict);
    QCOMPARE(stored.exports[0].path, options.out.string());
    QCOMPARE(stored.exports[0].bytes, report.bytes);
}

/// Code that transformers and PEFT run as it is printed: tests/interop runs it.
void TestExportRun::cardsSayHowToLoad()
{
    const auto cardOf = [&](const RunSpec& spec, const ExportOptions& options) {
        exported(made(spec), options);
        return QString::fromStdString(readTextFile(options.out / "README.md"));
    };
    const QString dequantized = "quantization_config=CompressedTensorsConfig(dequantize=True)";
    RunSpec asymmetric = specOf("int 4 asym 64");
    QVERIFY(cardOf(asymmetric, to("compressed-tensors")).contains(dequantized));
    asymmetric.overrides = {{"down_proj", 8, {}, {}, {}}};
    const QString mixed = cardOf(asymmetric, to("compressed-tensors"));
    QVERIFY(!mixed.contains("quantization_config="));
    QVERIFY(mixed.contains("with compressed-tensors 0.15 to 0.17 only"));

    RunSpec corrected = specOf("int 4 sym 32");
    corrected.method = "lqer";
    corrected.lowRank.rank = 9;
    const QString packed = cardOf(corrected, to("compressed-tensors"));
    QVERIFY(!packed.contains("quantization_config="));
    QVERIFY(packed.contains("# unpacks the codes\nfrom peft import PeftModel"));
    QVERIFY(packed.contains("`vllm serve . --enable-lora --max-lora-rank 16 "));
    QVERIFY(!cardOf(corrected, to("awq")).contains("unpacks"));

    QVERIFY(!cardOf(specOf("int 4 sym 32"), to("gptq")).contains("quantization_config="));
    QVERIFY(cardOf(specOf("int 4 sym channel"), to("gptq"))
                .contains("quantization_config=GPTQConfig(bits=4, backend=\"torch\")"));

    ExportOptions peft = to("peft");
    QVERIFY(cardOf(corrected, peft).contains("from_pretrained(\"THE QUANTIZED BASE\")"));
    peft = to("peft");
    peft.base = "."; // of wherever the export was asked for
    const QString here = QString::fromStdString(std::filesystem::current_path().string());
    QVERIFY(cardOf(corrected, peft).contains("from_pretrained(\"" + here));
    QVERIFY(readTextFile(peft.out / "adapter_config.json").find(here.toStdString()) !=
            std::string::npos);

    ExportOptions gguf = to("gguf");
    QVERIFY(cardOf(corrected, gguf).contains("llama-cli -m model.gguf --lora adapter.gguf -p "));
    gguf = to("gguf");
    gguf.out = path() / "my model.gguf";
    exported(made(corrected), gguf);
    QVERIFY(QString::fromStdString(readTextFile(path() / "my model-README.md"))
                .contains("llama-cli -m 'my model.gguf' --lora 'my model-adapter.gguf' -p "));
    QVERIFY(std::filesystem::exists(path() / "my model-adapter.gguf"));
}

void TestExportRun::activationsAreLost()
{
    RunSpec spec = specOf("int 8 sym channel");
    spec.activation.format = "int";
    const RunResult run = made(spec);
    const ExportReport plain = exported(run, to("gptq", "f32"));
    QVERIFY(!plain.lossless);
    QCOMPARE(plain.maxAbsDifference, 0.0);
    QCOMPARE(plain.plan.lost.size(), std::size_t{1});
    const ExportOptions options = to("compressed-tensors", "f32");
    const ExportReport kept = exported(run, options);
    QVERIFY(!kept.lossless); // the client rounds activations its own way
    QCOMPARE(kept.maxAbsDifference, 0.0);
    QCOMPARE(kept.plan.lost.size(), std::size_t{1});
    const Json group = configOf(options)["quantization_config"]["config_groups"]["group_0"];
    QCOMPARE(group.at("format"), Json("int-quantized"));
    QCOMPARE(group["input_activations"]["strategy"], Json("token"));
}

void TestExportRun::keptLayersAreListed()
{
    RunSpec spec = specOf("int 4 sym 32");
    spec.overrides = {{"1.mlp.down_proj", {}, {}, {}, true}};
    const RunResult run = made(spec);
    const ExportOptions options = to("compressed-tensors", "f32");
    QVERIFY(exported(run, options).lossless);
    const Json ignore = configOf(options)["quantization_config"]["ignore"];
    QCOMPARE(ignore, Json({"lm_head", "model.layers.1.mlp.down_proj"}));
    const ExportPlan gptq = planExport(run, to("gptq"), {});
    QVERIFY(!gptq.possible);
    QVERIFY(gptq.refusal.find("model.layers.1.mlp.down_proj: was left as it is") == 0);
    QVERIFY(exported(run, to("awq", "f32")).lossless);
}

void TestExportRun::mixedLayersHaveGroups()
{
    RunSpec spec = specOf("int 4 sym 32");
    spec.overrides = {{"down_proj", 8, kPerChannel, {}, {}}};
    const RunResult run = made(spec);
    const ExportOptions options = to("compressed-tensors", "f32");
    QVERIFY(exported(run, options).lossless);
    const Json groups = configOf(options)["quantization_config"]["config_groups"];
    QCOMPARE(groups.size(), std::size_t{2});
    QCOMPARE(groups["group_0"]["targets"].size() + groups["group_1"]["targets"].size(),
             std::size_t{14});
    // One setting for all where the format has no more.
    const ExportOptions alike = to("gptq", "f32");
    QVERIFY(exported(run, alike).lossless);
    QCOMPARE(configOf(alike)["quantization_config"]["bits"], Json(8));
    QCOMPARE(configOf(alike)["quantization_config"]["group_size"], Json(32));
}

void TestExportRun::sweepMemberTakesItsRank()
{
    RunSpec small = specOf("int 3 sym 32");
    small.method = "lqer";
    small.lowRank.rank = 2;
    small.overrides = {{"o_proj", {}, {}, 0, {}}};
    RunSpec large = small;
    large.lowRank.rank = 6;
    RunStore store(path() / "runs.sqlite");
    RunOptions work;
    work.workFolder = path() / "work";
    const std::vector<RunResult> runs = runSweep({small, large}, store, work, {});
    const ExportOptions options = to("peft");
    const ExportReport report = exported(runs[0], options);
    QVERIFY(report.lossless);
    const Json config = readJsonFile(options.out / "adapter_config.json");
    QCOMPARE(config.at("r"), Json(2));
    QCOMPARE(config.at("lora_alpha"), Json(2));
    QCOMPARE(config.at("target_modules").size(), std::size_t{12});
    QVERIFY(config.at("base_model_name_or_path").is_null());
}

void TestExportRun::failureLeavesNothing()
{
    const RunResult run = made(specOf("int 4 sym 32"));
    ExportOptions options = to("safetensors");
    const auto inside = path() / "nowhere";
    options.out = inside / "export";
    QVERIFY(sentenceOf([&] { exported(run, options); }).find("no such folder") !=
            std::string::npos);
    // A block that cannot be read: found in the middle of the work.
    RunResult damaged = run;
    damaged.artifactFolder = (path() / "damaged").string();
    std::filesystem::copy(run.artifactFolder, damaged.artifactFolder);
    std::filesystem::resize_file(path() / "damaged/block-00001.safetensors", 100);
    options.out = path() / "alone/export";
    std::filesystem::create_directory(path() / "alone");
    QVERIFY(!sentenceOf([&] { exported(damaged, options); }).empty());
    QVERIFY(std::filesystem::is_empty(path() / "alone"));
}

void TestExportRun::cancelLeavesNothing()
{
    const RunResult run = made(specOf("int 4 sym 32"));
    for (const char* phase : {"plan", "write", "read back"}) {
        std::stop_source stop;
        const RunContext context(stop.get_token(), [&](const Progress& progress) {
            if (progress.phase == phase) {
                stop.request_stop();
            }
        });
        ExportOptions options = to("compressed-tensors");
        const auto folder = path() / "cancelled";
        std::filesystem::create_directories(folder);
        options.out = folder / "export";
        QVERIFY_EXCEPTION_THROWN(exportRun(run, nullptr, options, context), Cancelled);
        QVERIFY(std::filesystem::is_empty(folder));
    }
}

void TestExportRun::nothingIsReplaced()
{
    const RunResult run = made(specOf("int 4 sym 32"));
    const ExportOptions options = to("awq");
    std::filesystem::create_directory(options.out);
    QVERIFY(sentenceOf([&] { exported(run, options); }).find("is there already") !=
            std::string::npos);
    QVERIFY(std::filesystem::is_empty(options.out));
}

void TestExportRun::unknownOptions()
{
    const RunResult run = made(specOf("int 4 sym 32"));
    QVERIFY(sentenceOf([&] { exported(run, to("ggml")); }).find("cannot export to \"ggml\"") == 0);
    QVERIFY(sentenceOf([&] { exported(run, to("gptq", "f64")); }).find("dtype \"f64\"") == 0);
    ExportOptions options = to("gptq");
    options.gptqVersion = 3;
    QVERIFY(sentenceOf([&] { exported(run, options); }).find("no GPTQ version 3") !=
            std::string::npos);
    options = to("gptq");
    options.lora = "both";
    QVERIFY(sentenceOf([&] { exported(run, options); }).find("lora \"both\"") == 0);
}

void TestExportRun::damagedFileIsFound()
{
    // The reader sees one code that the writer did not mean.
    const RunResult run = made(specOf("int 4 sym 32"));
    const ExportOptions options = to("compressed-tensors");
    exported(run, options);
    const std::string name = "model.layers.0.self_attn.q_proj";
    const auto weight = [&] {
        return readFolder(options.out, false)->linearWeight(name, 256, 256);
    };
    const at::Tensor before = weight();
    const SafetensorsFile file(options.out / "model.safetensors");
    const TensorEntry& entry = file.entries().at(name + ".weight_packed");
    std::fstream bytes(options.out / "model.safetensors",
                       std::ios::binary | std::ios::in | std::ios::out);
    bytes.seekg(static_cast<std::streamoff>(entry.offset));
    const char first = static_cast<char>(bytes.get());
    bytes.seekp(static_cast<std::streamoff>(entry.offset));
    bytes.put(static_cast<char>(first ^ 1));
    bytes.close();
    QCOMPARE(weight().ne(before).sum().item<std::int64_t>(), std::int64_t{1});
}

QTEST_GUILESS_MAIN(TestExportRun)
#include "tst_export_run.moc"
