#include <algorithm>
#include <cstdlib>

#include <QAbstractItemView>
#include <QAbstractSpinBox>
#include <QAccessible>
#include <QButtonGroup>
#include <QComboBox>
#include <QDialog>
#include <QDir>
#include <QFileInfo>
#include <QHash>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QMenu>
#include <QMenuBar>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QTableView>
#include <QTest>
#include <QToolBar>
#include <QTreeView>

#include "store/run_store.h"
#include "support/gui_exports.h"
#include "support/gui_fixture.h"
#include "support/gui_runs.h"
#include "widgets/elided_label.h"
#include "widgets/layer_tree_model.h"
#include "widgets/plot_view.h"
#include "widgets/run_table_model.h"
#include "widgets/series_plot.h"

using namespace Qt::Literals::StringLiterals;
using qw::AppState;
using qw::Mode;
using qw::RunState;
using qw::test::GuiFixture;
using qw::test::kPatience;

namespace {
constexpr int kManyTabs = 300;

/// What users act on, as far as the window made it.
bool isControl(const QWidget& widget)
{
    return !widget.objectName().startsWith(u"qt_"_s) &&
           (qobject_cast<const QAbstractButton*>(&widget) ||
            qobject_cast<const QComboBox*>(&widget) || qobject_cast<const QLineEdit*>(&widget) ||
            qobject_cast<const QAbstractSpinBox*>(&widget) ||
            qobject_cast<const QAbstractItemView*>(&widget) ||
            qobject_cast<const QPlainTextEdit*>(&widget) ||
            qobject_cast<const qw::PlotView*>(&widget));
}

template <class T>
bool isInside(const QWidget* widget)
{
    for (const QWidget* above = widget->parentWidget(); above != nullptr;
         above = above->parentWidget()) {
        if (qobject_cast<const T*>(above) != nullptr) {
            return true;
        }
    }
    return false;
}

/// Tab goes to the checked one of buttons that exclude each other; arrows go to the others.
const QWidget* tabStop(const QWidget* control)
{
    const auto* button = qobject_cast<const QAbstractButton*>(control);
    const QButtonGroup* group = button != nullptr ? button->group() : nullptr;
    return group != nullptr && group->exclusive() && group->checkedButton() != nullptr
               ? group->checkedButton()
               : control;
}

/// The controls on the screen, without the parts that boxes and views consist of.
QList<QWidget*> controls(const QWidget& window)
{
    QList<QWidget*> found;
    const auto widgets = window.findChildren<QWidget*>();
    for (QWidget* widget : widgets) {
        if (isControl(*widget) && widget->isVisible() && widget->isEnabled() &&
            !isInside<QAbstractSpinBox>(widget) && !isInside<QComboBox>(widget) &&
            !isInside<QAbstractItemView>(widget)) {
            found << widget;
        }
    }
    return found;
}

void press(Qt::Key key, Qt::KeyboardModifiers modifiers = Qt::NoModifier)
{
    QTest::keyClick(QApplication::activeWindow()->windowHandle(), key, modifiers);
}

/// Tabs on until the widget of that name has the focus. @throws if Tab never gets there
void tabTo(const char* name)
{
    const QString wanted = QString::fromLatin1(name);
    for (int i = 0; i < kManyTabs; ++i) {
        const QWidget* now = QApplication::focusWidget();
        if (now != nullptr && now->objectName() == wanted) {
            return;
        }
        press(Qt::Key_Tab);
    }
    throw std::runtime_error(std::string("Tab does not lead to ") + name);
}

void activate(GuiFixture& gui)
{
    gui.window->activateWindow();
    QVERIFY(QTest::qWaitForWindowActive(gui.window.get()));
}

qw::RunSpec smallRun()
{
    qw::RunSpec spec = qw::defaultDraft();
    spec.calibration.nsamples = 2;
    spec.evaluation.windows = 2;
    spec.lowRank.rank = 8;
    spec.threads = 1;
    return spec;
}
} // namespace

class TstKeyboard : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void mainJob();
    void worstLayer();
    void sweepToParetoChart();
    void twoRuns();
    void exportOfARun();
    void altOpensMenus_data();
    void altOpensMenus();
    void menusHaveKeysOfTheirOwn();
    void everyControlIsReachedAndNamed_data();
    void everyControlIsReachedAndNamed();
};

/// Open the bundled model, choose a method, start, look at the worst layer. No mouse.
void TstKeyboard::mainJob()
{
    GuiFixture gui;
    gui.window->state().setDraft(smallRun());
    activate(gui);
    tabTo("openBundledButton");
    press(Qt::Key_Space);
    QTRY_COMPARE_WITH_TIMEOUT(gui.window->state().modelState(), AppState::ModelState::Ready,
                              kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().facts().has_value(), kPatience);
    press(Qt::Key_3, Qt::ControlModifier);
    QCOMPARE(gui.window->mode(), Mode::Quantize);
    tabTo("methodField");
    const std::string before = gui.window->state().draft().method;
    press(Qt::Key_Up);
    const std::string method = gui.window->state().draft().method;
    QVERIFY(method != before);
    QTRY_VERIFY_WITH_TIMEOUT(gui.find<QWidget>("startRunButton")->isEnabled(), kPatience);
    tabTo("startRunButton");
    press(Qt::Key_Space);
    QCOMPARE(gui.window->queue().rowCount(), 1);
    QTRY_COMPARE_WITH_TIMEOUT(gui.window->queue().entries().front().state, RunState::Finished,
                              kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().runInView().has_value(), kPatience);
    QCOMPARE(gui.window->state().runInView()->spec.method, method);
    QTRY_VERIFY_WITH_TIMEOUT(gui.find<QWidget>("queueInspectButton")->isEnabled(), kPatience);
    tabTo("queueInspectButton");
    press(Qt::Key_Space);
    QCOMPARE(gui.window->mode(), Mode::Inspect);
    press(Qt::Key_F, Qt::ControlModifier);
    QCOMPARE(QApplication::focusWidget()->objectName(), u"layerFilterLineEdit"_s);
    for (const Qt::Key key : {Qt::Key_D, Qt::Key_O, Qt::Key_W, Qt::Key_N}) {
        press(key);
    }
    tabTo("layerTree");
    press(Qt::Key_Home); // a block
    press(Qt::Key_Down); // its only layer of that name
    QCOMPARE(gui.window->state().layer(), u"model.layers.0.mlp.down_proj"_s);
    press(Qt::Key_Down, Qt::AltModifier);
    QCOMPARE(gui.window->state().layer(), u"model.layers.1.mlp.down_proj"_s);
}

/// Which layers hurt, and why: from the run to the worst bar, its spectra and histogram.
void TstKeyboard::worstLayer()
{
    GuiFixture gui;
    gui.window->state().setDraft(smallRun());
    gui.openDemo();
    activate(gui);
    QTRY_VERIFY_WITH_TIMEOUT(gui.find<QAction>("startRunAction")->isEnabled(), kPatience);
    QVERIFY(!gui.find<QAction>("worstLayerAction")->isEnabled()); // there is no error yet
    press(Qt::Key_R, Qt::ControlModifier);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->queue().idle(), kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().runInView().has_value(), kPatience);
    const std::vector<qw::LayerResult> layers = gui.window->state().runInView()->layers;
    QCOMPARE(layers.size(), gui.window->state().model()->layers.size());
    const auto most =
        std::max_element(layers.begin(), layers.end(), [](const auto& a, const auto& b) {
            return a.outputError < b.outputError;
        });
    const QString worst = QString::fromStdString(most->name);

    press(Qt::Key_2, Qt::ControlModifier);
    QCOMPARE(gui.window->mode(), Mode::Inspect);
    tabTo("overviewPlot");
    const auto* overview = gui.find<qw::SeriesPlot>("overviewPlot");
    const std::vector<std::string>& keys = overview->data().series.front().keys;
    const auto place = [&keys](const QString& layer) {
        return std::find(keys.begin(), keys.end(), layer.toStdString()) - keys.begin();
    };
    const auto steps = place(worst) - place(gui.window->state().layer());
    press(Qt::Key_Right); // shows where the arrows begin
    for (auto i = steps; i != 0; i -= steps / std::abs(steps)) {
        press(steps > 0 ? Qt::Key_Right : Qt::Key_Left);
    }
    QVERIFY2(overview->accessibleDescription().contains(worst.section(u'.', -1)),
             qPrintable(overview->accessibleDescription()));
    press(Qt::Key_Return);
    QCOMPARE(gui.window->state().layer(), worst);
    for (const char* plot : {"spectraPlot", "weightsPlot"}) {
        tabTo(plot);
        QTRY_COMPARE_WITH_TIMEOUT(gui.find<qw::PlotView>(plot)->emptyText(), QString(), kPatience);
    }

    // One key goes there too, from any other layer and page.
    press(worst == QString::fromStdString(layers.front().name) ? Qt::Key_Down : Qt::Key_Up,
          Qt::AltModifier);
    QVERIFY(gui.window->state().layer() != worst);
    press(Qt::Key_4, Qt::ControlModifier);
    press(Qt::Key_W, Qt::ControlModifier | Qt::ShiftModifier);
    QCOMPARE(gui.window->state().layer(), worst);
    QCOMPARE(gui.window->mode(), Mode::Inspect);
}

namespace {
/// What the engine would store, made up and at once.
std::vector<qw::RunResult> madeUp(const qw::RunRequest& request, const qw::RunOptions& options,
                                  const qw::RunContext& /*run*/)
{
    qw::RunStore store(request.storeFile);
    const std::vector<qw::RunResult> made = qw::test::sweepResults(1);
    std::vector<qw::RunResult> results;
    for (const qw::RunSpec& spec : request.specs) {
        qw::RunResult& result = results.emplace_back(made[2 * results.size() % made.size()]);
        result.id = store.newRunId();
        result.spec = spec;
        result.sweep = options.sweep;
        store.save(result);
        options.started(result);
    }
    return results;
}
} // namespace

/// Which configuration is best for a size: a sweep, then its points in the Pareto chart.
void TstKeyboard::sweepToParetoChart()
{
    GuiFixture gui(madeUp);
    gui.openDemo();
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().facts().has_value(), kPatience);
    activate(gui);
    press(Qt::Key_S, Qt::ControlModifier | Qt::ShiftModifier);
    auto* dialog = gui.find<QDialog>("sweepDialog");
    QVERIFY(QTest::qWaitForWindowActive(dialog));
    QTRY_VERIFY_WITH_TIMEOUT(gui.find<QPushButton>("queueSweepButton")->isEnabled(), kPatience);
    press(Qt::Key_Return);
    QCOMPARE(gui.window->mode(), Mode::Compare);
    const auto* table = gui.find<QTableView>("runTable");
    QTRY_COMPARE_WITH_TIMEOUT(table->model()->rowCount(), 3, kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->queue().idle(), kPatience);
    auto* plot = gui.find<qw::SeriesPlot>("paretoPlot");
    QTRY_VERIFY_WITH_TIMEOUT(
        !plot->data().series.empty() && plot->data().series.front().x.size() == 3, kPatience);
    activate(gui);
    tabTo("paretoPlot");
    for (int i = 0; i < 3; ++i) {
        press(Qt::Key_Left); // from wherever it begins to the smallest
    }
    press(Qt::Key_Right);
    press(Qt::Key_Return);
    const QModelIndexList chosen = table->selectionModel()->selectedRows();
    QCOMPARE(chosen.size(), 1);
    const qw::Series& points = plot->data().series.front();
    std::vector<std::pair<double, std::string>> bySize;
    for (std::size_t i = 0; i < points.x.size(); ++i) {
        bySize.emplace_back(points.x[i], points.keys[i]);
    }
    std::sort(bySize.begin(), bySize.end());
    QCOMPARE(chosen.front().data(qw::RunTableModel::IdRole).toString().toStdString(),
             bySize[1].second);
}

/// What differs between two runs: select both, and it is said.
void TstKeyboard::twoRuns()
{
    GuiFixture gui;
    gui.window.reset();
    qw::test::fillStore(gui.storeFile().toStdString());
    gui.reopen();
    activate(gui);
    press(Qt::Key_4, Qt::ControlModifier);
    const auto* table = gui.find<QTableView>("runTable");
    QTRY_COMPARE_WITH_TIMEOUT(table->model()->rowCount(), 8, kPatience);
    tabTo("runTable");
    press(Qt::Key_Down);
    press(Qt::Key_Down, Qt::ShiftModifier);
    QCOMPARE(table->selectionModel()->selectedRows().size(), 2);
    const QString said = gui.find<qw::ElidedLabel>("runDifferencesLabel")->fullText();
    QVERIFY2(said.startsWith(u"Differ in: "_s) && said.contains(u" / "_s), qPrintable(said));
}

/// Give me the file: a run, its export, a target.
void TstKeyboard::exportOfARun()
{
    GuiFixture gui;
    const QString folder = gui.folder.filePath(u"exports"_s);
    QVERIFY(QDir().mkdir(folder));
    gui.settings->set(qw::Settings::Key::ExportFolder, folder);
    qw::test::makeRunToExport(gui, [&] {
        activate(gui);
        press(Qt::Key_R, Qt::ControlModifier | Qt::ShiftModifier);
    });
    press(Qt::Key_E, Qt::ControlModifier | Qt::ShiftModifier);
    QVERIFY(QTest::qWaitForWindowActive(gui.find<QDialog>("exportDialog")));
    const auto* targets = qw::test::exportTargetList(gui);
    tabTo("exportTargetList");
    press(Qt::Key_Home);
    while (!targets->currentItem()->text().contains(u"GPTQ"_s) &&
           targets->currentRow() + 1 < targets->count()) {
        press(Qt::Key_Down);
    }
    QVERIFY(gui.find<QPushButton>("exportStartButton")->isEnabled());
    tabTo("exportStartButton");
    press(Qt::Key_Space);
    QTRY_VERIFY_WITH_TIMEOUT(!gui.find<QLabel>("exportVerdictLabel")->text().isEmpty(), kPatience);
    QVERIFY(QFileInfo::exists(folder + u"/demo-rtn-w4-gptq/quantize_config.json"_s));
}

void TstKeyboard::altOpensMenus_data()
{
    QTest::addColumn<int>("mode");
    QTest::addColumn<int>("key");
    QTest::addColumn<QString>("title");
    for (const Mode mode : {Mode::Start, Mode::Inspect, Mode::Quantize, Mode::Compare}) {
        QTest::addRow("view, page %d", static_cast<int>(mode))
            << static_cast<int>(mode) << static_cast<int>(Qt::Key_V) << u"&View"_s;
        QTest::addRow("compare, page %d", static_cast<int>(mode))
            << static_cast<int>(mode) << static_cast<int>(Qt::Key_C) << u"&Compare"_s;
    }
}

/// On every page: a control that has the same letter would take the key from the menu.
void TstKeyboard::altOpensMenus()
{
    QFETCH(int, mode);
    QFETCH(int, key);
    QFETCH(QString, title);
    GuiFixture gui;
    gui.openDemo();
    activate(gui);
    gui.window->setMode(static_cast<Mode>(mode));
    press(static_cast<Qt::Key>(key), Qt::AltModifier);
    QTRY_VERIFY(gui.window->menuBar()->activeAction() != nullptr);
    const QAction* active = gui.window->menuBar()->activeAction();
    QCOMPARE(active->text(), title);
    QTRY_VERIFY(active->menu()->isVisible());
    active->menu()->close();
}

namespace {
/// Adds to @p doubled what actions of one menu, and of those in it, have the same letter as
/// another.
void findDoubled(const QList<QAction*>& actions, const QString& where, QStringList& doubled)
{
    QHash<QString, QString> letters;
    for (const QAction* action : actions) {
        const QString key = QKeySequence::mnemonic(action->text()).toString();
        if (!key.isEmpty() && action->isVisible()) {
            if (letters.contains(key)) {
                doubled << u"%1: %2 and %3"_s.arg(where, letters[key], action->text());
            }
            letters.insert(key, action->text());
        }
        if (action->menu() != nullptr) {
            findDoubled(action->menu()->actions(), action->text(), doubled);
        }
    }
}
} // namespace

void TstKeyboard::menusHaveKeysOfTheirOwn()
{
    GuiFixture gui;
    gui.openDemo();
    gui.trigger("inspectAction");
    QTRY_COMPARE_WITH_TIMEOUT(gui.find<qw::PlotView>("spectraPlot")->emptyText(), QString(),
                              kPatience);
    for (const QAction* menu : gui.window->menuBar()->actions()) {
        Q_EMIT menu->menu()->aboutToShow(); // some are filled then
    }
    QVERIFY(!gui.find<QMenu>("plotMenu")->isEmpty());
    QStringList doubled;
    findDoubled(gui.window->menuBar()->actions(), u"menu bar"_s, doubled);
    QVERIFY2(doubled.isEmpty(), qPrintable(doubled.join(u"; "_s)));
}

void TstKeyboard::everyControlIsReachedAndNamed_data()
{
    QTest::addColumn<int>("mode");
    QTest::addRow("start") << static_cast<int>(Mode::Start);
    QTest::addRow("inspect") << static_cast<int>(Mode::Inspect);
    QTest::addRow("quantize") << static_cast<int>(Mode::Quantize);
    QTest::addRow("compare") << static_cast<int>(Mode::Compare);
}

void TstKeyboard::everyControlIsReachedAndNamed()
{
    QFETCH(int, mode);
    GuiFixture gui;
    gui.openDemo();
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().facts().has_value(), kPatience);
    gui.window->setMode(static_cast<Mode>(mode));
    gui.trigger("queueDetailsAction");
    activate(gui);
    QCoreApplication::processEvents();
    QSet<const QWidget*> reached;
    for (int i = 0; i < kManyTabs; ++i) {
        press(Qt::Key_Tab);
        const QWidget* now = QApplication::focusWidget();
        QVERIFY(now != nullptr);
        reached << now;
    }
    const QList<QWidget*> all = controls(*gui.window);
    QVERIFY(all.size() > 5);
    for (QWidget* control : all) {
        const QString who = u"%1 \"%2\""_s.arg(
            QString::fromLatin1(control->metaObject()->className()), control->objectName());
        QVERIFY2(!control->objectName().isEmpty(), qPrintable(who));
        QAccessibleInterface* spoken = QAccessible::queryAccessibleInterface(control);
        QVERIFY2(spoken != nullptr && !spoken->text(QAccessible::Name).isEmpty(),
                 qPrintable(who + u" has no name"_s));
        // Modes have Ctrl+1 to 4.
        QVERIFY2(control->parentWidget()->objectName() == u"modeBar"_s ||
                     reached.contains(tabStop(control)),
                 qPrintable(who + u" is not reached by Tab"_s));
    }
}

QTEST_MAIN(TstKeyboard)
#include "tst_keyboard.moc"
