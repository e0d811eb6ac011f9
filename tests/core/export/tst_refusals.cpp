#include <QTemporaryDir>
#include <QtTest>

#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <functional>

#include "base/json_io.h"
#include "export/gguf_model.h"
#include "export/target_plan.h"
#include "support/tensor_model_files.h"

using namespace qw;
using test::sentenceOf;

namespace {
using Change = std::function<void(RunFacts&, ExportOptions&)>;

ModelConfig goldenConfig(const std::string& model, const std::function<void(Json&)>& change = {})
{
    Json config =
        readJsonFile(std::filesystem::path(QW_GOLDEN_DIR) / "models" / model / "config.json");
    if (change) {
        change(config);
    }
    return parseModelConfig(config, model);
}

/// Two layers that every target holds.
RunFacts plainFacts()
{
    RunFacts facts;
    facts.config = goldenConfig("llama");
    for (const char* name : {"a.q_proj", "a.down_proj"}) {
        LayerFacts layer;
        layer.info.name = name;
        layer.info.out = 128;
        layer.info.in = 256;
        layer.format.bits = 4;
        layer.format.sym = true;
        layer.format.groupSize = 32;
        layer.group = 32;
        facts.layers.push_back(layer);
    }
    return facts;
}

QuantizedLinear layerOf(std::int64_t in, std::int64_t group, float scale = 1)
{
    QuantizedLinear linear;
    linear.name = "m";
    linear.out = 2;
    linear.in = in;
    linear.format.bits = 4;
    linear.format.sym = true;
    linear.format.groupSize = group;
    linear.codes = at::ones({2, in}, at::kChar);
    linear.scale = at::full({2, group > 0 ? (in + group - 1) / group : 1}, scale);
    return linear;
}
} // namespace

Q_DECLARE_METATYPE(Change)

/// What no target can hold is refused with the layer, the reason and the nearest target.
class TestRefusals : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void targets_data();
    void targets();
    void plainFactsFitAll();
    void ggufArchitectures_data();
    void ggufArchitectures();
    void ggufLayers();
    void ggufTokenizers_data();
    void ggufTokenizers();
};

void TestRefusals::targets_data()
{
    QTest::addColumn<QString>("target");
    QTest::addColumn<Change>("change");
    QTest::addColumn<QString>("sentence");
    QTest::addColumn<QString>("nearest");
    const auto row = [](const char* target, const char* name, const Change& change,
                        const char* sentence, const char* nearest) {
        QTest::addRow("%s: %s", target, name) << target << change << sentence << nearest;
    };
    const auto model = [](const char* type) {
        return [type](RunFacts& facts, ExportOptions&) { facts.config = goldenConfig(type); };
    };
    const auto second = [](const std::function<void(LayerFacts&)>& change) {
        return [change](RunFacts& facts, ExportOptions&) { change(facts.layers[1]); };
    };
    const Change kept = second([](LayerFacts& layer) { layer.quantized = false; });
    const Change narrow = second([](LayerFacts& layer) { layer.info.out = 100; });
    const Change ordered = second([](LayerFacts& layer) {
        layer.orderProblem = "a.down_proj: its columns are grouped out of order (act-order)";
        layer.group = 64;
    });
    const Change alike = second([](LayerFacts& layer) {
        layer.orderProblem = "a.down_proj: its columns are grouped out of order (act-order)";
    });
    const Change uneven = second([](LayerFacts& layer) {
        layer.problem = "a.down_proj: in_features 256 is not a multiple of its blocks of 48";
    });
    const Change merged = [](RunFacts& facts, ExportOptions& options) {
        facts.rank = facts.layers[0].rank = 4;
        options.lora = "merge";
    };
    row("gptq", "GPT-2", model("gpt2"), "transformers cannot load GPTQ codes into GPT-2's layers",
        "safetensors");
    row("awq", "GPT-2", model("gpt2"), "AWQ's layers cannot stand in for GPT-2's", "safetensors");
    row("compressed-tensors", "GPT-2", model("gpt2"), "that compressed-tensors cannot name",
        "safetensors");
    row("gguf", "OPT", model("opt"), "OPT is not supported by llama.cpp", "compressed-tensors");
    row("gguf", "GPT-2 of another scale", model("gpt2_inverse_layer"),
        "llama.cpp scales GPT-2's attention in the usual way only", "safetensors");
    for (const char* target : {"compressed-tensors", "gptq", "awq"}) {
        row(target, "merged", merged, "codes cannot take up the low-rank correction",
            "safetensors");
        row(target, "uneven blocks", uneven, "a.down_proj: in_features 256 is not a multiple of",
            "safetensors");
    }
    for (const char* target : {"compressed-tensors", "awq"}) {
        row(target, "out of order", alike, "a.down_proj: its columns are grouped out of order",
            "gptq");
        row(target, "two orders", ordered, "a.down_proj: its columns are grouped out of order",
            "safetensors");
    }
    row("gptq", "two orders", ordered, "in groups of 64, and all layers need groups of 32",
        "safetensors");
    row("gptq", "a kept layer", kept, "a.down_proj: was left as it is, and a GPTQ checkpoint holds",
        "compressed-tensors");
    row("gptq", "rows", narrow, "a.down_proj: 100 x 256 is not a multiple of 32 both ways",
        "compressed-tensors");
    row("gptq", "zero point 0", second([](LayerFacts& layer) { layer.format.sym = false; }),
        "a.down_proj: has a zero point 0, which version 1 of GPTQ cannot hold",
        "compressed-tensors");
    row("awq", "rows", narrow, "a.down_proj: out_features 100 is not a multiple of 32",
        "compressed-tensors");
    row("awq", "8 bits", second([](LayerFacts& layer) { layer.format.bits = 8; }),
        "a.down_proj: 8-bit codes, AWQ has 4 bits only", "compressed-tensors");
    row("awq", "narrow groups", second([](LayerFacts& layer) { layer.group = 16; }),
        "AWQ's kernels need a multiple of 32", "compressed-tensors");
    row(
        "awq", "whole rows",
        [](RunFacts& facts, ExportOptions&) {
            for (LayerFacts& layer : facts.layers) {
                layer.group = layer.info.in = 192;
            }
        },
        "a.q_proj: in_features 192 is not a multiple of 128; AWQ has no scales for whole rows",
        "compressed-tensors");
    row("gguf", "blocks", second([](LayerFacts& layer) { layer.gguf.problem = "a.down_proj: no"; }),
        "a.down_proj: no", "compressed-tensors");
    row("gguf", "uneven blocks", second([](LayerFacts& layer) {
            layer.problem = layer.gguf.problem = "a.down_proj: in_features 256 is no multiple";
        }),
        "a.down_proj: in_features 256 is no multiple", "safetensors");
    row(
        "gguf", "tokenizer",
        [](RunFacts& facts, ExportOptions&) {
            facts.ggufTokenizerProblem = "tokenizer.json: llama.cpp has no splitter";
        },
        "tokenizer.json: llama.cpp has no splitter; choose compressed-tensors",
        "compressed-tensors");
    row("peft", "merged", merged, "an adapter is what a merged correction is not", "safetensors");
    row(
        "peft", "no correction", [](RunFacts&, ExportOptions&) {}, "no low-rank correction",
        "safetensors");
}

void TestRefusals::targets()
{
    QFETCH(QString, target);
    QFETCH(Change, change);
    QFETCH(QString, sentence);
    QFETCH(QString, nearest);
    RunFacts facts = plainFacts();
    ExportOptions options;
    options.target = target.toStdString();
    change(facts, options);
    const ExportPlan plan = planTarget(facts, options).shown;
    QVERIFY(!plan.possible && !plan.lossless);
    QVERIFY2(plan.refusal.find(sentence.toStdString()) != std::string::npos, plan.refusal.c_str());
    QCOMPARE(QString::fromStdString(plan.nearest), nearest);
    // The nearest can hold it.
    options.target = plan.nearest;
    options.lora.clear();
    QVERIFY(planTarget(facts, options).shown.possible);
}

void TestRefusals::plainFactsFitAll()
{
    for (const char* target : {"compressed-tensors", "gptq", "awq", "gguf", "safetensors"}) {
        ExportOptions options;
        options.target = target;
        QVERIFY2(planTarget(plainFacts(), options).shown.possible, target);
    }
}

void TestRefusals::ggufArchitectures_data()
{
    QTest::addColumn<QString>("model");
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("value");
    QTest::addColumn<QString>("sentence");
    const auto row = [](const char* model, const char* key, const char* value,
                        const char* sentence) {
        QTest::addRow("%s, %s", model, key) << model << key << value << sentence;
    };
    row("llama_dynamic", "x", "0", "llama.cpp has no dynamic scaling of rotary positions");
    row("qwen3", "attention_bias", "true", "llama.cpp has no biases in Qwen3's attention");
    row("qwen2_window", "head_dim", "4", "llama.cpp needs Qwen2's heads to fill the hidden size");
    row("gpt2", "scale_attn_weights", "false", "llama.cpp scales GPT-2's attention in the usual");
    row("gpt2", "activation_function", "\"relu\"", "llama.cpp has no ReLU in this architecture");
}

void TestRefusals::ggufArchitectures()
{
    QFETCH(QString, model);
    QFETCH(QString, key);
    QFETCH(QString, value);
    QFETCH(QString, sentence);
    QCOMPARE(ggufProblem(goldenConfig("llama")), std::string());
    const ModelConfig config = goldenConfig(model.toStdString(), [&](Json& json) {
        json[key.toStdString()] = Json::parse(value.toStdString());
    });
    const std::string problem = ggufProblem(config);
    QVERIFY2(problem.find(sentence.toStdString()) == 0, problem.c_str());
}

/// Codes that no block type holds.
void TestRefusals::ggufLayers()
{
    const auto problem = [](const QuantizedLinear& linear) { return ggufStorage(linear).problem; };
    const auto begins = [](const std::string& text, const char* start) {
        return text.rfind(start, 0) == 0;
    };
    QCOMPARE(problem(layerOf(64, 32)), std::string());
    QVERIFY(begins(problem(layerOf(40, 0)), "m: in_features 40 is not a multiple of 32"));
    QVERIFY(begins(problem(layerOf(96, 64)), "m: in_features 96 is not a multiple of its blocks"));
    QVERIFY(begins(problem(layerOf(64, 16)), "m: a scale for 16 columns"));
    QuantizedLinear ordered = layerOf(64, 32);
    ordered.groupIndex = at::zeros({64}, at::kInt);
    QVERIFY(begins(problem(ordered), "m: its columns are grouped out of order"));
    QuantizedLinear mx = layerOf(32, 16);
    mx.format.kind = WeightFormat::Kind::Mx;
    mx.exponents = at::full({2, 2}, -40, at::kShort);
    QVERIFY(begins(problem(mx), "m: its blocks have steps that are no half floats"));
    mx.exponents = at::tensor({0, 10, 0, 10}, at::kShort).view({2, 2});
    QVERIFY(begins(problem(mx), "m: the exponents of its blocks of 16 lie too far apart"));
}

void TestRefusals::ggufTokenizers_data()
{
    QTest::addColumn<QString>("from");
    QTest::addColumn<QString>("to");
    QTest::addColumn<int>("rows");
    QTest::addColumn<QString>("sentence");
    QTest::newRow("another splitter")
        << "\"use_regex\":true"
        << "\"use_regex\":false" << 96 << "llama.cpp has no splitter for its regular expression";
    QTest::newRow("more tokens than rows") << ""
                                           << "" << 90 << "has no row in the embedding of 90";
    QTest::newRow("a token twice") << "<|end|>"
                                   << "[PAD96]" << 97 << "token \"[PAD96]\" is there twice";
}

void TestRefusals::ggufTokenizers()
{
    QFETCH(QString, from);
    QFETCH(QString, to);
    QFETCH(int, rows);
    QFETCH(QString, sentence);
    QTemporaryDir folder;
    const std::filesystem::path path(folder.path().toStdString());
    QString tokenizer = QString::fromStdString(test::smallTokenizer());
    if (!from.isEmpty()) {
        QVERIFY(tokenizer.contains(from));
        tokenizer.replace(from, to);
    }
    test::writeBytes(path / "tokenizer.json", tokenizer.toStdString());
    ModelConfig config;
    config.vocabSize = rows;
    const std::string said = sentenceOf([&] { ggufTokenizer(path, config); });
    QVERIFY2(said.find(sentence.toStdString()) != std::string::npos, said.c_str());
}

QTEST_GUILESS_MAIN(TestRefusals)
#include "tst_refusals.moc"
