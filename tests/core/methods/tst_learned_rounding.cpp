#include <cmath>

#include <QtTest>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/error.h"
#include "methods/adam.h"
#include "methods/learned_rounding.h"
#include "methods/rounding_kernels.h"
#include "support/tensor_golden.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

Q_DECLARE_METATYPE(at::ScalarType)

namespace {
const Json& golden()
{
    static const Json kGolden = readJsonFile(QW_GOLDEN_DIR "/reconstruction/golden.json");
    return kGolden;
}

at::Tensor vectorOf(const Json& values)
{
    return at::tensor(values.get<std::vector<float>>());
}

/// A golden case as tensors that require gradients.
struct Case {
    at::Tensor weight, low, high, gradient;
    RoundingParameters parameters;

    explicit Case(const Json& json)
        : weight(matrixOf(json.at("weight"))), gradient(matrixOf(json.at("gradient")))
    {
        const at::Tensor zero = matrixOf(json.at("zero"));
        low = -zero;
        high = std::pow(2.0, json.at("bits").get<double>()) - 1 - zero;
        const auto leaf = [](const at::Tensor& x) { return x.clone().set_requires_grad(true); };
        parameters.logScale = leaf(matrixOf(json.at("log_scale")));
        parameters.left = leaf(matrixOf(json.at("left")));
        if (json.contains("right")) {
            parameters.right = leaf(matrixOf(json.at("right")));
        }
        if (json.at("row").get<bool>()) {
            parameters.row = leaf(vectorOf(json.at("r2")));
        }
        if (json.at("column").get<bool>()) {
            parameters.column = leaf(vectorOf(json.at("c2")));
        }
    }
    at::Tensor z() const
    {
        return parameters.right.defined() ? at::matmul(parameters.left, parameters.right)
                                          : parameters.left;
    }
    at::Tensor fused(at::ScalarType type = at::kFloat) const
    {
        return roundLearned(weight, parameters, z().to(type), low, high, type);
    }
    at::Tensor plain(at::ScalarType type = at::kFloat) const
    {
        return plainRoundLearned(weight, parameters, z().to(type), low, high, type);
    }
    std::vector<at::Tensor> leaves() const
    {
        std::vector<at::Tensor> all = {parameters.logScale, parameters.left};
        for (const at::Tensor& part : {parameters.right, parameters.row, parameters.column}) {
            if (part.defined()) {
                all.push_back(part);
            }
        }
        return all;
    }
    std::vector<at::Tensor> gradients() const
    {
        std::vector<at::Tensor> all;
        for (at::Tensor leaf : leaves()) {
            all.push_back(leaf.grad().clone());
            leaf.mutable_grad().reset();
        }
        return all;
    }
};

void addGoldenRows()
{
    QTest::addColumn<int>("index");
    for (std::size_t i = 0; i < golden().at("rounding").size(); ++i) {
        QTest::newRow(golden().at("rounding")[i].at("name").get<std::string>().c_str())
            << static_cast<int>(i);
    }
}

GridOptions asymmetric(std::int64_t bits, std::int64_t groupSize = 0)
{
    GridOptions grid;
    grid.bits = bits;
    grid.groupSize = groupSize;
    return grid;
}

/// D, as the operation has it: a weight of 2^26 s1 without bounds makes integers that tell it to
/// the last digit.
at::Tensor divisorOf(const RoundingParameters& parameters)
{
    const at::Tensor s1 = parameters.logScale.exp();
    const at::Tensor weight =
        (s1 * std::exp2(26.0)).expand({s1.size(0), parameters.column.size(0)}).contiguous();
    const at::Tensor bound = at::full_like(s1, 1e9F);
    const at::Tensor z = at::matmul(parameters.left, parameters.right);
    const at::Tensor value = roundLearned(weight, parameters, z, -bound, bound, at::kFloat);
    return weight.to(at::kDouble) * s1.to(at::kDouble) / value.to(at::kDouble);
}

double largestRatio(const at::Tensor& a, const at::Tensor& b)
{
    return (a / b - 1).abs().max().item<double>();
}

/// Moves every learned tensor by normal noise.
void disturb(LearnedRounding& layer, double size)
{
    const at::NoGradGuard noGrad;
    std::uint64_t seed = 5;
    for (auto& [name, tensor] : layer.learned()) {
        tensor.add_(normal(tensor.sizes(), size, seed++));
    }
}
} // namespace

class TestLearnedRounding : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void valueFollowsTheFormula_data() { addGoldenRows(); }
    void valueFollowsTheFormula()
    {
        QFETCH(int, index);
        const Json& json = golden().at("rounding")[static_cast<std::size_t>(index)];
        const Case one(json);
        QVERIFY(relativeGap(one.fused().detach(), matrixOf(json.at("value"))) < kRoundingGap);
        QVERIFY(relativeGap(one.plain().detach(), matrixOf(json.at("value"))) < kRoundingGap);
    }

    void gradientsFollowTheFormula_data() { addGoldenRows(); }
    void gradientsFollowTheFormula()
    {
        QFETCH(int, index);
        const Json& json = golden().at("rounding")[static_cast<std::size_t>(index)];
        const Case one(json);
        const auto check = [&](const at::Tensor& value, const char* which) {
            (value * one.gradient).sum().backward();
            const auto gap = [&](const at::Tensor& leaf, const char* key) {
                const at::Tensor expected =
                    leaf.dim() == 1 ? vectorOf(json.at(key)) : matrixOf(json.at(key));
                const double found = relativeGap(leaf.grad(), expected);
                QVERIFY2(found < kRoundingGradientGap,
                         qPrintable(QStringLiteral("%1 %2: %3").arg(which, key).arg(found)));
            };
            gap(one.parameters.logScale, "d_log_scale");
            gap(one.parameters.left, "d_left");
            if (one.parameters.right.defined()) {
                gap(one.parameters.right, "d_right");
            }
            if (one.parameters.row.defined()) {
                gap(one.parameters.row, "d_r2");
            }
            if (one.parameters.column.defined()) {
                gap(one.parameters.column, "d_c2");
            }
            one.gradients();
        };
        check(one.fused(), "fused");
        check(one.plain(), "plain");
    }

    void bfloat16StaysClose()
    {
        const Case one(golden().at("rounding")[3]);
        const at::Tensor fused = one.fused(at::kBFloat16);
        QCOMPARE(fused.scalar_type(), at::kBFloat16);
        (fused.to(at::kFloat) * one.gradient).sum().backward();
        const std::vector<at::Tensor> narrow = one.gradients();
        const at::Tensor plain = one.plain(at::kBFloat16);
        QVERIFY(relativeGap(fused.detach().to(at::kFloat), plain.detach().to(at::kFloat)) <
                kBfloat16RoundingGap);
        (plain.to(at::kFloat) * one.gradient).sum().backward();
        const std::vector<at::Tensor> expected = one.gradients();
        for (std::size_t i = 0; i < narrow.size(); ++i) {
            QVERIFY(relativeGap(narrow[i], expected[i]) < kBfloat16RoundingGap);
        }
    }

    void everyProcessorGivesTheSameValues()
    {
        const at::Tensor w = normal({70, 37}, 0.05, 3);
        const at::Tensor z = normal({70, 37}, 0.3, 4);
        const at::Tensor logScale = normal({70, 1}, 0.2, 5) - 4;
        const at::Tensor low = at::full({70, 1}, -3.0F);
        const at::Tensor high = at::full({70, 1}, 4.0F);
        RoundingArguments<float> a;
        a.rows = 70;
        a.groups = 1;
        a.width = 37;
        a.weight = w.data_ptr<float>();
        a.z = z.data_ptr<float>();
        a.logScale = logScale.data_ptr<float>();
        a.low = low.data_ptr<float>();
        a.high = high.data_ptr<float>();
        const auto valuesOn = [&](Simd simd) {
            at::Tensor values = at::empty_like(w);
            roundLearned(a, false, values.data_ptr<float>(), simd);
            return values;
        };
        const at::Tensor expected = valuesOn(Simd::Baseline);
        for (const Simd simd : {Simd::Avx2, Simd::Avx512}) {
            if (simd <= bestSimd()) {
                QVERIFY(at::equal(valuesOn(simd), expected));
            }
        }
    }

    void threadsDoNotMatter()
    {
        const auto gradients = [](int threads) {
            at::set_num_threads(threads);
            const Case one(golden().at("rounding")[3]);
            (one.fused() * one.gradient).sum().backward();
            return one.gradients();
        };
        const std::vector<at::Tensor> alone = gradients(1);
        const std::vector<at::Tensor> together = gradients(3);
        at::set_num_threads(1);
        for (std::size_t i = 0; i < alone.size(); ++i) {
            QVERIFY(at::equal(alone[i], together[i]));
        }
    }

    // Law 1: nothing learned is round to nearest with s = exp(l1), bit for bit.
    void beginsAtRoundToNearest_data()
    {
        QTest::addColumn<QString>("weight");
        for (const auto& [name, weight] : awkwardWeights()) {
            QTest::newRow(name.c_str()) << QString::fromStdString(name);
        }
    }
    void beginsAtRoundToNearest()
    {
        QFETCH(QString, weight);
        const at::Tensor w = awkwardWeight(weight.toStdString());
        for (const std::int64_t bits : {2, 3, 4, 8}) {
            const LearnedRounding layer("layer", w, asymmetric(bits), {2}, 1, {});
            const GridParams found = fitGrid(w, asymmetric(bits));
            const GridParams params{layer.scale(), found.zero};
            const at::Tensor expected = gridValues(gridCodes(w, params, asymmetric(bits)), params);
            QVERIFY(at::equal(layer.weight(at::kFloat).detach(), expected));
            QVERIFY(relativeGap(params.scale, found.scale) < kExponentialGap * 20);
            QCOMPARE(layer.moved(), (std::vector<double>{1, 0, 0}));
        }
    }

    // The other half of law 1: no more does it matter which of the two factors is zero.
    void oneFactorThatIsZeroIsEnough()
    {
        const at::Tensor w = normal({12, 24}, 0.05, 7);
        LearnedRounding layer("layer", w, asymmetric(3), {3}, 1, {});
        const at::Tensor start = layer.weight(at::kFloat).detach();
        const at::NoGradGuard noGrad;
        layer.parameters().left.copy_(normal({12, 3}, 1, 8));
        QVERIFY(!at::equal(layer.weight(at::kFloat), start));
        layer.parameters().right.zero_();
        QVERIFY(at::equal(layer.weight(at::kFloat), start));
    }

    /// All zero but U2, uniform in 1 / sqrt(in), and the scale, which is the one that was found.
    void parametersBeginAsReleased_data()
    {
        QTest::addColumn<bool>("searched");
        QTest::newRow("least and largest") << false;
        QTest::newRow("range search") << true;
    }
    void parametersBeginAsReleased()
    {
        QFETCH(bool, searched);
        const at::Tensor w = normal({40, 100}, 0.05, 3);
        GridOptions grid = asymmetric(3);
        const at::Tensor plain = fitGrid(w, grid).scale;
        grid.range = searched ? RangeSearch::Lrq : RangeSearch::MinMax;
        LearnedRounding layer("layer", w, grid, {30}, 5, {});
        const RoundingParameters& p = layer.parameters();
        const at::Tensor scale = fitGrid(w, grid).scale;
        QCOMPARE(at::equal(scale, plain), !searched);
        QVERIFY(at::equal(p.logScale.detach(), scale.log()));
        for (const at::Tensor& zero : {p.left, p.row, p.column}) {
            QCOMPARE(zero.abs().max().item<float>(), 0.0F);
        }
        constexpr double kBound = 0.1; // 1 / sqrt(100)
        const at::Tensor right = p.right.detach();
        QVERIFY(right.abs().max().item<double>() <= kBound);
        QVERIFY(right.abs().max().item<double>() > 0.99 * kBound);
        // Half of them, but for four standard errors of a share of 3000.
        const double inner = (right.abs() < kBound / 2).to(at::kFloat).mean().item<double>();
        QVERIFY(std::abs(inner - 0.5) < 0.04);
        QVERIFY(std::abs(right.mean().item<double>()) < 0.05 * kBound);
        LearnedRounding again("layer", w, grid, {30}, 5, {});
        LearnedRounding other("layer", w, grid, {30}, 6, {});
        QVERIFY(at::equal(again.parameters().right, right));
        QVERIFY(!at::equal(other.parameters().right, right));
    }

    // Law 2: LRQ with r = in, U2 = I, c2 = 0 is FlexRound.
    void fullRankIsFlexRound()
    {
        const at::Tensor w = normal({9, 6}, 0.05, 2);
        LearnedRounding lowRank("layer", w, asymmetric(3), {6}, 1, {});
        DivisorShape full;
        full.hasColumn = false;
        LearnedRounding flexRound("layer", w, asymmetric(3), full, 1, {});
        const at::NoGradGuard noGrad;
        lowRank.parameters().right.copy_(at::eye(6));
        const at::Tensor s2 = normal({9, 6}, 0.3, 3);
        const at::Tensor s3 = normal({9}, 0.3, 4);
        lowRank.parameters().left.copy_(s2);
        lowRank.parameters().row.copy_(s3);
        flexRound.parameters().left.copy_(s2);
        flexRound.parameters().row.copy_(s3);
        QVERIFY(at::equal(lowRank.weight(at::kFloat), flexRound.weight(at::kFloat)));
        QVERIFY(flexRound.moved()[0] < 1);
        QCOMPARE(flexRound.parameterCount(), 9 * 6 + 9 + 9);
        QCOMPARE(lowRank.parameterCount(), 9 * 6 + 6 * 6 + 9 + 6 + 9);
    }

    // Laws 4 and 6: no weight changes its sign; what is stored is what was trained.
    void deployedIsWhatWasTrained_data()
    {
        QTest::addColumn<qint64>("group");
        QTest::addColumn<bool>("sym");
        QTest::newRow("rows") << qint64{0} << false;
        QTest::newRow("groups") << qint64{8} << false;
        QTest::newRow("symmetric") << qint64{0} << true;
    }
    void deployedIsWhatWasTrained()
    {
        QFETCH(qint64, group);
        QFETCH(bool, sym);
        GridOptions grid = asymmetric(3, group);
        grid.sym = sym;
        at::Tensor w = normal({12, 24}, 0.05, 7);
        w.select(1, 3).zero_();
        LearnedRounding layer("layer", w, grid, {3}, 1, {});
        disturb(layer, 0.4);
        WeightFormat format;
        format.bits = 3;
        format.groupSize = group;
        format.sym = sym;
        const QuantizedLinear linear = layer.deployed(format);
        const at::Tensor trained = layer.weight(at::kFloat).detach();
        QVERIFY(at::equal(linear.dequantizedCodes(), trained));
        QVERIFY(!at::equal(trained.sign().mul(w.sign()), at::zeros_like(w)));
        QVERIFY((trained * w).min().item<float>() >= 0);
        QVERIFY(at::equal(trained.select(1, 3), at::zeros({12})));
        QVERIFY(layer.moved()[0] < 1);
        QVERIFY(layer.moved()[2] > 0);
        const QuantizedLinear nearest = roundToNearest("layer", w, format, grid);
        const at::Tensor steps = (linear.codes.to(at::kShort) - nearest.codes.to(at::kShort)).abs();
        const std::vector<at::Tensor> counted = {steps == 0, steps == 1, steps > 1};
        for (std::size_t i = 0; i < counted.size(); ++i) {
            QCOMPARE(layer.moved()[i], counted[i].to(at::kDouble).mean().item<double>());
        }
        // Law 11, and the size is that of round to nearest.
        QVERIFY(!linear.a.defined() && !linear.b.defined() && !linear.groupIndex.defined());
        QCOMPARE(storedBits(linear), storedBits(nearest));
    }

    // Law 5: of the divisor, r2 + c2 and L2 U2 are what counts, not what they are made of.
    void gaugeShiftsLeaveTheDivisor()
    {
        const at::NoGradGuard noGrad;
        RoundingParameters parameters;
        parameters.logScale = normal({12, 1}, 0.2, 1) - 1;
        parameters.left = normal({12, 3}, 0.3, 2);
        parameters.right = normal({3, 24}, 0.3, 3);
        parameters.row = normal({12}, 0.3, 4);
        parameters.column = normal({24}, 0.3, 5);
        const at::Tensor before = divisorOf(parameters);
        const at::Tensor exact =
            (parameters.logScale + at::matmul(parameters.left, parameters.right) +
             parameters.row.unsqueeze(1) + parameters.column)
                .to(at::kDouble)
                .exp();
        QVERIFY(largestRatio(before, exact) < kRoundingGap);
        RoundingParameters shifted = parameters;
        shifted.row = parameters.row + 0.25;
        shifted.column = parameters.column - 0.25;
        QVERIFY2(largestRatio(divisorOf(shifted), before) < kGaugeShiftGap,
                 qPrintable(QString::number(largestRatio(divisorOf(shifted), before))));
        RoundingParameters mixed = parameters;
        const at::Tensor m = normal({3, 3}, 1, 6) + 2 * at::eye(3);
        mixed.left = at::matmul(parameters.left, m);
        mixed.right = at::matmul(at::linalg_inv(m), parameters.right);
        QVERIFY2(largestRatio(divisorOf(mixed), before) < kGaugeMixGap,
                 qPrintable(QString::number(largestRatio(divisorOf(mixed), before))));
        shifted.column = parameters.column; // and half a gauge shift is none
        QVERIFY(largestRatio(divisorOf(shifted), before) > 0.2);
    }

    // The same for the integers of a layer: a tie at most.
    void gaugeShiftsChangeNothing()
    {
        const at::Tensor w = normal({12, 24}, 0.05, 7);
        LearnedRounding layer("layer", w, asymmetric(4), {3}, 1, {});
        disturb(layer, 0.1);
        const at::Tensor before = layer.integers();
        const at::NoGradGuard noGrad;
        layer.parameters().row.add_(0.25);
        layer.parameters().column.sub_(0.25);
        QVERIFY((layer.integers() - before).abs().sum().item<float>() <= 1);
        const at::Tensor m = normal({3, 3}, 1, 6) + 2 * at::eye(3);
        layer.parameters().left.copy_(at::matmul(layer.parameters().left, m));
        layer.parameters().right.copy_(at::matmul(at::linalg_inv(m), layer.parameters().right));
        QVERIFY((layer.integers() - before).abs().sum().item<float>() <= 1);
        layer.parameters().row.add_(0.25);
        QVERIFY((layer.integers() - before).abs().sum().item<float>() > 10);
    }

    void scaleIsRoundedForStorageOnly()
    {
        GridOptions grid = asymmetric(4);
        grid.scaleDtype = at::kHalf;
        LearnedRounding layer("layer", normal({6, 16}, 0.05, 7), grid, {3}, 1, {});
        disturb(layer, 0.2);
        WeightFormat format;
        format.scaleDtype = at::kHalf;
        const at::Tensor stored = layer.deployed(format).scale;
        QVERIFY(at::equal(stored, layer.scale().to(at::kHalf).to(at::kFloat)));
        QVERIFY(!at::equal(stored, layer.scale()));
    }

    void wholeTensorsAreRefused()
    {
        QVERIFY_EXCEPTION_THROWN(
            LearnedRounding("layer", normal({4, 8}), asymmetric(4, -1), {2}, 1, {}), Error);
    }

    void adamFollowsItsAlgorithm()
    {
        at::Tensor value = normal({5, 7}, 1, 1).set_requires_grad(true);
        at::Tensor expected = value.detach().to(at::kDouble);
        at::Tensor first = at::zeros_like(expected);
        at::Tensor second = at::zeros_like(expected);
        Adam adam({{"value", value}});
        for (int t = 1; t <= 5; ++t) {
            const at::Tensor g = normal({5, 7}, 1, static_cast<std::uint64_t>(10 + t));
            value.mutable_grad() = g;
            adam.step(0.01);
            const at::Tensor wide = g.to(at::kDouble);
            first = 0.9 * first + 0.1 * wide;
            second = 0.999 * second + 0.001 * wide * wide;
            expected = expected - 0.01 * (first / (1 - std::pow(0.9, t))) /
                                      ((second / (1 - std::pow(0.999, t))).sqrt() + 1e-8);
        }
        QVERIFY(relativeGap(value.detach().to(at::kDouble), expected) < kRoundingGap);
        QCOMPARE(adam.steps(), 5);
    }

    void cosineGoesFromStartToZero()
    {
        QCOMPARE(cosineRate(0.5, 0, 10), 0.5);
        QCOMPARE(cosineRate(0.5, 5, 10), 0.25);
        QVERIFY(std::abs(cosineRate(0.5, 10, 10)) < 1e-16);
    }
};

QTEST_GUILESS_MAIN(TestLearnedRounding)
#include "tst_learned_rounding.moc"
