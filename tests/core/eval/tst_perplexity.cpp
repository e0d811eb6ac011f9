#include <cmath>
#include <csignal>
#include <stop_token>

#include <sys/resource.h>

#include <ATen/ops/linear.h>
#include <ATen/ops/tensor.h>
#include <QtTest>

#include "base/error.h"
#include "base/files.h"
#include "base/json_io.h"
#include "eval/perplexity.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

namespace {
const std::filesystem::path kFolder = std::filesystem::path(QW_GOLDEN_DIR) / "models/perplexity";

ModelVariant scaledLinears(double factor)
{
    return BlockVariant([factor](const BlockWeights&) {
        BlockHooks hooks;
        hooks.linear = [factor](const LinearWeights& linear, const at::Tensor& x) {
            return at::linear(x, linear.weight * factor, linear.bias);
        };
        return hooks;
    });
}

/// Model, windows and golden values of one protocol.
struct Fixture {
    Json golden = readJsonFile(kFolder / "perplexity.json", 1 << 20);
    Checkpoint checkpoint{kFolder};
    Decoder decoder{checkpoint};

    TextWindows windows(const std::string& protocol, std::int64_t count = 0) const
    {
        EvaluationSpec spec;
        spec.protocol = protocol;
        spec.seqlen = golden.at("seqlen");
        spec.windows = count;
        return evaluationWindows(spec, (kFolder / "text.txt").string(), checkpoint.config(),
                                 Tokenizer::fromFolder(kFolder));
    }
};

std::vector<std::int64_t> row(const at::Tensor& ids, std::int64_t index)
{
    const at::Tensor values = ids[index].contiguous();
    const auto* data = values.data_ptr<std::int64_t>();
    return {data, data + values.numel()};
}

void compareScores(const Scores& a, const Scores& b, double tolerance)
{
    const auto close = [&](double x, double y) {
        if (!(std::abs(x - y) <= tolerance * (std::abs(y) + 1e-6))) {
            throw std::runtime_error(message(x, " is not ", y));
        }
    };
    close(a.fullPrecision.nll, b.fullPrecision.nll);
    close(a.fullPrecision.nllStderr, b.fullPrecision.nllStderr);
    for (std::size_t i = 0; i < a.variants.size(); ++i) {
        close(a.variants[i].nll, b.variants[i].nll);
        close(a.comparisons[i].deltaNllStderr, b.comparisons[i].deltaNllStderr);
        close(a.comparisons[i].klMean, b.comparisons[i].klMean);
        close(a.comparisons[i].klP99, b.comparisons[i].klP99);
        close(a.comparisons[i].top1Agreement, b.comparisons[i].top1Agreement);
    }
}
} // namespace

class TestPerplexity : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void stopsBetweenLinears()
    {
        const Fixture fixture;
        std::stop_source stop;
        int calls = 0;
        const ModelVariant stopping = BlockVariant([&](const BlockWeights&) {
            BlockHooks hooks;
            hooks.linear = [&](const LinearWeights& linear, const at::Tensor& x) {
                ++calls;
                stop.request_stop();
                return at::linear(x, linear.weight, linear.bias);
            };
            return hooks;
        });
        QVERIFY_EXCEPTION_THROWN(scoreWindows(fixture.decoder, fixture.windows("gptq"), {stopping},
                                              RunContext(stop.get_token(), {})),
                                 Cancelled);
        QCOMPARE(calls, 1);
    }

    void protocolsEqualReference_data()
    {
        QTest::addColumn<QString>("protocol");
        QTest::newRow("gptq") << "gptq";
        QTest::newRow("llama.cpp") << "llama.cpp";
    }
    void protocolsEqualReference()
    {
        QFETCH(QString, protocol);
        const Fixture fixture;
        const Json golden = fixture.golden.at("protocols").at(protocol.toStdString());
        const TextWindows windows = fixture.windows(protocol.toStdString());
        QCOMPARE(windows.availableTokens,
                 fixture.golden.at("available_tokens").get<std::int64_t>());
        QCOMPARE(windows.count(), golden.at("windows").get<std::int64_t>());
        QCOMPARE(row(windows.ids, 0), golden.at("first_window").get<std::vector<std::int64_t>>());
        QCOMPARE(row(windows.ids, windows.count() - 1),
                 golden.at("last_window").get<std::vector<std::int64_t>>());

        const Scores scores = scoreWindows(
            fixture.decoder, windows, {scaledLinears(fixture.golden.at("variant"))}, RunContext());
        const TextScore& full = scores.fullPrecision;
        const Comparison& c = scores.comparisons.front();
        QCOMPARE(full.tokens, golden.at("tokens").get<std::int64_t>());
        QCOMPARE(full.windows, windows.count());
        QCOMPARE(full.seqlen, fixture.golden.at("seqlen").get<std::int64_t>());
        const std::vector<std::pair<const char*, double>> values = {
            {"nll", full.nll},
            {"nll", c.fpNll},
            {"nll_stderr", full.nllStderr},
            {"perplexity", full.perplexity},
            {"perplexity", c.fpPerplexity},
            {"variant_nll", scores.variants.front().nll},
            {"variant_nll_stderr", scores.variants.front().nllStderr},
            {"delta_nll", c.deltaNll},
            {"delta_nll_stderr", c.deltaNllStderr},
            {"kl_mean", c.klMean},
            {"kl_median", c.klMedian},
            {"kl_p90", c.klP90},
            {"kl_p99", c.klP99},
            {"top1_agreement", c.top1Agreement}};
        for (const auto& [key, value] : values) {
            const double expected = golden.at(key);
            QVERIFY2(std::abs(value - expected) <= kScoreGap * (1 + std::abs(expected)),
                     qPrintable(QString("%1: %2, not %3")
                                    .arg(key)
                                    .arg(value, 0, 'g', 12)
                                    .arg(expected, 0, 'g', 12)));
        }
    }

    void severalModelsEqualEachAlone()
    {
        const Fixture fixture;
        const TextWindows windows = fixture.windows("gptq", 4);
        const ModelVariant a = scaledLinears(1.05);
        const ModelVariant b = scaledLinears(0.9);
        const Scores both = scoreWindows(fixture.decoder, windows, {a, b}, RunContext());
        const Scores onlyA = scoreWindows(fixture.decoder, windows, {a}, RunContext());
        const Scores onlyB = scoreWindows(fixture.decoder, windows, {b}, RunContext());
        const Scores none = scoreWindows(fixture.decoder, windows, {}, RunContext());
        QCOMPARE(both.variants.size(), std::size_t{2});
        QVERIFY(both.variants[0].nll != both.variants[1].nll);
        QCOMPARE(both.fullPrecision.nll, none.fullPrecision.nll);
        QCOMPARE(both.variants[0].nll, onlyA.variants[0].nll);
        QCOMPARE(both.variants[1].nll, onlyB.variants[0].nll);
        QVERIFY(both.comparisons[0] == onlyA.comparisons[0]);
        QVERIFY(both.comparisons[1] == onlyB.comparisons[0]);
    }

    /// What the first scoring left is all that others need of the full-precision model.
    void keptReferenceIsNotRunAgain()
    {
        const Fixture fixture;
        const TextWindows windows = fixture.windows("gptq", 4);
        const ModelVariant variant = scaledLinears(1.05);
        ReferenceStates kept{HiddenStates(windows.count(), windows.seqlen(),
                                          fixture.checkpoint.config().hidden, "cpu", {}),
                             false};
        const auto score = [&](ReferenceStates* reference) {
            return scoreWindows(fixture.decoder, windows, {variant}, RunContext(), {}, reference);
        };
        const Scores alone = score(nullptr);
        const auto same = [&](const Scores& scores) {
            return scores.fullPrecision.windowNll == alone.fullPrecision.windowNll &&
                   scores.variants[0].windowNll == alone.variants[0].windowNll &&
                   scores.comparisons[0] == alone.comparisons[0];
        };
        QVERIFY(same(score(&kept)));
        QVERIFY(kept.known);
        QVERIFY(same(score(&kept)));
        kept.states.store(0, kept.states.load(1, 1)); // another model's
        const Scores other = score(&kept);
        QVERIFY(other.fullPrecision.windowNll[0] != alone.fullPrecision.windowNll[0]);
        QVERIFY(other.variants[0].windowNll == alone.variants[0].windowNll);
    }

    /// What others would be spared is no reason to fail.
    void fullDiskKeepsNoReference()
    {
        const Fixture fixture;
        const TextWindows windows = fixture.windows("gptq", 4);
        const QTemporaryDir folder;
        ReferenceStates kept{HiddenStates(windows.count(), windows.seqlen(),
                                          fixture.checkpoint.config().hidden, "cpu",
                                          {0, folder.path().toStdString()}),
                             false};
        const auto score = [&](ReferenceStates* reference) {
            return scoreWindows(fixture.decoder, windows, {}, RunContext(), {}, reference);
        };
        std::signal(SIGXFSZ, SIG_IGN); // a write fails, as on a full disk
        rlimit before{};
        QCOMPARE(getrlimit(RLIMIT_FSIZE, &before), 0);
        rlimit none = before;
        none.rlim_cur = 0;
        QCOMPARE(setrlimit(RLIMIT_FSIZE, &none), 0);
        const Scores scores = score(&kept);
        setrlimit(RLIMIT_FSIZE, &before);
        QVERIFY(!kept.known);
        QVERIFY(scores.fullPrecision.windowNll == score(nullptr).fullPrecision.windowNll);
    }

    void unchangedModelHasNoDivergence()
    {
        const Fixture fixture;
        const ModelVariant same = BlockVariant([](const BlockWeights&) { return BlockHooks(); });
        const Scores scores =
            scoreWindows(fixture.decoder, fixture.windows("gptq", 3), {same}, RunContext());
        QCOMPARE(scores.comparisons[0].klMean, 0.0);
        QCOMPARE(scores.comparisons[0].deltaNll, 0.0);
        QCOMPARE(scores.comparisons[0].top1Agreement, 1.0);
    }

    void groupsOfWindowsDoNotMatter_data()
    {
        QTest::addColumn<int>("windowsAtOnce");
        QTest::addColumn<int>("rowsOfLogits");
        QTest::newRow("one window at a time") << 1 << 100000;
        QTest::newRow("three, the last group smaller") << 3 << 100000;
        QTest::newRow("five rows of logits") << 13 << 5;
        QTest::newRow("two windows of logits") << 13 << 100;
        QTest::newRow("less than anything needs") << 0 << 0;
    }
    void groupsOfWindowsDoNotMatter()
    {
        QFETCH(int, windowsAtOnce);
        QFETCH(int, rowsOfLogits);
        const Fixture fixture;
        const ModelConfig& config = fixture.checkpoint.config();
        for (const std::string protocol : {"gptq", "llama.cpp"}) {
            const TextWindows windows = fixture.windows(protocol);
            ScoreBudget budget;
            budget.hiddenBytes = windowsAtOnce * 2 * windows.seqlen() * config.hidden * 4;
            budget.logits = rowsOfLogits * config.vocabSize;
            const ModelVariant variant = scaledLinears(1.05);
            const Scores scores =
                scoreWindows(fixture.decoder, windows, {variant}, RunContext(), budget);
            compareScores(scores, scoreWindows(fixture.decoder, windows, {variant}, RunContext()),
                          kScoreGap);
            // Each window by itself, as scoring it alone has it.
            const std::vector<double>& each = scores.variants[0].windowNll;
            QCOMPARE(static_cast<std::int64_t>(each.size()), windows.count());
            TextWindows second = windows;
            second.ids = windows.ids.narrow(0, 1, 1);
            const double alone =
                scoreWindows(fixture.decoder, second, {variant}, RunContext()).variants[0].nll;
            QVERIFY2(std::abs(each[1] - alone) <= kScoreGap, qPrintable(QString::number(each[1])));
        }
    }

    void bfloat16ChangesLittle()
    {
        const Fixture fixture;
        const TextWindows windows = fixture.windows("gptq");
        const Decoder narrow(fixture.checkpoint, {at::kBFloat16, "cpu"});
        const double f32 =
            scoreWindows(fixture.decoder, windows, {}, RunContext()).fullPrecision.nll;
        const double bf16 = scoreWindows(narrow, windows, {}, RunContext()).fullPrecision.nll;
        QVERIFY(bf16 != f32);
        QVERIFY2(std::abs(bf16 - f32) <= kBfloat16NllGap, qPrintable(QString::number(bf16 - f32)));
    }

    void sameBitsTwice()
    {
        const Fixture fixture;
        const TextWindows windows = fixture.windows("gptq");
        const auto score = [&] {
            return scoreWindows(fixture.decoder, windows, {scaledLinears(1.05)}, RunContext());
        };
        const Scores first = score();
        const Scores second = score();
        QCOMPARE(first.fullPrecision.nll, second.fullPrecision.nll);
        QVERIFY(first.comparisons[0] == second.comparisons[0]);
    }

    void saysWhatIsMissing()
    {
        const Fixture fixture;
        const TextWindows all = fixture.windows("gptq", 1000);
        QCOMPARE(all.substitutions.size(), std::size_t{1});
        QVERIFY(all.substitutions[0].find("1000") != std::string::npos);
        EvaluationSpec spec;
        spec.seqlen = 65; // the model has 64 positions
        const Tokenizer tokenizer = Tokenizer::fromFolder(kFolder);
        QVERIFY_EXCEPTION_THROWN(evaluationWindows(spec, (kFolder / "text.txt").string(),
                                                   fixture.checkpoint.config(), tokenizer),
                                 Error);
    }

    void windowsWithoutASecondHalfAreRefused()
    {
        const Fixture fixture;
        const Tokenizer tokenizer = Tokenizer::fromFolder(kFolder);
        EvaluationSpec spec;
        spec.protocol = "llama.cpp";
        const auto windows = [&](std::int64_t seqlen) {
            spec.seqlen = seqlen;
            return evaluationWindows(spec, (kFolder / "text.txt").string(),
                                     fixture.checkpoint.config(), tokenizer);
        };
        QVERIFY_EXCEPTION_THROWN(windows(2), Error);
        QCOMPARE(windows(3).scoredPerWindow(), std::int64_t{1});
    }

    void stopsWhenAsked()
    {
        const Fixture fixture;
        std::stop_source stop;
        stop.request_stop();
        const RunContext run(stop.get_token(), {});
        QVERIFY_EXCEPTION_THROWN(scoreWindows(fixture.decoder, fixture.windows("gptq"), {}, run),
                                 Cancelled);
    }
};

QTEST_GUILESS_MAIN(TestPerplexity)
#include "tst_perplexity.moc"
