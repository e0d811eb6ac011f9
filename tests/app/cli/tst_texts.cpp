#include "support/qw_process.h"

#include <QRegularExpression>
#include <QStandardPaths>
#include <QtTest>

using qw::test::QwOutcome;
using qw::test::QwProgram;

/// What the program prints for people and shells: help, completion, ids, CSV, tables.
class TestTexts : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void help_data();
    void help();
    void version();
    void completionParses_data();
    void completionParses();
    void bashCompletes_data();
    void bashCompletes();
    void tokenize_data();
    void tokenize();
    void inspectCsv();
    void spectrumCsv();
    void runTable();

private:
    QwProgram m_qw;
};

void TestTexts::help_data()
{
    QTest::addColumn<QString>("command");
    for (const char* command :
         {"inspect",    "run",        "sweep",        "eval",     "generate",
          "runs list",  "runs show",  "runs compare", "runs tag", "runs delete",
          "runs merge", "runs purge", "rerun",        "resume",   "report",
          "export",     "import",     "estimate",     "tokenize", "completion"}) {
        QTest::newRow(command) << command;
    }
}

void TestTexts::help()
{
    QFETCH(QString, command);
    const QwOutcome outcome = m_qw.run(command + " --help");
    QCOMPARE(outcome.status, 0);
    const QString text = QString::fromUtf8(outcome.out);
    for (const char* shared : {"--store", "--threads", "--device", "--json"}) {
        QVERIFY2(text.contains(shared), shared);
    }
    QVERIFY2(!text.contains("{false}"), qPrintable(text)); // what a flag stands for, to CLI11
    QVERIFY2(QRegularExpression("Examples?:\\n.*qw " + command).match(text).hasMatch(),
             qPrintable(text));
    QVERIFY(QString::fromUtf8(m_qw.run("--help").out).contains(command.section(' ', 0, 0)));
}

void TestTexts::version()
{
    const QwOutcome outcome = m_qw.run("--version");
    QCOMPARE(outcome.status, 0);
    QVERIFY(QRegularExpression("^qw \\d+\\.\\d+\\.\\d+\\n$").match(outcome.out).hasMatch());
}

void TestTexts::completionParses_data()
{
    QTest::addColumn<QString>("shell");
    QTest::newRow("bash") << "bash";
    QTest::newRow("zsh") << "zsh";
    QTest::newRow("fish") << "fish";
}

void TestTexts::completionParses()
{
    QFETCH(QString, shell);
    const QwOutcome script = m_qw.run("completion " + shell);
    QCOMPARE(script.status, 0);
    QVERIFY(script.out.contains("qera") || script.out.contains("--method") ||
            script.out.contains("-l method"));
    if (QStandardPaths::findExecutable(shell).isEmpty()) {
        QSKIP("this shell is not installed here");
    }
    m_qw.write("script", script.out);
    QProcess check;
    check.start(shell, {"-n", m_qw.path("script")});
    QVERIFY(check.waitForFinished());
    QVERIFY2(check.exitCode() == 0, check.readAllStandardError().constData());
}

void TestTexts::bashCompletes_data()
{
    QTest::addColumn<QString>("words");
    QTest::addColumn<QString>("expected");
    QTest::newRow("command") << "qw ev"
                             << "eval";
    QTest::newRow("nested command") << "qw runs comp"
                                    << "compare";
    QTest::newRow("option") << "qw run demo --met"
                            << "--method";
    QTest::newRow("option of a nested command") << "qw runs list --lim"
                                                << "--limit";
}

void TestTexts::bashCompletes()
{
    QFETCH(QString, words);
    QFETCH(QString, expected);
    m_qw.write("script", m_qw.run("completion bash").out);
    QProcess bash;
    bash.setWorkingDirectory(m_qw.folder());
    bash.start("bash", {"-c", "source ./script; COMP_WORDS=(" + words +
                                  "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _qw; "
                                  "printf '%s' \"${COMPREPLY[*]}\""});
    QVERIFY(bash.waitForFinished());
    QCOMPARE(QString::fromUtf8(bash.readAllStandardOutput()), expected);
}

void TestTexts::tokenize_data()
{
    QTest::addColumn<QString>("flags");
    QTest::addColumn<QByteArray>("input");
    QTest::addColumn<QByteArray>("expected");
    // Ids of single bytes are fixed by the demo model's alphabet: 4094 begins a document.
    QTest::newRow("empty") << "" << QByteArray() << QByteArray("4094\n");
    QTest::newRow("empty, nothing special") << "--no-special" << QByteArray() << QByteArray("\n");
}

void TestTexts::tokenize()
{
    QFETCH(QString, flags);
    QFETCH(QByteArray, input);
    QFETCH(QByteArray, expected);
    const auto ids = [&](const QString& more, const QByteArray& text) {
        return m_qw.run(QStringList{"tokenize", "demo"} + more.split(' ', Qt::SkipEmptyParts),
                        text);
    };
    QCOMPARE(ids(flags, input).out, expected);
    // Standard input is one document, its last newline kept.
    const QByteArray with = ids("--no-special", "Hello there.\n").out;
    const QByteArray without = ids("--no-special", "Hello there.").out;
    QVERIFY(QRegularExpression("^\\d+( \\d+)+\\n$").match(with).hasMatch());
    QCOMPARE(with.count(' '), without.count(' ') + 1);
    QVERIFY(with.startsWith(without.chopped(1)));
    QCOMPARE(ids("", "Hello there.").out, "4094 " + without);
}

void TestTexts::inspectCsv()
{
    const QwOutcome outcome = m_qw.run("inspect demo --csv");
    QCOMPARE(outcome.status, 0);
    const QList<QByteArray> lines = outcome.out.split('\n');
    QCOMPARE(lines.size(), 1 + 35 + 1);
    QCOMPARE(lines.first(),
             "layer,rows,cols,dtype,minimum,maximum,standard_deviation,outlier_ratio");
    for (int i = 1; i <= 35; ++i) {
        const QList<QByteArray> fields = lines[i].split(',');
        QCOMPARE(fields.size(), 8);
        QVERIFY(fields[4].toDouble() < 0 && fields[5].toDouble() > 0);
    }
}

void TestTexts::spectrumCsv()
{
    const QwOutcome outcome = m_qw.run("inspect demo --csv --spectrum --bits 3 --threads 1 "
                                       "--layer model.layers.0.self_attn.k_proj");
    const QList<QByteArray> lines = outcome.out.split('\n');
    QCOMPARE(lines.first(), "index,W,E");
    QCOMPARE(lines.size(), 1 + 128 + 1);
    double previous = 1e9;
    for (int i = 1; i <= 128; ++i) {
        const double value = lines[i].split(',')[1].toDouble();
        QVERIFY(value <= previous);
        previous = value;
    }
}

void TestTexts::runTable()
{
    const QwOutcome outcome = m_qw.run("run demo --bits 3 --threads 1 --text demo:evaluation "
                                       "--seqlen 32 --windows 2 --artifacts discard");
    const QString text = QString::fromUtf8(outcome.out);
    for (const char* word :
         {"method", "format", "rank", "bits/weight", "perplexity", "Δnll", "KL", "top-1", "time",
          "peak memory", "int3 g128", "±", "62 predictions", "predicted"}) {
        QVERIFY2(text.contains(QString::fromUtf8(word)), word);
    }
}

QTEST_GUILESS_MAIN(TestTexts)
#include "tst_texts.moc"
