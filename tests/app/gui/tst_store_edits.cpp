#include <chrono>

#include <QSignalSpy>
#include <QTableView>
#include <QTest>
#include <QTimer>
#include <QToolButton>

#include "app/gui/run_edits.h"
#include "app/gui/start_page.h"
#include "store/run_store.h"
#include "store/sqlite_db.h"
#include "support/base_results.h"
#include "support/gui_fixture.h"

using namespace Qt::Literals::StringLiterals;
using namespace std::chrono_literals;
using qw::test::GuiFixture;
using qw::test::kPatience;

namespace {
constexpr auto kRun = "abcdefgh1234";
constexpr int kServed = 50; // events while a change waits

/// A window on the Compare page with one run, and another program that can hold its store.
class Edits : public GuiFixture
{
public:
    Edits() : other(storeFile().toStdString())
    {
        qw::RunStore(storeFile().toStdString()).save(qw::test::sampleResult(kRun));
        state().storeChanged();
        trigger("compareAction");
        if (!QTest::qWaitFor([this] { return state().runs().size() == 1; }, kPatience)) {
            throw std::runtime_error("the run was not read");
        }
        find<QTableView>("runTable")->selectRow(0);
    }
    qw::AppState& state() const { return window->state(); }
    QUndoStack& undo() const { return state().undoStack(); }
    void hold() { other.execute("BEGIN IMMEDIATE"); }
    void release() { other.execute("COMMIT"); }
    void clickStar() const
    {
        QTest::mouseClick(find<QToolButton>("starRunsButton"), Qt::LeftButton);
    }
    bool starred() const { return state().runs().front().starred; }
    qw::RunSummary stored() const { return qw::RunStore(storeFile().toStdString()).list().front(); }

    qw::Database other;
};
} // namespace

class TstStoreEdits : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void windowGoesOnWhileAnotherProgramHoldsTheStore();
    void starThatFailsIsTakenOffTheUndoStack();
    void undoThatFailsIsTakenBack();
    void failedEditBelowOthersIsPassedOver();
    void ofSeveralChangesAllOrNoneAreMade();
    void discardWaitsToo();
    void whatIsLeftIsDoneAtTheEnd();
};

void TstStoreEdits::windowGoesOnWhileAnotherProgramHoldsTheStore()
{
    Edits gui;
    QSignalSpy problems(&gui.dialogs, &qw::Dialogs::problemShown);
    int served = 0;
    QTimer events;
    connect(&events, &QTimer::timeout, this, [&served] { ++served; });
    gui.hold();
    gui.clickStar();
    qw::run_edits::setNotes(gui.state(), QString::fromLatin1(kRun), u"after the star"_s);
    events.start(1);
    QTRY_VERIFY_WITH_TIMEOUT(served > kServed, kPatience);
    QVERIFY(problems.isEmpty());
    QVERIFY(!gui.stored().starred);
    gui.release();
    QTRY_VERIFY_WITH_TIMEOUT(gui.starred(), kPatience);
    QTRY_COMPARE_WITH_TIMEOUT(gui.state().runs().front().notes, std::string("after the star"),
                              kPatience);
    QVERIFY(gui.stored().starred);
    QVERIFY(problems.isEmpty());
    gui.trigger("undoAction");
    gui.trigger("undoAction");
    QTRY_VERIFY_WITH_TIMEOUT(!gui.starred(), kPatience);
}

void TstStoreEdits::starThatFailsIsTakenOffTheUndoStack()
{
    Edits gui;
    QSignalSpy problems(&gui.dialogs, &qw::Dialogs::problemShown);
    gui.state().storeEdits().setPatience(20ms);
    qw::run_edits::setNotes(gui.state(), QString::fromLatin1(kRun), u"before"_s);
    QTRY_COMPARE_WITH_TIMEOUT(gui.state().runs().front().notes, std::string("before"), kPatience);
    const QString undoText = gui.undo().undoText();
    gui.hold();
    gui.clickStar();
    QVERIFY(gui.undo().undoText() != undoText);
    QTRY_COMPARE_WITH_TIMEOUT(problems.size(), 1, kPatience);
    QVERIFY(problems.front().front().toString().contains(u"another program holds it"_s));
    QCOMPARE(gui.undo().count(), 1);
    QCOMPARE(gui.undo().undoText(), undoText);
    QVERIFY(!gui.undo().canRedo());
    gui.release();
    QVERIFY(!gui.stored().starred);
    QCOMPARE(gui.stored().notes, std::string("before"));
}

void TstStoreEdits::undoThatFailsIsTakenBack()
{
    Edits gui;
    QSignalSpy problems(&gui.dialogs, &qw::Dialogs::problemShown);
    gui.state().storeEdits().setPatience(20ms);
    gui.clickStar();
    QTRY_VERIFY_WITH_TIMEOUT(gui.starred(), kPatience);
    gui.hold();
    gui.trigger("undoAction");
    QVERIFY(!gui.undo().canUndo());
    QTRY_COMPARE_WITH_TIMEOUT(problems.size(), 1, kPatience);
    QVERIFY(gui.undo().canUndo()); // the star is still there
    QVERIFY(!gui.undo().canRedo());
    gui.release();
    gui.trigger("undoAction");
    QTRY_VERIFY_WITH_TIMEOUT(!gui.starred(), kPatience);
    gui.hold();
    gui.trigger("redoAction");
    QTRY_COMPARE_WITH_TIMEOUT(problems.size(), 2, kPatience);
    QVERIFY(!gui.undo().canUndo());
    QVERIFY(gui.undo().canRedo());
    gui.release();
}

void TstStoreEdits::failedEditBelowOthersIsPassedOver()
{
    Edits gui;
    QSignalSpy problems(&gui.dialogs, &qw::Dialogs::problemShown);
    gui.state().storeEdits().setPatience(20ms);
    gui.hold();
    gui.clickStar();
    qw::RunSpec draft = gui.state().draft();
    draft.weight.bits = 2;
    gui.state().editDraft(draft, u"Change bits"_s);
    QTRY_COMPARE_WITH_TIMEOUT(problems.size(), 1, kPatience);
    QCOMPARE(gui.undo().undoText(), u"Change bits"_s);
    gui.trigger("undoAction");
    QVERIFY(!gui.undo().canUndo()); // no step that does nothing
    gui.trigger("redoAction");
    QCOMPARE(gui.state().draft().weight.bits, 2);
    gui.release();
}

void TstStoreEdits::ofSeveralChangesAllOrNoneAreMade()
{
    Edits gui;
    std::optional<qw::Failure> failure;
    bool answered = false;
    gui.state().changeStore(
        [](qw::RunStore& store) {
            store.setStarred(kRun, true);
            store.setStarred("no such run", true);
        },
        [&](const std::optional<qw::Failure>& problem) {
            failure = problem;
            answered = true;
        });
    QTRY_VERIFY_WITH_TIMEOUT(answered, kPatience);
    QVERIFY(failure && failure->sentence.contains(u"no such run"_s));
    QVERIFY(!gui.stored().starred);
}

void TstStoreEdits::discardWaitsToo()
{
    Edits gui;
    qw::RunResult run = qw::test::sampleResult(kRun);
    run.status = "running";
    qw::RunStore(gui.storeFile().toStdString()).save(run);
    gui.state().storeChanged();
    QTRY_COMPARE_WITH_TIMEOUT(gui.state().runs().front().result.status, std::string("running"),
                              kPatience);
    QSignalSpy problems(&gui.dialogs, &qw::Dialogs::problemShown);
    gui.hold();
    Q_EMIT gui.find<qw::StartPage>("startPage")->discardWanted(QString::fromLatin1(kRun));
    QVERIFY(problems.isEmpty());
    gui.release();
    QTRY_COMPARE_WITH_TIMEOUT(gui.state().runs().front().result.status, std::string("cancelled"),
                              kPatience);
    QVERIFY(problems.isEmpty());
}

void TstStoreEdits::whatIsLeftIsDoneAtTheEnd()
{
    Edits gui;
    gui.clickStar();
    for (const QString& tag : {u"a"_s, u"b"_s, u"c"_s}) {
        qw::run_edits::addTag(gui.state(), {QString::fromLatin1(kRun)}, tag);
    }
    gui.window.reset();
    QVERIFY(gui.stored().starred);
    QCOMPARE(gui.stored().tags.size(), std::size_t{3});
}

QTEST_MAIN(TstStoreEdits)
#include "tst_store_edits.moc"
