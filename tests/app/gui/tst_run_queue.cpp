#include <QAbstractItemModelTester>
#include <QSignalSpy>
#include <QTest>

#include "app/gui/run_queue.h"
#include "support/gui_steered_work.h"

using namespace Qt::Literals::StringLiterals;
using qw::RunQueue;
using qw::RunState;
using qw::test::Steered;

namespace {
qw::RunRequest request()
{
    qw::RunRequest made;
    made.specs.resize(1);
    return made;
}
} // namespace

class TstRunQueue : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void transitions();
    void oneAtATime();
    void cancelRunning();
    void cancelQueued();
    void pauseKeepsPlaceAndResumes();
    void failureHasASentence();
    void signalsComeOnTheOwnersThread();
    void deletingWhileRunning();
    void waitingRunsChangePlaces();
};

void TstRunQueue::transitions()
{
    QVERIFY(qw::mayFollow(RunState::Queued, RunState::Running));
    QVERIFY(qw::mayFollow(RunState::Pausing, RunState::Paused));
    QVERIFY(!qw::mayFollow(RunState::Finished, RunState::Queued));
    QVERIFY(!qw::mayFollow(RunState::Queued, RunState::Finished));
    QVERIFY(!qw::mayFollow(RunState::Running, RunState::Cancelled)); // only through Cancelling
}

void TstRunQueue::oneAtATime()
{
    Steered steered;
    RunQueue queue(steered.work());
    QAbstractItemModelTester tester(&queue, QAbstractItemModelTester::FailureReportingMode::QtTest);
    QSignalSpy finished(&queue, &RunQueue::runFinished);
    QSignalSpy idle(&queue, &RunQueue::becameIdle);
    const auto first = queue.add(request(), u"first"_s);
    const auto second = queue.add(request(), u"second"_s);
    QTRY_COMPARE(steered.begun, 1);
    QCOMPARE(queue.find(first)->state, RunState::Running);
    QCOMPARE(queue.find(second)->state, RunState::Queued);
    QVERIFY(!queue.idle());
    steered.finish = true;
    QTRY_COMPARE(idle.size(), 1);
    QCOMPARE(finished.size(), 2);
    QCOMPARE(queue.find(first)->state, RunState::Finished);
    QCOMPARE(queue.find(second)->state, RunState::Finished);
    QCOMPARE(queue.find(first)->layers.size(), 1U);
    queue.removeDone();
    QCOMPARE(queue.rowCount(), 0);
}

void TstRunQueue::cancelRunning()
{
    Steered steered;
    RunQueue queue(steered.work());
    const auto number = queue.add(request(), u"one"_s);
    const auto next = queue.add(request(), u"two"_s);
    QTRY_COMPARE(steered.begun, 1);
    queue.cancel(number);
    QCOMPARE(queue.find(number)->state, RunState::Cancelling);
    QTRY_COMPARE(queue.find(number)->state, RunState::Cancelled);
    QTRY_COMPARE(queue.find(next)->state, RunState::Running);
}

void TstRunQueue::cancelQueued()
{
    Steered steered;
    RunQueue queue(steered.work());
    queue.add(request(), u"one"_s);
    const auto waiting = queue.add(request(), u"two"_s);
    queue.cancel(waiting);
    QCOMPARE(queue.find(waiting)->state, RunState::Cancelled);
    steered.finish = true;
    QTRY_VERIFY(queue.idle());
    QCOMPARE(steered.begun, 1);
}

void TstRunQueue::pauseKeepsPlaceAndResumes()
{
    Steered steered;
    RunQueue queue(steered.work());
    const auto number = queue.add(request(), u"one"_s);
    QTRY_COMPARE(queue.find(number)->runId, u"run1"_s);
    queue.pause(number);
    QTRY_COMPARE(queue.find(number)->state, RunState::Paused);
    QVERIFY(queue.idle());
    steered.finish = true;
    queue.resume(number);
    QTRY_COMPARE(queue.find(number)->state, RunState::Finished);
    const std::lock_guard guard(steered.lock);
    QCOMPARE(steered.resumed, (std::vector<std::string>{"", "run1"}));
}

void TstRunQueue::failureHasASentence()
{
    Steered steered;
    steered.fail = steered.finish = true;
    RunQueue queue(steered.work());
    QSignalSpy failed(&queue, &RunQueue::runFailed);
    const auto number = queue.add(request(), u"one"_s);
    QTRY_COMPARE(failed.size(), 1);
    QCOMPARE(queue.find(number)->state, RunState::Failed);
    QCOMPARE(queue.find(number)->problem, u"the disk is full"_s);
    QVERIFY(queue.idle());
}

void TstRunQueue::signalsComeOnTheOwnersThread()
{
    Steered steered;
    RunQueue queue(steered.work());
    bool allHere = true;
    int seen = 0;
    connect(
        &queue, &RunQueue::entryChanged, this,
        [&] {
            allHere = allHere && QThread::currentThread() == thread();
            ++seen;
        },
        Qt::DirectConnection);
    queue.add(request(), u"one"_s);
    QTRY_VERIFY(seen > 3);
    QVERIFY(allHere);
}

void TstRunQueue::deletingWhileRunning()
{
    Steered steered;
    auto queue = std::make_unique<RunQueue>(steered.work());
    queue->add(request(), u"one"_s);
    QTRY_COMPARE(steered.begun, 1);
    queue.reset(); // cancels and waits: returns at all
    QTest::qWait(10);
}

void TstRunQueue::waitingRunsChangePlaces()
{
    Steered steered;
    RunQueue queue(steered.work());
    QAbstractItemModelTester tester(&queue, QAbstractItemModelTester::FailureReportingMode::QtTest);
    const auto first = queue.add(request(), u"first"_s);
    const auto second = queue.add(request(), u"second"_s);
    const auto third = queue.add(request(), u"third"_s);
    const auto fourth = queue.add(request(), u"fourth"_s);
    const auto order = [&queue] {
        QStringList titles;
        for (const qw::QueueEntry& entry : queue.entries()) {
            titles << entry.title;
        }
        return titles.join(u' ');
    };
    QTRY_COMPARE(steered.begun, 1);
    QVERIFY(!queue.mayMove(first, 1)); // it is running
    QVERIFY(!queue.mayMove(second, -1));
    QVERIFY(!queue.mayMove(fourth, 1));
    queue.move(second, -1);
    QCOMPARE(order(), u"first second third fourth"_s);
    QSignalSpy changed(&queue, &RunQueue::stateChanged);
    queue.move(third, -1);
    QCOMPARE(order(), u"first third second fourth"_s);
    QCOMPARE(changed.size(), 1); // remembered
    queue.move(second, 1);
    QCOMPARE(order(), u"first third fourth second"_s);
    queue.cancel(fourth);
    queue.move(second, -1); // past the cancelled one
    QCOMPARE(order(), u"first second third fourth"_s);
    steered.finish = true;
    QTRY_VERIFY(queue.idle());
    QCOMPARE(queue.find(third)->state, RunState::Finished);
}

QTEST_MAIN(TstRunQueue)
#include "tst_run_queue.moc"
