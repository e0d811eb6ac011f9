#include <QAction>
#include <QFile>
#include <QProcess>
#include <QRegularExpression>
#include <QSignalSpy>
#include <QTableView>
#include <QTest>

#include "app/gui/report_file.h"
#include "base/error.h"
#include "support/gui_fixture.h"
#include "support/gui_runs.h"
#include "widgets/run_table_model.h"

using namespace Qt::Literals::StringLiterals;
using qw::test::GuiFixture;
using qw::test::kPatience;

namespace {
QByteArray contents(const QString& file)
{
    QFile in(file);
    return in.open(QIODevice::ReadOnly) ? in.readAll() : QByteArray();
}

int pageCount(const QByteArray& pdf)
{
    static const QRegularExpression kPage(u"/Type\\s*/Page\\b(?!s)"_s);
    int count = 0;
    auto found = kPage.globalMatch(QString::fromLatin1(pdf));
    while (found.hasNext()) {
        found.next();
        ++count;
    }
    return count;
}
} // namespace

class TstReportFile : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase();
    void pdfHasAPageForEachRun();
    void htmlIsTheSameAsTheCommandLines();
    void problemsNameTheFileOrTheRun();
    void writtenWithoutADisplay();
    void wrongArgumentsAreExplained();
    void exportedFromTheWindow();

private:
    QString store() const { return m_folder.filePath(u"runs.sqlite"_s); }
    QString out(const QString& name) const { return m_folder.filePath(name); }
    /// The program, told of no display. @return its exit status
    int program(const QStringList& arguments, QString* said = nullptr) const;

    QTemporaryDir m_folder;
};

void TstReportFile::initTestCase()
{
    qw::test::fillStore(store().toStdString());
}

void TstReportFile::pdfHasAPageForEachRun()
{
    const QString one = out(u"one.pdf"_s);
    const QString three = out(u"three.pdf"_s);
    qw::writeReport(store().toStdString(), {"rtn0"}, {}, one);
    qw::writeReport(store().toStdString(), {"rtn0", "lqer8", "l2qer8"}, {}, three);
    const QByteArray pdf = contents(three);
    QVERIFY(pdf.startsWith("%PDF-"));
    QVERIFY(pdf.trimmed().endsWith("%%EOF"));
    QVERIFY2(pageCount(contents(one)) >= 2, "no pages of results and of the run");
    QVERIFY(pageCount(pdf) >= pageCount(contents(one)) + 2);
}

void TstReportFile::htmlIsTheSameAsTheCommandLines()
{
    qw::writeReport(store().toStdString(), {"rtn0", "lqer8"}, u"Two"_s, out(u"window.html"_s));
    QCOMPARE(QProcess::execute(QStringLiteral(QW_CLI),
                               {u"report"_s, u"rtn0"_s, u"lqer8"_s, u"--store"_s, store(),
                                u"--title"_s, u"Two"_s, u"--out"_s, out(u"line.html"_s)}),
             0);
    QVERIFY(contents(out(u"window.html"_s)).size() > 1000);
    QCOMPARE(contents(out(u"window.html"_s)), contents(out(u"line.html"_s)));
}

void TstReportFile::problemsNameTheFileOrTheRun()
{
    const auto sentence = [&](const std::string& id, const QString& file) {
        try {
            qw::writeReport(store().toStdString(), {id}, {}, file);
        } catch (const qw::Error& error) {
            return QString::fromUtf8(error.what());
        }
        return QString();
    };
    QVERIFY(sentence("nothing", out(u"x.pdf"_s)).contains(u"nothing"_s));
    QVERIFY(sentence("rtn0", out(u"no/folder/x.pdf"_s)).contains(u"no/folder/x.pdf"_s));
    QVERIFY(!QFile::exists(out(u"x.pdf"_s)));
}

int TstReportFile::program(const QStringList& arguments, QString* said) const
{
    QProcess process;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    for (const QString& name : {u"DISPLAY"_s, u"WAYLAND_DISPLAY"_s, u"QT_QPA_PLATFORM"_s}) {
        environment.remove(name);
    }
    environment.insert(u"XDG_DATA_HOME"_s, m_folder.path());
    process.setProcessEnvironment(environment);
    process.setProcessChannelMode(QProcess::MergedChannels);
    process.start(QStringLiteral(QW_WINDOW), arguments);
    if (!process.waitForFinished(kPatience)) {
        process.kill();
        return -1;
    }
    if (said != nullptr) {
        *said = QString::fromUtf8(process.readAll());
    }
    return process.exitCode();
}

void TstReportFile::writtenWithoutADisplay()
{
    const QString file = out(u"program.pdf"_s);
    QString said;
    QCOMPARE(
        program({u"--report"_s, u"rtn0,lqer8"_s, u"--out"_s, file, u"--store"_s, store()}, &said),
        0);
    QVERIFY(pageCount(contents(file)) >= 3);
    QVERIFY2(said.contains(file), qPrintable(said));
}

void TstReportFile::wrongArgumentsAreExplained()
{
    QString said;
    QVERIFY(program({u"--report"_s, u"rtn0"_s, u"--store"_s, store()}, &said) > 0);
    QVERIFY2(said.contains(u"--out"_s), qPrintable(said));
    QVERIFY(program({u"--report"_s, u"none"_s, u"--out"_s, out(u"y.pdf"_s), u"--store"_s, store()},
                    &said) > 0);
    QVERIFY2(said.contains(u"none"_s), qPrintable(said));
}

void TstReportFile::exportedFromTheWindow()
{
    GuiFixture gui;
    gui.window.reset();
    qw::test::fillStore(gui.storeFile().toStdString());
    gui.reopen();
    gui.trigger("compareAction");
    auto* table = gui.find<QTableView>("runTable");
    QTRY_COMPARE_WITH_TIMEOUT(table->model()->rowCount(), 8, kPatience);
    QSignalSpy problems(&gui.dialogs, &qw::Dialogs::problemShown);
    gui.trigger("exportReportAction"); // nothing is chosen yet
    QCOMPARE(problems.size(), 1);
    table->selectRow(0);
    for (const QString& name : {u"w.html"_s, u"w.pdf"_s}) {
        const QString file = gui.folder.filePath(name);
        gui.dialogs.setNextPath(file);
        gui.trigger("exportReportAction");
        QTRY_VERIFY_WITH_TIMEOUT(QFile(file).size() > 1000, kPatience);
    }
    QCOMPARE(problems.size(), 1);
}

QTEST_MAIN(TstReportFile)
#include "tst_report_file.moc"
