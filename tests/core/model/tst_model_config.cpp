#include "model/model_config.h"

#include <QtTest>

#include "support/tensor_model_files.h"

using namespace qw;

class TestModelConfig : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void defaults_data();
    void defaults();
    void ropeTheta_data();
    void ropeTheta();
    void refused_data();
    void refused();
};

/// Class defaults of transformers' configuration classes.
void TestModelConfig::defaults_data()
{
    QTest::addColumn<QString>("type");
    QTest::addColumn<qint64>("vocab");
    QTest::addColumn<qint64>("intermediate");
    QTest::addColumn<qint64>("kvHeads");
    QTest::addColumn<qint64>("headDim");
    QTest::addColumn<bool>("tied");
    QTest::addColumn<bool>("qkvBias");
    QTest::addColumn<bool>("outBias");
    const auto row = [](const char* type, qint64 vocab, qint64 mlp, qint64 kv, qint64 head,
                        bool tied, bool qkv, bool out) {
        QTest::newRow(type) << QString(type) << vocab << mlp << kv << head << tied << qkv << out;
    };
    row("llama", 32000, 11008, 32, 128, false, false, false);
    row("mistral", 32000, 14336, 8, 128, false, false, false);
    row("qwen2", 151936, 22016, 32, 128, false, true, false);
    row("qwen3", 151936, 22016, 32, 128, false, false, false);
    row("opt", 50272, 3072, 12, 64, true, true, true);
    row("gpt2", 50257, 3072, 12, 64, true, true, true);
    row("gpt_neox", 50432, 24576, 64, 96, false, true, true);
}

void TestModelConfig::defaults()
{
    QFETCH(QString, type);
    const ModelConfig config = parseModelConfig({{"model_type", type.toStdString()}}, "config");
    QTEST(qint64(config.vocabSize), "vocab");
    QTEST(qint64(config.intermediate), "intermediate");
    QTEST(qint64(config.kvHeads), "kvHeads");
    QTEST(qint64(config.headDim), "headDim");
    QTEST(config.tiedEmbeddings, "tied");
    QTEST(config.qkvBias, "qkvBias");
    QTEST(config.attentionOutBias, "outBias");
}

void TestModelConfig::ropeTheta_data()
{
    QTest::addColumn<QString>("json");
    QTest::addColumn<double>("theta");
    QTest::addColumn<qint64>("dims");
    for (const char* type : {"llama", "mistral", "qwen2", "qwen3"}) {
        const QString start = QString(R"({"model_type":"%1",)").arg(type);
        QTest::addRow("%s v4", type) << start + R"("rope_theta":500000})" << 5e5 << qint64(128);
        QTest::addRow("%s v5", type)
            << start + R"("rope_parameters":{"rope_type":"default","rope_theta":500000}})" << 5e5
            << qint64(128);
    }
    QTest::newRow("gpt_neox v4")
        << R"({"model_type":"gpt_neox","rotary_emb_base":20000,"rotary_pct":0.5})" << 2e4
        << qint64(48);
    QTest::newRow("gpt_neox v5") << R"({"model_type":"gpt_neox","rope_parameters":
        {"rope_theta":20000,"partial_rotary_factor":0.5}})"
                                 << 2e4 << qint64(48);
}

void TestModelConfig::ropeTheta()
{
    QFETCH(QString, json);
    const ModelConfig config = parseModelConfig(parseJson(json.toStdString(), "config"), "config");
    QTEST(config.rope.theta, "theta");
    QTEST(qint64(config.rope.rotaryDims), "dims");
}

void TestModelConfig::refused_data()
{
    QTest::addColumn<QString>("json");
    QTest::addColumn<QString>("expected");
    QTest::newRow("unknown") << R"({"model_type":"phi3"})"
                             << "model_type \"phi3\"";
    QTest::newRow("quantized") << R"({"model_type":"llama","quantization_config":{"bits":4}})"
                               << "quantization_config";
    QTest::newRow("yarn v4") << R"({"model_type":"llama","rope_scaling":{"type":"yarn"}})"
                             << "\"yarn\"";
    QTest::newRow("longrope v5")
        << R"({"model_type":"llama","rope_parameters":{"rope_type":"longrope"}})"
        << "\"longrope\"";
    QTest::newRow("giant") << R"({"model_type":"opt","hidden_size":2147483648})"
                           << "hidden_size";
    QTest::newRow("negative") << R"({"model_type":"gpt2","n_layer":-1})"
                              << "n_layer";
    QTest::newRow("uneven heads") << R"({"model_type":"llama","num_key_value_heads":5})"
                                  << "cannot share";
    QTest::newRow("activation") << R"({"model_type":"llama","hidden_act":"gelu"})"
                                << "hidden_act";
}

void TestModelConfig::refused()
{
    QFETCH(QString, json);
    QFETCH(QString, expected);
    const Json config = parseJson(json.toStdString(), "config");
    const std::string said = test::sentenceOf([&] { parseModelConfig(config, "config.json"); });
    QVERIFY2(QString::fromStdString(said).contains(expected), said.c_str());
}

QTEST_GUILESS_MAIN(TestModelConfig)
#include "tst_model_config.moc"
