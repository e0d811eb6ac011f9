#include "report/spec_command.h"
#include "store/run_store.h"
#include "support/qw_process.h"

#include <QFile>
#include <QJsonArray>
#include <QtTest>

using namespace qw;
using test::QwOutcome;
using test::QwProgram;

/// qw report, and that the command it prints makes the run it says it does.
class TestReportCommand : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase();
    void writesThePage();
    void beginningsAndRepetitionsOfIds();
    void printedCommandMakesTheSameSpec();
    void wrongInput_data();
    void wrongInput();

private:
    QwProgram m_qw;
    QString m_id;
};

void TestReportCommand::initTestCase()
{
    m_id = m_qw.run(QStringLiteral("run demo --bits 3 --threads 1 --artifacts discard --json "
                                   "--store s.sqlite"))
               .json()["id"]
               .toString();
    QVERIFY(!m_id.isEmpty());
    RunStore store(m_qw.path("s.sqlite").toStdString());
    store.setNotes(m_id.toStdString(), "a <note>");
    store.tag(m_id.toStdString(), "a tag");
}

void TestReportCommand::writesThePage()
{
    const QwOutcome outcome = m_qw.run(
        {"report", m_id, "--out", "out.html", "--title", "A & B", "--store", "s.sqlite", "--json"});
    QCOMPARE(outcome.status, 0);
    QCOMPARE(outcome.json(), (QJsonObject{{"out", "out.html"}, {"runs", QJsonArray{m_id}}}));
    QFile file(m_qw.path("out.html"));
    QVERIFY(file.open(QIODevice::ReadOnly));
    const QString page = QString::fromUtf8(file.readAll());
    for (const char* part : {"<title>A &amp; B</title>", "Notes: a &lt;note&gt;", "Tags: a tag",
                             "int3 g128", "model.layers.0.self_attn.q_proj"}) {
        QVERIFY2(page.contains(part), part);
    }
}

void TestReportCommand::beginningsAndRepetitionsOfIds()
{
    const QwOutcome outcome = m_qw.run(
        {"report", m_id, m_id.left(10), "--out", "twice.html", "--store", "s.sqlite", "--json"});
    QCOMPARE(outcome.json()["runs"], QJsonValue(QJsonArray{m_id}));
}

void TestReportCommand::printedCommandMakesTheSameSpec()
{
    RunSpec spec = runSpecFromJson(Json{{"model", "demo"}, {"weight", {{"format", "mxint"}}}});
    spec.method = "l2qer";
    spec.weight.bits = 3;
    spec.weight.groupSize = 32;
    spec.weight.exponentBits = 4;
    spec.weight.mxRule = "qera";
    spec.lowRank = {2, 8, 8, "rms", "mean", "full"};
    spec.activation = {"mxint", 8, 32, "rounded", "token", true};
    spec.calibration.text = "demo:calibration";
    spec.calibration.nsamples = 2;
    spec.calibration.seqlen = 16;
    spec.calibration.windows = "sequential";
    spec.calibration.statBatch = 1;
    spec.evaluation = {"demo:evaluation", 32, 1, "llama.cpp", "bf16"};
    spec.overrides.resize(2);
    spec.overrides[0].pattern = "q_proj$";
    spec.overrides[0].bits = 8;
    spec.overrides[0].rank = 0;
    spec.overrides[1].pattern = "layers\\.[1-9]";
    spec.overrides[1].skip = true;
    spec.seed = 7;
    spec.adjust = true;
    spec.artifacts = "discard";
    spec.threads = 1;
    const QString command = QString::fromStdString(runCommand(spec));
    QVERIFY(command.startsWith("qw "));
    QStringList arguments = QProcess::splitCommand(QString(command).replace('\'', '"'));
    arguments.removeFirst();
    const QwOutcome outcome = m_qw.run(arguments + QStringList{"--store", "s.sqlite", "--json"});
    QVERIFY2(outcome.status == 0, qPrintable(outcome.err));
    const RunStore store(m_qw.path("s.sqlite").toStdString());
    const RunSpec stored = store.get(outcome.json()["id"].toString().toStdString()).spec;
    QCOMPARE(QString::fromStdString(toJson(stored).dump(1)),
             QString::fromStdString(toJson(spec).dump(1)));
}

void TestReportCommand::wrongInput_data()
{
    QTest::addColumn<QString>("line");
    QTest::addColumn<QString>("said");
    QTest::newRow("no run") << "report --out x.html"
                            << "ids";
    QTest::newRow("unknown run") << "report nosuchrun --out x.html --store s.sqlite"
                                 << "nosuchrun";
    QTest::newRow("no file") << "report abc --store s.sqlite"
                             << "--out";
}

void TestReportCommand::wrongInput()
{
    QFETCH(QString, line);
    QFETCH(QString, said);
    const QwOutcome outcome = m_qw.run(line);
    QCOMPARE(outcome.status, 2);
    QVERIFY2(outcome.err.contains(said), qPrintable(outcome.err));
    QVERIFY(outcome.out.isEmpty());
    QVERIFY(!QFile::exists(m_qw.path("x.html")));
}

QTEST_GUILESS_MAIN(TestReportCommand)
#include "tst_report_command.moc"
