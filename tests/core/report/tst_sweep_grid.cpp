#include <QTest>

#include "base/error.h"
#include "report/sweep_grid.h"

using namespace qw;

namespace {
bool hasRank(const RunSpec& spec)
{
    return spec.method.find("qer") != std::string::npos || spec.lowRank.correction != "none";
}
} // namespace

class TstSweepGrid : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void everyCombinationOnce();
    void emptyListsAreTheBase();
    void methodsWithoutRankAreRunOnce();
    void ranksOfWhatIsLearned();
    void listsAreRead();
    void nonsenseIsRefused();
};

void TstSweepGrid::everyCombinationOnce()
{
    SweepGrid grid;
    grid.methods = {"lqer", "l2qer"};
    grid.bits = {3, 4};
    grid.groupSizes = {64, kPerChannel};
    grid.seeds = {0, 1, 2};
    grid.ranks = {8, 16, 8}; // one twice
    const std::vector<RunSpec> specs = sweepSpecs({}, grid, hasRank);
    QCOMPARE(specs.size(), 2U * 2 * 2 * 3 * 2);
    QCOMPARE(specs[0].lowRank.rank, 8); // neighbours differ in rank
    QCOMPARE(specs[1].lowRank.rank, 16);
    RunSpec first = specs[0];
    first.lowRank.rank = 16;
    QCOMPARE(specs[1], first);
    QCOMPARE(specs.back().method, std::string("l2qer"));
    QCOMPARE(specs.back().seed, 2);
}

void TstSweepGrid::emptyListsAreTheBase()
{
    RunSpec base;
    base.method = "qera-approx";
    base.weight.bits = 5;
    base.lowRank.rank = 24;
    base.calibration.text = "somewhere";
    QCOMPARE(sweepSpecs(base, {}, hasRank), std::vector<RunSpec>{base});
}

void TstSweepGrid::methodsWithoutRankAreRunOnce()
{
    SweepGrid grid;
    grid.methods = {"rtn", "lqer"};
    grid.ranks = {8, 16};
    const std::vector<RunSpec> specs = sweepSpecs({}, grid, hasRank);
    QCOMPARE(specs.size(), 3U);
    QCOMPARE(specs[0].lowRank.rank, 0);
}

void TstSweepGrid::ranksOfWhatIsLearned()
{
    RunSpec base;
    base.reconstruction.rank = "official";
    SweepGrid grid;
    grid.methods = {"lrq", "flexround", "lsq", "lr-qat"};
    grid.ranks = {0, 8};
    const std::vector<RunSpec> specs = sweepSpecs(base, grid, hasRank);
    QCOMPARE(specs.size(), 6U);
    QCOMPARE(specs[0].reconstruction.rank, std::string("official"));
    QCOMPARE(specs[1].reconstruction.rank, std::string("8"));
    QCOMPARE(specs[2].method, std::string("flexround"));
    QCOMPARE(specs[3].method, std::string("lsq"));
    QCOMPARE(specs[4].training.rank, 0);
    QCOMPARE(specs[5].training.rank, 8);
    for (const RunSpec& spec : specs) {
        QCOMPARE(spec.lowRank.rank, 0);
    }
    base.lowRank.correction = "lqer"; // then it is the correction's
    grid.methods = {"lrq"};
    const std::vector<RunSpec> corrected = sweepSpecs(base, grid, hasRank);
    QCOMPARE(corrected.size(), 2U);
    QCOMPARE(corrected[1].lowRank.rank, 8);
    QCOMPARE(corrected[1].reconstruction.rank, std::string("official"));
}

void TstSweepGrid::listsAreRead()
{
    QCOMPARE(numbersFromText("8, 16,32 ,", "ranks"), (std::vector<std::int64_t>{8, 16, 32}));
    QCOMPARE(numbersFromText("", "ranks"), std::vector<std::int64_t>());
    QCOMPARE(groupSizesFromText("64, channel"), (std::vector<std::int64_t>{64, kPerChannel}));
}

void TstSweepGrid::nonsenseIsRefused()
{
    for (const char* text : {"8 16", "x", "8.5", "1e3"}) {
        QVERIFY_EXCEPTION_THROWN(numbersFromText(text, "ranks"), Error);
    }
    QVERIFY_EXCEPTION_THROWN(groupSizesFromText("row"), Error);
}

QTEST_GUILESS_MAIN(TstSweepGrid)
#include "tst_sweep_grid.moc"
