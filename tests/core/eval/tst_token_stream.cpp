#include "eval/token_stream.h"

#include <algorithm>
#include <numeric>
#include <set>

#include <ATen/ATen.h>
#include <QtTest>

using namespace qw;

namespace {
/// Token i is i.
std::vector<std::int32_t> counted(std::int32_t tokens)
{
    std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens));
    std::iota(ids.begin(), ids.end(), 0);
    return ids;
}

std::vector<std::int64_t> firsts(const at::Tensor& windows)
{
    const at::Tensor column = windows.select(1, 0).contiguous();
    return {column.data_ptr<std::int64_t>(), column.data_ptr<std::int64_t>() + column.numel()};
}
} // namespace

class TestTokenStream : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void aPassReadsEachTokenAtMostOnce()
    {
        TokenStream stream(counted(1007), 10, 3); // 100 windows and a rest, 10 held out
        QCOMPARE(stream.windowsPerPass(), 90);
        for (const std::int64_t pass : {0, 1, 5}) {
            const at::Tensor windows = stream.windows(pass * 90, 90);
            const std::vector<std::int64_t> starts = firsts(windows);
            QCOMPARE(std::set(starts.begin(), starts.end()).size(), std::size_t{90});
            QVERIFY(!std::is_sorted(starts.begin(), starts.end()));
            for (const std::int64_t start : starts) { // whole windows of one cut
                QCOMPARE(start % 10, starts.front() % 10);
            }
            QVERIFY(at::equal(windows, windows.select(1, 0).unsqueeze(1) + at::arange(10)));
            QVERIFY(windows.max().item<std::int64_t>() < 1007 - 100);
        }
    }

    void heldOutWindowsAreTheLast()
    {
        TokenStream stream(counted(1007), 10, 3);
        QVERIFY(at::equal(stream.validation(), at::arange(907, 1007).view({10, 10})));
        QCOMPARE(TokenStream(counted(250), 10, 0).validation().size(0), 2);
        QCOMPARE(TokenStream(counted(5000), 10, 0).validation().size(0), 32);
        QCOMPARE(TokenStream(counted(199), 10, 0).validation().size(0), 0);
        QCOMPARE(TokenStream(counted(199), 10, 0).windowsPerPass(), 19);
    }

    void orderIsThatOfTheSeedFromAnywhere()
    {
        TokenStream one(counted(1007), 10, 3);
        TokenStream same(counted(1007), 10, 3);
        TokenStream other(counted(1007), 10, 4);
        const at::Tensor all = one.windows(0, 300);
        for (const std::int64_t first : {250, 90, 0, 179}) { // across passes, backwards too
            QVERIFY(at::equal(same.windows(first, 7), all.narrow(0, first, 7)));
        }
        QVERIFY(!at::equal(other.windows(0, 90), all.narrow(0, 0, 90)));
        QVERIFY(!at::equal(all.narrow(0, 0, 90), all.narrow(0, 90, 90)));
    }

    void oneWindowIsEnough()
    {
        TokenStream stream(counted(10), 10, 0);
        QVERIFY(at::equal(stream.windows(5, 2), at::arange(10).repeat({2, 1})));
    }
};

QTEST_GUILESS_MAIN(TestTokenStream)
#include "tst_token_stream.moc"
