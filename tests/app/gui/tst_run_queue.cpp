#include <QAbstractItemModelTester>
#include <QSignalSpy>
#include <QTest>

#include "app/gui/run_queue.h"
#include "app/gui/run_text.h"
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
    void aSweepShowsTheRunAtWork();
    void aPausedRunSaysWhatIsKept();
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

void TstRunQueue::aSweepShowsTheRunAtWork()
{
    qw::RunRequest sweep;
    for (const auto& [method, rank] : {std::pair("l2qer", 16), std::pair("l2qer", 32),
                                       std::pair("lrq", 8), std::pair("rtn", 8)}) {
        qw::RunSpec& spec = sweep.specs.emplace_back();
        spec.method = method;
        spec.lowRank.rank = rank;
    }
    std::atomic<int> wanted = 1; // group to work on
    RunQueue queue([&](const qw::RunRequest& request, const qw::RunOptions& options,
                       const qw::RunContext& run) {
        const auto group = [&](std::size_t first, std::size_t count, const char* layer) {
            for (std::size_t i = first; i < first + count; ++i) {
                qw::RunResult result;
                result.id = "run" + std::to_string(i);
                result.spec = request.specs[i];
                result.estimate.seconds = 100;
                options.started(result);
            }
            run.beginPhase("quantize", 2);
            qw::LayerResult done;
            done.name = layer;
            options.layerDone(done);
            done.name = "both";
            options.layerDone(done);
            for (const int now = wanted; wanted == now;) {
                run.checkpoint();
                QThread::msleep(1);
            }
        };
        group(0, 2, "of the first");
        group(2, 1, "of the second");
        return std::vector<qw::RunResult>();
    });
    const qw::QueueEntry& entry = *queue.find(queue.add(sweep, u"sweep"_s));
    const auto names = [&entry] {
        std::string all;
        for (const qw::LayerResult& layer : entry.layers) {
            all += layer.name + ";";
        }
        return all;
    };
    QTRY_COMPARE(names(), std::string("of the first;both;"));
    QCOMPARE(entry.runId, u"run0"_s);
    QCOMPARE(entry.shown(), sweep.specs[1]); // both are sliced from its factors
    QCOMPARE(entry.started, 2U);
    QCOMPARE(entry.estimatedSeconds, 200.0); // two wait, which take as long as these two
    ++wanted;
    QTRY_COMPARE(names(), std::string("of the second;both;"));
    QCOMPARE(entry.shown(), sweep.specs[2]);
    QCOMPARE(entry.started, 3U);
    // The one that waits takes half of the little that the first two took.
    QCOMPARE_GT(entry.estimatedSeconds, 100.0);
    QCOMPARE_LT(entry.estimatedSeconds, 190.0);
    const QString said = qw::run_text::progress(entry);
    QVERIFY2(said.startsWith(u"run 3 of 4: "_s + qw::run_text::settings(sweep.specs[2])),
             qPrintable(said));
    QVERIFY2(said.contains(u"to the end of the sweep"_s), qPrintable(said));
    ++wanted;
    QTRY_COMPARE(entry.state, RunState::Finished);
}

void TstRunQueue::aPausedRunSaysWhatIsKept()
{
    qw::QueueEntry entry;
    entry.request = request();
    entry.state = RunState::Paused;
    entry.runId = QStringLiteral("run1");
    QVERIFY(qw::run_text::state(entry).contains(QStringLiteral("blocks are kept")));
    const auto speaksOf = [&entry](const QString& yes, const QString& no) {
        const qw::RunSpec& spec = entry.shown();
        const QStringList texts = {qw::run_text::state(entry), qw::run_text::lost(spec),
                                   qw::run_text::pauses(spec), qw::run_text::resumes(spec)};
        return std::all_of(texts.begin(), texts.end(), [&](const QString& text) {
            return text.contains(yes) && !text.contains(no);
        });
    };
    QVERIFY(speaksOf(QStringLiteral("block"), QStringLiteral("step")));
    entry.request.specs.front().method = "lr-qat";
    QVERIFY(qw::run_text::state(entry).contains(QStringLiteral("steps are kept")));
    QVERIFY(speaksOf(QStringLiteral("step"), QStringLiteral("block")));
}

QTEST_MAIN(TstRunQueue)
#include "tst_run_queue.moc"
