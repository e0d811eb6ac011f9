// labels: slow
#include <random>

#include <QtTest>

#include <csignal>

#include "base/json_io.h"

using namespace qw;

namespace {
constexpr int kKills = 6;
constexpr int kPatience = 300000; // ms, for one run on a busy machine

/// A qw process on the bundled model.
class Program
{
public:
    explicit Program(const QStringList& arguments)
    {
        m_process.setProgram(QStringLiteral(QW_CLI));
        m_process.setArguments(arguments);
        m_process.start();
    }
    /// Waits for the line that names the run, the n-th of a sweep. Empty if none comes.
    QString runId(int number = 1)
    {
        static const QRegularExpression kLine(QStringLiteral("^run ([^\\s:]+).*\n"),
                                              QRegularExpression::MultilineOption);
        while (true) {
            auto found = kLine.globalMatch(QString::fromUtf8(m_errors));
            for (int i = 1; found.hasNext(); ++i) {
                const QRegularExpressionMatch line = found.next();
                if (i == number) {
                    return line.captured(1);
                }
            }
            m_process.setReadChannel(QProcess::StandardError);
            if (!m_process.waitForReadyRead(kPatience)) {
                return {};
            }
            readErrors();
        }
    }
    /// kill -9 after a while. @return false if it had ended before
    bool killAfter(int milliseconds)
    {
        if (m_process.waitForFinished(milliseconds)) {
            return false;
        }
        ::kill(static_cast<pid_t>(m_process.processId()), SIGKILL);
        m_process.waitForFinished(kPatience);
        return m_process.exitStatus() == QProcess::CrashExit;
    }
    bool wait()
    {
        const bool ended = m_process.waitForFinished(kPatience);
        readErrors();
        return ended && m_process.exitStatus() == QProcess::NormalExit;
    }
    int status() const { return m_process.exitCode(); }
    Json output() { return parseJson(m_process.readAllStandardOutput().toStdString(), "stdout"); }
    QByteArray errors() const { return m_errors; }

private:
    void readErrors() { m_errors += m_process.readAllStandardError(); }
    QProcess m_process;
    QByteArray m_errors;
};

/// What must not depend on interruptions: everything but times, places and predictions.
Json measured(Json run)
{
    for (const char* key :
         {"id", "started", "sweep", "seconds", "peak_rss_bytes", "artifact_folder",
          "estimated_seconds", "estimated_peak_rss_bytes", "phases"}) {
        run.erase(key);
    }
    if (run.contains("blocks")) {
        for (Json& block : run["blocks"]) {
            block.erase("seconds");
            block.erase("peak_rss_bytes");
        }
    }
    return run;
}

Json withoutTimes(Json run)
{
    run = measured(std::move(run));
    for (const char* key : {"seconds", "tokens_per_second", "peak_bytes_above_model"}) {
        run["training"].erase(key);
    }
    return run;
}

Json measuredAll(const Json& runs)
{
    Json all = Json::array();
    for (const Json& run : runs.at("runs")) {
        all.push_back(measured(run));
    }
    return all;
}
} // namespace

class TestKillResume : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void init() { ++m_number; }

    void killedRunsResumeToTheSameBits_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<int>("runs");
        QTest::addRow("l2qer") << QStringLiteral("l2qer --rank 8") << kKills;
        QTest::addRow("gptq") << QStringLiteral("gptq") << kKills / 2;
        QTest::addRow("lrq") << QStringLiteral("lrq --iters 20") << kKills / 2;
    }
    void killedRunsResumeToTheSameBits()
    {
        QFETCH(QString, method);
        QFETCH(int, runs);
        const QStringList arguments = runArguments(method);
        Program whole(arguments);
        QVERIFY(!whole.runId().isEmpty());
        QElapsedTimer clock; // of the work alone: libraries take as long to load
        clock.start();
        QVERIFY(whole.wait());
        QCOMPARE(whole.status(), 0);
        const Json expected = measured(whole.output());
        auto longest = static_cast<unsigned>(clock.elapsed() + 1);
        std::mt19937 random(20240229);
        int kills = 0;
        for (int i = 0; i < runs; ++i) {
            Program killed(arguments);
            const QString id = killed.runId();
            QVERIFY2(!id.isEmpty(), killed.errors().constData());
            if (killed.killAfter(static_cast<int>(random() % longest))) {
                ++kills;
            } else { // the machine was busier when the whole run was timed
                longest = longest / 2 + 1;
            }
            // And once more while it resumes.
            Program again(resumeArguments(id));
            again.killAfter(static_cast<int>(random() % longest));
            QVERIFY(measured(resumed(id)) == expected);
        }
        QVERIFY2(kills >= runs / 2, "most kills came too late to show anything");
    }

    void killedTrainingResumesToTheSameBits()
    {
        const QStringList arguments =
            common(QStringLiteral("run")) + QStringList{"--method",       "lr-qat",
                                                        "--bits",         "2",
                                                        "--rank",         "4",
                                                        "--group-size",   "64",
                                                        "--train-text",   "demo:calibration",
                                                        "--train-seqlen", "32",
                                                        "--batch-size",   "2",
                                                        "--grad-accum",   "2",
                                                        "--steps",        "12",
                                                        "--save-every",   "3"};
        Program whole(arguments);
        QVERIFY(!whole.runId().isEmpty());
        QElapsedTimer clock;
        clock.start();
        QVERIFY(whole.wait());
        QVERIFY2(whole.status() == 0, whole.errors().constData());
        const Json expected = withoutTimes(whole.output());
        auto longest = static_cast<unsigned>(clock.elapsed() + 1);
        std::mt19937 random(7);
        int kills = 0;
        for (int i = 0; i < kKills; ++i) {
            Program killed(arguments);
            const QString id = killed.runId();
            QVERIFY2(!id.isEmpty(), killed.errors().constData());
            if (killed.killAfter(static_cast<int>(random() % longest))) {
                ++kills;
            } else {
                longest = longest / 2 + 1;
                continue;
            }
            QVERIFY(withoutTimes(resumed(id)) == expected);
        }
        QVERIFY2(kills >= kKills / 2, "most kills came too late to show anything");
    }

    void killedSweepResumesWhole()
    {
        const QStringList arguments =
            common(QStringLiteral("sweep")) +
            QStringList{"--methods", "lqer,l2qer,qera-approx", "--bits", "3", "--ranks",
                        "0,4",       "--group-sizes",          "64"};
        Program whole(arguments);
        QVERIFY(whole.wait());
        const Json expected = measuredAll(whole.output());
        QCOMPARE(expected.size(), 6U);
        Program killed(arguments);
        const QString id = killed.runId();
        QVERIFY(!killed.runId(3).isEmpty()); // one group is finished, one begins, one waits
        QVERIFY(killed.killAfter(0));
        Program last(resumeArguments(id));
        QVERIFY(last.wait());
        QVERIFY2(last.status() == 0, last.errors().constData());
        QVERIFY(measuredAll(last.output()) == expected);
    }

    void twoProcessesShareAStore()
    {
        Program first(runArguments());
        Program second(runArguments());
        QVERIFY(first.wait());
        QVERIFY(second.wait());
        QVERIFY2(first.status() == 0, first.errors().constData());
        QVERIFY2(second.status() == 0, second.errors().constData());
        const Json a = first.output();
        const Json b = second.output();
        QVERIFY(a["id"] != b["id"]);
        QVERIFY(measured(a) == measured(b));
        Program list({QStringLiteral("runs"), QStringLiteral("list"), QStringLiteral("--json"),
                      QStringLiteral("--store"), store()});
        QVERIFY(list.wait());
        const Json runs = list.output().at("runs");
        QCOMPARE(runs.size(), 2U);
        for (const Json& run : runs) {
            QVERIFY(run["status"] == "finished");
            QVERIFY(run["artifact_hash"] == a["artifact_hash"]);
        }
    }

private:
    /// The run after it was resumed; as it stands in the store if the kill came when all was done.
    Json resumed(const QString& id) const
    {
        Program last(resumeArguments(id));
        if (!last.wait() || (last.status() != 0 && !last.errors().contains("is finished"))) {
            qWarning("%s", last.errors().constData());
            return Json::object();
        }
        if (last.status() == 0) {
            return last.output();
        }
        Program show({QStringLiteral("runs"), QStringLiteral("show"), id, QStringLiteral("--json"),
                      QStringLiteral("--store"), store()});
        return show.wait() ? show.output() : Json::object();
    }
    QString store() const
    {
        return m_folder.path() + QStringLiteral("/store%1.sqlite").arg(m_number);
    }
    QStringList common(const QString& command) const
    {
        const QString flags = QStringLiteral(
            "demo --calibration demo:calibration --nsamples 8 --calibration-seqlen 128 "
            "--text demo:evaluation --seqlen 128 --windows 8 --threads 1 --json --store");
        return QStringList{command} + flags.split(u' ') + QStringList{store()};
    }
    QStringList runArguments(const QString& method = QStringLiteral("l2qer --rank 8")) const
    {
        return common(QStringLiteral("run")) +
               (QStringLiteral("--bits 3 --group-size 64 --method ") + method).split(u' ');
    }
    QStringList resumeArguments(const QString& id) const
    {
        return {QStringLiteral("resume"), id, QStringLiteral("--json"), QStringLiteral("--store"),
                store()};
    }

    QTemporaryDir m_folder;
    int m_number = 0;
};

QTEST_GUILESS_MAIN(TestKillResume)
#include "tst_kill_resume.moc"
