#include <QTemporaryDir>
#include <QtTest>

#include <fstream>

#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"
#include "engine_export.h"
#include "export/encode.h"
#include "export/export_files.h"
#include "export/gguf_folder.h"
#include "export/verify.h"
#include "model/safetensors.h"
#include "support/tensor_exports.h"
#include "support/tensor_model_files.h"

using namespace qw;
using test::sentenceOf;

namespace {
/// Turns one bit of a tensor in a safetensors file.
void turnBit(const std::filesystem::path& path, const std::string& tensor)
{
    std::uint64_t offset = 0;
    {
        const SafetensorsFile file(path);
        offset = static_cast<std::uint64_t>(file.entries().at(tensor).offset);
    }
    std::fstream bytes(path, std::ios::binary | std::ios::in | std::ios::out);
    bytes.seekg(static_cast<std::streamoff>(offset));
    const char first = static_cast<char>(bytes.get());
    bytes.seekp(static_cast<std::streamoff>(offset));
    bytes.put(static_cast<char>(first ^ 1));
}

void changeJson(const std::filesystem::path& file, const std::function<void(Json&)>& change)
{
    Json json = readJsonFile(file);
    change(json);
    test::writeBytes(file, json.dump());
}
} // namespace

/// What lies in the files beside codes, and that nothing else passes for what was meant.
class TestExportFiles : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase();
    void damageIsFound_data();
    void damageIsFound();
    void otherMetadataIsFound();
    void companionsComeAlong();
    void transposedLayersAreSaid();
    void neoxHasScalesForAwq();
    void adaptersOfAnotherScale();
    void spaceIsAsked();
    void unusualGroupsAreSaid();

private:
    std::filesystem::path path() const { return m_folder.path().toStdString(); }
    RunResult corrected(const std::string& model = {}) const
    {
        RunSpec spec = m_bench->spec("int 4 sym 32");
        spec.method = "lqer";
        spec.lowRank.rank = 2;
        if (!model.empty()) {
            spec.model = model;
            spec.weight.groupSize = kPerChannel;
        }
        return m_bench->made(spec);
    }
    std::string goldenModel(const std::string& name)
    {
        const auto folder = m_bench->freshPath();
        std::filesystem::copy(std::filesystem::path(QW_GOLDEN_DIR) / "models" / name, folder);
        test::writeBytes(folder / "tokenizer.json", test::smallTokenizer());
        return folder.string();
    }

    QTemporaryDir m_folder;
    std::optional<test::ExportBench> m_bench;
};

void TestExportFiles::initTestCase()
{
    startEngine(1);
    m_bench.emplace(path());
}

void TestExportFiles::damageIsFound_data()
{
    QTest::addColumn<QString>("target");
    QTest::addColumn<QString>("tensor");
    QTest::addColumn<QString>("sentence");
    const QString layer = "model.layers.1.mlp.up_proj";
    const QString other = "does not read back as what was meant";
    const auto row = [&](const char* target, const QString& tensor, const QString& sentence) {
        QTest::addRow("%s, %s", target, qPrintable(tensor)) << target << tensor << sentence;
    };
    row("compressed-tensors", layer + ".weight_packed", layer + ": what was written " + other);
    row("compressed-tensors", layer + ".weight_scale", layer + ": what was written " + other);
    row("gptq", layer + ".qzeros", layer + ": what was written " + other);
    row("awq", layer + ".qweight", layer + ": what was written " + other);
    row("safetensors", layer + ".weight", layer + ": what was written " + other);
    row("safetensors", "model.norm.weight", "model.norm.weight: what was written " + other);
    row("safetensors", "more", "more: was written, but belongs to no layer");
    row("peft", "base_model.model." + layer + ".lora_B.weight",
        layer + ".B: what was written " + other);
}

/// Whatever is not what the plan says is found before an export gets its name.
void TestExportFiles::damageIsFound()
{
    QFETCH(QString, target);
    QFETCH(QString, tensor);
    QFETCH(QString, sentence);
    const RunResult run = corrected();
    const RunModel model(run, {});
    const RunFacts facts = gatherFacts(model, {});
    ExportOptions options;
    options.target = target.toStdString();
    options.dtype = "f32";
    options.lora = "separate";
    const TargetPlan plan = planTarget(facts, options);
    const auto folder = m_bench->freshPath();
    std::filesystem::create_directory(folder);
    writeExport(model, facts, plan, folder, "", {});
    const auto verify = [&] {
        const ExportedFiles files = readExport(facts, plan, folder);
        verifyExport(model, plan, files.base.get(), files.adapter.get(), {});
    };
    QCOMPARE(sentenceOf(verify), std::string());
    const auto file =
        folder / (target == "peft" ? "adapter_model.safetensors" : "model.safetensors");
    if (tensor == "more") {
        std::map<std::string, at::Tensor> all;
        {
            const SafetensorsFile from(file);
            for (const auto& [name, entry] : from.entries()) {
                all[name] = from.borrow(name).clone();
            }
        }
        all["more"] = at::ones({1});
        writeSafetensors(file, all);
    } else {
        turnBit(file, tensor.toStdString());
    }
    const std::string said = sentenceOf(verify);
    QVERIFY2(said.find(sentence.toStdString()) == 0, said.c_str());
}

/// The same of a GGUF file's settings, which are no tensors.
void TestExportFiles::otherMetadataIsFound()
{
    const RunResult run = corrected();
    const RunModel model(run, {});
    RunFacts facts = gatherFacts(model, {});
    ExportOptions options;
    options.target = "gguf";
    const TargetPlan plan = planTarget(facts, options);
    const auto folder = m_bench->freshPath();
    std::filesystem::create_directory(folder);
    RunFacts wrong = facts;
    wrong.config.rope.theta *= 2;
    writeExport(model, wrong, plan, folder, "", {});
    QVERIFY(sentenceOf([&] { readExport(facts, plan, folder); }).find("its rotary base is") !=
            std::string::npos);
}

void TestExportFiles::companionsComeAlong()
{
    const std::string model = goldenModel("llama_bias_head_dim");
    for (const char* name : {"generation_config.json", "tokenizer_config.json",
                             "special_tokens_map.json", "tokenizer.model", "vocab.json",
                             "merges.txt", "chat_template.jinja", "pytorch_model.bin"}) {
        test::writeBytes(std::filesystem::path(model) / name, "{}");
    }
    RunSpec spec = m_bench->spec("int 4 sym channel");
    spec.model = model;
    const RunResult run = m_bench->made(spec);
    const auto folder = m_bench->exported(run, "safetensors", "bf16");
    for (const char* name : {"generation_config.json", "tokenizer.json", "tokenizer_config.json",
                             "special_tokens_map.json", "tokenizer.model", "vocab.json",
                             "merges.txt", "chat_template.jinja", "README.md"}) {
        QVERIFY2(std::filesystem::exists(folder / name), name);
    }
    QVERIFY(!std::filesystem::exists(folder / "pytorch_model.bin")); // a pickle
    const Json config = readJsonFile(folder / "config.json");
    QCOMPARE(config["dtype"], Json("bfloat16"));
    QCOMPARE(config["torch_dtype"], Json("bfloat16"));
    QVERIFY(!config.contains("quantization_config"));
    QCOMPARE(SafetensorsFile(folder / "model.safetensors").metadata().at("format"),
             std::string("pt"));
}

/// PEFT has to know that GPT-2's layers are [in, out].
void TestExportFiles::transposedLayersAreSaid()
{
    const auto flagOf = [&](const RunResult& run) {
        return readJsonFile(m_bench->exported(run, "peft") / "adapter_config.json")
            .at("fan_in_fan_out");
    };
    QCOMPARE(flagOf(corrected(goldenModel("gpt2"))), Json(true));
    QCOMPARE(flagOf(corrected()), Json(false));
}

/// Without them AWQ's clients compute NaN for GPT-NeoX.
void TestExportFiles::neoxHasScalesForAwq()
{
    RunResult run = corrected(goldenModel("neox_parallel"));
    const RunModel model(run, {});
    RunFacts facts = gatherFacts(model, {});
    TargetPlan plan;
    plan.shown.target = "awq";
    plan.dtype = at::kHalf;
    for (const LayerFacts& layer : facts.layers) {
        plan.layers[layer.info.name] = {4, layer.info.in, false};
    }
    const TensorMap tensors = encodePart(model.part(0), plan, model.config());
    const at::Tensor& scales = tensors.at("gpt_neox.layers.0.mlp.act.scales");
    QVERIFY(scales.equal(at::ones({model.config().intermediate}, at::kHalf)));
}

/// Adapters of other programs say by how much they count: alpha over rank.
void TestExportFiles::adaptersOfAnotherScale()
{
    const RunResult run = corrected();
    const std::string layer = "model.layers.0.mlp.up_proj";
    const auto peft = m_bench->exported(run, "peft");
    const at::Tensor b = readPeft(peft)->factors(layer).b;
    changeJson(peft / "adapter_config.json", [](Json& config) { config["lora_alpha"] = 3; });
    QVERIFY(readPeft(peft)->factors(layer).b.equal(b * 1.5));
    changeJson(peft / "adapter_config.json", [](Json& config) { config["use_rslora"] = true; });
    QVERIFY(sentenceOf([&] { readPeft(peft); }).find("\"use_rslora\" is not supported") !=
            std::string::npos);

    const auto gguf = m_bench->exported(run, "gguf").parent_path() / "adapter.gguf";
    const auto read = [&] { return readGgufAdapter(gguf, 4, 2)->factors(layer).b; };
    QVERIFY(read().equal(b));
    std::string bytes = readTextFile(gguf);
    const std::string key = "adapter.lora.alpha";
    const float alpha = 3;
    std::memcpy(bytes.data() + bytes.find(key) + key.size() + 4, &alpha, sizeof alpha);
    test::writeBytes(gguf, bytes);
    QVERIFY(read().equal(b * 1.5));
}

void TestExportFiles::spaceIsAsked()
{
    requireSpace(path(), 1, "the export takes");
    const std::string said =
        sentenceOf([&] { requireSpace(path(), std::int64_t{1} << 60, "the export takes"); });
    QVERIFY2(said.find(path().string() + ": the export takes 1152921504606 MB and ") == 0,
             said.c_str());
}

void TestExportFiles::unusualGroupsAreSaid()
{
    const auto said = [&](const char* weight, const char* target) {
        ExportOptions options;
        options.target = target;
        options.gptqVersion = 2;
        const ExportPlan plan = planExport(m_bench->made(m_bench->spec(weight)), options, {});
        return std::any_of(plan.notes.begin(), plan.notes.end(), [](const std::string& note) {
            return note.find("a scale for 16 columns: vLLM's fast kernels") == 0;
        });
    };
    for (const char* target : {"compressed-tensors", "gptq"}) {
        QVERIFY(said("int 4 sym 16", target));
        QVERIFY(!said("int 4 sym 128", target));
        QVERIFY(!said("int 4 sym channel", target));
    }
}

QTEST_GUILESS_MAIN(TestExportFiles)
#include "tst_export_files.moc"
