#include <cmath>
#include <limits>
#include <map>
#include <set>

#include <ATen/ops/tensor.h>
#include <QtTest>

#include "base/error.h"
#include "model/decoder.h"
#include "model/generate.h"
#include "support/tensor_golden.h"

using namespace qw;
using namespace qw::test;

namespace {
std::vector<BlockWeights> allBlocks(const Decoder& decoder)
{
    std::vector<BlockWeights> blocks;
    for (std::int64_t i = 0; i < decoder.blockCount(); ++i) {
        blocks.push_back(decoder.loadBlock(i));
    }
    return blocks;
}

void addModels()
{
    QTest::addColumn<QString>("name");
    for (const std::string& name : goldenModelNames()) {
        QTest::newRow(name.c_str()) << QString::fromStdString(name);
    }
}

std::vector<std::int32_t> promptOf(const GoldenModel& golden)
{
    const auto* first = golden.ids.data_ptr<std::int64_t>();
    return {first, first + kGreedyPrompt};
}

/// Every token from a pass over the whole text.
std::vector<std::int32_t> greedyWithoutCache(const Decoder& decoder,
                                             const std::vector<BlockWeights>& blocks,
                                             std::vector<std::int32_t> text, std::int64_t count)
{
    std::vector<std::int32_t> result;
    for (std::int64_t i = 0; i < count; ++i) {
        const std::vector<std::int64_t> ids(text.begin(), text.end());
        const at::Tensor x = decoder.embed(at::tensor(ids, at::kLong).unsqueeze(0));
        for (const BlockWeights& block : blocks) {
            decoder.advanceBlock(block, x);
        }
        const at::Tensor last = x.select(1, x.size(1) - 1);
        text.push_back(decoder.logits(decoder.finish(last)).argmax().item<std::int32_t>());
        result.push_back(text.back());
    }
    return result;
}

/// How often each token is drawn.
std::map<std::int32_t, double> shares(const std::vector<float>& logits,
                                      const SamplingOptions& options)
{
    constexpr int kDraws = 40000;
    std::mt19937_64 generator(7);
    std::map<std::int32_t, double> result;
    for (int i = 0; i < kDraws; ++i) {
        result[drawToken(logits, options, generator)] += 1.0 / kDraws;
    }
    return result;
}

/// Five standard deviations of a share near one half of 40000 draws.
constexpr double kShareGap = 0.0125;

SamplingOptions sampling(double temperature, std::int64_t topK = 0, double topP = 1)
{
    SamplingOptions options;
    options.temperature = temperature;
    options.topK = topK;
    options.topP = topP;
    return options;
}

const std::vector<float> kLogits = {std::log(0.1F), std::log(0.4F), std::log(0.2F), std::log(0.3F)};
} // namespace

class TestGenerate : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void greedyEqualsReference_data() { addModels(); }
    void greedyEqualsReference()
    {
        QFETCH(QString, name);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        SamplingOptions options;
        options.maxTokens = static_cast<std::int64_t>(golden.greedy.size());
        QCOMPARE(generateTokens(decoder, allBlocks(decoder), {}, promptOf(golden), options, {},
                                RunContext()),
                 golden.greedy);
    }

    void cacheChangesNoToken_data() { addModels(); }
    void cacheChangesNoToken()
    {
        QFETCH(QString, name);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        const auto blocks = allBlocks(decoder);
        SamplingOptions options;
        // Under dynamic scaling old keys keep their angles once the text is longer than trained.
        options.maxTokens = std::min<std::int64_t>(40, decoder.config().maxPositions) - 5;
        QCOMPARE(generateTokens(decoder, blocks, {}, promptOf(golden), options, {}, RunContext()),
                 greedyWithoutCache(decoder, blocks, promptOf(golden), options.maxTokens));
    }

    void samplingFollowsTheSeed()
    {
        const Checkpoint checkpoint(goldenModel("llama").folder);
        const Decoder decoder(checkpoint);
        const auto blocks = allBlocks(decoder);
        const auto sample = [&](SamplingOptions options, std::uint64_t seed) {
            options.maxTokens = 20;
            options.seed = seed;
            return generateTokens(decoder, blocks, {}, {3, 14, 15}, options, {}, RunContext());
        };
        QCOMPARE(sample(sampling(1.5), 1), sample(sampling(1.5), 1));
        QVERIFY(sample(sampling(1.5), 1) != sample(sampling(1.5), 2));
        QCOMPARE(sample(sampling(1.5, 1), 1), sample({}, 1));
        QCOMPARE(sample(sampling(1.5, 0, 1e-6), 1), sample({}, 1));
    }

    void anyNumberOfTokensMayBeAskedFor()
    {
        const Checkpoint checkpoint(goldenModel("llama").folder);
        const Decoder decoder(checkpoint);
        SamplingOptions options;
        options.maxTokens = std::numeric_limits<std::int64_t>::max();
        const auto made =
            generateTokens(decoder, allBlocks(decoder), {}, {3, 14, 15}, options, {}, RunContext());
        QCOMPARE(static_cast<std::int64_t>(made.size()), decoder.config().maxPositions - 3 + 1);
    }

    void stopsAtStopTokensAndTheModelsEnd()
    {
        const GoldenModel golden = goldenModel("llama");
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        const auto blocks = allBlocks(decoder);
        SamplingOptions options;
        std::vector<std::int32_t> seen;
        options.maxTokens = 1000; // the model has 64 positions
        const auto all = generateTokens(
            decoder, blocks, {}, promptOf(golden), options,
            [&](std::int32_t token) { seen.push_back(token); }, RunContext());
        // The last token drawn needs no place of its own.
        QCOMPARE(static_cast<std::int64_t>(all.size()),
                 decoder.config().maxPositions - kGreedyPrompt + 1);
        QCOMPARE(seen, all);
        options.stopTokens = {all[3]};
        const auto first = std::find(all.begin(), all.end(), all[3]);
        QCOMPARE(generateTokens(decoder, blocks, {}, promptOf(golden), options, {}, RunContext()),
                 std::vector<std::int32_t>(all.begin(), first));
        QVERIFY_EXCEPTION_THROWN(generateTokens(decoder, blocks, {}, {}, options, {}, RunContext()),
                                 Error);
        QVERIFY_EXCEPTION_THROWN(generateTokens(decoder, blocks, {},
                                                std::vector<std::int32_t>(64, 3), options, {},
                                                RunContext()),
                                 Error);
    }

    void samplesOfABatchAreThoseOfTheirSeeds_data() { addModels(); }
    void samplesOfABatchAreThoseOfTheirSeeds()
    {
        QFETCH(QString, name);
        const GoldenModel golden = goldenModel(name.toStdString());
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        const auto blocks = allBlocks(decoder);
        SamplingOptions options = sampling(1.5);
        options.maxTokens = 24;
        options.seed = 5;
        // A fifth of the vocabulary ends a sample, so that rows leave the batch at all times.
        for (std::int64_t token = 0; token < decoder.config().vocabSize; token += 5) {
            options.stopTokens.push_back(token);
        }
        constexpr std::int64_t kSamples = 12;
        std::vector<std::vector<std::int32_t>> told(kSamples);
        const auto samples = generateSamples(
            decoder, blocks, {}, promptOf(golden), options, kSamples,
            [&](std::int64_t sample, std::int32_t token) {
                told[static_cast<std::size_t>(sample)].push_back(token);
            },
            RunContext());
        std::set<std::size_t> lengths;
        for (std::size_t i = 0; i < samples.size(); ++i, ++options.seed) {
            const auto alone =
                generateTokens(decoder, blocks, {}, promptOf(golden), options, {}, RunContext());
            QCOMPARE(samples[i].tokens, alone);
            QCOMPARE(told[i], alone);
            QCOMPARE(samples[i].stopped, alone.size() < 24);
            lengths.insert(alone.size());
        }
        QVERIFY(lengths.size() >= 4);
    }

    /// Where a quantizer spans tokens the whole text is run for each; rows leave here too.
    void withoutCacheTheSameSamples()
    {
        const GoldenModel golden = goldenModel("llama");
        const Checkpoint checkpoint(golden.folder);
        const Decoder decoder(checkpoint);
        const auto blocks = allBlocks(decoder);
        std::vector<BlockHooks> hooks(blocks.size());
        std::set<std::int64_t> seen;
        for (BlockHooks& one : hooks) {
            one.points = {BlockPoint::Probabilities};
            one.point = [&](BlockPoint, const at::Tensor& p) {
                seen.insert(p.size(2)); // queries
                return p;
            };
        }
        SamplingOptions options = sampling(1.5);
        options.maxTokens = 20;
        for (std::int64_t token = 0; token < decoder.config().vocabSize; token += 5) {
            options.stopTokens.push_back(token);
        }
        const auto made = [&](const std::vector<BlockHooks>& with) {
            return generateSamples(decoder, blocks, with, promptOf(golden), options, 6, {},
                                   RunContext());
        };
        QVERIFY(made(hooks) == made({}));
        QVERIFY(*seen.begin() == kGreedyPrompt && seen.size() > 4);
    }

    void greedyTakesTheSmallerOfTwoEqual()
    {
        std::mt19937_64 generator(1);
        QCOMPARE(drawToken({1, 3, 2, 3}, {}, generator), 1);
        QCOMPARE(drawToken({3, 3}, sampling(1, 1), generator), 0);
    }

    void temperatureShapesTheShares()
    {
        auto at1 = shares(kLogits, sampling(1));
        for (const auto& [token, share] :
             std::map<int, double>{{0, .1}, {1, .4}, {2, .2}, {3, .3}}) {
            QVERIFY(std::abs(at1[token] - share) < kShareGap);
        }
        auto cold = shares(kLogits, sampling(0.5)); // squares: 1 16 4 9, of 30
        for (const auto& [token, share] :
             std::map<int, double>{{0, 1 / 30.}, {1, 16 / 30.}, {2, 4 / 30.}, {3, 9 / 30.}}) {
            QVERIFY(std::abs(cold[token] - share) < kShareGap);
        }
    }

    void topKKeepsTheLargest()
    {
        auto two = shares(kLogits, sampling(1, 2));
        QCOMPARE(two.size(), std::size_t{2});
        QVERIFY(std::abs(two[1] - 4 / 7.) < kShareGap);
        QVERIFY(std::abs(two[3] - 3 / 7.) < kShareGap);
        QCOMPARE(shares(kLogits, sampling(1, 100)).size(), std::size_t{4});
    }

    void cutsKeepTheFirstOfManyEqual()
    {
        std::vector<float> logits(3000, 1);
        logits[2000] = 2;
        std::mt19937_64 generator(7);
        for (const SamplingOptions& options : {sampling(1, 4), sampling(1, 0, 0.0018)}) {
            std::set<std::int32_t> drawn; // e + 3 of e + 2999 are 0.0019
            for (int i = 0; i < 400; ++i) {
                drawn.insert(drawToken(logits, options, generator));
            }
            QVERIFY(drawn == (std::set<std::int32_t>{0, 1, 2, 2000}));
        }
    }

    void topPKeepsTheFewestThatCover()
    {
        QCOMPARE(shares(kLogits, sampling(1, 0, 0.39)).size(), std::size_t{1});
        auto two = shares(kLogits, sampling(1, 0, 0.6)); // 0.4 is too little, 0.7 covers
        QCOMPARE(two.size(), std::size_t{2});
        QVERIFY(std::abs(two[1] - 4 / 7.) < kShareGap);
        QCOMPARE(shares(kLogits, sampling(1, 0, 0.85)).size(), std::size_t{3});
        // Of the two that topK leaves, 0.4 is 57 %.
        QCOMPARE(shares(kLogits, sampling(1, 2, 0.55)).size(), std::size_t{1});
    }
};

QTEST_GUILESS_MAIN(TestGenerate)
#include "tst_generate.moc"
