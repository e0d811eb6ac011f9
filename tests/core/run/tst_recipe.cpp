#include <ATen/ops/zeros.h>
#include <QTest>

#include "base/json_io.h"
#include "run/recipe.h"

using namespace qw;

/// Sentences of a run on what its method's published recipe has and it has not.
class TstRecipe : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void calibrationWindows_data();
    void calibrationWindows();
    void presetsHaveTheirMethodsWindows();
    void iterations_data();
    void iterations();
};

namespace {
RunSpec specOf(const char* method)
{
    RunSpec spec;
    spec.method = method;
    return spec;
}

RunTexts calibratedOn(std::int64_t windows, std::int64_t tokens)
{
    RunTexts texts;
    texts.calibration.emplace().ids = at::zeros({windows, tokens}, at::kLong);
    return texts;
}
} // namespace

void TstRecipe::calibrationWindows_data()
{
    QTest::addColumn<QString>("method");
    QTest::addColumn<int>("windows");
    QTest::addColumn<int>("tokens");
    const auto row = [](const char* method, int windows, int tokens) {
        QTest::addRow("%s", method) << QString::fromLatin1(method) << windows << tokens;
    };
    row("lrq", 512, 1024);
    row("flexround", 512, 1024);
    row("l2qer", 32, 2048);
    row("qera-approx", 256, 2048);
    row("qera-exact", 256, 2048);
    row("gptq", 128, 2048);
    row("awq", 128, 512);
    row("smoothquant", 512, 512);
}

void TstRecipe::calibrationWindows()
{
    QFETCH(QString, method);
    QFETCH(int, windows);
    QFETCH(int, tokens);
    RunSpec spec = specOf(qPrintable(method));
    QCOMPARE(spec.reconstruction.iterations, 5000); // LRQ's: nothing is said of them
    QVERIFY(recipeDifferences(spec, calibratedOn(windows, tokens)).empty());
    QVERIFY(recipeDifferences(spec, calibratedOn(2 * windows, 2 * tokens)).empty());
    QVERIFY(recipeDifferences(spec, {}).empty()); // not calibrated at all
    const QString recipe = QStringLiteral("recipe has %1 of %2").arg(windows).arg(tokens);
    for (const auto& [w, t] : {std::pair(windows - 1, tokens), std::pair(windows, tokens - 1)}) {
        const std::vector<std::string> said = recipeDifferences(spec, calibratedOn(w, t));
        QCOMPARE(said.size(), 1U);
        const QString sentence = QString::fromStdString(said.front());
        QVERIFY2(sentence.contains(
                     QStringLiteral("calibrated on %1 windows of %2 tokens").arg(w).arg(t)),
                 qPrintable(sentence));
        QVERIFY2(sentence.contains(recipe), qPrintable(sentence));
    }
}

/// The window offers recipes of papers: their windows are those that are held against a run.
void TstRecipe::presetsHaveTheirMethodsWindows()
{
    int calibrated = 0;
    for (const Json& preset : readJsonFile(QW_RESOURCES_DIR "/presets/presets.json")) {
        const Json& settings = preset.at("spec");
        if (!settings.contains("calibration")) {
            continue;
        }
        RunSpec spec;
        spec.method = settings.at("method").get<std::string>();
        const Json& windows = settings.at("calibration");
        const std::int64_t count = windows.at("nsamples");
        const std::int64_t tokens = windows.at("seqlen");
        const std::string title = preset.at("title").get<std::string>();
        QVERIFY2(recipeDifferences(spec, calibratedOn(count, tokens)).empty(), title.c_str());
        // No more than these, which also tells that the method has a recipe at all.
        QVERIFY2(!recipeDifferences(spec, calibratedOn(count - 1, tokens)).empty(), title.c_str());
        QVERIFY2(!recipeDifferences(spec, calibratedOn(count, tokens - 1)).empty(), title.c_str());
        ++calibrated;
    }
    QCOMPARE_GT(calibrated, 15);
}

void TstRecipe::iterations_data()
{
    QTest::addColumn<QString>("method");
    QTest::addColumn<bool>("learns");
    QTest::addRow("lrq") << QStringLiteral("lrq") << true;
    QTest::addRow("flexround") << QStringLiteral("flexround") << true;
    QTest::addRow("gptq") << QStringLiteral("gptq") << false;
    QTest::addRow("rtn") << QStringLiteral("rtn") << false;
}

void TstRecipe::iterations()
{
    QFETCH(QString, method);
    QFETCH(bool, learns);
    RunSpec spec = specOf(qPrintable(method));
    QVERIFY(recipeDifferences(spec, {}).empty());
    spec.reconstruction.iterations = 4999;
    const std::vector<std::string> said = recipeDifferences(spec, {});
    QCOMPARE(said.size(), learns ? 1U : 0U);
    if (learns) {
        QCOMPARE(QString::fromStdString(said.front()),
                 QStringLiteral("4999 iterations a block; LRQ's recipe has 5000"));
    }
}

QTEST_GUILESS_MAIN(TstRecipe)
#include "tst_recipe.moc"
