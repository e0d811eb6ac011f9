#include <cmath>
#include <stop_token>

#include <QTemporaryDir>
#include <QTest>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"
#include "store/run_store.h"
#include "support/tensor_model_files.h"
#include "support/tolerances.h"
#include "text_comparison.h"

using namespace qw;
using namespace qw::test;

namespace {
const std::string kText = "The mill stood by the river; its wheel turned slowly in the\nspring.";
constexpr std::int64_t kMaxPositions = 128;
constexpr std::int64_t kContinue = 12;
} // namespace

class TestTextComparison : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase();
    void lossesAreThoseOfScoreWindows();
    void tokensAddUpToTheText();
    void continuationsAreThoseOfGenerateText();
    void measuredComesBeforeContinuations();
    void refusals();
    void stopsWhenAsked();
    void linesOfATextAreLongEnough();

private:
    std::filesystem::path path(const char* name) const
    {
        return std::filesystem::path(m_folder.path().toStdString()) / name;
    }
    RunSpec spec(std::int64_t bits) const
    {
        RunSpec spec;
        spec.model = path("model").string();
        spec.weight.bits = bits;
        spec.weight.groupSize = 32;
        spec.threads = 1;
        return spec;
    }
    RunResult quantized(const RunSpec& spec)
    {
        RunStore store(path("runs.sqlite"));
        RunOptions options;
        options.workFolder = path("work");
        return runQuantization(spec, store, options, {});
    }

    QTemporaryDir m_folder;
    RunResult m_run;
};

void TestTextComparison::initTestCase()
{
    startEngine(1);
    RandomModelSpec shape = smallShape();
    shape.maxPositions = kMaxPositions;
    writeRandomModel(path("model"), shape);
    writeBytes(path("text.txt"), kText);
    m_run = quantized(spec(2));
}

void TestTextComparison::lossesAreThoseOfScoreWindows()
{
    EvaluationSpec window;
    window.text = path("text.txt").string();
    window.seqlen = static_cast<std::int64_t>(kText.size()); // a token is a byte in this model
    const TextComparison shown = compareText(m_run, {kText, 0}, {}, {});
    const EvaluationResult scored = evaluateModel(m_run.spec.model, &m_run, window, "cpu", {});
    QCOMPARE(scored.score.windows, 1);
    QCOMPARE(scored.score.tokens, static_cast<std::int64_t>(kText.size()) - 1);
    const auto close = [](double a, double b) { return std::abs(a - b) <= kScoreGap * (1 + b); };
    QVERIFY2(close(shown.nll, scored.score.nll),
             qPrintable(QString::number(shown.nll - scored.score.nll)));
    QVERIFY(close(shown.fpNll, scored.comparison.fpNll));
    QVERIFY(std::abs(shown.nll - shown.fpNll) > 100 * kScoreGap); // two models, not one twice
    std::int64_t same = 0;
    for (std::size_t i = 1; i < shown.tokens.size(); ++i) {
        same += shown.tokens[i].best == shown.tokens[i].fpBest ? 1 : 0;
    }
    const double agreement = static_cast<double>(same) / static_cast<double>(kText.size() - 1);
    QCOMPARE(agreement, scored.comparison.top1Agreement);
}

void TestTextComparison::tokensAddUpToTheText()
{
    const std::string text = "na\xC3\xAFve \xE2\x82\xAC"; // characters of two and three bytes
    const TextComparison shown = compareText(m_run, {text, 0}, {}, {});
    QCOMPARE(shown.tokens.size(), text.size());
    std::string all;
    for (const TokenComparison& token : shown.tokens) {
        all += token.text;
    }
    QCOMPARE(all, text);
    QCOMPARE(shown.tokens[2].text, std::string()); // half a character
    QCOMPARE(shown.tokens[3].text, std::string("\xC3\xAF"));
    QVERIFY(std::isnan(shown.tokens[0].logProb));
    QVERIFY(shown.tokens[1].logProb < 0 && !shown.tokens[1].best.empty());
}

void TestTextComparison::continuationsAreThoseOfGenerateText()
{
    const std::string prompt = "spring";
    GenerateOptions options;
    options.prompt = prompt;
    options.maxTokens = kContinue;
    const TextComparison shown = compareText(m_run, {prompt, kContinue}, {}, {});
    QCOMPARE(shown.fpContinuation,
             generateTexts(m_run.spec.model, nullptr, options, "cpu", {}, {}).front().text);
    QCOMPARE(shown.continuation,
             generateTexts(m_run.spec.model, &m_run, options, "cpu", {}, {}).front().text);
    QVERIFY(shown.continuation != shown.fpContinuation);
    // At the end of the model's positions there is no room to go on.
    const std::string full(kMaxPositions, 'a');
    QCOMPARE(compareText(m_run, {full, kContinue}, {}, {}).continuation, std::string());
}

void TestTextComparison::measuredComesBeforeContinuations()
{
    std::vector<TextComparison> told;
    const TextComparison last = compareText(
        m_run, {kText, kContinue}, [&](const TextComparison& now) { told.push_back(now); }, {});
    QCOMPARE(told.size(), 1U);
    QCOMPARE(told[0].continuation, std::string());
    QCOMPARE(told[0].nll, last.nll);
    QCOMPARE(told[0].tokens.size(), last.tokens.size());
}

void TestTextComparison::refusals()
{
    const auto refused = [this](const std::string& text, const RunResult& run) {
        return sentenceOf([&] { compareText(run, {text, 0}, {}, {}); });
    };
    QVERIFY(refused("a", m_run).find("fewer than two tokens") != std::string::npos);
    QVERIFY(refused(std::string(kMaxPositions + 1, 'a'), m_run).find("128") != std::string::npos);
    RunResult gone = m_run;
    gone.artifactFolder.clear();
    QVERIFY(refused(kText, gone).find("kept no artifact") != std::string::npos);
    RunResult other = m_run;
    other.provenance.modelHash = "another";
    QVERIFY(refused(kText, other).find("is not the model") != std::string::npos);
}

void TestTextComparison::stopsWhenAsked()
{
    std::stop_source stop;
    const RunContext context(stop.get_token(), {});
    // After the tokens: the continuations notice.
    QVERIFY_EXCEPTION_THROWN(compareText(
                                 m_run, {kText, kContinue},
                                 [&](const TextComparison&) { stop.request_stop(); }, context),
                             Cancelled);
}

void TestTextComparison::linesOfATextAreLongEnough()
{
    writeBytes(path("lines.txt"), "Heading\n\n" + std::string(50, 'x') + "\nshort\n" +
                                      std::string(60, 'y') + "\n" + std::string(40, 'z'));
    const std::string file = path("lines.txt").string();
    QCOMPARE(textLines(file, 10),
             (std::vector<std::string>{std::string(50, 'x'), std::string(60, 'y'),
                                       std::string(40, 'z')}));
    QCOMPARE(textLines(file, 1).size(), 1U);
    QVERIFY(!textLines("demo:evaluation", 3).empty());
    QVERIFY(!sentenceOf([&] { textLines(path("none.txt").string(), 1); }).empty());
}

QTEST_GUILESS_MAIN(TestTextComparison)
#include "tst_text_comparison.moc"
