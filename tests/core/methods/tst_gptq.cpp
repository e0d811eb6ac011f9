#include <QtTest>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/error.h"
#include "methods/gptq.h"
#include "methods/method.h"
#include "support/tensor_block_task.h"
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

/// The algorithm without blocks, float64: each column's error at once on all later columns.
at::Tensor plainCodes(const at::Tensor& weight, const at::Tensor& autocorrelation,
                      const GridOptions& grid, double dampPercent)
{
    const std::int64_t in = weight.size(1);
    const std::int64_t width = grid.groupSize > 0 ? grid.groupSize : in;
    at::Tensor hessian = 2 * autocorrelation;
    hessian.diagonal().add_(dampPercent / 100 * hessian.diagonal().mean());
    const at::Tensor u = at::linalg_cholesky(at::linalg_inv(hessian)).t();
    at::Tensor w = weight.to(at::kDouble);
    at::Tensor codes = at::empty_like(weight);
    at::Tensor scale;
    at::Tensor zero;
    for (std::int64_t j = 0; j < in; ++j) {
        if (j % width == 0) {
            GridOptions whole = grid;
            whole.groupSize = 0;
            const GridParams params =
                fitGrid(w.narrow(1, j, width).to(at::kFloat).contiguous(), whole);
            scale = params.scale.select(1, 0).to(at::kDouble);
            zero = params.zero.select(1, 0).to(at::kDouble);
        }
        const at::Tensor column = w.select(1, j);
        const at::Tensor code = at::clamp(at::round(column / scale) + zero, 0, codeMax(grid));
        codes.select(1, j).copy_(code);
        const at::Tensor error = (column - (code - zero) * scale) / u[j][j];
        w.narrow(1, j, in - j).sub_(at::outer(error, u[j].narrow(0, j, in - j)));
    }
    return codes;
}

const Json& blockGolden()
{
    static const Json kGolden = readJsonFile(QW_GOLDEN_DIR "/gptq_block.json");
    return kGolden;
}

/// Rows of digits.
at::Tensor digitsOf(const Json& lines)
{
    std::vector<at::Tensor> all;
    for (const Json& line : lines) {
        std::vector<std::int64_t> digits;
        for (const char digit : line.get<std::string>()) {
            digits.push_back(digit - '0');
        }
        all.push_back(at::tensor(digits, at::kShort));
    }
    return at::stack(all);
}

std::int64_t differing(const at::Tensor& a, const at::Tensor& b)
{
    return a.to(at::kFloat).ne(b.to(at::kFloat)).sum().item<std::int64_t>();
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

    // Law: in how wide blocks the columns are walked through does not matter.
    void blocksDoNotMatter_data()
    {
        QTest::addColumn<qint64>("in");
        QTest::addColumn<qint64>("group");
        QTest::addColumn<bool>("searched");
        QTest::newRow("rows, no whole number of blocks") << qint64{300} << qint64{0} << false;
        QTest::newRow("groups inside a block") << qint64{300} << qint64{20} << false;
        QTest::newRow("a group a block") << qint64{300} << qint64{100} << false;
        QTest::newRow("a group wider than a block") << qint64{300} << qint64{150} << false;
        QTest::newRow("a group of two blocks") << qint64{512} << qint64{256} << false;
        QTest::newRow("rows, ends searched") << qint64{300} << qint64{0} << true;
        QTest::newRow("groups, ends searched") << qint64{300} << qint64{20} << true;
    }
    void blocksDoNotMatter()
    {
        QFETCH(qint64, in);
        QFETCH(qint64, group);
        QFETCH(bool, searched);
        const at::Tensor w = normal({12, in}, 0.05, 3);
        const at::Tensor r = autocorrelationOf(correlatedInputs(2 * in, in));
        GridOptions grid = rows(3, group);
        const at::Tensor plain = codesOf(w, r, grid, {}).codes;
        grid.range = searched ? RangeSearch::Shrink : RangeSearch::MinMax;
        const at::Tensor found = codesOf(w, r, grid, {}).codes;
        QCOMPARE(differing(found, plain) > found.numel() / 20, searched);
        const at::Tensor expected = plainCodes(w, r, grid, GptqSpec{}.dampPercent);
        const auto wrong = differing(found, expected);
        QVERIFY2(wrong <= expected.numel() / 300, qPrintable(QString::number(wrong)));
    }

    // What is rounded first changes what the rest of the block gets, if that is asked for.
    void stagesFollowTheReference_data()
    {
        QTest::addColumn<int>("index");
        for (std::size_t i = 0; i < blockGolden().at("cases").size(); ++i) {
            const Json& one = blockGolden().at("cases")[i];
            QTest::addRow("%s, %s", one.at("model").get<std::string>().c_str(),
                          one.at("true_sequential").get<bool>() ? "true-sequential" : "at once")
                << static_cast<int>(i);
        }
    }
    void stagesFollowTheReference()
    {
        QFETCH(int, index);
        const Json& one = blockGolden().at("cases")[static_cast<std::size_t>(index)];
        // The same model the other way: pairs stand beside each other.
        const Json& other = blockGolden().at("cases")[static_cast<std::size_t>(index ^ 1)];
        std::vector<at::Tensor> ids;
        for (const Json& window : one.at("ids")) {
            ids.push_back(at::tensor(window.get<std::vector<std::int64_t>>(), at::kLong));
        }
        GoldenBlock block(one.at("model").get<std::string>(), at::stack(ids));
        RunSpec& spec = block.spec;
        spec.method = "gptq";
        spec.weight.bits = blockGolden().at("bits").get<std::int64_t>();
        spec.weight.groupSize = kPerChannel;
        spec.weight.scaleDtype = "f32";
        spec.gptq.trueSequential = one.at("true_sequential").get<bool>();
        const BlockOutcome outcome = block.quantize();
        QCOMPARE(outcome.layers.size(), one.at("codes").size());
        std::int64_t apart = 0;
        for (const LayerOutcome& layer : outcome.layers) {
            const std::string& name = layer.linear.name;
            const at::Tensor expected = digitsOf(one.at("codes").at(name));
            QCOMPARE(layer.linear.codes.sizes(), expected.sizes());
            const auto wrong = differing(layer.linear.codes, expected);
            QVERIFY2(wrong <= expected.numel() / 300,
                     message(name, ": ", wrong, " of ", expected.numel()).c_str());
            apart += differing(expected, digitsOf(other.at("codes").at(name)));
            const auto task = block.task();
            const auto own = std::find_if(task.layers.begin(), task.layers.end(),
                                          [&](const LayerTask& l) { return l.name == name; });
            const GridOptions grid = rows(spec.weight.bits);
            const at::Tensor nearest = gridCodes(own->weight, fitGrid(own->weight, grid), grid);
            const at::Tensor steps = (layer.linear.codes.to(at::kShort) - nearest).abs();
            const std::vector<at::Tensor> counted = {steps == 0, steps == 1, steps > 1};
            QCOMPARE(layer.moved.size(), counted.size());
            for (std::size_t i = 0; i < counted.size(); ++i) {
                QCOMPARE(layer.moved[i], counted[i].to(at::kDouble).mean().item<double>());
            }
        }
        QVERIFY(apart > 300); // or the golden data could not tell
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

    /// Four tokens say little of 32 inputs: without damping the Hessian has no inverse.
    void moreDampingIsTold()
    {
        GoldenBlock block("llama", at::arange(4).view({1, 4}) + 4);
        block.spec.method = "gptq";
        block.spec.weight.groupSize = kPerChannel;
        QVERIFY(block.quantize().substitutions.empty());
        block.spec.gptq.dampPercent = 1e-20;
        std::vector<std::string> told = block.quantize().substitutions;
        for (const LayerOutcome& layer : block.quantize().layers) {
            told.insert(told.end(), layer.substitutions.begin(), layer.substitutions.end());
        }
        const std::string begin = "model.layers.0.self_attn.q_proj: damping ";
        const auto found = std::find_if(told.begin(), told.end(), [&](const std::string& sentence) {
            return sentence.find(begin) == 0;
        });
        QVERIFY(found != told.end());
        QVERIFY2(found->find(" % instead of 1e-20 %, which left the Hessian indefinite") !=
                     std::string::npos,
                 found->c_str());
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
