#include "base/files.h"
#include "store/run_store.h"
#include "support/qw_process.h"

#include <QDir>
#include <QDirIterator>
#include <QElapsedTimer>
#include <QJsonArray>
#include <QRegularExpression>
#include <QtTest>

#include <csignal>

#include <sys/types.h>

using namespace qw;
using test::QwOutcome;
using test::QwProgram;

namespace {
/// A run that is over in a moment.
const QString kQuick = QStringLiteral("run demo --bits 3 --threads 1 --json ");
const QString kMeasured = kQuick + QStringLiteral("--text demo:evaluation --seqlen 32 ");

/// Files of artifacts in a folder.
int filesUnder(const QString& folder)
{
    int count = 0;
    QDirIterator entries(folder, QDir::Files, QDirIterator::Subdirectories);
    while (entries.hasNext()) {
        entries.next();
        ++count;
    }
    return count;
}
} // namespace

/// Stored runs: repeated, verified, resumed, compared, merged, deleted.
class TestRunCommands : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void verifySame();
    void verifyDifferent();
    void rerunMakesAnother();
    void aRunIsRepeatedOnItsDevice();
    void anotherModelIsWrongInput();
    void storeThatCannotBeUsed_data();
    void storeThatCannotBeUsed();
    void ranksOfAnLrqSweep();
    void rerunOfASlicedRun();
    void failedSweepTellsAll();
    void interruptAndResume();
    void finishedRunIsNotResumed();
    void shardsMergeWithoutDuplicates();
    void comparableRuns();
    void incomparableRunsAreLabelled();
    void tags();
    void deleteAndPurge();
    void purgeKeepsWhatAnotherRunNeeds();
    void purgeKeepsARunAtWork();
    void killedRunsAreInterrupted();
    void nothingIsMadeToBeRead();
    void relativePathsAreStoredWhole();
    void slowBlasIsNamed();

private:
    QJsonObject make(const QString& line) const { return m_qw.run(line).json(); }
    QJsonArray list(const QString& flags = {}) const
    {
        return make("runs list --json " + flags)["runs"].toArray();
    }

    QwProgram m_qw;
};

void TestRunCommands::verifySame()
{
    const QString id = make(kQuick)["id"].toString();
    const QwOutcome outcome = m_qw.run("rerun " + id + " --verify --json");
    QCOMPARE(outcome.status, 0);
    QCOMPARE(outcome.json()["same"], QJsonValue(true));
    QCOMPARE(outcome.json()["stored_hash"], outcome.json()["new_hash"]);
    QCOMPARE(list().size(), 1); // a verification stores nothing
}

void TestRunCommands::verifyDifferent()
{
    const QString file = m_qw.path("other.sqlite");
    const QString id = make(kQuick + "--store other.sqlite")["id"].toString();
    {
        RunStore store(file.toStdString());
        RunResult run = store.get(id.toStdString());
        run.artifactHash = "0123456789abcdef";
        store.save(run);
    }
    const QwOutcome outcome = m_qw.run("rerun " + id + " --verify --json --store other.sqlite");
    QCOMPARE(outcome.status, 3);
    QCOMPARE(outcome.json()["same"], QJsonValue(false));
}

void TestRunCommands::rerunMakesAnother()
{
    const QJsonObject first = make(kQuick);
    const QJsonObject again = make("rerun " + first["id"].toString() + " --json");
    QVERIFY(first["id"] != again["id"]);
    QCOMPARE(again["artifact_hash"], first["artifact_hash"]);
    QCOMPARE(again["bits"], first["bits"]);
}

void TestRunCommands::aRunIsRepeatedOnItsDevice()
{
    const QString id = make(kQuick)["id"].toString();
    for (const char* command : {"rerun ", "rerun --verify "}) {
        const QwOutcome outcome = m_qw.run(command + id + " --device cuda");
        QCOMPARE(outcome.status, 2);
        QVERIFY2(outcome.err.contains("--device cuda: run " + id + " is of cpu"),
                 qPrintable(outcome.err));
    }
    QCOMPARE(m_qw.run("rerun --verify " + id + " --device cpu").status, 0);
}

/// 3 is of a verification alone.
void TestRunCommands::anotherModelIsWrongInput()
{
    const QString id = make(kQuick + "--store foreign.sqlite")["id"].toString();
    {
        RunStore store(m_qw.path("foreign.sqlite").toStdString());
        RunResult run = store.get(id.toStdString());
        run.provenance.modelHash = "0123456789abcdef";
        store.save(run);
    }
    const QwOutcome outcome =
        m_qw.run("generate --run " + id + " --prompt A --store foreign.sqlite");
    QCOMPARE(outcome.status, 2);
    QVERIFY2(outcome.err.contains("is not the model that run"), qPrintable(outcome.err));
}

void TestRunCommands::storeThatCannotBeUsed_data()
{
    QTest::addColumn<QString>("before");
    QTest::addColumn<QString>("flags");
    QTest::addColumn<int>("status");
    // Nothing can be written, as on a full disk.
    QTest::newRow("full disk") << "trap '' XFSZ; ulimit -f 0;"
                               << "--store full.sqlite" << 1;
    QTest::newRow("no place for the default store") << "XDG_DATA_HOME=/proc"
                                                    << "" << 1;
    QTest::newRow("no store file") << ""
                                   << "--store /proc/new.sqlite" << 2;
}

void TestRunCommands::storeThatCannotBeUsed()
{
    QFETCH(QString, before);
    QFETCH(QString, flags);
    QFETCH(int, status);
    QProcess process;
    process.setWorkingDirectory(m_qw.folder());
    process.start("sh", {"-c", before + " exec " QW_CLI " runs merge other.sqlite " + flags});
    const QwOutcome outcome = QwProgram::finish(process);
    QVERIFY2(outcome.status == status, qPrintable(outcome.err));
    QCOMPARE(outcome.err.count('\n'), 1);
    QVERIFY2(outcome.err.contains("run store"), qPrintable(outcome.err));
}

void TestRunCommands::ranksOfAnLrqSweep()
{
    const QJsonArray runs =
        make("sweep demo --methods rtn,lrq --bits 3 --group-sizes channel --ranks 3,7 --iters 1 "
             "--calibration demo:calibration --nsamples 2 --calibration-seqlen 16 --threads 1 "
             "--artifacts discard --json --store lrq.sqlite")["runs"]
            .toArray();
    QList<int> ranks;
    for (const QJsonValue& run : runs) {
        ranks.append(run["train_rank"].toInt());
    }
    QCOMPARE(ranks, (QList<int>{0, 3, 7}));
}

void TestRunCommands::rerunOfASlicedRun()
{
    const QString store = " --store sliced.sqlite";
    const QJsonArray runs =
        make("sweep demo --methods lqer --bits 3 --ranks 2,40 --threads 1 --json" + store)["runs"]
            .toArray();
    const QJsonObject again = make("rerun " + runs.first()["id"].toString() + " --json" + store);
    QCOMPARE(again["rank"].toInt(), 2);
    QCOMPARE(again["artifact_hash"], runs.first()["artifact_hash"]);
}

void TestRunCommands::failedSweepTellsAll()
{
    m_qw.write("blocked.sqlite.runs", "a file where the folder of runs belongs");
    const QwOutcome outcome = m_qw.run("sweep demo --methods rtn,lqer --bits 3 --ranks 4 "
                                       "--threads 1 --json --store blocked.sqlite");
    QCOMPARE(outcome.status, 1);
    QVERIFY2(outcome.err.contains("(1 of 2): RTN W3 g128"), qPrintable(outcome.err));
    QVERIFY2(outcome.err.contains("(2 of 2): LQER W3 g128 r4"), qPrintable(outcome.err));
    const QJsonArray runs = outcome.json()["runs"].toArray();
    QCOMPARE(runs.size(), 2);
    for (const QJsonValue& run : runs) {
        QCOMPARE(run["status"].toString(), "failed");
        QVERIFY2(run["problem"].toString().contains("cannot be made"), qPrintable(outcome.err));
        QVERIFY(outcome.err.contains("run " + run["id"].toString() + ": "));
        QCOMPARE(
            make("runs show " + run["id"].toString() + " --json --store blocked.sqlite")["status"],
            run["status"]);
    }
    QVERIFY2(outcome.err.contains("2 of 2 runs failed"), qPrintable(outcome.err));
    QVERIFY(QFile::remove(m_qw.path("blocked.sqlite.runs")));
    const QwOutcome resumed =
        m_qw.run("resume " + runs.first()["sweep"].toString() + " --json --store blocked.sqlite");
    QCOMPARE(resumed.status, 0);
    for (const QJsonValue& run : resumed.json()["runs"].toArray()) {
        QCOMPARE(run["status"].toString(), "finished");
    }
}

void TestRunCommands::interruptAndResume()
{
    // Long enough to be interrupted on any machine: 80 000 tokens of calibration.
    const QString line = "run demo --method l2qer --bits 3 --rank 4 --calibration "
                         "demo:calibration --nsamples 640 --calibration-seqlen 128 --threads 1 "
                         "--json --store long.sqlite";
    QProcess process;
    m_qw.start(process, line.split(' '));
    QString err;
    const QRegularExpression announced("^run (\\w+)", QRegularExpression::MultilineOption);
    QTRY_VERIFY_WITH_TIMEOUT(
        (err += QString::fromUtf8(process.readAllStandardError())).contains("quantize"), 60000);
    const QString id = announced.match(err).captured(1);
    QVERIFY2(!id.isEmpty(), qPrintable(err));
    QElapsedTimer clock;
    clock.start();
    QCOMPARE(::kill(static_cast<pid_t>(process.processId()), SIGINT), 0);
    const QwOutcome outcome = QwProgram::finish(process);
    QVERIFY2(clock.elapsed() < 10000, "a second on a free machine"); // a busy one gets more
    QCOMPARE(outcome.status, 130);
    QCOMPARE(outcome.out, QByteArray());
    QVERIFY2(("\n" + outcome.err).contains("\ncancelling\n"), qPrintable(outcome.err));
    QVERIFY2(outcome.err.contains("qw: cancelled"), qPrintable(outcome.err));
    const QJsonObject stored = make("runs show " + id + " --json --store long.sqlite");
    QCOMPARE(stored["status"].toString(), "cancelled");
    const QwOutcome resumed = m_qw.run("resume " + id + " --store long.sqlite");
    QCOMPARE(resumed.status, 0);
    for (const char* part : {"output error", "peak memory", "(predicted "}) { // as of qw run
        QVERIFY2(resumed.out.contains(part), resumed.out.constData());
    }
    const QJsonObject finished = make("runs show " + id + " --json --store long.sqlite");
    QCOMPARE(finished["status"].toString(), "finished");
}

void TestRunCommands::finishedRunIsNotResumed()
{
    const QString id = make(kQuick)["id"].toString();
    const QwOutcome outcome = m_qw.run("resume " + id);
    QCOMPARE(outcome.status, 2);
    QVERIFY2(outcome.err.contains("is finished"), qPrintable(outcome.err));
}

void TestRunCommands::shardsMergeWithoutDuplicates()
{
    const QString grid = "sweep demo --methods rtn,lqer --bits 2,3 --ranks 0,4 --threads 1 --json "
                         "--artifacts discard --shard ";
    QSet<QString> points;
    int made = 0;
    for (const char* shard : {"0/3", "1/3", "2/3"}) {
        const QString store = QStringLiteral(" --store part%1.sqlite").arg(QChar(shard[0]));
        const QJsonArray runs = make(grid + shard + store)["runs"].toArray();
        made += static_cast<int>(runs.size());
        for (const QJsonValue& run : runs) {
            points.insert(QStringLiteral("%1 %2 %3")
                              .arg(run["method"].toString())
                              .arg(run["bits"].toInt())
                              .arg(run["rank"].toInt()));
        }
    }
    const QSet<QString> whole{"rtn 2 0", "rtn 3 0", "lqer 2 0", "lqer 2 4", "lqer 3 0", "lqer 3 4"};
    QCOMPARE(points, whole);
    QCOMPARE(made, 6);
    for (const char* part : {"part0.sqlite", "part1.sqlite", "part2.sqlite", "part1.sqlite"}) {
        QCOMPARE(m_qw.run(QStringLiteral("runs merge --store all.sqlite ") + part).status, 0);
    }
    QCOMPARE(list("--store all.sqlite").size(), 6);
    const QJsonObject again = make("runs merge part0.sqlite --store all.sqlite --json");
    QCOMPARE(again["added"].toInt(), 0);
    QVERIFY(again["already_there"].toInt() > 0);
}

void TestRunCommands::comparableRuns()
{
    const QString a = make(kMeasured + "--windows 2")["id"].toString();
    const QString b = make(kMeasured + "--windows 2 --group-size 64")["id"].toString();
    const QJsonObject json = make("runs compare " + a + " " + b + " --json");
    QCOMPARE(json["incomparable"].toArray().size(), 0);
    QCOMPARE(json["runs"].toArray().size(), 2);
    QCOMPARE(json["differences"].toObject().keys(), QStringList{"weight.group_size"});
}

void TestRunCommands::incomparableRunsAreLabelled()
{
    const QString a = make(kMeasured + "--windows 2")["id"].toString();
    const QString b = make(kMeasured + "--windows 3")["id"].toString();
    const QString unmeasured = make(kQuick)["id"].toString();
    QCOMPARE(make("runs compare " + a + " " + b + " --json")["incomparable"].toArray().size(), 1);
    const QwOutcome outcome = m_qw.run("runs compare " + a + " " + b + " " + unmeasured);
    QCOMPARE(outcome.status, 0);
    const QString out = QString::fromUtf8(outcome.out);
    QVERIFY2(out.contains("2 and 3 windows"), qPrintable(out));
    QVERIFY2(out.contains("was not evaluated on a text"), qPrintable(out));
}

void TestRunCommands::tags()
{
    const QString id = make(kQuick + "--store tags.sqlite")["id"].toString();
    make(kQuick + "--store tags.sqlite");
    QCOMPARE(m_qw.run("runs tag " + id + " best --store tags.sqlite").status, 0);
    const QJsonArray found = list("--tag best --store tags.sqlite");
    QCOMPARE(found.size(), 1);
    QCOMPARE(found.first()["id"].toString(), id);
    QCOMPARE(found.first()["tags"].toArray(), QJsonArray{"best"});
    QCOMPARE(m_qw.run("runs tag " + id + " best --remove --store tags.sqlite").status, 0);
    QCOMPARE(list("--tag best --store tags.sqlite").size(), 0);
}

void TestRunCommands::deleteAndPurge()
{
    const QString store = "--store purge.sqlite";
    const QString folder = m_qw.path("purge.sqlite.runs");
    const QString gone = make(kQuick + store)["id"].toString();
    const QString kept = make(kQuick + store)["id"].toString();
    const int before = filesUnder(folder);
    QVERIFY(before > 0);
    QCOMPARE(make("runs delete " + gone + " --json " + store)["deleted"].toArray(),
             QJsonArray{gone});
    QCOMPARE(list(store).size(), 1);
    QCOMPARE(filesUnder(folder), before); // hidden, not lost
    const QJsonObject purged = make("runs purge --json " + store);
    QCOMPARE(purged["runs_removed"].toInt(), 1);
    QVERIFY(purged["bytes_freed"].toDouble() > 0);
    QCOMPARE(filesUnder(folder), before / 2);
    QCOMPARE(list(store).first()["id"].toString(), kept);
}

void TestRunCommands::purgeKeepsWhatAnotherRunNeeds()
{
    const QString store = " --store shared.sqlite";
    const QJsonArray runs =
        make("sweep demo --methods lqer --bits 3 --ranks 0,4 --threads 1 --json" + store)["runs"]
            .toArray();
    QCOMPARE(runs.size(), 2);
    m_qw.run("runs delete " + runs.first()["id"].toString() + store);
    QCOMPARE(m_qw.run("runs purge" + store).status, 0);
    const QwOutcome outcome = m_qw.run("eval --run " + runs.last()["id"].toString() +
                                       " --text demo:evaluation --seqlen 32 --windows 1 "
                                       "--threads 1 --json" +
                                       store);
    QVERIFY2(outcome.status == 0, qPrintable(outcome.err));
}

void TestRunCommands::purgeKeepsARunAtWork()
{
    const QString store = " --store atwork.sqlite";
    const QString id = make(kQuick + store)["id"].toString();
    const QString folder = m_qw.path("atwork.sqlite.runs/" + id);
    const int before = filesUnder(folder);
    QVERIFY(before > 0);
    QCOMPARE(m_qw.run("runs delete " + id + store).status, 0);
    {
        const FileLock atWork((folder + "/lock").toStdString());
        const QJsonObject purged = make("runs purge --json" + store);
        QCOMPARE(purged["runs_removed"].toInt(), 0);
        QCOMPARE(purged["at_work"].toArray(), QJsonArray{id});
        QVERIFY(m_qw.run("runs purge" + store).out.contains("at work"));
        QCOMPARE(filesUnder(folder), before);
    }
    QCOMPARE(make("runs purge --json" + store)["runs_removed"].toInt(), 1);
    QCOMPARE(filesUnder(folder), 0);
}

/// "running" is true of a run as long as a process holds its files.
void TestRunCommands::killedRunsAreInterrupted()
{
    const QString store = "--store killed.sqlite";
    const QString id = make(kQuick + store)["id"].toString();
    {
        RunStore opened(m_qw.path("killed.sqlite").toStdString());
        RunResult run = opened.get(id.toStdString());
        run.status = "running";
        opened.save(run);
    }
    QCOMPARE(list(store).first()["status"].toString(), "interrupted");
    QCOMPARE(make("runs show " + id + " --json " + store)["status"].toString(), "interrupted");
    QCOMPARE(list("--status interrupted " + store).size(), 1);
    QCOMPARE(list("--status running " + store).size(), 0);
    QVERIFY(m_qw.run("runs list " + store).out.contains("(interrupted)"));
    const QString other = make(kQuick + store)["id"].toString();
    QVERIFY(m_qw.run("runs compare " + id + " " + other + " " + store)
                .out.contains((id + " (interrupted)").toUtf8()));
    QCOMPARE(m_qw.run("report " + id + " --out killed.html " + store).status, 0);
    QFile page(m_qw.path("killed.html"));
    QVERIFY(page.open(QIODevice::ReadOnly));
    QVERIFY(page.readAll().contains("This run is interrupted"));
    QCOMPARE(m_qw.run("runs delete " + other + " " + store).status, 0);
    const FileLock atWork(m_qw.path("killed.sqlite.runs/" + id + "/lock").toStdString());
    QCOMPARE(list(store).first()["status"].toString(), "running");
    QCOMPARE(list("--status running --limit 1 " + store).size(), 1);
}

void TestRunCommands::nothingIsMadeToBeRead()
{
    QwProgram fresh;
    QCOMPARE(fresh.run(QString("runs list --json")).json()["runs"].toArray().size(), 0);
    QVERIFY(fresh.run(QString("runs list")).out.contains("no runs yet"));
    QCOMPARE(fresh.run(QString("runs list --store new.sqlite")).status, 2);
    QVERIFY(QDir(fresh.folder()).isEmpty());
}

void TestRunCommands::relativePathsAreStoredWhole()
{
    m_qw.write("text.txt", QByteArray("A sentence of some words. ").repeated(40));
    const QJsonObject made = make(kQuick + "--text text.txt --seqlen 16 --windows 1");
    RunStore store(m_qw.path("data/quant-workbench/runs.sqlite").toStdString());
    const RunResult run = store.get(made["id"].toString().toStdString());
    QCOMPARE(QString::fromStdString(run.spec.evaluation.text), m_qw.path("text.txt"));
    QCOMPARE(QString::fromStdString(run.spec.model), "demo");
    // The artifact of a store named from this folder is found from another.
    const QString id = make(kQuick + "--store near.sqlite")["id"].toString();
    QVERIFY(QDir(m_qw.folder()).mkdir("elsewhere"));
    QProcess process;
    process.setWorkingDirectory(m_qw.path("elsewhere"));
    process.start(QW_CLI, {"eval", "--run", id, "--store", "../near.sqlite", "--text",
                           "demo:evaluation", "--seqlen", "16", "--windows", "1"});
    const QwOutcome outcome = QwProgram::finish(process);
    QVERIFY2(outcome.status == 0, qPrintable(outcome.err));
}

void TestRunCommands::slowBlasIsNamed()
{
    QString reference;
    for (const QString& machine : QDir("/usr/lib").entryList(QDir::Dirs | QDir::NoDotAndDotDot)) {
        const QString file = "/usr/lib/" + machine + "/blas/libblas.so.3";
        reference = QFile::exists(file) ? file : reference;
    }
    if (reference.isEmpty()) {
        QSKIP("the reference BLAS is not installed");
    }
    QProcess linked;
    linked.start(QStringLiteral("ldd"), {QStringLiteral(QW_CLI)});
    linked.waitForFinished();
    if (!linked.readAllStandardOutput().contains("libblas.so.3")) {
        QSKIP("this libtorch brings its own BLAS");
    }
    qputenv("LD_PRELOAD", reference.toLocal8Bit());
    const QwOutcome outcome = m_qw.run("generate demo --prompt A --tokens 1");
    const QwOutcome estimated = m_qw.run("estimate demo"); // from the engine as it will run
    qunsetenv("LD_PRELOAD");
    QCOMPARE(outcome.status, 0);
    QVERIFY2(outcome.err.contains("warning: matrix products run on the reference BLAS"),
             qPrintable(outcome.err));
    QVERIFY2(estimated.err.contains("warning: matrix products"), qPrintable(estimated.err));
}

QTEST_GUILESS_MAIN(TestRunCommands)
#include "tst_run_commands.moc"
