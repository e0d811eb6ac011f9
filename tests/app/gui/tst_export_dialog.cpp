#include <QComboBox>
#include <QDesktopServices>
#include <QDialog>
#include <QDir>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPushButton>
#include <QTableView>
#include <QTest>
#include <QTextBrowser>
#include <QUrl>

#include "store/run_store.h"
#include "support/gui_exports.h"
#include "support/gui_fixture.h"
#include "support/gui_runs.h"

using namespace Qt::Literals::StringLiterals;
using qw::test::GuiFixture;
using qw::test::kPatience;
using qw::test::shoot;

namespace {
/// Makes a run of the bundled model and opens the dialog on it.
void openDialog(GuiFixture& gui)
{
    qw::test::makeRunToExport(gui, [&] { gui.trigger("enqueueRunAction"); });
    gui.trigger("exportModelAction");
    qw::test::exportTargetList(gui);
}

QString text(const GuiFixture& gui, const char* label)
{
    return gui.find<QLabel>(label)->text();
}

void choose(const GuiFixture& gui, const QString& target)
{
    auto* list = gui.find<QListWidget>("exportTargetList");
    const auto found = list->findItems(target, Qt::MatchContains);
    QCOMPARE(found.size(), 1);
    list->setCurrentItem(found.first());
}

/// Of the folder, hidden ones too.
QStringList entries(const QString& folder)
{
    return QDir(folder).entryList(QDir::AllEntries | QDir::Hidden | QDir::NoDotAndDotDot);
}
} // namespace

class TstExportDialog : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void exportsAndOpensTheFolder();
    void saysWhyNot();
    void optionsChangeThePlans();
    void cancelLeavesNothing();
    void runWithoutArtifact();

public Q_SLOTS:
    void takeUrl(const QUrl& url) { m_opened = url; }

private:
    QUrl m_opened;
};

void TstExportDialog::exportsAndOpensTheFolder()
{
    GuiFixture gui;
    openDialog(gui);
    const QString folder = gui.folder.filePath(u"exports"_s);
    QVERIFY(QDir().mkdir(folder));
    choose(gui, u"GPTQ"_s);
    QVERIFY(gui.find<QComboBox>("exportGptqComboBox")->isEnabled());
    gui.dialogs.setNextPath(folder);
    QTest::mouseClick(gui.find<QPushButton>("exportBrowseButton"), Qt::LeftButton);
    const QString place = gui.find<QLineEdit>("exportPlaceLineEdit")->text();
    QCOMPARE(place, folder + u"/demo-rtn-w4-gptq"_s);
    QVERIFY(text(gui, "exportSpaceLabel").contains(u"are free"_s));
    auto* start = gui.find<QPushButton>("exportStartButton");
    QVERIFY(start->isEnabled());
    shoot(*gui.find<QDialog>("exportDialog"), u"export-dialog"_s);
    QTest::mouseClick(start, Qt::LeftButton);
    QVERIFY(!start->isEnabled());
    QTRY_VERIFY_WITH_TIMEOUT(!text(gui, "exportVerdictLabel").isEmpty(), kPatience);
    QCOMPARE(text(gui, "exportProblemLabel"), QString());
    QCOMPARE(entries(folder), QStringList{u"demo-rtn-w4-gptq"_s});
    QVERIFY(QFileInfo::exists(place + u"/quantize_config.json"_s));
    const auto run =
        qw::RunStore(gui.storeFile().toStdString()).get(gui.window->state().runInView()->id);
    QCOMPARE(run.exports.size(), 1U);
    QCOMPARE(text(gui, "exportVerdictLabel"), QString::fromStdString(run.exports[0].verdict));
    shoot(*gui.find<QDialog>("exportDialog"), u"export-done"_s);

    QDesktopServices::setUrlHandler(u"file"_s, this, "takeUrl");
    QTest::mouseClick(gui.find<QPushButton>("exportOpenButton"), Qt::LeftButton);
    QDesktopServices::unsetUrlHandler(u"file"_s);
    QCOMPARE(m_opened.toLocalFile(), place);

    // The next target gets a folder of its own beside it.
    choose(gui, u"AWQ"_s);
    QCOMPARE(gui.find<QLineEdit>("exportPlaceLineEdit")->text(), folder + u"/demo-rtn-w4-awq"_s);
    QVERIFY(start->isEnabled());
}

void TstExportDialog::saysWhyNot()
{
    GuiFixture gui;
    openDialog(gui);
    auto* start = gui.find<QPushButton>("exportStartButton");
    choose(gui, u"PEFT"_s);
    QVERIFY(!start->isEnabled());
    QVERIFY(gui.find<QListWidget>("exportTargetList")
                ->currentItem()
                ->text()
                .contains(u"not possible"_s));
    QVERIFY(gui.find<QTextBrowser>("exportDetailsText")
                ->toPlainText()
                .contains(u"no low-rank correction"_s));
    shoot(*gui.find<QDialog>("exportDialog"), u"export-impossible"_s);
    QTest::mouseClick(gui.find<QPushButton>("exportNearestButton"), Qt::LeftButton);
    QVERIFY(gui.find<QListWidget>("exportTargetList")
                ->currentItem()
                ->text()
                .contains(u"safetensors"_s));
    QVERIFY(!gui.find<QPushButton>("exportNearestButton")->isVisible());
    QVERIFY(start->isEnabled());

    auto* place = gui.find<QLineEdit>("exportPlaceLineEdit");
    for (const auto& [path, sentence] :
         {std::pair{gui.folder.path(), u"is there already"_s},
          {gui.folder.filePath(u"no/such"_s), u"There is no folder"_s},
          {u"somewhere"_s, u"full path"_s}}) {
        place->setText(path);
        QVERIFY2(text(gui, "exportProblemLabel").contains(sentence), qPrintable(path));
        QVERIFY(!start->isEnabled());
    }
    place->setText(gui.folder.filePath(u"new"_s));
    QCOMPARE(text(gui, "exportProblemLabel"), QString());
    QVERIFY(start->isEnabled());
}

void TstExportDialog::optionsChangeThePlans()
{
    GuiFixture gui;
    openDialog(gui);
    choose(gui, u"GGUF"_s);
    auto* details = gui.find<QTextBrowser>("exportDetailsText");
    QVERIFY(details->toPlainText().contains(u"Q4_0"_s));
    QVERIFY2(details->toPlainText().contains(u"4.50 bits per weight"_s),
             qPrintable(details->toPlainText()));
    QCOMPARE(text(gui, "exportPlaceLabel"), u"&Folder"_s);
    gui.find<QLineEdit>("exportPlaceLineEdit")->setText(gui.folder.filePath(u"model.gguf"_s));
    QCOMPARE(text(gui, "exportPlaceLabel"), u"&File"_s);
    choose(gui, u"GPTQ"_s); // whatever it is called, it is a folder
    gui.find<QLineEdit>("exportPlaceLineEdit")->setText(gui.folder.filePath(u"model.gguf"_s));
    QCOMPARE(text(gui, "exportPlaceLabel"), u"&Folder"_s);
    choose(gui, u"GGUF"_s);
    gui.find<QComboBox>("exportTypeComboBox")->setCurrentIndex(1);     // F32
    QVERIFY(!gui.find<QPushButton>("exportStartButton")->isEnabled()); // until it is known
    QTRY_VERIFY_WITH_TIMEOUT(details->toPlainText().contains(u"F32 for"_s), kPatience);
    QVERIFY(gui.find<QListWidget>("exportTargetList")->currentItem()->text().contains(u"GGUF"_s));
    QVERIFY(gui.find<QPushButton>("exportStartButton")->isEnabled());
    QVERIFY(gui.window->findChild<QComboBox*>(u"exportLoraComboBox"_s) == nullptr); // rank 0
}

void TstExportDialog::cancelLeavesNothing()
{
    GuiFixture gui;
    openDialog(gui);
    const QString folder = gui.folder.filePath(u"exports"_s);
    QVERIFY(QDir().mkdir(folder));
    gui.find<QLineEdit>("exportPlaceLineEdit")->setText(folder + u"/model"_s);
    QTest::mouseClick(gui.find<QPushButton>("exportStartButton"), Qt::LeftButton);
    auto* dialog = gui.find<QDialog>("exportDialog");
    QTRY_VERIFY_WITH_TIMEOUT(!entries(folder).isEmpty(), kPatience); // it has begun
    QTest::keyClick(dialog, Qt::Key_Escape);
    QVERIFY(dialog->isVisible());
    QVERIFY(text(gui, "exportProblemLabel").contains(u"nothing is left behind"_s));
    QTRY_VERIFY_WITH_TIMEOUT(entries(folder).isEmpty(), kPatience);
    QVERIFY(gui.find<QPushButton>("exportStartButton")->isEnabled()); // once more is possible
    QTest::keyClick(dialog, Qt::Key_Escape);
    QTRY_VERIFY(gui.window->findChild<QDialog*>(u"exportDialog"_s) == nullptr);
}

void TstExportDialog::runWithoutArtifact()
{
    GuiFixture gui;
    qw::test::fillStore(gui.storeFile().toStdString());
    gui.window->state().storeChanged();
    gui.trigger("compareAction");
    auto* table = gui.find<QTableView>("runTable");
    QTRY_VERIFY_WITH_TIMEOUT(table->model()->rowCount() > 0, kPatience);
    QVERIFY(!gui.find<QAction>("exportRunAction")->isEnabled());
    table->selectRow(0);
    gui.trigger("exportRunAction");
    QTRY_VERIFY_WITH_TIMEOUT(text(gui, "exportProblemLabel").contains(u"kept no artifact"_s),
                             kPatience);
    QVERIFY(!gui.find<QPushButton>("exportStartButton")->isEnabled());
}

QTEST_MAIN(TstExportDialog)
#include "tst_export_dialog.moc"
