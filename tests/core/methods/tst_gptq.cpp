#include <QtTest>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/error.h"
#include "methods/gptq.h"
#include "support/tensor_golden.h"
#include "support/tensor_low_rank.h"
#include "support/tensor_model_files.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

namespace {
const Json& golden()
{
    static const Json kGolden = readJsonFile(QW_GOLDEN_DIR "/gptq.json");
    return kGolden;
}

GridOptions rows(std::int64_t bits, std::int64_t groupSize = 0)
{
    GridOptions grid;
    grid.bits = bits;
    grid.groupSize = groupSize;
    return grid;
}

GptqCodes codesOf(const at::Tensor& weight, const at::Tensor& autocorrelation,
                  const GridOptions& grid, const GptqSpec& spec)
{
    return gptq(weight, autocorrelation, fitGrid(weight, grid), grid, spec, {});
}

at::Tensor autocorrelationOf(const at::Tensor& x)
{
    const at::Tensor wide = x.to(at::kDouble);
    return at::matmul(wide.t(), wide) / x.size(0);
}
} // namespace

class TestGptq : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void followsTheFormulas_data()
    {
        QTest::addColumn<int>("index");
        for (std::size_t i = 0; i < golden().at("cases").size(); ++i) {
            QTest::newRow(golden().at("cases")[i].at("name").get<std::string>().c_str())
                << static_cast<int>(i);
        }
    }
    void followsTheFormulas()
    {
        QFETCH(int, index);
        const Json& one = golden().at("cases")[static_cast<std::size_t>(index)];
        const at::Tensor weight = matrixOf(golden().at("weight"));
        GptqSpec spec;
        spec.actOrder = one.at("act_order").get<bool>();
        spec.staticGroups = one.at("static_groups").get<bool>();
        spec.dampPercent = one.at("damp_percent").get<double>();
        const GptqCodes found = codesOf(
            weight, wideMatrixOf(golden().at("autocorrelation")),
            rows(one.at("bits").get<std::int64_t>(), one.at("group").get<std::int64_t>()), spec);
        QCOMPARE(found.dampPercent, spec.dampPercent);
        QVERIFY(relativeGap(found.params.scale, matrixOf(one.at("scale"))) < kGptqScaleGap);
        const at::Tensor expected = matrixOf(one.at("codes"));
        const auto wrong = (found.codes.to(at::kFloat) != expected).sum().item<std::int64_t>();
        QVERIFY2(wrong <= expected.numel() / 300, qPrintable(QString::number(wrong)));
        const auto groups = at::tensor(one.at("group_of").get<std::vector<std::int64_t>>());
        QCOMPARE(found.groupIndex.defined(),
                 spec.actOrder && !spec.staticGroups && one.at("group").get<int>() > 0);
        if (found.groupIndex.defined()) {
            QVERIFY(at::equal(found.groupIndex.to(at::kLong), groups));
        }
    }

    // Law: with a diagonal Hessian nothing can be made up for.
    void diagonalHessianIsRoundToNearest_data()
    {
        QTest::addColumn<bool>("actOrder");
        QTest::addColumn<qint64>("group");
        for (const bool actOrder : {false, true}) {
            for (const qint64 group : {0, 12, 64}) {
                QTest::addRow("%d, %lld", actOrder, group) << actOrder << group;
            }
        }
    }
    void diagonalHessianIsRoundToNearest()
    {
        QFETCH(bool, actOrder);
        QFETCH(qint64, group);
        const at::Tensor w = normal({9, 192}, 0.05, 3);
        const at::Tensor r = normal({192}, 1, 4).square().add(0.1).to(at::kDouble).diag();
        GptqSpec spec;
        spec.actOrder = actOrder;
        spec.staticGroups = actOrder; // the groups would be others
        const GptqCodes found = codesOf(w, r, rows(4, group), spec);
        const GridParams params = fitGrid(w, rows(4, group));
        QVERIFY(at::equal(found.codes, gridCodes(w, params, rows(4, group))));
        QVERIFY(at::equal(found.params.scale, params.scale));
    }

    /// Rows and static groups are rounded on the grid that round to nearest found.
    void gridIsTheOneGiven()
    {
        const at::Tensor w = normal({9, 192}, 0.05, 3);
        const at::Tensor r = at::eye(192, at::kDouble);
        GptqSpec spec;
        spec.staticGroups = true;
        for (const std::int64_t group : {0, 64}) {
            GridParams params = fitGrid(w, rows(4, group));
            params.scale = params.scale * 1.5;
            const GptqCodes found = gptq(w, r, params, rows(4, group), spec, {});
            QVERIFY(at::equal(found.params.scale, params.scale));
            QVERIFY(at::equal(found.codes, gridCodes(w, params, rows(4, group))));
        }
    }

    void outputErrorFalls()
    {
        const at::Tensor x = correlatedInputs(300, 64);
        const at::Tensor w = normal({40, 64}, 0.05, 3);
        const GptqCodes found = codesOf(w, autocorrelationOf(x), rows(3), {});
        const GridParams params = fitGrid(w, rows(3));
        const auto error = [&](const at::Tensor& codes, const GridParams& p) {
            return at::matmul(x, (w - gridValues(codes, p)).t()).norm().item<double>();
        };
        QVERIFY(error(found.codes, found.params) <
                0.8 * error(gridCodes(w, params, rows(3)), params));
    }

    void threadsDoNotMatter()
    {
        const at::Tensor w = matrixOf(golden().at("weight"));
        const at::Tensor r = wideMatrixOf(golden().at("autocorrelation"));
        const at::Tensor alone = codesOf(w, r, rows(3, 32), {}).codes;
        at::set_num_threads(3);
        const at::Tensor together = codesOf(w, r, rows(3, 32), {}).codes;
        at::set_num_threads(1);
        QVERIFY(at::equal(alone, together));
    }

    void dampingRisesUntilItIsEnough()
    {
        at::Tensor r = at::eye(16, at::kDouble);
        r[0][0] = -0.05; // no sum of squares, but rounding makes such
        GptqSpec spec;
        const GptqCodes found = codesOf(normal({4, 16}, 0.05, 3), r, rows(4), spec);
        QCOMPARE(found.dampPercent, 8.0); // 1, 2 and 4 % of the mean leave it negative
        r[0][0] = -20;
        const std::string said = sentenceOf([&] {
            codesOf(normal({4, 16}, 0.05, 3), r, rows(4), spec);
        });
        QVERIFY2(said.find("factorized") != std::string::npos, said.c_str());
    }

    void silentInputsKeepZeros()
    {
        const at::Tensor w = normal({4, 16}, 0.05, 3);
        const GptqCodes found = codesOf(w, at::zeros({16, 16}, at::kDouble), rows(4), {});
        QVERIFY(at::equal(gridValues(found.codes, found.params), at::zeros({4, 16})));
    }

    void groupsMustDivide()
    {
        const at::Tensor r = at::eye(16, at::kDouble);
        const at::Tensor w = normal({4, 16}, 0.05, 3);
        QVERIFY_EXCEPTION_THROWN(codesOf(w, r, rows(4, 5), {}), Error);
        QVERIFY_EXCEPTION_THROWN(codesOf(w, r, rows(4, -1), {}), Error);
    }
};

QTEST_GUILESS_MAIN(TestGptq)
#include "tst_gptq.moc"
