#include "report/method_style.h"
#include "report/number_format.h"
#include "report/open_numbers.h"
#include "report/run_tables.h"
#include "support/base_results.h"

#include <QtTest>

#include <set>

using namespace qw;
using test::sampleResult;

class TestRunTables : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void layersSideBySide();
    void blocksShowWhatTheyHave();
    void movedIntegersOfABlock();
    void onlyWhatDiffers();
    void onlyWhatIsLookedAt();
    void openNumbersAreWords_data();
    void openNumbersAreWords();
    void numbers_data();
    void numbers();
    void methodsLookDifferent();
};

void TestRunTables::layersSideBySide()
{
    RunResult a = sampleResult("a");
    RunResult b = sampleResult("b");
    b.layers[0].outputError = 0.5;
    b.layers[1].name = "only.b";
    const auto rows = compareLayers(a, b, LayerMetric::OutputError);
    QCOMPARE(rows.size(), 3U);
    QCOMPARE(rows[0].name, std::string("a.q_proj"));
    QCOMPARE(rows[0].a, 100.0 / 3);
    QCOMPARE(rows[0].b, 50.0);
    QCOMPARE(rows[0].difference, 50.0 - 100.0 / 3);
    QCOMPARE(rows[1].name, std::string("a.k_proj"));
    QVERIFY(std::isnan(rows[1].b) && std::isnan(rows[1].difference));
    QCOMPARE(rows[2].name, std::string("only.b"));
    QVERIFY(std::isnan(rows[2].a) && std::isnan(rows[2].difference));
    QCOMPARE(rows[2].b, 20.0);
}

void TestRunTables::blocksShowWhatTheyHave()
{
    using Rows = std::vector<std::vector<std::string>>;
    RunResult run = sampleResult("a");
    run.blocks = {};
    QVERIFY(blockRows(run).empty());
    BlockResult block;
    block.block = 3;
    block.errorBefore = 1204.4;
    block.errorAfter = 0.25;
    block.seconds = 12.5;
    block.peakRssBytes = 4000000;
    run.blocks = {block};
    QCOMPARE(blockRows(run), (Rows{{"block", "error before", "error after", "time", "peak memory"},
                                   {"3", "1204", "0.25", "12.5 s", "4.00 MB"}}));
    run.blocks[0].awqRatios = {{"x.k_proj", 0.35}, {"x.up_proj", 0}};
    run.blocks[0].losses = {2, 1};
    run.blocks[0].lr = 0.003;
    run.blocks[0].trainedParameters = 910;
    run.blocks.push_back(block); // of which nothing was learned
    const Rows rows = blockRows(run);
    QCOMPARE(rows[0], (std::vector<std::string>{"block", "error before", "error after",
                                                "iterations", "learning rate", "learned numbers",
                                                "AWQ ratios", "time", "peak memory"}));
    QCOMPARE(rows[1], (std::vector<std::string>{"3", "1204", "0.25", "2", "0.003", "910",
                                                "k_proj 0.35, up_proj 0.00", "12.5 s", "4.00 MB"}));
    QCOMPARE(rows[2], (std::vector<std::string>{"3", "1204", "0.25", "0", kMissingText, "0",
                                                kMissingText, "12.5 s", "4.00 MB"}));
}

void TestRunTables::movedIntegersOfABlock()
{
    RunResult run = sampleResult("a"); // has one block, 3; of its layers none is in it
    QVERIFY(std::isnan(movedShares(run, 3).none));
    run.layers[0].name = "model.layers.3.q_proj"; // 4 x 6: 1/2, 3/8, 1/8
    run.layers[1].name = "model.layers.3.k_proj"; // 2 x 6
    QCOMPARE(movedShares(run, 3).one, 0.375);     // k_proj says nothing
    run.layers[1].moved0 = 0.8;
    run.layers[1].moved1 = 0.15;
    run.layers[1].moved2plus = 0.05;
    const MovedShares shares = movedShares(run, 3);
    QCOMPARE(shares.none, 0.6);
    QCOMPARE(shares.one, 0.3);
    QCOMPARE(shares.more, 0.1);
    QVERIFY(std::isnan(movedShares(run, 4).none));
    const auto rows = blockRows(run);
    const auto at = std::find(rows[0].begin(), rows[0].end(), "moved by 1") - rows[0].begin();
    QCOMPARE(rows[1].at(static_cast<std::size_t>(at)), std::string("30.0 %"));
    QCOMPARE(rows[1].at(static_cast<std::size_t>(at) + 1), std::string("10.0 %"));
}

void TestRunTables::onlyWhatDiffers()
{
    RunResult a = sampleResult("a");
    RunResult b = sampleResult("b");
    QVERIFY(differingSettings({a, b}).empty());
    b.spec.weight.bits = 4;
    b.provenance.torch = "2.15";
    const auto rows = differingSettings({a, b, a});
    QCOMPARE(rows.size(), 2U);
    QVERIFY(rows[0] == (SettingRow{"provenance.torch", {"1.13", "2.15", "1.13"}}));
    QVERIFY(rows[1] == (SettingRow{"weight.bits", {"3", "4", "3"}}));
    QCOMPARE(settingsOf(a.spec).at("weight.group_size"), std::string("128"));
}

void TestRunTables::onlyWhatIsLookedAt()
{
    RunResult a = sampleResult("a");
    RunResult b = sampleResult("b");
    a.spec.method = b.spec.method = "rtn";
    a.spec.lowRank.rank = 8;
    a.spec.reconstruction.iterations = 300;
    QVERIFY(differingSettings({a, b}).empty());
    a.spec.method = "lrq";
    const auto rows = differingSettings({a, b});
    QCOMPARE(rows.size(), 2U);
    QVERIFY(rows[0] == (SettingRow{"method", {"lrq", "rtn"}}));
    QVERIFY(rows[1] == (SettingRow{"reconstruction.iterations", {"300", kMissingText}}));
    b.spec.method = "lr-qat"; // its spec may say the same of what it does not look at
    b.spec.reconstruction.iterations = 300;
    b.spec.training.rank = 8;
    const auto learned = differingSettings({a, b});
    QCOMPARE(learned.size(), 3U);
    QVERIFY(learned[1] == (SettingRow{"reconstruction.iterations", {"300", kMissingText}}));
    QVERIFY(learned[2] == (SettingRow{"training.rank", {kMissingText, "8"}}));
    b.spec.method = "rtn";
    b.provenance.modelHash = "another"; // nothing to read
    QCOMPARE(differingSettings({a, b}).size(), 2U);
    a.spec.lowRank.correction = "lqer"; // which has a rank
    QVERIFY(differingSettings({a, b})[0] == (SettingRow{"low_rank.correction", {"lqer", "none"}}));
    QVERIFY(differingSettings({a, b})[1] == (SettingRow{"low_rank.rank", {"8", kMissingText}}));
}

void TestRunTables::openNumbersAreWords_data()
{
    QTest::addColumn<QString>("setting");
    QTest::addColumn<QString>("value");
    QTest::addColumn<QString>("shown");
    const auto row = [](const char* setting, const char* value, const char* shown) {
        QTest::addRow("%s %s", setting, value)
            << QString::fromLatin1(setting) << QString::fromLatin1(value)
            << QString::fromLatin1(shown);
    };
    row("training.lr", "-1.0", "automatic");
    row("training.lr", "0.001", "0.001");
    row("training.lr_scale", "0.0", "0.0"); // scales stay as found
    row("training.warmup", "-1", "automatic");
    row("training.rank", "0", "automatic");
    row("low_rank.rank", "0", "0");
    row("calibration.seqlen", "0", "automatic");
    row("evaluation.windows", "0", "all");
    row("low_rank.factor_bits", "0", "float32");
    row("method", "lr-qat", "lr-qat");
    row("reconstruction.rank", "relative", "relative");
}

void TestRunTables::openNumbersAreWords()
{
    QFETCH(QString, setting);
    QFETCH(QString, value);
    QFETCH(QString, shown);
    QCOMPARE(readableValue(setting.toStdString(), value.toStdString()), shown.toStdString());
}

void TestRunTables::numbers_data()
{
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("expected");
    const auto row = [](const char* name, const std::string& text, const char* expected) {
        QTest::newRow(name) << QString::fromStdString(text) << QString::fromUtf8(expected);
    };
    row("missing", formatNumber(kMissing, 3), "–");
    row("decimals", formatNumber(2.5, 3), "2.500");
    row("largest", formatNumber(1e300, 0).substr(0, 4), "1000");
    row("error", formatWithError(12.18, 0.1218, 3), "12.180 ± 0.122");
    row("no error", formatWithError(12.18, kMissing, 3), "12.180");
    row("missing with error", formatWithError(kMissing, 1, 3), "–");
    row("percent", formatPercent(0.02134), "2.13 %");
    row("percent, round", formatPercent(0.16), "16.0 %");
    row("percent, rounded up a power", formatPercent(0.09996), "10.0 %");
    row("percent, all", formatPercent(1), "100 %");
    row("percent, many", formatPercent(12.344), "1234 %");
    row("percent, negative", formatPercent(-0.005), "-0.500 %");
    row("percent, small", formatPercent(0.00002), "0.00200 %");
    row("percent, tiny", formatPercent(2.5e-9), "2.50e-07 %");
    row("percent, none", formatPercent(0), "0 %");
    row("percent, missing", formatPercent(kMissing), "–");
    row("bytes", formatMegabytes(12345678), "12.35 MB");
    row("no bytes", formatMegabytes(0), "–");
    row("seconds", formatDuration(3.14), "3.1 s");
    row("minutes", formatDuration(72), "1:12");
    row("hours", formatDuration(7512), "2 h 05");
}

void TestRunTables::numbers()
{
    QFETCH(QString, text);
    QFETCH(QString, expected);
    QCOMPARE(text, expected);
}

void TestRunTables::methodsLookDifferent()
{
    std::set<std::tuple<std::uint32_t, Marker, bool>> light;
    std::set<std::tuple<std::uint32_t, Marker, bool>> dark;
    for (const MethodStyle& style : methodStyles()) {
        QVERIFY2(light.insert({style.light, style.marker, style.filled}).second,
                 style.method.c_str());
        QVERIFY2(dark.insert({style.dark, style.marker, style.filled}).second,
                 style.method.c_str());
    }
    QCOMPARE(methodStyle("l2qer").title, std::string("L²QER"));
    QCOMPARE(methodStyle("new").title, std::string("new"));
}

QTEST_GUILESS_MAIN(TestRunTables)
#include "tst_run_tables.moc"
