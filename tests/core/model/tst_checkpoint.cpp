#include "model/checkpoint.h"

#include <stop_token>

#include <QTemporaryDir>
#include <QtTest>

#include <ATen/ATen.h>

#include "base/error.h"
#include "model/safetensors.h"
#include "support/tensor_model_files.h"

using namespace qw;

namespace {
using Tensors = std::map<std::string, at::Tensor>;

const char* const kConfig =
    R"({"model_type":"gpt2","n_embd":4,"n_layer":1,"n_head":2,"vocab_size":6,"n_positions":8})";

Tensors gpt2(const std::string& prefix)
{
    Tensors all = {{"wte.weight", at::ones({6, 4})}, {"wpe.weight", at::ones({8, 4})}};
    for (const char* norm : {"ln_f", "h.0.ln_1", "h.0.ln_2"}) {
        all[std::string(norm) + ".weight"] = at::ones({4});
        all[std::string(norm) + ".bias"] = at::zeros({4});
    }
    const auto linear = [&](const std::string& name, std::int64_t in, std::int64_t out) {
        all["h.0." + name + ".weight"] =
            at::arange(in * out, at::kFloat).reshape({in, out}).clone();
        all["h.0." + name + ".bias"] = at::arange(out, at::kFloat);
    };
    linear("attn.c_attn", 4, 12);
    linear("attn.c_proj", 4, 4);
    linear("mlp.c_fc", 4, 16);
    linear("mlp.c_proj", 16, 4);
    Tensors named;
    for (const auto& [name, tensor] : all) {
        named[prefix + name] = tensor;
    }
    return named;
}
} // namespace

class TestCheckpoint : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init()
    {
        m_temporary = std::make_unique<QTemporaryDir>();
        m_folder = m_temporary->path().toStdString();
        test::writeBytes(m_folder / "config.json", kConfig);
    }
    void conv1dIsTransposed_data();
    void conv1dIsTransposed();
    void badTensor_data();
    void badTensor();
    void tensorNobodyNeeds();
    void shardsMayBeLinks();
    void badIndex_data();
    void badIndex();
    void pickleIsRefused();
    void hashingStops();

private:
    std::string sentence() const
    {
        return test::sentenceOf([&] { Checkpoint opened(m_folder); });
    }
    std::unique_ptr<QTemporaryDir> m_temporary;
    std::filesystem::path m_folder;
};

void TestCheckpoint::conv1dIsTransposed_data()
{
    QTest::addColumn<QString>("prefix");
    QTest::newRow("full names") << "transformer.";
    QTest::newRow("bare names") << "";
}

void TestCheckpoint::conv1dIsTransposed()
{
    QFETCH(QString, prefix);
    const Tensors tensors = gpt2(prefix.toStdString());
    writeSafetensors(m_folder / "model.safetensors", tensors);
    const Checkpoint model(m_folder);
    QCOMPARE(model.linears().size(), std::size_t{4});
    const LinearInfo& fused = model.linears().front();
    QCOMPARE(fused.name, std::string("transformer.h.0.attn.c_attn"));
    QCOMPARE(fused.out, std::int64_t{12});
    QCOMPARE(fused.in, std::int64_t{4});
    const std::string stored = prefix.toStdString() + "h.0.attn.c_attn";
    QVERIFY(at::equal(model.linearWeight(fused), tensors.at(stored + ".weight").t()));
    QVERIFY(at::equal(model.linearBias(fused), tensors.at(stored + ".bias")));
}

void TestCheckpoint::badTensor_data()
{
    QTest::addColumn<QString>("change");
    QTest::addColumn<QString>("expected");
    QTest::newRow("missing") << "missing"
                             << "\"transformer.h.0.mlp.c_fc.weight\" is missing";
    QTest::newRow("shape")
        << "shape"
        << "\"transformer.h.0.mlp.c_fc.weight\" has shape [16, 4], config.json says [4, 16]";
    QTest::newRow("dtype") << "dtype"
                           << "\"transformer.h.0.mlp.c_fc.weight\" has dtype I64";
}

void TestCheckpoint::badTensor()
{
    QFETCH(QString, change);
    QFETCH(QString, expected);
    Tensors tensors = gpt2("transformer.");
    const std::string name = "transformer.h.0.mlp.c_fc.weight";
    if (change == "missing") {
        tensors.erase(name);
    } else if (change == "shape") {
        tensors[name] = at::ones({16, 4});
    } else {
        tensors[name] = at::ones({4, 16}, at::kLong);
    }
    writeSafetensors(m_folder / "model.safetensors", tensors);
    const std::string said = sentence();
    QVERIFY2(QString::fromStdString(said).contains(expected), said.c_str());
}

void TestCheckpoint::tensorNobodyNeeds()
{
    Tensors tensors = gpt2("transformer.");
    tensors["transformer.h.0.attn.bias"] =
        at::ones({1, 1, 8, 8}, at::kBool); // as in Pythia's files
    writeSafetensors(m_folder / "model.safetensors", tensors);
    const Checkpoint model(m_folder);
    QCOMPARE(model.linears().size(), std::size_t{4});
    QCOMPARE(model.hash(), Checkpoint(m_folder).hash());
}

void TestCheckpoint::shardsMayBeLinks()
{
    const QTemporaryDir elsewhere; // as in the cache of Hugging Face's hub
    const std::filesystem::path blob = elsewhere.filePath("blob").toStdString();
    writeSafetensors(blob, gpt2("transformer."));
    std::filesystem::create_symlink(blob, m_folder / "one.safetensors");
    Json map = Json::object();
    for (const auto& [name, tensor] : gpt2("transformer.")) {
        map[name] = "one.safetensors";
    }
    test::writeBytes(m_folder / "model.safetensors.index.json", Json{{"weight_map", map}}.dump());
    QCOMPARE(Checkpoint(m_folder).linears().size(), std::size_t{4});
    std::filesystem::remove(blob);
    QVERIFY2(QString::fromStdString(sentence()).contains("it is not there"), sentence().c_str());
}

void TestCheckpoint::badIndex_data()
{
    QTest::addColumn<QString>("index");
    QTest::addColumn<QString>("expected");
    const auto shard = [](const char* row, const QString& name) {
        QTest::newRow(row) << R"({"weight_map":{"a":")" + name + "\"}}"
                           << "not a plain file name";
    };
    shard("parent", "../x.safetensors");
    shard("absolute", "/etc/passwd");
    shard("drive", "C:x");
    shard("backslash", R"(a\\b)");
    shard("subfolder", "sub/b");
    shard("NUL", R"(a\u0000b)");
    shard("dots", "..");
    shard("empty", "");
    QTest::newRow("no map") << "{}"
                            << "has no weight_map";
    QTest::newRow("not a name") << R"({"weight_map":{"a":1}})"
                                << "is not a name";
    QTest::newRow("no such shard") << R"({"weight_map":{"a":"none"}})"
                                   << "it is not there";
    QTest::newRow("not in shard") << R"({"weight_map":{"b":"one"}})"
                                  << "listed in one";
    QTest::newRow("not in index") << R"({"weight_map":{"a":"one"}})"
                                  << "is not in the index";
    QTest::newRow("in two shards") << R"({"weight_map":{"a":"one","c":"one","d":"two"}})"
                                   << "\"a\" stands in two shards";
    QTest::newRow("duplicate") << R"({"weight_map":{"a":"one","a":"two"}})"
                               << "stands twice";
}

void TestCheckpoint::badIndex()
{
    QFETCH(QString, index);
    QFETCH(QString, expected);
    writeSafetensors(m_folder / "one", {{"a", at::ones({1})}, {"c", at::ones({1})}});
    writeSafetensors(m_folder / "two", {{"a", at::ones({1})}, {"d", at::ones({1})}});
    test::writeBytes(m_folder / "model.safetensors.index.json", index.toStdString());
    const std::string said = sentence();
    QVERIFY2(QString::fromStdString(said).contains(expected), said.c_str());
}

void TestCheckpoint::hashingStops()
{
    writeSafetensors(m_folder / "model.safetensors", gpt2(""), {});
    const Checkpoint checkpoint(m_folder);
    std::stop_source stop;
    stop.request_stop();
    const RunContext stopped(stop.get_token(), {});
    QVERIFY_EXCEPTION_THROWN(checkpoint.hash(stopped), Cancelled);
    QCOMPARE(checkpoint.hash(), Checkpoint(m_folder).hash());
}

void TestCheckpoint::pickleIsRefused()
{
    test::writeBytes(m_folder / "pytorch_model.bin", "x");
    QVERIFY2(QString::fromStdString(sentence()).contains("pickle"), sentence().c_str());
}

QTEST_GUILESS_MAIN(TestCheckpoint)
#include "tst_checkpoint.moc"
