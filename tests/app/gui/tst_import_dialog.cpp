#include <QDialog>
#include <QDir>
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QFile>
#include <QLabel>
#include <QLineEdit>
#include <QMimeData>
#include <QPushButton>
#include <QTableView>
#include <QTest>
#include <QUrl>

#include "app/gui/inspect_page.h"
#include "app/gui/layer_inspector.h"
#include "store/run_store.h"
#include "support/base_results.h"
#include "support/gui_fixture.h"
#include "support/qw_process.h"

using namespace Qt::Literals::StringLiterals;
using qw::Mode;
using qw::test::GuiFixture;
using qw::test::kPatience;
using qw::test::QwProgram;
using qw::test::shoot;

namespace {
QString text(const GuiFixture& gui, const char* label)
{
    return gui.find<QLabel>(label)->text();
}

void drop(QWidget& on, const QStringList& paths)
{
    QList<QUrl> urls;
    for (const QString& path : paths) {
        urls << QUrl::fromLocalFile(path);
    }
    QMimeData dropped;
    dropped.setUrls(urls);
    QDragEnterEvent enter({5, 5}, Qt::CopyAction, &dropped, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(&on, &enter);
    QVERIFY(enter.isAccepted());
    QDropEvent let({5, 5}, Qt::CopyAction, &dropped, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(&on, &let);
}
} // namespace

/// Quantized models of other programs become stored runs.
class TstImportDialog : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase();
    void becomesTheRunInView();
    void openedByPath();
    void allThatIsDroppedIsTaken();
    void adapterGoesWithItsModel();
    void problemsStayInTheDialog();
    void cancelLeavesNothing();

private:
    QwProgram m_qw; ///< exports of a run of the bundled model lie in its folder
};

void TstImportDialog::initTestCase()
{
    const QString id = m_qw.run(u"run demo --bits 4 --sym --group-size 32 --threads 1 --json"_s)
                           .json()[u"id"_s]
                           .toString();
    QCOMPARE(m_qw.run(u"export %1 --to gptq --out gptq --json"_s.arg(id)).status, 0);
    QCOMPARE(m_qw.run(u"export %1 --to gguf --out model.gguf --json"_s.arg(id)).status, 0);
    const QString corrected =
        m_qw.run(u"run demo --method lqer --rank 4 --bits 4 --group-size 32 --threads 1 --json"_s)
            .json()[u"id"_s]
            .toString();
    QCOMPARE(m_qw.run(u"export %1 --to gguf --out corrected --json"_s.arg(corrected)).status, 0);
}

void TstImportDialog::becomesTheRunInView()
{
    GuiFixture gui;
    gui.openDemo();
    qw::RunSpec draft = gui.window->state().draft();
    draft.evaluation.windows = 2;
    gui.window->state().setDraft(draft);
    gui.trigger("importModelAction");
    auto* start = gui.find<QPushButton>("importStartButton");
    QVERIFY(!start->isEnabled());
    gui.dialogs.setNextPath(m_qw.path(u"model.gguf"_s));
    QTest::mouseClick(gui.find<QPushButton>("importFileButton"), Qt::LeftButton);
    QCOMPARE(gui.find<QLineEdit>("importModelLineEdit")->text(), u"demo"_s); // the open one
    QVERIFY(start->isEnabled());
    shoot(*gui.find<QDialog>("importDialog"), u"import-dialog"_s);
    QTest::mouseClick(start, Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().runInView().has_value(), kPatience);
    const qw::RunResult& run = *gui.window->state().runInView();
    QCOMPARE(run.spec.method, std::string("imported"));
    QVERIFY(run.score.perplexity > 1); // measured as the form says
    QCOMPARE(gui.window->mode(), Mode::Inspect);
    QTRY_VERIFY(gui.window->findChild<QDialog*>(u"importDialog"_s) == nullptr);
    const auto& inspector = gui.find<qw::InspectPage>("inspectPage")->inspector();
    QTRY_VERIFY_WITH_TIMEOUT(inspector.view() && inspector.view()->fromRun, kPatience);
    QVERIFY(inspector.view()->relativeError > 0); // of its codes from the model's weights
    gui.window->setMode(Mode::Compare);
    auto* table = gui.find<QTableView>("runTable");
    QTRY_COMPARE_WITH_TIMEOUT(table->model()->rowCount(), 1, kPatience);
    shoot(*gui.window, u"import-compared"_s);
}

/// What is dropped on the window or opened as a folder.
void TstImportDialog::openedByPath()
{
    GuiFixture gui;
    for (const QString& name : {u"gptq"_s, u"model.gguf"_s}) {
        gui.window->openPath(m_qw.path(name));
        QTRY_VERIFY_WITH_TIMEOUT(gui.window->findChild<QDialog*>(u"importDialog"_s), kPatience);
        auto* dialog = gui.find<QDialog>("importDialog");
        QTRY_COMPARE(gui.find<QLineEdit>("importSourceLineEdit")->text(), m_qw.path(name));
        QVERIFY(gui.find<QLineEdit>("importModelLineEdit")->text().isEmpty()); // none is open
        dialog->close();
        QTRY_VERIFY(gui.window->findChild<QDialog*>(u"importDialog"_s) == nullptr);
    }
    // A file of a folder stands for it, on the window, in the dialog and by its button.
    const QString file = QDir(m_qw.path(u"gptq"_s)).entryList({u"*.safetensors"_s}).value(0);
    QVERIFY(!file.isEmpty());
    const QString whole = m_qw.path(u"gptq/"_s + file);
    gui.window->openPath(whole);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->findChild<QDialog*>(u"importDialog"_s), kPatience);
    auto* opened = gui.find<QDialog>("importDialog");
    QTRY_COMPARE(gui.find<QLineEdit>("importSourceLineEdit")->text(), m_qw.path(u"gptq"_s));
    // An adapter alone goes to its own line.
    QDir().mkpath(m_qw.path(u"peft"_s));
    for (const QString& name : {u"adapter_config.json"_s, u"adapter_model.safetensors"_s}) {
        QFile made(m_qw.path(u"peft/"_s + name));
        QVERIFY(made.open(QIODevice::WriteOnly));
    }
    drop(*opened, {m_qw.path(u"peft/adapter_model.safetensors"_s)});
    QTRY_COMPARE(gui.find<QLineEdit>("importAdapterLineEdit")->text(), m_qw.path(u"peft"_s));
    QCOMPARE(gui.find<QLineEdit>("importSourceLineEdit")->text(), m_qw.path(u"gptq"_s));
    opened->close();
    QTRY_VERIFY(gui.window->findChild<QDialog*>(u"importDialog"_s) == nullptr);
    // A folder with a GGUF file and its correction, chosen by File > Open, without the model.
    gui.dialogs.setNextPath(m_qw.path(u"corrected"_s));
    gui.trigger("openFolderAction");
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->findChild<QDialog*>(u"importDialog"_s), kPatience);
    QTRY_COMPARE(gui.find<QLineEdit>("importSourceLineEdit")->text(),
                 m_qw.path(u"corrected/model.gguf"_s));
    QCOMPARE(gui.find<QLineEdit>("importAdapterLineEdit")->text(),
             m_qw.path(u"corrected/adapter.gguf"_s));
    QTest::mouseClick(gui.find<QPushButton>("importStartButton"), Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().runInView().has_value(), kPatience);
    const qw::RunResult& run = *gui.window->state().runInView();
    QCOMPARE(run.rank, std::int64_t{4});
    QCOMPARE(run.layers.size(), std::size_t{35});
}

void TstImportDialog::allThatIsDroppedIsTaken()
{
    GuiFixture gui;
    const QString other = gui.folder.filePath(u"other.sqlite"_s);
    qw::RunStore(other.toStdString()).save(qw::test::sampleResult("abcdefgh1234"));
    qw::RunSpec wanted = gui.window->state().draft();
    wanted.weight.bits = 3;
    QFile recipe(gui.folder.filePath(u"recipe.json"_s));
    QVERIFY(recipe.open(QIODevice::WriteOnly));
    recipe.write(QByteArray::fromStdString(qw::toJson(wanted).dump()));
    recipe.close();
    gui.dialogs.setNextChoice(0); // copy the runs
    const QString model = QStringLiteral(QW_GOLDEN_DIR "/models/qwen3");
    drop(*gui.window, {model, recipe.fileName(), other});
    QTRY_COMPARE_WITH_TIMEOUT(gui.window->state().modelState(), qw::AppState::ModelState::Ready,
                              kPatience);
    QCOMPARE(gui.window->state().modelName(), model);
    QCOMPARE(gui.window->state().draft().weight.bits, std::int64_t{3});
    QTRY_COMPARE_WITH_TIMEOUT(gui.window->state().runs().size(), std::size_t{1}, kPatience);
    // A quantized model and an adapter go into one dialog.
    const QString adapter = gui.folder.filePath(u"peft"_s);
    QDir().mkpath(adapter);
    for (const QString& name : {u"adapter_config.json"_s, u"adapter_model.safetensors"_s}) {
        QFile made(QDir(adapter).filePath(name));
        QVERIFY(made.open(QIODevice::WriteOnly));
    }
    drop(*gui.window, {m_qw.path(u"gptq"_s), adapter});
    QTRY_COMPARE_WITH_TIMEOUT(gui.find<QLineEdit>("importSourceLineEdit")->text(),
                              m_qw.path(u"gptq"_s), kPatience);
    QCOMPARE(gui.find<QLineEdit>("importAdapterLineEdit")->text(), adapter);
    QCOMPARE(gui.window->findChildren<QDialog*>(u"importDialog"_s).size(), 1);
}

/// One found beside a model goes when another model comes; one that the user chose stays.
void TstImportDialog::adapterGoesWithItsModel()
{
    GuiFixture gui;
    gui.trigger("importModelAction");
    auto* dialog = gui.find<QDialog>("importDialog");
    auto* source = gui.find<QLineEdit>("importSourceLineEdit");
    auto* adapter = gui.find<QLineEdit>("importAdapterLineEdit");
    drop(*dialog, {m_qw.path(u"corrected"_s)});
    QTRY_COMPARE(adapter->text(), m_qw.path(u"corrected/adapter.gguf"_s));
    drop(*dialog, {m_qw.path(u"gptq"_s)});
    QTRY_COMPARE(source->text(), m_qw.path(u"gptq"_s));
    QCOMPARE(adapter->text(), QString());
    adapter->setText(m_qw.path(u"chosen"_s));
    drop(*dialog, {m_qw.path(u"model.gguf"_s)});
    QTRY_COMPARE(source->text(), m_qw.path(u"model.gguf"_s));
    QCOMPARE(adapter->text(), m_qw.path(u"chosen"_s));
    // Dropped together, whatever their order, the adapter is the one that was dropped.
    drop(*dialog, {m_qw.path(u"peft"_s), m_qw.path(u"corrected"_s)});
    QTRY_COMPARE(source->text(), m_qw.path(u"corrected/model.gguf"_s));
    QCOMPARE(adapter->text(), m_qw.path(u"peft"_s));
}

void TstImportDialog::problemsStayInTheDialog()
{
    GuiFixture gui;
    gui.trigger("importModelAction");
    auto* source = gui.find<QLineEdit>("importSourceLineEdit");
    auto* start = gui.find<QPushButton>("importStartButton");
    source->setText(u"/no/such/file"_s);
    QVERIFY(text(gui, "importProblemLabel").contains(u"There is no"_s));
    QVERIFY(!start->isEnabled());
    source->setText(m_qw.path(u"model.gguf"_s));
    QCOMPARE(text(gui, "importProblemLabel"), QString());
    gui.find<QLineEdit>("importAdapterLineEdit")->setText(u"/no/such/adapter"_s);
    QTest::mouseClick(start, Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(text(gui, "importProblemLabel").contains(u"/no/such/adapter"_s),
                             kPatience);
    QVERIFY(gui.find<QDialog>("importDialog")->isVisible());
    QVERIFY(start->isEnabled());
}

void TstImportDialog::cancelLeavesNothing()
{
    GuiFixture gui;
    gui.trigger("importModelAction");
    gui.find<QLineEdit>("importSourceLineEdit")->setText(m_qw.path(u"gptq"_s));
    const QDir work(QString::fromStdString(gui.window->state().workFolder().string()));
    QTest::mouseClick(gui.find<QPushButton>("importStartButton"), Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(!work.isEmpty(), kPatience); // it has begun
    auto* dialog = gui.find<QDialog>("importDialog");
    QTest::keyClick(dialog, Qt::Key_Escape);
    QVERIFY(dialog->isVisible());
    QVERIFY(text(gui, "importProblemLabel").contains(u"nothing is left behind"_s));
    QTRY_VERIFY_WITH_TIMEOUT(work.isEmpty(), kPatience);
    QVERIFY(qw::RunStore(gui.storeFile().toStdString()).list().empty());
}

QTEST_MAIN(TstImportDialog)
#include "tst_import_dialog.moc"
