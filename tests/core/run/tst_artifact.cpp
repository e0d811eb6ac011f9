#include <algorithm>
#include <fstream>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <QtTest>

#include "base/error.h"
#include "base/files.h"
#include "model/generate.h"
#include "model/safetensors.h"
#include "run/activation_points.h"
#include "run/artifact.h"
#include "run/quantized_variant.h"
#include "support/tensor_golden.h"
#include "support/tensor_model_files.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

namespace {
at::Tensor noise(const std::vector<std::int64_t>& shape, std::uint64_t seed)
{
    return at::randn(shape, at::detail::createCPUGenerator(seed), at::kFloat);
}

QuantizedLinear sampleLinear(const std::string& name)
{
    WeightFormat format;
    format.groupSize = 4;
    GridOptions grid;
    grid.groupSize = 4;
    QuantizedLinear linear = roundToNearest(name, noise({6, 8}, 1), format, grid);
    linear.a.value = noise({8, 2}, 2);
    linear.b.value = noise({2, 6}, 3);
    return linear;
}

BlockArtifact sampleBlock()
{
    BlockArtifact block;
    block.block = 3;
    block.linears = {sampleLinear("model.layers.3.mlp.up_proj")};
    block.replaced = {{"model.layers.3.input_layernorm.weight", noise({8}, 4)},
                      // Begins like the tensors of a quantized linear.
                      {"model.layers.3.mlp.up_proj.bias", noise({6}, 5).to(at::kBFloat16)}};
    LayerResult result;
    result.name = block.linears.front().name;
    result.weightError = 0.25;
    block.results = {{result}};
    block.substitutions = {"something else was done"};
    return block;
}

ModelArtifact sampleModel()
{
    ModelArtifact model;
    model.replaced = {{"model.norm.weight", noise({8}, 6)}};
    model.attention.kind = ActivationQuantizer::Kind::Mx;
    model.attention.mx.blockSize = 32;
    model.kvCache.kind = ActivationQuantizer::Kind::TokenAsymmetric;
    model.kvCache.bits = 5;
    return model;
}

template <class Part>
std::string hashOfPart(const Part& part)
{
    Hasher hasher;
    addToHash(part, hasher);
    return hasher.hex();
}

/// Logits of a model with the hooks of a variant, as an evaluation runs it.
at::Tensor logitsOf(const Decoder& decoder, const at::Tensor& ids, const ModelVariant& variant)
{
    const Decoder& ends = variant.outside ? *variant.outside : decoder;
    at::Tensor x = ends.embed(ids);
    for (std::int64_t i = 0; i < decoder.blockCount(); ++i) {
        const BlockWeights block = decoder.loadBlock(i);
        x = decoder.forwardBlock(block, x, variant.block(block));
    }
    return ends.logits(ends.finish(x));
}

void addModels()
{
    QTest::addColumn<QString>("name");
    for (const std::string& name : goldenModelNames()) {
        QTest::newRow(name.c_str()) << QString::fromStdString(name);
    }
}
} // namespace

class TestArtifact : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void init() { m_temporary = std::make_unique<QTemporaryDir>(); }

    void blockComesBackWhole()
    {
        const ArtifactFolder folder = newFolder();
        const BlockArtifact block = sampleBlock();
        QVERIFY(!folder.hasBlock(3));
        folder.writeBlock(block);
        QVERIFY(folder.hasBlock(3));
        const BlockArtifact read = folder.readBlock(3);
        QCOMPARE(read.linears.size(), 1U);
        QVERIFY(at::equal(read.linears[0].dequantized(), block.linears[0].dequantized()));
        QCOMPARE(read.replaced.size(), block.replaced.size());
        for (const auto& [name, tensor] : block.replaced) {
            QCOMPARE(read.replaced.at(name).scalar_type(), tensor.scalar_type());
            QVERIFY(at::equal(read.replaced.at(name), tensor));
        }
        QVERIFY(read.results == block.results);
        QCOMPARE(read.substitutions, block.substitutions);
    }

    void modelComesBackWhole()
    {
        const ArtifactFolder folder = newFolder();
        const ModelArtifact model = sampleModel();
        folder.writeModel(model);
        const ModelArtifact read = folder.readModel();
        QCOMPARE(hashOfPart(read), hashOfPart(model));
        QCOMPARE(read.kvCache.bits, 5);
        QCOMPARE(read.attention.mx.blockSize, 32);
        QVERIFY(at::equal(read.replaced.at("model.norm.weight"),
                          model.replaced.at("model.norm.weight")));
        folder.writeModel({}); // nothing replaced: a file without tensors
        QCOMPARE(hashOfPart(folder.readModel()), hashOfPart(ModelArtifact{}));
    }

    void everyPartReachesTheHash()
    {
        const QuantizedLinear linear = sampleLinear("a");
        QuantizedLinear other = linear;
        other.name = "b";
        QVERIFY(hashOfPart(other) != hashOfPart(linear));
        other = linear;
        other.b.value = noise({2, 6}, 99);
        QVERIFY(hashOfPart(other) != hashOfPart(linear));
        const ReplacedTensors replaced = sampleBlock().replaced;
        ReplacedTensors changed = replaced;
        changed.begin()->second = changed.begin()->second + 1;
        QVERIFY(hashOfPart(changed) != hashOfPart(replaced));
        changed = replaced;
        changed["another"] = at::ones({1});
        QVERIFY(hashOfPart(changed) != hashOfPart(replaced));
        ModelArtifact model = sampleModel();
        model.kvCache.bits = 4;
        QVERIFY(hashOfPart(model) != hashOfPart(sampleModel()));
        model = sampleModel();
        model.attention = {};
        QVERIFY(hashOfPart(model) != hashOfPart(sampleModel()));
        model = sampleModel();
        model.replaced.clear();
        QVERIFY(hashOfPart(model) != hashOfPart(sampleModel()));
    }

    void resumeWantsTheSameFingerprint()
    {
        newFolder().writeBlock(sampleBlock());
        const std::filesystem::path half = path() / "block-00004.safetensors.77.part";
        writeBytes(half, "half");
        const ArtifactFolder same(path(), "print");
        same.create(true);
        QVERIFY(same.hasBlock(3));
        QVERIFY(!std::filesystem::exists(half));
        const std::string refusal =
            sentenceOf([&] { ArtifactFolder(path(), "another").create(true); });
        QVERIFY2(refusal.find("cannot continue this run") != std::string::npos, refusal.c_str());
        QVERIFY(same.hasBlock(3));
    }

    void blocksOfAnotherFingerprintAreNotTaken()
    {
        newFolder().writeBlock(sampleBlock());
        writeBytes(path() / "block-00004.state", "state");
        std::filesystem::remove(path() / "fingerprint.txt");
        const ArtifactFolder other(path(), "another");
        other.create(true);
        QVERIFY(!other.hasBlock(3));
        QVERIFY(!std::filesystem::exists(path() / "block-00004.state"));
        QVERIFY(ArtifactFolder(path(), "print").hasBlock(3));
        QVERIFY(ArtifactFolder(path(), "").hasBlock(3)); // whoever only reads
    }

    void resultsWantAllLayers()
    {
        const ArtifactFolder folder = newFolder();
        BlockArtifact block = sampleBlock();
        block.results.push_back({});
        folder.writeBlock(block);
        const std::string refusal = sentenceOf([&] { folder.readBlock(3); });
        QVERIFY2(refusal.find("has the results of 0 layers, but 1") != std::string::npos,
                 refusal.c_str());
    }

    void damagedFiles_data()
    {
        QTest::addColumn<QByteArray>("header");
        QTest::addColumn<QByteArray>("part");
        const auto row = [](const char* part, const char* header) {
            QTest::newRow(part) << QByteArray(header) << QByteArray(part);
        };
        row("has no qw_formats", "{\"__metadata__\":{\"format\":\"pt\"}}");
        row("unexpected end of input", "{\"__metadata__\":{\"qw_formats\":\"[\"}}");
        row("its metadata is damaged", "{\"__metadata__\":{\"qw_formats\":\"[{}]\"}}");
        row("holds no floating-point numbers",
            "{\"__metadata__\":{\"qw_formats\":\"[]\"},\"replaced.x\":"
            "{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]}}");
    }
    void damagedFiles()
    {
        QFETCH(QByteArray, header);
        QFETCH(QByteArray, part);
        const ArtifactFolder folder = newFolder();
        writeBytes(path() / "block-00000.safetensors",
                   safetensorsBytes(header.toStdString(), header.contains("I32") ? 4 : 0));
        const std::string refusal = sentenceOf([&] { folder.readBlock(0); });
        QVERIFY2(refusal.find(part.toStdString()) != std::string::npos, refusal.c_str());
        QVERIFY2(refusal.find("block-00000") != std::string::npos, refusal.c_str());
    }

    /// A model whose norms, biases and outer tensors are replaced computes what a folder with these
    /// tensors computes.
    void replacedTensorsEqualAnEditedModel_data() { addModels(); }
    void replacedTensorsEqualAnEditedModel()
    {
        QFETCH(QString, name);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const ArchSpec& arch = *checkpoint.config().arch;
        const std::string inFiles = checkpoint.fullName("");
        const ArtifactFolder artifact = newFolder();
        ModelArtifact model;
        std::vector<BlockArtifact> blocks(static_cast<std::size_t>(checkpoint.config().layers));
        std::map<std::string, at::Tensor> edited;
        const SafetensorsFile file(golden.folder / "model.safetensors");
        for (const auto& [tensor, entry] : file.entries()) {
            edited[tensor] = file.borrow(tensor).clone();
            const std::string full = tensor == arch.lmHead ? tensor
                                                           : std::string(arch.prefixes.front()) +
                                                                 tensor.substr(inFiles.size());
            const auto inBlock = tensor.find(inFiles + std::string(arch.layers));
            const bool matrix = edited[tensor].dim() == 2;
            if (!edited[tensor].is_floating_point() || (inBlock == 0 && matrix)) {
                continue;
            }
            edited[tensor] =
                (edited[tensor].to(at::kFloat) * 1.25).to(edited[tensor].scalar_type());
            if (inBlock == 0) {
                const auto index = std::stoul(tensor.substr(inFiles.size() + arch.layers.size()));
                blocks[index].replaced[full] = edited[tensor];
            } else {
                model.replaced[full] = edited[tensor];
            }
        }
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            blocks[i].block = static_cast<std::int64_t>(i);
            QVERIFY(!blocks[i].replaced.empty());
            artifact.writeBlock(blocks[i]);
        }
        artifact.writeModel(model);
        const Decoder decoder(checkpoint);
        const ModelVariant variant = storedVariant(artifact, RunSpec{}, decoder);

        const std::filesystem::path folder = path() / "edited";
        std::filesystem::create_directories(folder);
        std::filesystem::copy_file(golden.folder / "config.json", folder / "config.json");
        writeSafetensors(folder / "model.safetensors", edited);
        const Checkpoint other(folder);
        const at::Tensor expected =
            logitsOf(Decoder(other), golden.ids,
                     BlockVariant([](const BlockWeights&) { return BlockHooks{}; }));
        const at::Tensor got = logitsOf(decoder, golden.ids, variant);
        QVERIFY(relativeGap(expected, golden.logits) > kLogitGap);
        QVERIFY(at::equal(got, expected));
    }

    void foreignReplacementIsRefused()
    {
        const GoldenModel golden = goldenModel("llama");
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        const BlockWeights block = decoder.loadBlock(0);
        const auto refusal = [&](const std::string& name, const at::Tensor& tensor) {
            BlockArtifact artifact;
            artifact.replaced[name] = tensor;
            return sentenceOf([&] { quantizedHooks(artifact, {}, block, decoder); });
        };
        const std::string unknown = refusal("model.layers.0.nothing.weight", at::ones({4}));
        QVERIFY2(unknown.find("nothing.weight") != std::string::npos, unknown.c_str());
        const std::string shape = refusal("model.layers.0.input_layernorm.weight", at::ones({3}));
        QVERIFY2(shape.find("shape [3]") != std::string::npos, shape.c_str());
    }

    /// The KV quantizer sees each token's keys before RoPE and values, over all heads.
    void kvCacheQuantizerSeesEveryToken_data() { addModels(); }
    void kvCacheQuantizerSeesEveryToken()
    {
        QFETCH(QString, name);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        const ModelConfig& config = checkpoint.config();
        ModelArtifact model;
        model.kvCache.kind = ActivationQuantizer::Kind::TokenAsymmetric;
        model.kvCache.bits = 3;
        const BlockWeights block = decoder.loadBlock(0);
        const at::Tensor x = decoder.embed(golden.ids);
        const BlockHooks quantized = quantizedHooks({}, model, block, decoder);
        QCOMPARE(quantized.points.size(), 2U);
        // The same by hand: quantize the outputs of the layers that make keys and values.
        BlockHooks byHand;
        byHand.linear = [&](const LinearWeights& linear, const at::Tensor& input) {
            at::Tensor y = at::linear(input, linear.weight, linear.bias).contiguous();
            const std::int64_t tokens = y.size(0);
            const auto replace = [&](const at::Tensor& part) { // [tokens, ..], a view of y
                part.copy_(quantizeActivation(part.reshape({tokens, -1}), model.kvCache)
                               .view(part.sizes()));
            };
            const std::int64_t width = config.heads * config.headDim;
            if (linear.info.role == LinearRole::Key || linear.info.role == LinearRole::Value) {
                replace(y);
            } else if (linear.info.role == LinearRole::FusedQkv &&
                       config.arch->qkvInterleavedPerHead) {
                const at::Tensor split = y.view({tokens, config.heads, 3, config.headDim});
                replace(split.select(2, 1));
                replace(split.select(2, 2));
            } else if (linear.info.role == LinearRole::FusedQkv) {
                replace(y.narrow(1, width, width));
                replace(y.narrow(1, 2 * width, width));
            }
            return y;
        };
        const at::Tensor got = decoder.forwardBlock(block, x, quantized);
        const double gap = relativeGap(got, decoder.forwardBlock(block, x, byHand));
        QVERIFY2(gap <= kRegroupGap, qPrintable(QString::number(gap)));
        QVERIFY(relativeGap(got, decoder.forwardBlock(block, x)) > kLogitGap);
    }

    /// What a run generates comes from the model that is measured.
    void generatesWithTheModelMeasured_data()
    {
        QTest::addColumn<QString>("name");
        QTest::addColumn<bool>("attention");
        for (const std::string& name : goldenModelNames()) {
            for (const bool attention : {false, true}) {
                QTest::addRow("%s, %s", name.c_str(), attention ? "attention" : "a8kv4")
                    << QString::fromStdString(name) << attention;
            }
        }
    }
    void generatesWithTheModelMeasured()
    {
        QFETCH(QString, name);
        QFETCH(bool, attention);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        RunSpec spec;
        if (attention) {
            spec.activation.format = "mxint";
            spec.activation.bits = 3;
            spec.activation.attention = true;
        } else {
            spec.activation.points = "a8kv4";
        }
        std::vector<BlockWeights> blocks;
        std::vector<BlockHooks> hooks;
        for (std::int64_t i = 0; i < decoder.blockCount(); ++i) {
            blocks.push_back(decoder.loadBlock(i));
            hooks.push_back(quantizedHooks({}, modelQuantizers(spec), blocks.back(), decoder));
        }
        const auto* first = golden.ids.data_ptr<std::int64_t>();
        std::vector<std::int64_t> text(first, first + kGreedyPrompt);
        SamplingOptions options;
        options.maxTokens = 20;
        const std::vector<std::int32_t> made = generateTokens(
            decoder, blocks, hooks, {text.begin(), text.end()}, options, {}, RunContext());
        QVERIFY(made.size() > 10); // as many as the model has positions for
        for (const std::int32_t token : made) {
            const at::Tensor x = decoder.embed(at::tensor(text, at::kLong).unsqueeze(0));
            for (std::size_t i = 0; i < blocks.size(); ++i) {
                decoder.advanceBlock(blocks[i], x, hooks[i]);
            }
            const at::Tensor logits = decoder.logits(decoder.finish(x.select(1, x.size(1) - 1)));
            QCOMPARE(logits.argmax().item<std::int32_t>(), token);
            text.push_back(token);
        }
    }

private:
    std::filesystem::path path() const
    {
        return std::filesystem::path(m_temporary->path().toStdString()) / "run";
    }
    ArtifactFolder newFolder() const
    {
        ArtifactFolder folder(path(), "print");
        folder.makeFolder();
        folder.create(false);
        return folder;
    }
    std::unique_ptr<QTemporaryDir> m_temporary;
};

QTEST_GUILESS_MAIN(TestArtifact)
#include "tst_artifact.moc"
