#include "base/error.h"
#include "report/run_result.h"
#include "support/base_results.h"

#include <QtTest>

#include <functional>
#include <limits>

using namespace qw;
using test::sampleResult;

class TestRunResult : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void jsonAndBackIsLossless();
    void everyFieldReachesJson();
    void missingNumbersAreNullAndBack();
    void unknownKeysAreRefused();
    void publicNames();
    void publicValues();
    void incomparable_data();
    void incomparable();
};

void TestRunResult::jsonAndBackIsLossless()
{
    const RunResult run = sampleResult("id1");
    QVERIFY(runResultFromJson(parseJson(toJson(run).dump(), "test")) == run);
    QVERIFY(runResultFromJson(toJson(RunResult{})) == RunResult{});
    RunResult other = run;
    other.layers[0].singularValues[1] = 2e-17;
    QVERIFY(!(other == run));
}

void TestRunResult::everyFieldReachesJson()
{
    const Json changed = toJson(sampleResult("id1")).flatten();
    const Json defaults = toJson(RunResult{}).flatten();
    for (const auto& [key, value] : defaults.items()) {
        const bool list = value.is_null() && !changed.contains(key);
        if (key.rfind("/spec/", 0) != 0 && !list) {
            QVERIFY2(changed.at(key) != value, key.c_str());
        }
    }
}

void TestRunResult::missingNumbersAreNullAndBack()
{
    RunResult run = sampleResult("id1");
    run.score.nll = kMissing;
    run.seconds = std::numeric_limits<double>::infinity();
    const Json json = toJson(run);
    QVERIFY(json["score"]["nll"].is_null());
    QVERIFY(json["seconds"].is_null());
    QVERIFY(json["layers"][1]["weight_error"].is_null());
    const RunResult back = runResultFromJson(json);
    QVERIFY(std::isnan(back.score.nll) && std::isnan(back.layers[1].weightError));
    QVERIFY(toPublicJson(run, false)["nll"].is_null());
}

void TestRunResult::unknownKeysAreRefused()
{
    Json json = toJson(sampleResult("id1"));
    json["score"]["perplxity"] = 1;
    QVERIFY_EXCEPTION_THROWN(runResultFromJson(json), Error);
}

void TestRunResult::publicNames()
{
    // What others script against. Names may be added, never changed.
    const char* fixed[] = {"id",
                           "method",
                           "format",
                           "bits",
                           "group_size",
                           "rank",
                           "bits_per_weight",
                           "bytes",
                           "bytes_original",
                           "perplexity",
                           "nll",
                           "nll_stderr",
                           "fp_perplexity",
                           "fp_nll",
                           "delta_nll",
                           "delta_nll_stderr",
                           "kl_mean",
                           "top1_agreement",
                           "seconds",
                           "peak_rss_bytes",
                           "substitutions",
                           "layers"};
    const char* fixedOfLayer[] = {"name",         "rows",         "cols",    "rank",
                                  "weight_error", "output_error", "sqnr_db", "bits_per_weight"};
    const Json json = toPublicJson(sampleResult("id1"), true);
    for (const char* name : fixed) {
        QVERIFY2(json.contains(name), name);
    }
    for (const char* name :
         {"spec", "provenance", "phases"}) { // all that a script needs to repeat it
        QVERIFY2(json.contains(name), name);
    }
    for (const char* name : fixedOfLayer) {
        QVERIFY2(json["layers"][0].contains(name), name);
    }
    QVERIFY(!toPublicJson(sampleResult("id1"), false).contains("layers"));
}

void TestRunResult::publicValues()
{
    RunResult run = sampleResult("id1");
    run.spec.weight.groupSize = kPerTensor;
    const Json json = toPublicJson(run, true);
    QVERIFY(json["group_size"] == "tensor");
    QVERIFY(json["perplexity"] == 12.18);
    QVERIFY(json["nll_stderr"] == 0.01);
    QVERIFY(json["fp_nll"] == 2.4);
    QVERIFY(json["fp_perplexity"] == 11.02);
    QVERIFY(json["delta_nll"] == 0.1);
    QVERIFY(json["delta_nll_stderr"] == 0.002);
    QVERIFY(json["kl_mean"] == 0.03);
    QVERIFY(json["top1_agreement"] == 0.93);
    QVERIFY(json["layers"][0]["output_error"] == 1.0 / 3);
    QVERIFY(json["substitutions"].size() == 1);
}

void TestRunResult::incomparable_data()
{
    QTest::addColumn<std::function<void(RunResult&)>>("change");
    QTest::addColumn<QString>("part");
    const auto row = [](const char* part, std::function<void(RunResult&)> change) {
        QTest::newRow(part) << std::move(change) << QString::fromUtf8(part);
    };
    row("", [](RunResult& run) { run.score.nll = 3; });
    row("texts", [](RunResult& run) { run.score.textHash = "x"; });
    row("tokenizers", [](RunResult& run) { run.score.tokenizerHash = "x"; });
    row("gptq and llama.cpp", [](RunResult& run) { run.score.protocol = "llama.cpp"; });
    row("512 and 256 tokens", [](RunResult& run) { run.score.seqlen = 256; });
    row("7 and 6 windows", [](RunResult& run) { run.score.windows = 6; });
    row("f32 and bf16", [](RunResult& run) { run.score.compute = "bf16"; });
    row("run b is failed", [](RunResult& run) { run.status = "failed"; });
    row("run b was not evaluated", [](RunResult& run) { run.score.nll = kMissing; });
}

void TestRunResult::incomparable()
{
    QFETCH(std::function<void(RunResult&)>, change);
    QFETCH(QString, part);
    const RunResult a = sampleResult("a");
    RunResult b = sampleResult("b");
    change(b);
    const QString reason = QString::fromStdString(incomparableReason(a, b));
    QCOMPARE(reason.isEmpty(), part.isEmpty());
    QVERIFY2(reason.contains(part), qPrintable(reason));
}

QTEST_GUILESS_MAIN(TestRunResult)
#include "tst_run_result.moc"
