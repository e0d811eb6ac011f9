#include <QApplication>
#include <QClipboard>
#include <QComboBox>
#include <QDockWidget>
#include <QFile>
#include <QHeaderView>
#include <QImage>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QMenu>
#include <QMenuBar>
#include <QPushButton>
#include <QSignalSpy>
#include <QTableView>
#include <QTest>
#include <QTimer>
#include <QToolButton>
#include <QTreeView>

#include "app/gui/app_state.h"
#include "app/gui/queue_dock.h"
#include "app/gui/shortcuts_dialog.h"
#include "app/gui/start_page.h"
#include "base/files.h"
#include "store/run_store.h"
#include "support/base_read_only.h"
#include "support/base_results.h"
#include "support/gui_fixture.h"
#include "widgets/card_button.h"
#include "widgets/elided_label.h"
#include "widgets/layer_tree_model.h"
#include "widgets/series_plot.h"
#include "widgets/theme.h"

using namespace Qt::Literals::StringLiterals;
using qw::AppState;
using qw::test::GuiFixture;
using qw::test::kPatience;
using qw::test::shoot;

namespace {
constexpr int kQuiet = 400; // milliseconds: what is not to happen would have by then
}

class TstWindow : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void startPageOpensTheBundledModel();
    void aFolderThatIsNoModelIsExplained();
    void recentModelsAreRemembered();
    void sessionIsRestored();
    void aStoreThatCanOnlyBeReadIsShown();
    void unfinishedRunsAreOffered();
    void runInViewFollowsTheHeader();
    void ofTwoRunsTheOneWantedLastIsShown();
    void ofTwoModelsTheOneWantedLastIsOpened();
    void aRunIsShownOverItsOwnModelOnly();
    void undoLeavesTheOpenModelAlone();
    void nothingIsRebuiltWhereTheStoreIsAsItWas();
    void aNewRunLeavesFocusAndOpenListAlone();
    void paletteFindsActionsAndLayers();
    void plotsHaveAMenuAndAreInThePalette();
    void themesSwitch();
    void everyControlHasANameAndEveryMenuAMnemonic();
    void dialogsOpen();
    void onlyPagesThatExistAreOffered();
    void layerColumnsAreRemembered();
    void layersAreFilteredByNumbers();
    void layerNamesStayReadable();
    void aChangedFolderIsStale();
};

void TstWindow::startPageOpensTheBundledModel()
{
    GuiFixture gui;
    shoot(*gui.window, u"start-fresh"_s);
    QTest::mouseClick(gui.find<qw::CardButton>("openBundledButton"), Qt::LeftButton);
    QTRY_COMPARE_WITH_TIMEOUT(gui.window->state().modelState(), AppState::ModelState::Ready,
                              kPatience);
    QCOMPARE(gui.find<QLabel>("modelTitleLabel")->text(), u"bundled demo model"_s);
    QVERIFY(gui.find<QLabel>("modelFactsLabel")->accessibleName().contains(u"llama"_s));
    QCOMPARE(gui.find<QLabel>("modelStatusLabel")->text(),
             u"bundled demo model, "_s +
                 QString::fromStdString(gui.window->state().model()->layers.front().dtype));
    QVERIFY(gui.find<QWidget>("modelPanel")->isVisible());
    QVERIFY(!gui.window->state().layer().isEmpty());
    shoot(*gui.window, u"start-opened"_s);
}

void TstWindow::aFolderThatIsNoModelIsExplained()
{
    GuiFixture gui;
    QSignalSpy shown(&gui.dialogs, &qw::Dialogs::problemShown);
    gui.dialogs.setNextPath(gui.folder.path());
    QTest::mouseClick(gui.find<qw::CardButton>("openFolderButton"), Qt::LeftButton);
    QTRY_COMPARE_WITH_TIMEOUT(shown.size(), 1, kPatience);
    QVERIFY(shown.first().first().toString().contains(u"config.json"_s));
    QCOMPARE(gui.window->state().modelState(), AppState::ModelState::Failed);
    shoot(*gui.find<QWidget>("errorDialog"), u"error-dialog"_s);
}

void TstWindow::recentModelsAreRemembered()
{
    GuiFixture gui;
    const QString folder = QStringLiteral(QW_GOLDEN_DIR "/models/qwen3");
    gui.window->openPath(folder);
    QTRY_COMPARE_WITH_TIMEOUT(gui.window->state().modelState(), AppState::ModelState::Ready,
                              kPatience);
    QCOMPARE(gui.settings->list(qw::Settings::Key::RecentModels), QStringList{folder});
    // A widget added to a window on the screen appears with the next turn of the event loop.
    QTRY_VERIFY(gui.find<qw::CardButton>("recentModelButton")->isVisible());
    shoot(*gui.window, u"start-recent"_s);
}

void TstWindow::sessionIsRestored()
{
    GuiFixture gui;
    qw::RunStore(gui.storeFile().toStdString()).save(qw::test::sampleResult("abcdefgh1234"));
    gui.openDemo();
    gui.window->state().setRunInView(u"abcdefgh1234"_s);
    QTRY_VERIFY(gui.window->state().runInView().has_value());
    const QString layer = QString::fromStdString(gui.window->state().model()->layers.back().name);
    gui.window->state().selectLayer(layer);
    gui.window->resize(1100, 770); // with the queue's details open
    using Columns = qw::LayerTreeModel;
    gui.find<QTreeView>("layerTree")->sortByColumn(Columns::ShapeColumn, Qt::DescendingOrder);
    gui.find<qw::QueueDock>("queueDock")->setDetailsShown(true);
    gui.window->close();
    gui.reopen();
    gui.window->restoreSession();
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().runInView().has_value(), kPatience);
    QCOMPARE(gui.window->state().modelName(), u"demo"_s);
    QCOMPARE(gui.window->state().layer(), layer);
    QCOMPARE(gui.window->size(), QSize(1100, 770));
    const QHeaderView* header = gui.find<QTreeView>("layerTree")->header();
    QCOMPARE(header->sortIndicatorSection(), int(Columns::ShapeColumn));
    QCOMPARE(header->sortIndicatorOrder(), Qt::DescendingOrder);
    QVERIFY(gui.find<qw::QueueDock>("queueDock")->detailsShown());
    gui.window->close();
    gui.reopen();
    gui.settings->set(qw::Settings::Key::LastRun, u"dddddddd4444"_s); // of another store
    QSignalSpy problems(&gui.dialogs, &qw::Dialogs::problemShown);
    gui.window->restoreSession();
    QTRY_COMPARE_WITH_TIMEOUT(gui.window->state().modelState(), qw::AppState::ModelState::Ready,
                              kPatience);
    QTest::qWait(200); // for a run to be looked up
    QVERIFY(problems.isEmpty());
    QVERIFY(!gui.window->state().runInView().has_value());
}

void TstWindow::aStoreThatCanOnlyBeReadIsShown()
{
    GuiFixture gui;
    gui.window->state().store().save(qw::test::sampleResult("abcdefgh1234"));
    gui.window.reset();
    const qw::test::ReadOnlyFolder bound(gui.folder.path().toStdString());
    gui.reopen();
    QTRY_COMPARE_WITH_TIMEOUT(gui.window->state().runs().size(), std::size_t{1}, kPatience);
    QVERIFY(gui.find<qw::ElidedLabel>("storeLabel")->fullText().contains(u"only be read"_s));
    for (const char* name : {"startRunAction", "enqueueRunAction", "sweepAction"}) {
        QVERIFY2(!gui.find<QAction>(name)->isEnabled(), name);
    }
    QVERIFY(gui.find<QLabel>("whyNotLabel")->text().contains(u"only be read"_s));
    for (const char* name : {"startRunButton", "enqueueButton", "sweepButton"}) {
        QVERIFY2(!gui.find<QPushButton>(name)->isEnabled(), name);
        QVERIFY2(gui.find<QPushButton>(name)->toolTip().contains(u"only be read"_s), name);
    }
    gui.trigger("compareAction");
    gui.find<QTableView>("runTable")->selectRow(0);
    for (const char* name :
         {"starRunsAction", "tagRunsAction", "noteRunAction", "deleteRunsAction"}) {
        QVERIFY2(!gui.find<QAction>(name)->isEnabled(), name);
        QVERIFY2(gui.find<QAction>(name)->toolTip().contains(u"only be read"_s), name);
    }
    QVERIFY(gui.find<QAction>("copyRunsAction")->isEnabled());
    QSignalSpy problems(&gui.dialogs, &qw::Dialogs::problemShown);
    QVERIFY(QMetaObject::invokeMethod(gui.find<qw::StartPage>("startPage"), "resumeWanted",
                                      Q_ARG(QString, u"abcdefgh1234"_s)));
    QCOMPARE(problems.size(), 1);
    QVERIFY(problems.front().front().toString().contains(u"only be read"_s));
    gui.window.reset(); // before its folder can be written again
}

void TstWindow::unfinishedRunsAreOffered()
{
    GuiFixture gui;
    qw::RunResult run = qw::test::sampleResult("abcdefgh1234");
    run.status = "running";
    run.artifactFolder = gui.folder.path().toStdString();
    qw::RunStore(gui.storeFile().toStdString()).save(run);
    {
        const qw::FileLock atWork(std::filesystem::path(run.artifactFolder) / qw::kArtifactLock);
        gui.reopen();
        QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().runsLoaded(), kPatience);
        QCOMPARE(gui.window->state().runs().size(), std::size_t{1});
        QVERIFY(gui.window->findChild<qw::CardButton*>(u"resumeButton"_s) == nullptr);
    }
    qw::RunResult sibling = run;
    sibling.id = "abcdefgh1235";
    run.sweep = sibling.sweep = "sweep";
    for (const qw::RunResult& one : {run, sibling}) { // a sweep is offered once
        qw::RunStore(gui.storeFile().toStdString()).save(one);
    }
    gui.reopen(); // who was at work is gone
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->findChild<qw::CardButton*>(u"resumeButton"_s), kPatience);
    QCOMPARE(gui.window->findChildren<qw::CardButton*>(u"resumeButton"_s).size(), 1);
    shoot(*gui.window, u"start-resume"_s);
    QTest::mouseClick(gui.find<QPushButton>("dismissButton"), Qt::LeftButton);
    QTRY_VERIFY(gui.window->findChild<qw::CardButton*>(u"resumeButton"_s) == nullptr);
    QCOMPARE(qw::RunStore(gui.storeFile().toStdString()).get("abcdefgh1234").status,
             std::string("cancelled"));
}

void TstWindow::runInViewFollowsTheHeader()
{
    GuiFixture gui;
    {
        qw::RunStore store(gui.storeFile().toStdString());
        store.save(qw::test::sampleResult("aaaaaaaa1111"));
        store.save(qw::test::sampleResult("bbbbbbbb2222"));
        qw::RunResult other = qw::test::sampleResult("cccccccc3333");
        other.spec.model = "/another/model";
        store.save(other);
    }
    gui.reopen();
    gui.openDemo();
    auto* box = gui.find<QComboBox>("runInViewComboBox");
    QTRY_COMPARE_WITH_TIMEOUT(box->count(), 3, kPatience); // none and the two of this model
    box->setFocus();
    QTest::keyClick(box, Qt::Key_Down);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().runInView().has_value(), kPatience);
    QCOMPARE(QString::fromStdString(gui.window->state().runInView()->id),
             box->currentData().toString());
    QCOMPARE(gui.window->state().runInView()->layers.size(), 2U);
}

void TstWindow::ofTwoRunsTheOneWantedLastIsShown()
{
    GuiFixture gui;
    gui.window->state().store().save(qw::test::sampleResult("aaaaaaaa1111"));
    gui.window->state().store().save(qw::test::sampleResult("bbbbbbbb2222"));
    gui.openDemo();
    AppState& state = gui.window->state();
    state.setRunInView(u"aaaaaaaa1111"_s);
    QTRY_VERIFY_WITH_TIMEOUT(state.runInView().has_value(), kPatience);
    state.setRunInView(u"bbbbbbbb2222"_s);
    state.setRunInView(u"aaaaaaaa1111"_s); // still in view: nothing is read
    QVERIFY(!QTest::qWaitFor([&] { return state.runInView()->id != "aaaaaaaa1111"; }, kQuiet));
}

void TstWindow::aRunIsShownOverItsOwnModelOnly()
{
    GuiFixture gui;
    AppState& state = gui.window->state();
    qw::RunResult lost = qw::test::sampleResult("cccccccc3333");
    lost.spec.model = "/another/model";
    state.store().save(lost);
    state.store().save(qw::test::sampleResult("aaaaaaaa1111"));
    state.storeChanged();
    QTRY_COMPARE_WITH_TIMEOUT(state.runs().size(), 2U, kPatience);
    QSignalSpy problems(&gui.dialogs, &qw::Dialogs::problemShown);
    auto* queue = gui.find<qw::QueueDock>("queueDock");
    Q_EMIT queue->showRunWanted(u"cccccccc3333"_s); // its model is gone
    QTRY_COMPARE(problems.size(), 1);
    QVERIFY(problems.front().front().toString().contains(u"/another/model"_s));
    gui.openDemo();
    state.setRunInView(u"cccccccc3333"_s);
    QVERIFY(!QTest::qWaitFor([&] { return state.runInView().has_value(); }, kQuiet));

    // A model that cannot be opened takes the wish for its run with it.
    state.openModel(gui.folder.path(), u"aaaaaaaa1111"_s);
    QTRY_COMPARE_WITH_TIMEOUT(state.modelState(), AppState::ModelState::Failed, kPatience);
    gui.openDemo();
    QVERIFY(!QTest::qWaitFor([&] { return state.runInView().has_value(); }, kQuiet));

    // A run that is being read when another model opens is not that model's.
    state.setRunInView(u"aaaaaaaa1111"_s);
    state.openModel(QStringLiteral(QW_GOLDEN_DIR "/models/qwen3"));
    QVERIFY(!QTest::qWaitFor([&] { return state.runInView().has_value(); }, kQuiet));

    // Shown from another model, it comes with its own.
    Q_EMIT queue->showRunWanted(u"aaaaaaaa1111"_s);
    QTRY_VERIFY_WITH_TIMEOUT(state.runInView().has_value(), kPatience);
    QCOMPARE(state.modelName(), u"demo"_s);
}

void TstWindow::undoLeavesTheOpenModelAlone()
{
    GuiFixture gui;
    gui.openDemo();
    AppState& state = gui.window->state();
    qw::RunSpec draft = state.draft();
    draft.weight.bits = 2;
    state.editDraft(draft, u"Change bits"_s);
    const QString folder = QStringLiteral(QW_GOLDEN_DIR "/models/qwen3");
    gui.window->openPath(folder);
    QTRY_COMPARE_WITH_TIMEOUT(state.modelName(), folder, kPatience);
    QTRY_COMPARE_WITH_TIMEOUT(state.modelState(), AppState::ModelState::Ready, kPatience);
    gui.trigger("undoAction");
    QCOMPARE(state.draft().weight.bits, qw::defaultDraft().weight.bits);
    QCOMPARE(QString::fromStdString(state.draft().model), folder);
    gui.openDemo();
    gui.trigger("redoAction");
    QCOMPARE(state.draft().weight.bits, 2);
    QCOMPARE(state.draft().model, std::string("demo"));
}

void TstWindow::nothingIsRebuiltWhereTheStoreIsAsItWas()
{
    GuiFixture gui;
    qw::RunResult run = qw::test::sampleResult("aaaaaaaa1111");
    run.status = "running";
    run.artifactFolder = gui.folder.path().toStdString();
    gui.window->state().store().save(run);
    gui.window->state().storeChanged();
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->findChild<qw::CardButton*>(u"resumeButton"_s), kPatience);
    auto* card = gui.find<qw::CardButton>("resumeButton");
    card->setFocus();
    QCOMPARE(gui.window->focusWidget(), static_cast<QWidget*>(card));
    QSignalSpy changed(&gui.window->state(), &AppState::runsChanged);
    gui.window->state().storeChanged(); // as every few seconds while a sweep is at work
    QVERIFY(!QTest::qWaitFor([&] { return !changed.isEmpty(); }, kQuiet));
    QCOMPARE(gui.window->focusWidget(), static_cast<QWidget*>(card)); // still the same one
    gui.window->state().store().save(qw::test::sampleResult("bbbbbbbb2222"));
    gui.window->state().storeChanged();
    QTRY_COMPARE_WITH_TIMEOUT(changed.size(), 1, kPatience);
    QCOMPARE(gui.window->focusWidget(), static_cast<QWidget*>(card)); // beside what is new
}

void TstWindow::aNewRunLeavesFocusAndOpenListAlone()
{
    GuiFixture gui;
    qw::RunStore& store = gui.window->state().store();
    store.save(qw::test::sampleResult("aaaaaaaa1111"));
    store.save(qw::test::sampleResult("bbbbbbbb2222"));
    gui.window->state().storeChanged();
    gui.window->openPath(QStringLiteral(QW_GOLDEN_DIR "/models/qwen3"));
    QTRY_COMPARE_WITH_TIMEOUT(gui.window->state().modelState(), AppState::ModelState::Ready,
                              kPatience);
    gui.openDemo();
    gui.trigger("startAction");
    auto* box = gui.find<QComboBox>("runInViewComboBox");
    QTRY_COMPARE_WITH_TIMEOUT(box->count(), 3, kPatience);
    auto* recent = gui.find<qw::CardButton>("recentModelButton");
    recent->setFocus();
    box->showPopup();
    const QPersistentModelIndex second = box->model()->index(2, 0);
    const QString title = second.data().toString();
    box->view()->setCurrentIndex(second);
    qw::RunResult best = qw::test::sampleResult("cccccccc3333");
    best.started = "2027-01-01T00:00:00Z"; // comes first
    best.score.perplexity = 1.5;
    store.save(best);
    gui.window->state().storeChanged();
    QTRY_COMPARE_WITH_TIMEOUT(box->count(), 4, kPatience);
    QVERIFY(second.isValid());
    QCOMPARE(second.row(), 3);
    QCOMPARE(second.data().toString(), title);
    QVERIFY(box->view()->isVisible());
    QCOMPARE(box->view()->currentIndex(), QModelIndex(second));
    QVERIFY(box->itemText(1).contains(u"1.5"_s));
    box->hidePopup();
    QCOMPARE(gui.window->focusWidget(), static_cast<QWidget*>(recent));
}

void TstWindow::paletteFindsActionsAndLayers()
{
    GuiFixture gui;
    gui.openDemo();
    gui.trigger("paletteAction");
    auto* input = gui.find<QLineEdit>("paletteLineEdit");
    QTest::keyClicks(input, u"layers.1.mlp.down"_s);
    shoot(*gui.find<QWidget>("commandPalette"), u"command-palette"_s);
    QTest::keyClick(input, Qt::Key_Return);
    QCOMPARE(gui.window->state().layer(), u"model.layers.1.mlp.down_proj"_s);
}

void TstWindow::ofTwoModelsTheOneWantedLastIsOpened()
{
    GuiFixture gui;
    gui.window->openPath(QStringLiteral(QW_GOLDEN_DIR "/models/qwen3"));
    gui.window->openPath(u"demo"_s); // while it is found out what the folder is
    QVERIFY(!QTest::qWaitFor([&] { return gui.window->state().modelName() != u"demo"_s; }, kQuiet));
}

void TstWindow::plotsHaveAMenuAndAreInThePalette()
{
    GuiFixture gui;
    auto* menu = gui.find<QMenu>("plotMenu");
    auto* view = qobject_cast<QMenu*>(menu->parent());
    QVERIFY(view != nullptr);
    const auto open = [&] { // the menu around it, as Alt+V does
        Q_EMIT view->aboutToShow();
        return menu->title();
    };
    open();
    QVERIFY(!menu->menuAction()->isEnabled()); // the start page has no plot
    QVERIFY(menu->isEmpty());
    gui.openDemo();
    gui.trigger("inspectAction");
    auto* overview = gui.find<qw::SeriesPlot>("overviewPlot");
    for (auto* plot : {gui.find<qw::SeriesPlot>("spectraPlot"), overview}) {
        QTRY_COMPARE_WITH_TIMEOUT(plot->emptyText(), QString(), kPatience);
    }
    gui.window->activateWindow();
    QVERIFY(QTest::qWaitForWindowActive(gui.window.get()));
    gui.find<QTreeView>("layerTree")->setFocus();
    QCOMPARE(open(), u"Pl&ot: Singular values"_s); // the main one
    QVERIFY(menu->menuAction()->isEnabled());
    overview->setFocus();
    QCOMPARE(open(), u"Pl&ot: All layers"_s);
    gui.window->menuBar()->setFocus(); // as Alt does
    QCOMPARE(open(), u"Pl&ot: All layers"_s);
    overview->setFocus();
    QVERIFY(!overview->logY());
    QGuiApplication::clipboard()->clear();
    for (const QString& wanted : {u"plot all layers logarithmic y"_s, u"plot copy image"_s}) {
        gui.trigger("paletteAction");
        auto* input = gui.find<QLineEdit>("paletteLineEdit");
        QTest::keyClicks(input, wanted);
        QTest::keyClick(input, Qt::Key_Return);
        QTRY_VERIFY(gui.window->findChild<QWidget*>(u"commandPalette"_s) == nullptr);
    }
    QVERIFY(overview->logY());
    QVERIFY(!QGuiApplication::clipboard()->image().isNull());
}

void TstWindow::themesSwitch()
{
    GuiFixture gui;
    gui.openDemo();
    gui.trigger("darkThemeAction");
    QTRY_VERIFY(qw::theme::isDark(gui.window->palette()));
    shoot(*gui.window, u"start-opened-dark"_s);
    gui.trigger("lightThemeAction");
    QTRY_VERIFY(!qw::theme::isDark(gui.window->palette()));
}

void TstWindow::everyControlHasANameAndEveryMenuAMnemonic()
{
    GuiFixture gui;
    for (const QAction* menu : gui.window->menuBar()->actions()) {
        QVERIFY2(menu->text().contains(u'&'), qPrintable(menu->text()));
    }
    const auto controls = gui.window->findChildren<QWidget*>();
    for (const QWidget* control : controls) {
        if (control->focusPolicy() != Qt::NoFocus &&
            qobject_cast<const QAbstractButton*>(control) &&
            !control->objectName().startsWith(u"qt_")) {
            const auto* button = qobject_cast<const QAbstractButton*>(control);
            QVERIFY2(!control->objectName().isEmpty(), qPrintable(button->text()));
            QVERIFY2(!(button->text().isEmpty() && control->accessibleName().isEmpty()),
                     qPrintable(control->objectName()));
        }
    }
}

void TstWindow::dialogsOpen()
{
    GuiFixture gui;
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().facts().has_value(), kPatience);
    gui.trigger("settingsAction");
    shoot(*gui.find<QWidget>("settingsDialog"), u"settings"_s);
    QString inUse = gui.find<QLabel>("storeInUseLabel")->text(); // the fixture gives a store
    QVERIFY2(inUse.remove(QChar(0x200b)).contains(gui.storeFile()), qPrintable(inUse));
    QVERIFY2(inUse.contains(u"--store"_s), qPrintable(inUse));
    auto* store = gui.find<QLineEdit>("storeLineEdit");
    store->setText(u"/nowhere/at/all.sqlite"_s);
    Q_EMIT store->editingFinished();
    QVERIFY(gui.find<QLabel>("storeHintLabel")->text().contains(u"/nowhere/at"_s));
    QCOMPARE(gui.settings->text(qw::Settings::Key::StoreFile), QString());
    store->setText(u"~/runs.sqlite"_s);
    Q_EMIT store->editingFinished();
    QCOMPARE(gui.settings->text(qw::Settings::Key::StoreFile),
             QDir::homePath() + u"/runs.sqlite"_s);
    auto* theme = gui.find<QComboBox>("themeComboBox");
    theme->setFocus();
    QTest::keyClick(theme, Qt::Key_Down);
    QTRY_VERIFY(qw::theme::isDark(gui.window->palette()));
    gui.find<QDialog>("settingsDialog")->close();
    gui.trigger("aboutAction");
    QVERIFY(gui.find<QLabel>("aboutLabel")->text().contains(u"libtorch"_s));
    shoot(*gui.find<QWidget>("aboutDialog"), u"about"_s);
    gui.find<QDialog>("aboutDialog")->close();
    gui.trigger("shortcutsAction");
    shoot(*gui.find<QWidget>("shortcutsDialog"), u"shortcuts"_s);
    gui.find<QDialog>("shortcutsDialog")->close();
    gui.trigger("lightThemeAction");
}

void TstWindow::onlyPagesThatExistAreOffered()
{
    GuiFixture gui;
    const QString links = gui.find<QLabel>("linksLabel")->text();
    const std::array<QString, qw::kModeCount> names = {u"start"_s, u"inspect"_s, u"quantize"_s,
                                                       u"compare"_s};
    for (int mode = 0; mode < qw::kModeCount; ++mode) {
        gui.window->setMode(static_cast<qw::Mode>(mode));
        const bool exists = gui.window->mode() == static_cast<qw::Mode>(mode);
        QCOMPARE(gui.window->findChild<QAction*>(names[mode] + u"Action"_s) != nullptr, exists);
        if (mode > 0) {
            QCOMPARE(links.contains(u"href='%1'"_s.arg(mode)), exists);
        }
    }
}

void TstWindow::layerColumnsAreRemembered()
{
    using Model = qw::LayerTreeModel;
    GuiFixture gui;
    gui.openDemo();
    gui.trigger("inspectAction");
    auto* tree = gui.find<QTreeView>("layerTree");
    QVERIFY(!tree->isColumnHidden(Model::StableRankColumn)); // there are no errors to show
    QVERIFY(tree->isColumnHidden(Model::OutputErrorColumn));
    gui.trigger("quantizeAction");
    QVERIFY(tree->isColumnHidden(Model::StableRankColumn));
    QVERIFY(!tree->isColumnHidden(Model::PlanRankColumn));
    QTimer::singleShot(0, [] { // in the header's menu, which waits
        auto* menu = qobject_cast<QMenu*>(QApplication::activePopupWidget());
        QVERIFY(menu);
        for (QAction* action : menu->actions()) {
            if (action->text() == u"Next run: Rank"_s) {
                action->trigger();
            }
        }
        menu->close();
    });
    Q_EMIT tree->header()->customContextMenuRequested({4, 4});
    QVERIFY(tree->isColumnHidden(Model::PlanRankColumn));
    gui.trigger("inspectAction");
    QVERIFY(!tree->isColumnHidden(Model::StableRankColumn)); // each page has its own
    QAction* rows = nullptr; // in the View menu, and so in the palette
    for (QAction* action : gui.window->actions()) {
        rows = qw::actionTitle(*action) == u"Layer Columns: Shape"_s ? action : rows;
    }
    QVERIFY(rows != nullptr && rows->isCheckable() && !rows->isChecked());
    rows->trigger();
    QVERIFY(!tree->isColumnHidden(Model::ShapeColumn));
    gui.window->close();
    gui.reopen();
    gui.trigger("quantizeAction");
    tree = gui.find<QTreeView>("layerTree");
    QVERIFY(tree->isColumnHidden(Model::PlanRankColumn));
    QVERIFY(!tree->isColumnHidden(Model::PlanBitsColumn));
    gui.trigger("inspectAction");
    QVERIFY(!tree->isColumnHidden(Model::ShapeColumn));
}

void TstWindow::layersAreFilteredByNumbers()
{
    GuiFixture gui;
    gui.openDemo();
    gui.trigger("inspectAction");
    auto* tree = gui.find<QTreeView>("layerTree");
    auto* filter = gui.find<QLineEdit>("layerFilterLineEdit");
    auto* problem = gui.find<QLabel>("layerFilterProblemLabel");
    const int blocks = tree->model()->rowCount();
    QVERIFY(blocks > 1);
    filter->setText(u"rows<1"_s);
    QCOMPARE(tree->model()->rowCount(), 0);
    QVERIFY(problem->isHidden());
    filter->setText(u"ppl<1"_s); // of runs
    QVERIFY(problem->isVisible());
    QVERIFY2(problem->text().contains(u"layers have no"_s), qPrintable(problem->text()));
    filter->setText(u"rows>1"_s);
    QCOMPARE(tree->model()->rowCount(), blocks);
    QVERIFY(problem->isHidden());
    filter->setFocus();
    QTest::keyClick(filter, Qt::Key_Escape);
    QCOMPARE(filter->text(), QString());
}

void TstWindow::layerNamesStayReadable()
{
    using Model = qw::LayerTreeModel;
    GuiFixture gui;
    gui.window->resize(1600, 900);
    gui.openDemo();
    gui.trigger("inspectAction");
    auto* dock = gui.find<QDockWidget>("layerDock");
    auto* tree = gui.find<QTreeView>("layerTree");
    const int name =
        2 * tree->indentation() + tree->fontMetrics().horizontalAdvance(u"down_proj"_s);
    const int title = tree->header()->sectionSizeHint(Model::StableRankColumn);
    for (const bool narrow : {true, false}) {
        for (const int column : {Model::ShapeColumn, Model::RangeColumn}) {
            tree->setColumnHidden(column, !narrow);
        }
        gui.window->resizeDocks({dock}, {narrow ? 250 : 480}, Qt::Horizontal);
        QTRY_COMPARE(tree->columnWidth(Model::StableRankColumn) < title, narrow);
        QVERIFY(tree->columnWidth(Model::NameColumn) >= name);
    }
}

void TstWindow::aChangedFolderIsStale()
{
    GuiFixture gui;
    const QString folder = gui.folder.filePath(u"model"_s);
    QVERIFY(QDir().mkpath(folder));
    const QDir golden(QStringLiteral(QW_GOLDEN_DIR "/models/qwen3"));
    for (const QString& file : golden.entryList(QDir::Files)) {
        QVERIFY(QFile::copy(golden.filePath(file), folder + u'/' + file));
    }
    gui.window->openPath(folder);
    QTRY_COMPARE_WITH_TIMEOUT(gui.window->state().modelState(), AppState::ModelState::Ready,
                              kPatience);
    auto* facts = gui.find<qw::ElidedLabel>("modelFactsLabel");
    Q_EMIT qApp->focusWindowChanged(nullptr); // the user was elsewhere
    QVERIFY(facts->fullText().contains(u"qwen3"_s));
    QVERIFY(QFile::remove(folder + u"/config.json"_s));
    Q_EMIT qApp->focusWindowChanged(nullptr);
    QVERIFY2(facts->fullText().contains(u"F5"_s), qPrintable(facts->fullText()));
}

QTEST_MAIN(TstWindow)
#include "tst_window.moc"
