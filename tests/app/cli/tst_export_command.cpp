#include "support/qw_process.h"

#include <QDir>
#include <QJsonArray>
#include <QtTest>

using qw::test::QwOutcome;
using qw::test::QwProgram;

/// `qw export`: names, exit states and what is stored.
class TestExportCommand : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        m_run = m_qw.run("run demo --bits 4 --sym --group-size 32 --threads 1 --json")
                    .json()["id"]
                    .toString();
    }
    void names();
    void planOfAll();
    void wrongInput_data();
    void wrongInput();

private:
    QwProgram m_qw;
    QString m_run;
};

void TestExportCommand::names()
{
    const QwOutcome outcome =
        m_qw.run("export " + m_run + " --to gptq --gptq-version 2 --dtype f32 --out gptq --json");
    QCOMPARE(outcome.status, 0);
    const QJsonObject json = outcome.json();
    for (const char* name : {"files", "bytes", "lossless", "max_abs_difference", "verdict"}) {
        QVERIFY2(json.contains(name), name);
    }
    QCOMPARE(json["lossless"], QJsonValue(true));
    QCOMPARE(json["max_abs_difference"].toDouble(), 0.0);
    double bytes = 0;
    for (const QJsonValue& file : json["files"].toArray()) {
        const QFileInfo info(m_qw.path("gptq/" + file.toString()));
        QVERIFY2(info.isFile(), qPrintable(file.toString()));
        bytes += static_cast<double>(info.size());
    }
    QCOMPARE(json["bytes"].toDouble(), bytes);
    const QJsonArray exports =
        m_qw.run("runs show " + m_run + " --json").json()["exports"].toArray();
    QCOMPARE(exports.size(), 1);
    QCOMPARE(exports[0]["verdict"], json["verdict"]);
    // Nothing but what was asked for.
    const QStringList left =
        QDir(m_qw.folder()).entryList(QDir::AllEntries | QDir::Hidden | QDir::NoDotAndDotDot);
    QCOMPARE(left, (QStringList{"data", "gptq"}));
}

void TestExportCommand::planOfAll()
{
    const QwOutcome outcome = m_qw.run("export " + m_run + " --plan --json");
    QCOMPARE(outcome.status, 0);
    for (const QJsonValue& plan : outcome.json()["plans"].toArray()) {
        QCOMPARE(plan["possible"].toBool(), plan["target"].toString() != "peft");
        QCOMPARE(plan["refusal"].toString().isEmpty(), plan["possible"].toBool());
    }
    const QwOutcome text = m_qw.run("export " + m_run + " --plan --to peft");
    QCOMPARE(text.status, 0);
    QVERIFY(text.out.contains("not possible: the run has no low-rank correction"));
}

void TestExportCommand::wrongInput_data()
{
    QTest::addColumn<QString>("arguments");
    QTest::addColumn<QString>("sentence");
    QTest::newRow("target") << "--to onnx --out x"
                            << "cannot export to \"onnx\"";
    QTest::newRow("no target") << "--out x"
                               << "give --to";
    QTest::newRow("no folder") << "--to gptq"
                               << "give --out";
    QTest::newRow("impossible") << "--to peft --out x"
                                << "no low-rank correction";
    QTest::newRow("folder is there") << "--to gptq --out data"
                                     << "is there already";
}

void TestExportCommand::wrongInput()
{
    QFETCH(QString, arguments);
    QFETCH(QString, sentence);
    const QwOutcome outcome = m_qw.run("export " + m_run + " " + arguments);
    QCOMPARE(outcome.status, 2);
    QVERIFY2(outcome.err.contains(sentence), qPrintable(outcome.err));
}

QTEST_GUILESS_MAIN(TestExportCommand)
#include "tst_export_command.moc"
