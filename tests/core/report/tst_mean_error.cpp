#include <cmath>

#include <QTest>

#include "report/mean_error.h"
#include "support/base_results.h"

using namespace qw;
using qw::test::sampleResult;

class TestMeanError : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void meanAndItsError()
    {
        const MeanError e = meanError({1, 2, 3, 4, 10});
        QCOMPARE(e.mean, 4.0);
        QCOMPARE(e.standardError, std::sqrt(50.0 / 4 / 5)); // squares 9 4 1 0 36
        QCOMPARE(meanError({3}).mean, 3.0);
        QVERIFY(std::isnan(meanError({3}).standardError));
        QVERIFY(std::isnan(meanError({}).mean));
    }

    void differencesArePaired()
    {
        RunResult a = sampleResult("a");
        RunResult b = sampleResult("b");
        a.score.windowNll = {2.0, 3.0, 7.0};
        b.score.windowNll = {2.25, 3.5, 7.75}; // 0.25 0.5 0.75 more, however much windows differ
        const MeanError difference = pairedDifference(a, b);
        QCOMPARE(difference.mean, 0.5);
        QCOMPARE(difference.standardError, std::sqrt(0.125 / 2 / 3));
        b.spec.weight.bits = 2;
        QCOMPARE(pairedSentences({a, b}),
                 std::vector<std::string>{
                     "nll of L\u00b2QER W2 g128 r8 minus nll of L\u00b2QER W3 g128 r8: 0.5000 "
                     "\u00b1 0.1443 (paired over 3 windows)"});
        b.score.seqlen = 256; // other windows
        QVERIFY(std::isnan(pairedDifference(a, b).mean));
        QVERIFY(pairedSentences({a, b}).empty());
    }

    void olderRunsHaveNoWindows()
    {
        RunResult a = sampleResult("a");
        const RunResult b = sampleResult("b");
        a.score.windowNll.clear();
        QVERIFY(std::isnan(pairedDifference(a, b).mean));
    }
};

QTEST_GUILESS_MAIN(TestMeanError)
#include "tst_mean_error.moc"
