#include <QTemporaryDir>
#include <QtTest>

#include <ATen/core/Tensor.h>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"
#include "engine_export.h"
#include "export/gguf_file.h"
#include "export/gguf_model.h"
#include "export/gguf_original.h"
#include "model/checkpoint.h"
#include "model/tokenizer.h"
#include "run/artifact.h"
#include "support/tensor_exports.h"
#include "support/tensor_model_files.h"

using namespace qw;
using test::differingLayer;
using test::sentenceOf;

namespace {
const std::filesystem::path kGolden = QW_GOLDEN_DIR;

/// What a reader makes of metadata alone.
GgufSource metadataFile(const std::filesystem::path& file, const GgufMetadata& metadata)
{
    GgufWriter writer(file, metadata, {});
    writer.finish();
    return GgufSource(file);
}
} // namespace

/// GGUF files whose model is not at hand: config.json, tokenizer.json and weights come from them.
class TestGgufOriginal : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase();
    void models_data();
    void models();
    void measuredAsTheRun();
    void stretchedRotations();
    void tokenizers_data();
    void tokenizers();
    void unknownTokenizers_data();
    void unknownTokenizers();
    void otherModels_data();
    void otherModels();
    void unknownModels_data();
    void unknownModels();

private:
    std::filesystem::path path() const { return m_folder.path().toStdString(); }
    /// A run of a golden model, changed before, and its export. GGUF has no blocks for rows of 40
    /// and 48: these layers stay plain.
    std::pair<RunResult, std::filesystem::path>
    ofGolden(const QString& name, const std::function<void(Json&)>& change = {})
    {
        const auto folder = m_bench->freshPath();
        std::filesystem::copy(kGolden / "models" / name.toStdString(), folder);
        test::writeBytes(folder / "tokenizer.json", test::smallTokenizer());
        if (change) {
            Json config = readJsonFile(folder / "config.json");
            change(config);
            test::writeBytes(folder / "config.json", config.dump());
        }
        RunSpec spec = m_bench->spec("int 4 sym channel");
        spec.model = folder.string();
        spec.overrides = {{"(o|down)_proj|4h_to_h", {}, {}, {}, true}};
        const RunResult run = m_bench->made(spec);
        return {run, m_bench->exported(run, "gguf")};
    }
    ImportOptions alone(const std::filesystem::path& file) const
    {
        ImportOptions options = m_bench->from(file);
        options.model.clear();
        return options;
    }

    QTemporaryDir m_folder;
    std::optional<test::ExportBench> m_bench;
};

void TestGgufOriginal::initTestCase()
{
    startEngine(1);
    m_bench.emplace(path());
}

void TestGgufOriginal::models_data()
{
    QTest::addColumn<QString>("model");
    for (const char* model :
         {"gpt2", "neox_parallel", "neox_sequential", "qwen2_window", "qwen3",
          "llama_bias_head_dim", "llama_tied_bf16", "llama_linear", "mistral_window"}) {
        QTest::newRow(model) << model;
    }
}

void TestGgufOriginal::models()
{
    QFETCH(QString, model);
    const auto [run, file] = ofGolden(model);
    const RunResult back = m_bench->imported(alone(file));
    QCOMPARE(differingLayer(run, back), std::string());
    const Checkpoint original(run.spec.model);
    const Checkpoint written(back.spec.model);
    const ModelConfig& ours = original.config();
    const ModelConfig& theirs = written.config();
    QCOMPARE(ggufArchitecture(theirs), ggufArchitecture(ours));
    QCOMPARE(theirs.hidden, ours.hidden);
    QCOMPARE(theirs.headDim, ours.headDim);
    QCOMPARE(theirs.kvHeads, ours.kvHeads);
    QCOMPARE(theirs.maxPositions, ours.maxPositions);
    QCOMPARE(theirs.normEps, ours.normEps);
    QCOMPARE(theirs.rope.theta, ours.rope.theta);
    QCOMPARE(theirs.rope.type, ours.rope.type);
    QCOMPARE(theirs.rope.factor, ours.rope.factor);
    QCOMPARE(theirs.rope.rotaryDims, ours.rope.rotaryDims);
    QCOMPARE(theirs.tiedEmbeddings, ours.tiedEmbeddings);
    QCOMPARE(theirs.qkvBias, ours.qkvBias);
    QCOMPARE(theirs.attentionOutBias, ours.attentionOutBias);
    QCOMPARE(theirs.parallelResidual, ours.parallelResidual);
    QCOMPARE(theirs.mlp, ours.mlp);
    // Biases, norms and embeddings: nothing of the file differs from the model made of it, and a
    // layer that was kept is the original's.
    const ArtifactFolder artifact(back.artifactFolder, "");
    QVERIFY(artifact.readModel().replaced.empty() && artifact.readBlock(0).replaced.empty());
    const LinearInfo last = original.linears().back();
    QVERIFY(model == "gpt2" ||
            written.linearWeight(last).equal(original.linearWeight(last).to(at::kFloat)));
}

void TestGgufOriginal::measuredAsTheRun()
{
    test::writeBytes(path() / "text.txt", std::string(400, 'x') + " and so on, and so on. ");
    for (const char* model : {"gpt2", "neox_parallel", "qwen3", "llama_bias_head_dim"}) {
        const auto [run, file] = ofGolden(model);
        ImportOptions options = alone(file);
        options.evaluation.text = (path() / "text.txt").string();
        options.evaluation.seqlen = 32;
        options.evaluation.windows = 4;
        const RunResult back = m_bench->imported(options);
        const EvaluationResult own =
            evaluateModel(run.spec.model, &run, options.evaluation, "cpu", {});
        QVERIFY2(std::abs(back.score.nll - own.score.nll) < 1e-6, model);
        QVERIFY(std::abs(back.comparison.klMean) < 1e-9);
        QVERIFY(std::any_of(back.substitutions.begin(), back.substitutions.end(),
                            [](const std::string& said) {
                                return said.find("is not known") != std::string::npos;
                            }));
    }
}

/// Llama 3's settings are found in the tensor that files hold instead of them.
void TestGgufOriginal::stretchedRotations()
{
    const auto stretched = [](double factor, int original) {
        return [=](Json& config) {
            config.erase("rope_scaling");
            config.erase("rope_parameters");
            config["rope_theta"] = 500000.0;
            config["rope_scaling"] = {{"rope_type", "llama3"},
                                      {"factor", factor},
                                      {"low_freq_factor", 1.0},
                                      {"high_freq_factor", 4.0},
                                      {"original_max_position_embeddings", original}};
        };
    };
    const auto [run, file] = ofGolden("llama_bias_head_dim", stretched(8, 8192));
    const RunResult back = m_bench->imported(alone(file));
    const RopeSettings rope = Checkpoint(back.spec.model).config().rope;
    QCOMPARE(rope.type, std::string("llama3"));
    QCOMPARE(rope.factor, 8.0);
    QCOMPARE(rope.originalMaxPositions, std::int64_t{8192});
    QCOMPARE(rope.theta, 500000.0);
    ImportOptions beside = alone(file);
    beside.model = run.spec.model;
    m_bench->imported(beside);
    // Of another stretching, only the model itself says how it was meant.
    const auto [other, otherFile] = ofGolden("llama_bias_head_dim", stretched(4, 256));
    QVERIFY(sentenceOf([&, source = otherFile] {
                m_bench->imported(alone(source));
            }).find("in another way than Llama 3") != std::string::npos);
    beside.source = otherFile;
    QVERIFY(sentenceOf([&] { m_bench->imported(beside); }).find("otherwise than the model") !=
            std::string::npos);
    beside.model = other.spec.model;
    m_bench->imported(beside);
}

void TestGgufOriginal::tokenizers_data()
{
    QTest::addColumn<QString>("name");
    for (const char* name : {"gpt2", "llama3", "qwen2", "llama2"}) {
        QTest::newRow(name) << name;
    }
}

/// tokenizer.json goes into a file and comes back: texts get the same ids.
void TestGgufOriginal::tokenizers()
{
    QFETCH(QString, name);
    const auto folder = m_bench->freshPath();
    std::filesystem::create_directories(folder / "back");
    std::filesystem::copy(kGolden / "tokenizers" / (name.toStdString() + ".json"),
                          folder / "tokenizer.json");
    test::writeBytes(folder / "tokenizer_config.json",
                     R"({"bos_token": "<s>", "chat_template": "{{ messages }}"})");
    const Tokenizer own = Tokenizer::fromFolder(folder);
    ModelConfig config;
    config.vocabSize = own.vocabSize() + 3; // rows without a token
    const GgufSource file = metadataFile(folder / "x.gguf", ggufTokenizer(folder, config));
    QCOMPARE(writeGgufTokenizer(file, folder / "back"), std::string());
    const Tokenizer back = Tokenizer::fromFolder(folder / "back");
    QCOMPARE(back.vocabSize(), own.vocabSize());
    for (const Json& text : readJsonFile(kGolden / "tokenizers" / "texts.json")) {
        const auto line = text.get<std::string>();
        QVERIFY2(back.encode(line) == own.encode(line), line.c_str());
        QCOMPARE(back.decode(own.encode(line)), own.decode(own.encode(line)));
    }
    const Json named = readJsonFile(folder / "back" / "tokenizer_config.json");
    QCOMPARE(named["chat_template"], Json("{{ messages }}"));
    QVERIFY(named.contains("bos_token") && named.contains("eos_token"));
}

void TestGgufOriginal::unknownTokenizers_data()
{
    QTest::addColumn<QString>("model");
    QTest::addColumn<QString>("pre");
    QTest::addColumn<QString>("sentence");
    QTest::newRow("none") << "no_vocab"
                          << ""
                          << "has no tokenizer";
    QTest::newRow("another kind") << "t5"
                                  << ""
                                  << "of a kind that is not known here (\"t5\")";
    QTest::newRow("another splitter") << "gpt2"
                                      << "deepseek-llm"
                                      << "not known here (\"deepseek";
}

void TestGgufOriginal::unknownTokenizers()
{
    QFETCH(QString, model);
    QFETCH(QString, pre);
    QFETCH(QString, sentence);
    const auto folder = m_bench->freshPath();
    std::filesystem::create_directories(folder);
    const GgufSource file =
        metadataFile(folder / "x.gguf", {{"tokenizer.ggml.model", model.toStdString()},
                                         {"tokenizer.ggml.pre", pre.toStdString()},
                                         {"tokenizer.ggml.tokens", std::vector<std::string>{"a"}}});
    const std::string problem = writeGgufTokenizer(file, folder);
    QVERIFY2(problem.find(sentence.toStdString()) != std::string::npos, problem.c_str());
    QVERIFY(!std::filesystem::exists(folder / "tokenizer.json"));
}

void TestGgufOriginal::otherModels_data()
{
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("value");
    QTest::addColumn<QString>("sentence");
    const auto row = [](const char* key, const char* value, const char* sentence) {
        QTest::newRow(key) << key << value << sentence;
    };
    row("rope_theta", "20000.0", "its rotary base is 10000, that of the model 20000");
    row("rms_norm_eps", "0.0001", "its norms' epsilon is 1e-05, that of the model 0.0001");
    row("rope_scaling", R"({"type": "linear", "factor": 2.0})",
        "its scaling of rotary positions is 1, that of the model 2");
    row("num_key_value_heads", "1", "its number of key-value heads is");
    row("model_type", "\"qwen2\"", "holds a llama model, the model given is of type qwen2");
}

/// A file beside a model that is not the one it was made of.
void TestGgufOriginal::otherModels()
{
    QFETCH(QString, key);
    QFETCH(QString, value);
    QFETCH(QString, sentence);
    const RunResult run = m_bench->made(m_bench->spec("int 4 sym 32"));
    const auto file = m_bench->exported(run, "gguf");
    Json config = readJsonFile(m_bench->model() / "config.json");
    config[key.toStdString()] = Json::parse(value.toStdString());
    const ModelConfig other = parseModelConfig(config, "model");
    GgufSource source(file);
    const std::string said = sentenceOf([&] { requireSameModel(source, other); });
    QVERIFY2(said.find(sentence.toStdString()) != std::string::npos, said.c_str());
}

void TestGgufOriginal::unknownModels_data()
{
    QTest::addColumn<QString>("arch");
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("sentence");
    QTest::newRow("architecture") << "falcon"
                                  << "x"
                                  << "holds a \"falcon\" model; supported: llama";
    QTest::newRow("experts") << "llama"
                             << "llama.expert_count"
                             << "is a mixture of experts";
    QTest::newRow("scaling") << "llama"
                             << "llama.rope.scaling.type"
                             << "by \"yarn\"";
    QTest::newRow("part of a head") << "llama"
                                    << "llama.rope.dimension_count"
                                    << "rotates 8";
}

void TestGgufOriginal::unknownModels()
{
    QFETCH(QString, arch);
    QFETCH(QString, key);
    QFETCH(QString, sentence);
    GgufMetadata metadata{{"general.architecture", arch.toStdString()}};
    for (const char* number :
         {"embedding_length", "feed_forward_length", "block_count", "context_length"}) {
        metadata.emplace_back(arch.toStdString() + "." + number, std::uint32_t{64});
    }
    metadata.emplace_back(arch.toStdString() + ".attention.head_count", std::uint32_t{4});
    metadata.emplace_back(arch.toStdString() + ".attention.layer_norm_rms_epsilon", 1e-5F);
    if (key.endsWith("type")) {
        metadata.emplace_back(key.toStdString(), std::string("yarn"));
    } else {
        metadata.emplace_back(key.toStdString(), std::uint32_t{8});
    }
    const GgufSource file = metadataFile(m_bench->freshPath(), metadata);
    const std::string said = sentenceOf([&] { ggufConfig(file); });
    QVERIFY2(said.find(sentence.toStdString()) != std::string::npos, said.c_str());
}

QTEST_GUILESS_MAIN(TestGgufOriginal)
#include "tst_gguf_original.moc"
