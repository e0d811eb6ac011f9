#include "base/run_context.h"

#include <cmath>
#include <stop_token>
#include <thread>
#include <vector>

#include <QtTest>

#include "base/error.h"

using namespace qw;

/// What a long computation tells whoever started it.
class TestRunContext : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void stopIsObeyed()
    {
        std::stop_source stop;
        const RunContext run(stop.get_token(), {});
        run.checkpoint();
        stop.request_stop();
        QVERIFY_EXCEPTION_THROWN(run.checkpoint(), Cancelled);
        QVERIFY_EXCEPTION_THROWN(run.announceUninterruptible("a step"), Cancelled);
        RunContext().checkpoint(); // of nobody
    }

    /// Whoever cancels is told to wait during such a step, not after it.
    void uninterruptibleEndsAtTheNextCheckpoint()
    {
        std::vector<Progress> reports;
        const RunContext run({}, [&](const Progress& progress) { reports.push_back(progress); });
        run.beginPhase("quantize", 4);
        run.checkpoint(2, "block 3/4");
        run.announceUninterruptible("eigenvectors");
        QVERIFY(reports.back().uninterruptible);
        QCOMPARE(reports.back().detail, std::string("eigenvectors"));
        QCOMPARE(reports.back().done, 2); // the bar stays where it was
        run.checkpoint();
        QVERIFY(!reports.back().uninterruptible);
        const std::size_t before = reports.size();
        run.checkpoint();
        QCOMPARE(reports.size(), before);
    }

    /// What an earlier start did took none of the time that is counted now.
    void aPhaseThatGoesOnCountsItsPaceFromThere()
    {
        std::vector<Progress> reports;
        const RunContext run(
            {}, [&](const Progress& progress) { reports.push_back(progress); }, {},
            std::chrono::milliseconds(0));
        run.beginPhase("quantize", 1000);
        run.goOn();
        run.checkpoint(900, "block 10 of 10");
        QCOMPARE(reports.back().done, 900);
        QCOMPARE(reports.back().secondsLeft, -1.0); // nothing is known of the pace yet
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        run.checkpoint(901);
        // One step took this long; 99 are left.
        QVERIFY(reports.back().seconds >= 0.02);
        QVERIFY(std::abs(reports.back().secondsLeft - 99 * reports.back().seconds) < 1e-9);
        run.beginPhase("quantize", 1000); // a new one of the same name
        QCOMPARE(reports.back().done, 0);
    }

    void newPhaseBeginsAtNothing()
    {
        std::vector<Progress> reports;
        const RunContext run({}, [&](const Progress& progress) { reports.push_back(progress); });
        run.beginPhase("quantize", 4);
        run.checkpoint(4);
        run.beginPhase("evaluate", 2);
        QCOMPARE(reports.back().phase, std::string("evaluate"));
        QCOMPARE(reports.back().done, 0);
        QCOMPARE(reports.back().total, 2);
    }
};

QTEST_GUILESS_MAIN(TestRunContext)
#include "tst_run_context.moc"
