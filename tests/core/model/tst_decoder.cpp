#include <map>
#include <set>

#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <QtTest>

#include "model/decoder.h"
#include "support/tensor_golden.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

namespace {
at::Tensor runAll(const Decoder& decoder, const at::Tensor& ids, const BlockHooks& hooks = {},
                  KvCache* cache = nullptr)
{
    at::Tensor x = decoder.embed(ids, cache != nullptr ? cache->length : 0);
    for (std::int64_t i = 0; i < decoder.blockCount(); ++i) {
        x = decoder.forwardBlock(decoder.loadBlock(i), x, hooks, cache);
    }
    return decoder.logits(decoder.finish(x));
}

void addModels()
{
    QTest::addColumn<QString>("name");
    for (const std::string& name : goldenModelNames()) {
        QTest::newRow(name.c_str()) << QString::fromStdString(name);
    }
}

} // namespace

class TestDecoder : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void coversEveryArchitecture()
    {
        std::set<std::string> seen;
        for (const std::string& name : goldenModelNames()) {
            seen.insert(Checkpoint(goldenModel(name).folder).config().modelType);
        }
        for (const ArchSpec& spec : knownArchitectures()) {
            QVERIFY2(seen.contains(std::string(spec.id)), std::string(spec.id).c_str());
        }
    }

    void logitsEqualReference_data() { addModels(); }
    void logitsEqualReference()
    {
        QFETCH(QString, name);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const at::Tensor logits = runAll(Decoder(checkpoint), golden.ids);
        QCOMPARE(logits.scalar_type(), at::kFloat);
        QVERIFY(logits.sizes() == golden.logits.sizes());
        const double gap = relativeGap(logits, golden.logits);
        QVERIFY2(gap <= kLogitGap, qPrintable(QString::number(gap)));
    }

    void bfloat16IsClose_data() { addModels(); }
    void bfloat16IsClose()
    {
        QFETCH(QString, name);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const at::Tensor logits = runAll(Decoder(checkpoint, {at::kBFloat16, "cpu"}), golden.ids);
        const double gap = relativeGap(logits, golden.logits);
        QVERIFY2(gap <= kBfloat16Gap, qPrintable(QString::number(gap)));
        QVERIFY(gap > kLogitGap); // else bfloat16 was not used
    }

    void cacheEqualsOneShot_data() { addModels(); }
    void cacheEqualsOneShot()
    {
        QFETCH(QString, name);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        // Under dynamic scaling old keys keep their angles once the text is longer than trained.
        const std::int64_t count = std::min(golden.ids.size(1), decoder.config().maxPositions);
        const at::Tensor ids = golden.ids.narrow(1, 0, count);
        KvCache cache;
        cache.blocks.resize(static_cast<std::size_t>(decoder.blockCount()));
        cache.capacity = count;
        std::vector<at::Tensor> parts;
        for (const std::int64_t size :
             {std::int64_t{7}, std::int64_t{1}, std::int64_t{3}, std::int64_t{1}, count - 12}) {
            parts.push_back(runAll(decoder, ids.narrow(1, cache.length, size), {}, &cache));
            cache.length += size;
        }
        const double gap = relativeGap(at::cat(parts, 1), runAll(decoder, ids));
        QVERIFY2(gap <= kRegroupGap, qPrintable(QString::number(gap)));
    }

    void hooksSeeEveryLinear_data() { addModels(); }
    void hooksSeeEveryLinear()
    {
        QFETCH(QString, name);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        std::map<std::pair<std::int64_t, std::int64_t>, at::Tensor> inputs;
        std::set<std::string> ran;
        bool same = true;
        BlockHooks hooks;
        hooks.input = [&](const LinearInfo& info, const at::Tensor& x) {
            same = same && inputs.emplace(std::pair(info.block, info.inputGroup), x.clone()).second;
        };
        hooks.linear = [&](const LinearWeights& linear, const at::Tensor& x) {
            ran.insert(linear.info.name);
            same = same && at::equal(inputs.at({linear.info.block, linear.info.inputGroup}), x);
            return at::linear(x, linear.weight, linear.bias);
        };
        const at::Tensor logits = runAll(decoder, golden.ids, hooks);
        QVERIFY(same); // each group seen once, before its linears, with what they read
        QCOMPARE(ran.size(), checkpoint.linears().size());
        QVERIFY(at::equal(logits, runAll(decoder, golden.ids)));
    }

    /// What a KV cache holds is seen as its layers make it, before RoPE and any norm of heads: a
    /// row for each token, in which its heads follow each other.
    void keysAndValuesAreSeenAsRows_data() { addModels(); }
    void keysAndValuesAreSeenAsRows()
    {
        QFETCH(QString, name);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        const ModelConfig& config = decoder.config();
        const std::int64_t tokens = golden.ids.numel();
        at::Tensor keys;
        at::Tensor values;
        BlockHooks hooks;
        hooks.linear = [&](const LinearWeights& linear, const at::Tensor& x) {
            const at::Tensor y = at::linear(x, linear.weight, linear.bias);
            if (linear.info.role == LinearRole::Key) {
                keys = y.clone();
            } else if (linear.info.role == LinearRole::Value) {
                values = y.clone();
            } else if (linear.info.role == LinearRole::FusedQkv) {
                const at::Tensor parts =
                    config.arch->qkvInterleavedPerHead
                        ? y.view({tokens, config.heads, 3, config.headDim}).transpose(1, 2)
                        : y.view({tokens, 3, config.heads, config.headDim});
                keys = parts.select(1, 1).reshape({tokens, -1}).clone();
                values = parts.select(1, 2).reshape({tokens, -1}).clone();
            }
            return y;
        };
        std::map<BlockPoint, at::Tensor> seen;
        hooks.points = {BlockPoint::KeyPreRope, BlockPoint::Value};
        hooks.point = [&](BlockPoint point, const at::Tensor& x) {
            seen[point] = x.clone();
            return x;
        };
        decoder.forwardBlock(decoder.loadBlock(0), decoder.embed(golden.ids), hooks);
        QCOMPARE(seen.size(), std::size_t{2});
        QCOMPARE(keys.size(1), config.kvHeads * config.headDim);
        QVERIFY(at::equal(seen[BlockPoint::KeyPreRope], keys));
        QVERIFY(at::equal(seen[BlockPoint::Value], values));
    }

    void replacedLinearChangesLogits()
    {
        const GoldenModel golden = goldenModel("llama");
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        BlockHooks hooks;
        hooks.linear = [](const LinearWeights& linear, const at::Tensor& x) {
            return at::linear(x, linear.weight * 1.01, linear.bias);
        };
        QVERIFY(relativeGap(runAll(decoder, golden.ids, hooks), golden.logits) > kLogitGap);
    }

    void probabilitiesAreCausalAndSumToOne_data() { addModels(); }
    void probabilitiesAreCausalAndSumToOne()
    {
        QFETCH(QString, name);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        const std::int64_t tokens = golden.ids.size(1);
        std::int64_t calls = 0;
        bool causal = true;
        bool sums = true;
        BlockHooks hooks;
        hooks.points = {BlockPoint::Probabilities};
        hooks.point = [&](BlockPoint, const at::Tensor& p) {
            ++calls;
            causal = causal && p.size(2) == tokens && p.size(3) == tokens &&
                     p.triu(1).abs().max().item<float>() == 0;
            sums = sums && (p.sum(-1) - 1).abs().max().item<float>() < 1e-5;
            return p;
        };
        const at::Tensor logits = runAll(decoder, golden.ids, hooks);
        QCOMPARE(calls, decoder.blockCount());
        QVERIFY(causal && sums);
        const double gap = relativeGap(logits, golden.logits);
        QVERIFY2(gap <= kLogitGap, qPrintable(QString::number(gap)));
    }
};

QTEST_GUILESS_MAIN(TestDecoder)
#include "tst_decoder.moc"
