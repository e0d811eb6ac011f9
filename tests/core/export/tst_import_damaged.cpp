#include <QTemporaryDir>
#include <QtTest>

#include <cstring>
#include <functional>

#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"
#include "engine_export.h"
#include "engine_import.h"
#include "model/safetensors.h"
#include "store/run_store.h"
#include "support/tensor_model_files.h"

using namespace qw;

namespace {
const std::string kLayer = "model.layers.0.self_attn.q_proj";

using Tensors = std::map<std::string, at::Tensor>;
using Folder = std::filesystem::path;
using Damage = std::function<void(const Folder&)>;

Damage config(const std::function<void(Json&)>& change)
{
    return [change](const Folder& folder) {
        Json json = readJsonFile(folder / "config.json");
        change(json["quantization_config"]);
        test::writeBytes(folder / "config.json", json.dump());
    };
}

Damage tensors(const std::function<void(Tensors&)>& change)
{
    return [change](const Folder& folder) {
        Tensors all;
        {
            const SafetensorsFile file(folder / "model.safetensors");
            for (const auto& [name, entry] : file.entries()) {
                all[name] = file.borrow(name).clone();
            }
        }
        change(all);
        writeSafetensors(folder / "model.safetensors", all);
    };
}

/// Bytes of model.gguf.
Damage bytes(const std::function<void(std::string&)>& change)
{
    return [change](const Folder& folder) {
        std::string all = readTextFile(folder / "model.gguf");
        change(all);
        test::writeBytes(folder / "model.gguf", all);
    };
}

/// Overwrites what follows the first place of a text.
template <class Number>
void put(std::string& all, const std::string& after, std::size_t offset, Number value)
{
    const std::size_t at = all.find(after);
    if (at == std::string::npos) {
        throw std::runtime_error("no " + after);
    }
    std::memcpy(all.data() + at + after.size() + offset, &value, sizeof value);
}
} // namespace

Q_DECLARE_METATYPE(Damage)

/// Files that are not what they should be: each is refused with its own sentence and leaves
/// nothing behind.
class TestImportDamaged : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase();
    void refused_data();
    void refused();

private:
    std::filesystem::path path() const { return m_folder.path().toStdString(); }
    QTemporaryDir m_folder;
};

void TestImportDamaged::initTestCase()
{
    startEngine(1);
    RandomModelSpec shape = test::smallShape(1);
    shape.hidden = 128; // what GGUF's blocks divide
    shape.intermediate = 256;
    writeRandomModel(path() / "model", shape);
    RunSpec spec;
    spec.model = (path() / "model").string();
    spec.weight.groupSize = 32;
    RunStore store(path() / "runs.sqlite");
    RunOptions options;
    options.workFolder = path() / "work";
    spec.method = "lqer";
    spec.lowRank.rank = 2;
    const RunResult run = runQuantization(spec, store, options, {});
    for (const char* target : {"gptq", "awq", "compressed-tensors", "gguf"}) {
        ExportOptions wanted;
        wanted.target = target;
        wanted.gptqVersion = 2;
        wanted.out = path() / target;
        exportRun(run, nullptr, wanted, {});
    }
}

void TestImportDamaged::refused_data()
{
    QTest::addColumn<QString>("source");
    QTest::addColumn<Damage>("damage");
    QTest::addColumn<QString>("sentence");
    const auto row = [](const char* name, const char* source, const Damage& damage,
                        const char* sentence) {
        QTest::newRow(name) << source << damage << sentence;
    };
    const auto setting = [&](const char* name, const char* key, const Json& value,
                             const char* sentence) {
        row(name, "gptq", config([=](Json& json) { json[key] = value; }), sentence);
    };
    setting("no bits", "bits", nullptr, "says no \"bits\"");
    setting("bits that are a text", "bits", "4", "\"bits\" is \"4\", not a whole number in 2..8");
    setting("bits beyond words", "bits", std::int64_t{1} << 40, "\"bits\" is 1099511627776");
    setting("bits without a layout", "bits", 5, "packing of this many bits: 5 is not supported");
    setting("groups of nothing", "group_size", 0, "\"group_size\" is 0");
    setting("groups that do not divide", "group_size", 24, "groups of 24 do not divide its 128");
    setting("groups without end", "group_size", std::uint64_t{1} << 63, "\"group_size\" is 92233");
    setting("other groups than the scales", "group_size", 64, ".qzeros\" is Int [4, 16], not");
    setting("unknown layout", "checkpoint_format", "marlin", "checkpoint_format \"marlin\" is not");
    setting("layout that is no text", "checkpoint_format", 2, "quantization_config: ");
    setting("single settings", "dynamic", Json{{"a", 1}}, "settings for single layers");
    setting("unknown method", "quant_method", "hqq", "quant_method \"hqq\" is not supported");
    row(
        "no object", "gptq",
        [](const Folder& folder) { test::writeBytes(folder / "config.json", "[]"); },
        "config.json: is not a JSON object");
    row(
        "not quantized", "gptq",
        [](const Folder& folder) {
            std::filesystem::remove(folder / "quantize_config.json");
            Json json = readJsonFile(folder / "config.json");
            json.erase("quantization_config");
            test::writeBytes(folder / "config.json", json.dump());
        },
        "is not quantized");
    row(
        "another model", "gptq",
        [](const Folder& folder) {
            Json json = readJsonFile(folder / "config.json");
            json["num_hidden_layers"] = 2;
            test::writeBytes(folder / "config.json", json.dump());
        },
        "its number of layers is 2, that of the model 1");
    row(
        "other rotary positions", "gptq",
        [](const Folder& folder) {
            Json json = readJsonFile(folder / "config.json");
            json["rope_theta"] = 7;
            test::writeBytes(folder / "config.json", json.dump());
        },
        "norms or rotary positions are set otherwise");
    const auto tensor = [&](const char* name, const char* source, const std::string& of,
                            const at::Tensor& value, const char* sentence) {
        row(name, source, tensors([=](Tensors& all) { all.at(kLayer + of) = value; }), sentence);
    };
    const auto missing = [&](const char* name, const char* source, const std::string& of,
                             const char* sentence) {
        row(name, source, tensors([=](Tensors& all) { all.erase(kLayer + of); }), sentence);
    };
    tensor("codes of another shape", "gptq", ".qweight", at::zeros({16, 64}, at::kInt),
           "q_proj.qweight\" is Int [16, 64], not Int [16, 128]");
    tensor("codes of another type", "gptq", ".qweight", at::zeros({16, 128}),
           "q_proj.qweight\" is Float [16, 128], not Int");
    tensor("group that is not there", "gptq", ".g_idx", at::full({128}, 4, at::kInt),
           "names group 4 of 4");
    tensor("group below zero", "gptq", ".g_idx", at::full({128}, -1, at::kInt),
           "names group -1 of 4");
    tensor("scale that is no number", "gptq", ".scales",
           at::full({4, 128}, std::numeric_limits<double>::quiet_NaN(), at::kHalf),
           "has a scale that is not a finite number");
    tensor("scales that are codes", "gptq", ".scales", at::zeros({4, 128}, at::kInt),
           "not scales [4, 128]");
    missing("no zero points", "gptq", ".qzeros", "q_proj.qzeros\" is missing");
    missing("no scales", "awq", ".scales", "q_proj.scales\" is missing");
    row("embedding that is no number", "gptq",
        tensors([](Tensors& all) { all.at("model.embed_tokens.weight")[1][2] = INFINITY; }),
        "embed_tokens.weight\" holds what is not a finite number");
    row("embedding of another size", "gptq", tensors([](Tensors& all) {
            all.at("model.embed_tokens.weight") = at::zeros({7, 128});
        }),
        "embed_tokens.weight\" is [7, 128], that of the model [300, 128]");
    row("bias without a place", "gptq",
        tensors([](Tensors& all) { all[kLayer + ".bias"] = at::full({128}, 1.0); }),
        "is a bias that the model has no place for");
    row("no codes at all", "gptq", tensors([](Tensors& all) {
            Tensors plain;
            for (const auto& [name, value] : all) {
                const std::size_t dot = name.rfind('.');
                const std::string module = name.substr(0, dot);
                if (all.contains(module + ".qweight")) {
                    const auto out = all.at(module + ".qweight").size(1);
                    plain[module + ".weight"] = at::zeros({out, all.at(module + ".g_idx").size(0)});
                } else {
                    plain[name] = value;
                }
            }
            all = plain;
        }),
        "holds no layer as codes");
    row("codes without a row", "gptq alone", tensors([](Tensors& all) {
            all.at(kLayer + ".qweight") = at::zeros({0, 128}, at::kInt);
        }),
        "are no matrix, or of a size that no layer has");
    row("AWQ of 8 bits", "awq", config([](Json& json) { json["bits"] = 8; }),
        "packing of this many bits: 8 is not supported");
    row("AWQ in another order", "awq", config([](Json& json) { json["version"] = "gemv"; }),
        "the version \"gemv\" is not supported");
    const auto group = [&](const char* name, const char* key, const Json& value,
                           const char* sentence) {
        row(name, "compressed-tensors",
            config([=](Json& json) { json["config_groups"]["group_0"]["weights"][key] = value; }),
            sentence);
    };
    group("floating-point codes", "type", "float", "the type of weights \"float\" is not");
    group("blocks", "strategy", "block", "the strategy \"block\" is not supported");
    group("three bits", "num_bits", 3, "weight_packed\" is Int [128, 16], not Int [128, 13]");
    group("groups without a size", "group_size", nullptr, "\"group\" has no group_size");
    group("symmetry that is no answer", "symmetric", "yes", "quantization_config: ");
    row("no groups", "compressed-tensors",
        config([](Json& json) { json["config_groups"] = Json::object(); }), "holds no group");
    row("groups by pattern", "compressed-tensors", config([](Json& json) {
            Json& groups = json["config_groups"];
            groups["group_1"] = groups["group_0"];
            groups["group_0"]["targets"] = {"re:.*q_proj"};
        }),
        "several groups that name layers by patterns");
    row("another format", "compressed-tensors",
        config([](Json& json) { json["config_groups"]["group_0"]["format"] = "marlin-24"; }),
        "format \"marlin-24\" is not supported");
    tensor("another shape than said", "compressed-tensors", ".weight_shape",
           at::full({2}, 64, at::kLong), "weight_shape\" is not [128, 128]");
    row(
        "adapter of other layers", "gptq",
        [](const Folder& folder) {
            const auto file = folder / "adapter" / "adapter_model.safetensors";
            Tensors all;
            {
                const SafetensorsFile from(file);
                for (const auto& [name, entry] : from.entries()) {
                    all[name] = from.borrow(name).clone();
                }
            }
            all.at("base_model.model." + kLayer + ".lora_A.weight") = at::zeros({2, 7});
            writeSafetensors(file, all);
        },
        "which do not fit its 128 inputs and 128 outputs");
    row(
        "adapter of vectors", "gptq",
        [](const Folder& folder) {
            writeSafetensors(folder / "adapter" / "adapter_model.safetensors",
                             {{"base_model.model." + kLayer + ".lora_A.weight", at::zeros({7})}});
        },
        "lora_A.weight\" is no matrix");
    row(
        "adapter that scales by nothing", "gptq",
        [](const Folder& folder) {
            Json json = readJsonFile(folder / "adapter" / "adapter_config.json");
            json["r"] = 0;
            test::writeBytes(folder / "adapter" / "adapter_config.json", json.dump());
        },
        "\"r\" is 0, not a number above 0");

    row("no GGUF", "gguf", bytes([](std::string& all) { all[0] = 'X'; }), "is no GGUF file");
    row("another version", "gguf", bytes([](std::string& all) { all[4] = 9; }),
        "is GGUF version 9");
    row("cut in the header", "gguf", bytes([](std::string& all) { all.resize(200); }),
        "ends in the middle of its header");
    row("cut in the data", "gguf", bytes([](std::string& all) { all.resize(all.size() - 4096); }),
        "lies beyond the file's end");
    row("more tensors than bytes", "gguf", bytes([](std::string& all) {
            const std::uint64_t many = std::uint64_t{1} << 60;
            std::memcpy(all.data() + 8, &many, sizeof many);
        }),
        "");
    row("text without end", "gguf", bytes([](std::string& all) {
            const std::uint64_t length = std::uint64_t{1} << 62;
            std::memcpy(all.data() + 24, &length, sizeof length); // of the first key
        }),
        "a text of 4611686018427387904 bytes");
    row("no heads", "gguf", bytes([](std::string& all) {
            put(all, "llama.attention.head_count", 4, std::uint32_t{0});
        }),
        "a model of no heads");
    const auto number = [&](const char* name, const char* key, std::int32_t value,
                            const char* sentence) {
        row(name, "gguf alone", bytes([=](std::string& all) {
                put(all, key, 0, std::uint32_t{5}); // a signed one
                put(all, key, 4, value);
            }),
            sentence);
    };
    number("width below zero", "llama.embedding_length", -1, "\"llama.embedding_length\" is -1");
    number("layers without end", "llama.block_count", 1 << 30, "does not hold the last");
    number("heads wider than the model", "llama.attention.head_count", 1 << 20, "has heads of 0");
    row("no epsilon", "gguf alone",
        bytes([](std::string& all) { all[all.find("layer_norm_rms_epsilon")] = 'L'; }),
        "has no number \"llama.attention.layer_norm_rms_epsilon\"");
    row("matrix of other rows", "gguf alone",
        bytes([](std::string& all) { put(all, "blk.0.attn_q.weight", 12, std::uint64_t{64}); }),
        "q_proj.weight\" has shape [64, 128]");
    row("unknown key type", "gguf",
        bytes([](std::string& all) { put(all, "general.name", 0, std::uint32_t{77}); }),
        "\"general.name\" is of type 77");
    row("list of lists", "gguf", bytes([](std::string& all) {
            put(all, "general.name", 0, std::uint32_t{9});
            put(all, "general.name", 4, std::uint32_t{9});
        }),
        "\"general.name\" is a list of");
    row("key named twice", "gguf", bytes([](std::string& all) {
            const std::size_t at = all.find("general.name");
            all.replace(at, 12, "general.type");
        }),
        "\"general.type\" is there twice");
    row("another alphabet of blocks", "gguf",
        bytes([](std::string& all) { put(all, "blk.0.attn_q.weight", 20, std::uint32_t{12}); }),
        "is of type 12, which is not supported");
    row("tensor beyond the end", "gguf", bytes([](std::string& all) {
            put(all, "blk.0.attn_q.weight", 24, std::uint64_t{1} << 63);
        }),
        "lies beyond the file's end");
    row("dimension of nothing", "gguf",
        bytes([](std::string& all) { put(all, "blk.0.attn_q.weight", 4, std::uint64_t{0}); }),
        "has a dimension 0");
    row("dimensions that overflow", "gguf", bytes([](std::string& all) {
            put(all, "blk.0.attn_q.weight", 4, std::uint64_t{1} << 30);
            put(all, "blk.0.attn_q.weight", 12, std::uint64_t{1} << 30);
        }),
        "not [128, 128]");
    row("other rows", "gguf",
        bytes([](std::string& all) { put(all, "blk.0.attn_q.weight", 12, std::uint64_t{64}); }),
        "\"blk.0.attn_q.weight\" is [64, 128], not [128, 128]");
    row("tensor named twice", "gguf", bytes([](std::string& all) {
            const std::size_t at = all.find("blk.0.attn_v.weight");
            all[at + 11] = 'q';
        }),
        "\"blk.0.attn_q.weight\" is there twice");
}

void TestImportDamaged::refused()
{
    QFETCH(QString, source);
    QFETCH(Damage, damage);
    QFETCH(QString, sentence);
    const auto copy = path() / "damaged";
    std::filesystem::remove_all(copy);
    std::filesystem::copy(path() / source.section(' ', 0, 0).toStdString(), copy,
                          std::filesystem::copy_options::recursive);
    damage(copy);
    ImportOptions options;
    const bool gguf = source.startsWith("gguf");
    options.source = gguf ? copy / "model.gguf" : copy;
    options.model = source.endsWith("alone") ? "" : (path() / "model").string();
    options.adapter = copy / (gguf ? "adapter.gguf" : "adapter");
    options.workFolder = path() / "imports";
    RunStore store(path() / "imports.sqlite");
    const std::string said = test::sentenceOf([&] { importRun(options, store, {}); });
    QVERIFY2(!said.empty() && said.find(sentence.toStdString()) != std::string::npos, said.c_str());
    QVERIFY2(said.find('\n') == std::string::npos, said.c_str());
    std::filesystem::create_directories(options.workFolder);
    QVERIFY(std::filesystem::is_empty(options.workFolder));
    QVERIFY(store.list().empty());
}

QTEST_GUILESS_MAIN(TestImportDamaged)
#include "tst_import_damaged.moc"
