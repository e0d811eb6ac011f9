#include <QAbstractItemView>
#include <QAbstractSpinBox>
#include <QAccessible>
#include <QButtonGroup>
#include <QComboBox>
#include <QHash>
#include <QLineEdit>
#include <QMenu>
#include <QMenuBar>
#include <QPlainTextEdit>
#include <QTest>
#include <QToolBar>
#include <QTreeView>

#include "support/gui_fixture.h"
#include "widgets/layer_tree_model.h"
#include "widgets/plot_view.h"

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
