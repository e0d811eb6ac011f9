#include "quant/range_search.h"

#include <chrono>
#include <stop_token>
#include <thread>

#include <QElapsedTimer>
#include <QtTest>

#include <ATen/ATen.h>

#include "base/error.h"
#include "quant/range_kernels.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

class TestRangeSearch : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void golden_data();
    void golden();
    void equalsExhaustive_data();
    void equalsExhaustive();
    void neverWorseThanMinMax_data();
    void neverWorseThanMinMax();
    void largeGroups();
    void stops_data();
    void stops();
    void nearScore_data();
    void nearScore();
};

namespace {
at::Tensor grouped(const at::Tensor& w, std::int64_t width)
{
    return width == -1 ? w.reshape({1, 1, w.numel()}) : w.reshape({w.size(0), -1, width});
}

GridOptions searchOptions(std::int64_t bits, double norm, bool sym)
{
    GridOptions options;
    options.bits = bits;
    options.rangeNorm = norm;
    options.sym = sym;
    options.range = sym ? RangeSearch::LpNorm : RangeSearch::Lrq;
    return options;
}

GridOptions shrinkOptions(std::int64_t bits, double norm, bool sym)
{
    GridOptions options = searchOptions(bits, norm, sym);
    options.range = RangeSearch::Shrink;
    return options;
}

/// "" or how the two differ.
std::string searchDifference(const at::Tensor& groups, const GridOptions& options)
{
    if (options.range == RangeSearch::LpNorm) {
        return difference(searchSymmetricRange(groups, options),
                          searchSymmetricRangeByOps(groups, options));
    }
    const bool shrink = options.range == RangeSearch::Shrink;
    const GridParams fast =
        shrink ? searchShrunkRange(groups, options) : searchLrqRange(groups, options);
    const GridParams all =
        shrink ? searchShrunkRangeByOps(groups, options) : searchLrqRangeByOps(groups, options);
    return difference(fast.scale, all.scale) + difference(fast.zero, all.zero);
}

/// Sum of |w - q(w)|^p of each row.
at::Tensor scores(const at::Tensor& w, const GridOptions& options)
{
    const GridParams params = fitGrid(w, options);
    const at::Tensor values = gridValues(gridCodes(w, params, options), params);
    return (values - w).abs().to(at::kDouble).pow(options.rangeNorm).sum(1);
}
} // namespace

void TestRangeSearch::golden_data()
{
    QTest::addColumn<QByteArray>("part");
    QTest::addColumn<QByteArray>("name");
    for (const char* part : {"lrq", "lp", "shrink"}) {
        for (const Json& entry : quantizerGolden(part)) {
            const auto name = QByteArray::fromStdString(entry.at("name").get<std::string>());
            QTest::addRow("%s: %s", part, name.constData()) << QByteArray(part) << name;
        }
    }
}

void TestRangeSearch::golden()
{
    QFETCH(QByteArray, part);
    QFETCH(QByteArray, name);
    const Json& entry = namedCase(quantizerGolden(part.constData()), name.constData());
    const at::Tensor w =
        matrixOf(quantizerGolden("weights").at(entry.at("input").get<std::string>()));
    const auto bits = entry.at("bits").get<std::int64_t>();
    const auto norm = entry.at("norm").get<double>();
    const GridParams params =
        fitGrid(w, part == "shrink" ? shrinkOptions(bits, norm, entry.at("sym").get<bool>())
                                    : searchOptions(bits, norm, part == "lp"));
    QCOMPARE(difference(params.scale, matrixOf(entry.at("scale"))), std::string());
    if (entry.contains("zero")) {
        QCOMPARE(difference(params.zero, matrixOf(entry.at("zero"))), std::string());
    }
}

void TestRangeSearch::equalsExhaustive_data()
{
    QTest::addColumn<QString>("weight");
    QTest::addColumn<bool>("sym");
    QTest::addColumn<bool>("shrink");
    for (const auto& [name, w] : awkwardWeights()) {
        for (const bool sym : {false, true}) {
            QTest::addRow("%s, %s", name.c_str(), sym ? "LP" : "LRQ")
                << QString::fromStdString(name) << sym << false;
            QTest::addRow("%s, shrunk %s", name.c_str(), sym ? "symmetric" : "asymmetric")
                << QString::fromStdString(name) << sym << true;
        }
    }
}

void TestRangeSearch::equalsExhaustive()
{
    QFETCH(QString, weight);
    QFETCH(bool, sym);
    QFETCH(bool, shrink);
    const at::Tensor& w = awkwardWeight(weight.toStdString());
    for (const double norm : {2.4, 5.0}) {
        for (const std::int64_t bits : {2, 4}) {
            for (const at::ScalarType type : {at::kFloat, at::kHalf}) {
                GridOptions options =
                    shrink ? shrinkOptions(bits, norm, sym) : searchOptions(bits, norm, sym);
                options.scaleDtype = type;
                options.rangeSteps = 30;
                for (const std::int64_t width : {w.size(1), std::int64_t{-1}, std::int64_t{4}}) {
                    if (width != 4 || w.size(1) % 4 == 0) {
                        const std::string found = searchDifference(grouped(w, width), options);
                        QVERIFY2(found.empty(), qPrintable(QString("p %1, %2 bits, width %3: ")
                                                               .arg(norm)
                                                               .arg(bits)
                                                               .arg(width) +
                                                           QString::fromStdString(found)));
                    }
                }
            }
        }
    }
}

void TestRangeSearch::neverWorseThanMinMax_data()
{
    equalsExhaustive_data();
}

void TestRangeSearch::neverWorseThanMinMax()
{
    QFETCH(QString, weight);
    QFETCH(bool, sym);
    QFETCH(bool, shrink);
    const at::Tensor& w = awkwardWeight(weight.toStdString());
    for (const double norm : {2.4, 4.0}) {
        for (std::int64_t bits = 2; bits <= 8; ++bits) {
            const GridOptions options =
                shrink ? shrinkOptions(bits, norm, sym) : searchOptions(bits, norm, sym);
            GridOptions plain = options;
            plain.range = RangeSearch::MinMax;
            const at::Tensor searched = scores(w, options);
            const at::Tensor minMax = scores(w, plain);
            const at::Tensor noise = (kSearchNoise * w.abs().amax(1).to(at::kDouble)).pow(norm);
            const at::Tensor above = searched - minMax * (1 + kSearchGap * norm) - noise;
            QVERIFY2(above.le(0).all().item<bool>(),
                     message("p ", norm, ", ", bits,
                             " bits: ", (searched / minMax - 1).max().item<double>())
                         .c_str());
        }
    }
    // It finds better than min-max where there are outliers to cut.
    if (weight == "square") {
        const GridOptions options =
            shrink ? shrinkOptions(3, 2.4, sym) : searchOptions(3, 2.4, sym);
        GridOptions plain = options;
        plain.range = RangeSearch::MinMax;
        QVERIFY(scores(w, options).sum().item<double>() < scores(w, plain).sum().item<double>());
    }
}

void TestRangeSearch::largeGroups()
{
    const at::Tensor w = normal({6, 512}) * at::pow(10, normal({6, 512}, 0.4, 2));
    for (const bool sym : {false, true}) {
        for (const std::int64_t width : {64, 512, -1}) {
            for (const std::int64_t bits : {3, 6}) {
                GridOptions options = searchOptions(bits, 2.4, sym);
                options.rangeSteps = 25;
                const std::string found = searchDifference(grouped(w, width), options);
                QVERIFY2(found.empty(), found.c_str());
            }
        }
    }
}

void TestRangeSearch::stops_data()
{
    QTest::addColumn<qint64>("width");
    QTest::addColumn<bool>("sym");
    QTest::newRow("small groups") << qint64{64} << false;
    QTest::newRow("one group") << qint64{-1} << false;
    QTest::newRow("symmetric") << qint64{-1} << true;
}

/// A search that takes minutes ends soon after it is told to.
void TestRangeSearch::stops()
{
    QFETCH(qint64, width);
    QFETCH(bool, sym);
    GridOptions options = searchOptions(8, 2.4, sym);
    options.groupSize = width;
    options.rangeSteps = 100000;
    const at::Tensor w = normal({1024, 1024});
    std::stop_source stop;
    const std::jthread user([&stop] {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        stop.request_stop();
    });
    QElapsedTimer clock;
    clock.start();
    QVERIFY_EXCEPTION_THROWN(fitGrid(w, options, RunContext(stop.get_token(), {})), Cancelled);
    QVERIFY2(clock.elapsed() < 10000, "a second on a free machine"); // a busy one gets more
}

void TestRangeSearch::nearScore_data()
{
    QTest::addColumn<double>("norm");
    for (const double norm : {0.5, 1.0, 2.0, 2.4, 3.0, 3.5, 4.0, 5.0, 8.0}) {
        QTest::addRow("p %.1f", norm) << norm;
    }
}

void TestRangeSearch::nearScore()
{
    QFETCH(double, norm);
    const double infinity = std::numeric_limits<double>::infinity();
    for (const std::int64_t bits : {2, 4, 8}) {
        const CodeRange codes = {0, static_cast<float>((1 << bits) - 1)};
        for (const double size : {0.3, 1e-3, 1e-6}) {
            const at::Tensor w = normal({1000}, size).clamp(-1, 1);
            const auto* values = w.data_ptr<float>();
            for (int i = 1; i <= 20; ++i) {
                const GridPoint point = {static_cast<float>(size * i / codes.high),
                                         std::floor(codes.high / 2)};
                const double exact = gridScore(values, 1000, point, codes, norm);
                const double near =
                    gridScoreNear(values, 1000, point, codes, static_cast<float>(norm), infinity);
                QVERIFY(std::abs(near - exact) <=
                        nearTolerance(norm) / 2 * exact + 1000 * kNearFloor);
                QVERIFY(gridScoreNear(values, 1000, point, codes, static_cast<float>(norm),
                                      near / 2) > near / 2);
            }
        }
    }
}

QTEST_GUILESS_MAIN(TestRangeSearch)
#include "tst_range_search.moc"
