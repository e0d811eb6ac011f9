#include "support/qw_process.h"

#include <QtTest>

using qw::test::QwOutcome;
using qw::test::QwProgram;

/// `qw import`: names, exit states and what comes of it.
class TestImportCommand : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase()
    {
        m_run = m_qw.run("run demo --bits 4 --sym --group-size 32 --threads 1 --json").json();
        const QString id = m_run["id"].toString();
        QCOMPARE(m_qw.run("export " + id + " --to gptq --dtype f32 --out gptq --json").status, 0);
        QCOMPARE(m_qw.run("export " + id + " --to gguf --out model.gguf --json").status, 0);
    }
    void becomesARun();
    void withoutTheModel();
    void wrongInput_data();
    void wrongInput();

private:
    QwProgram m_qw;
    QJsonObject m_run;
};

void TestImportCommand::becomesARun()
{
    const QString measure = " --text demo:evaluation --seqlen 64 --windows 4 --json";
    const double nll =
        m_qw.run("eval --run " + m_run["id"].toString() + measure).json()["nll"].toDouble();
    for (const char* source : {"gptq", "model.gguf"}) {
        const QJsonObject made =
            m_qw.run("import " + QString(source) + " --model demo" + measure).json();
        QCOMPARE(made["method"], QJsonValue("imported"));
        QCOMPARE(made["nll"].toDouble(), nll);
        QVERIFY(made["kl_mean"].toDouble() > 0);
        const QString id = made["id"].toString();
        QCOMPARE(m_qw.run("eval --run " + id + measure).json()["nll"].toDouble(), nll);
        QVERIFY(m_qw.run("runs show " + id).out.contains("imported from"));
        const QwOutcome again = m_qw.run("rerun " + id);
        QCOMPARE(again.status, 2);
        QVERIFY2(again.err.contains("import them again"), qPrintable(again.err));
    }
}

void TestImportCommand::withoutTheModel()
{
    const QString measure = " --text demo:evaluation --seqlen 64 --windows 4";
    const double nll = m_qw.run("eval --run " + m_run["id"].toString() + measure + " --json")
                           .json()["nll"]
                           .toDouble();
    for (const char* source : {"gptq", "model.gguf"}) { // tokenizer and all
        const QJsonObject made = m_qw.run("import " + QString(source) + measure + " --json").json();
        QCOMPARE(made["nll"].toDouble(), nll);
        QVERIFY(std::abs(made["kl_mean"].toDouble()) < 1e-9);
    }
    const QwOutcome outcome = m_qw.run("import model.gguf");
    QCOMPARE(outcome.status, 0);
    QVERIFY2(outcome.out.contains("note: the model it was made of is not known"),
             outcome.out.constData());
}

void TestImportCommand::wrongInput_data()
{
    QTest::addColumn<QString>("arguments");
    QTest::addColumn<QString>("sentence");
    QTest::newRow("nothing") << ""
                             << "path";
    QTest::newRow("no such file") << "nowhere"
                                  << "there is no such file or folder";
    QTest::newRow("a folder of something else") << "data"
                                                << "holds no config.json";
    QTest::newRow("no such model") << "gptq --model nowhere"
                                   << "there is no such model folder";
    QTest::newRow("no such adapter") << "gptq --model demo --adapter nowhere"
                                     << "nowhere";
    QTest::newRow("no such text") << "gptq --model demo --text nowhere.txt"
                                  << "there is no such text file";
    QTest::newRow("wrong setting") << "gptq --model demo --text demo:evaluation --protocol other"
                                   << "protocol";
}

void TestImportCommand::wrongInput()
{
    QFETCH(QString, arguments);
    QFETCH(QString, sentence);
    const QwOutcome outcome = m_qw.run("import " + arguments);
    QCOMPARE(outcome.status, 2);
    QVERIFY2(outcome.err.contains(sentence), qPrintable(outcome.err));
}

QTEST_GUILESS_MAIN(TestImportCommand)
#include "tst_import_command.moc"
