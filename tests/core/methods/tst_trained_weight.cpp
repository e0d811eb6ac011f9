#include "methods/trained_weight.h"

#include <cmath>

#include <QtTest>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/error.h"
#include "methods/adam.h"
#include "support/tensor_golden.h"
#include "support/tensor_low_rank.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

namespace {
const Json& golden(const char* part)
{
    static const Json kGolden = readJsonFile(QW_GOLDEN_DIR "/qat.json");
    return kGolden.at(part);
}

TrainedKind kindOf(const std::string& name)
{
    return name == "lsq"    ? TrainedKind::Lsq
           : name == "peqa" ? TrainedKind::Peqa
                            : TrainedKind::LrQat;
}

TrainedWeightOptions optionsOf(std::int64_t bits, const char* phi = "fixed8",
                               std::int64_t groupSize = 0)
{
    TrainedWeightOptions options;
    options.grid.bits = bits;
    options.grid.groupSize = groupSize;
    options.grid.sym = true;
    options.phi = phi;
    options.rank = 3;
    return options;
}

/// As a golden row says.
TrainedWeightOptions optionsOf(const Json& json)
{
    TrainedWeightOptions options = optionsOf(json.at("bits").get<std::int64_t>());
    const std::int64_t groups = json.at("groups").get<std::int64_t>();
    if (groups > 1) {
        options.grid.groupSize = static_cast<std::int64_t>(json.at("weight").at(0).size()) / groups;
    }
    options.grid.range = RangeSearch::LpNorm;
    options.phi = json.at("phi").get<std::string>();
    options.rank = json.at("rank").get<std::int64_t>();
    options.alpha = json.at("alpha").get<double>();
    return options;
}

TrainedWeight trained(const at::Tensor& weight, const TrainedWeightOptions& options)
{
    return {"layer", weight, options, nullptr, 1, {}};
}

at::Tensor tensorOf(const TrainedWeight& weight, const std::string& name)
{
    for (const LearnedTensor& tensor : weight.learned()) {
        if (tensor.name == name) {
            return tensor.value;
        }
    }
    return {};
}

/// Moves the pair, or LSQ's weight, and the scales by normal noise.
void disturb(const TrainedWeight& weight)
{
    const at::NoGradGuard noGrad;
    std::uint64_t seed = 5;
    for (const LearnedTensor& tensor : weight.learned()) {
        const double size = tensor.group == LearnedTensor::Group::LowRank ? 2
                            : tensor.group == LearnedTensor::Group::Scale ? 1e-3
                                                                          : 0.03;
        tensor.value.add_(normal(tensor.value.sizes(), size, seed++));
        if (tensor.group == LearnedTensor::Group::Scale) {
            tensor.value.abs_();
        }
    }
}

WeightFormat formatOf(const GridOptions& grid)
{
    WeightFormat format;
    format.bits = grid.bits;
    format.groupSize = grid.groupSize;
    format.sym = true;
    format.scaleDtype = grid.scaleDtype;
    return format;
}

void addRows(const char* part)
{
    QTest::addColumn<int>("index");
    for (std::size_t i = 0; i < golden(part).size(); ++i) {
        QTest::newRow(golden(part)[i].at("name").get<std::string>().c_str()) << static_cast<int>(i);
    }
}
} // namespace

class TestTrainedWeight : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void startFollowsTheMethods_data() { addRows("starts"); }
    void startFollowsTheMethods()
    {
        QFETCH(int, index);
        const Json& json = golden("starts")[static_cast<std::size_t>(index)];
        TrainedWeightOptions options = optionsOf(json);
        options.init = json.at("init").get<std::string>();
        options.grid.rangeNorm = 3;
        const at::Tensor weight = matrixOf(json.at("weight"));
        StatisticsNeeds needs;
        needs.autocorrelation = true;
        InputStatistics statistics(weight.size(1), needs);
        statistics.add(matrixOf(json.at("x")));
        const TrainedWeight layer("layer", weight, options, &statistics, 1, {});
        const FakeQuantParts& parts = layer.parts();
        QVERIFY(relativeGap(parts.scale.detach(), matrixOf(json.at("scale"))) < kRoundingGap);
        QVERIFY(relativeGap(at::matmul(parts.left, parts.right).detach(),
                            matrixOf(json.at("product"))) < kCorrectionGap);
        const auto lengths = [&](const char* key) {
            return at::tensor(json.at(key).get<std::vector<float>>());
        };
        QVERIFY(relativeGap(parts.left.detach().norm(2, 0), lengths("left_lengths")) <
                kCorrectionGap);
        QVERIFY(relativeGap(parts.right.detach().norm(2, 1), lengths("right_lengths")) <
                kCorrectionGap);
        const at::Tensor expected = matrixOf(json.at("stored"));
        if (options.phi == "fp32") {
            QVERIFY(relativeGap(parts.frozen.decoded(), expected) < kCorrectionGap);
        } else { // of what is rounded after a correction, a last digit may tip one in a hundred
            const at::Tensor steps = parts.frozen.phi() == Phi::Int
                                         ? parts.frozen.decoded() - expected
                                         : parts.frozen.stored().to(at::kFloat) - expected;
            QVERIFY(steps.abs().max().item<float>() <= 1);
            QVERIFY(steps.ne(0).to(at::kFloat).mean().item<float>() < 0.01);
        }
        QVERIFY(!layer.state().empty());
    }

    // Law: one step of LoftQ begins with LQER's correction of round to nearest's error.
    void loftqBeginsAtLqer()
    {
        const at::Tensor w = normal({24, 20}, 0.05, 9);
        TrainedWeightOptions options = optionsOf(3, "fp32");
        options.rank = 6;
        options.alpha = 2;
        const GridParams params = fitGrid(w, options.grid);
        const at::Tensor error = w - gridValues(gridCodes(w, params, options.grid), params);
        const at::Tensor best = textbookCorrection(error, at::eye(20, at::kDouble), 6).t();
        std::vector<at::Tensor> scales;
        for (const char* init : {"lqer", "loftq"}) {
            options.init = init;
            const FakeQuantParts parts = trained(w, options).parts();
            scales.push_back(parts.scale.detach());
            const at::Tensor product =
                at::matmul(parts.left, parts.right).detach() * parts.factor * scales.back();
            QVERIFY2(relativeGap(product, best) < kCorrectionGap, init);
        }
        QVERIFY(!at::equal(scales[0], scales[1])); // LoftQ rounds what the product leaves
    }

    void trainingFollowsTheReference_data() { addRows("trainings"); }
    void trainingFollowsTheReference()
    {
        QFETCH(int, index);
        const Json& json = golden("trainings")[static_cast<std::size_t>(index)];
        TrainedWeightOptions options = optionsOf(json);
        options.kind = kindOf(json.at("kind").get<std::string>());
        options.grid.rangeNorm = 4;
        const TrainedWeight layer = trained(matrixOf(json.at("weight")), options);
        QVERIFY(relativeGap(layer.scale(), matrixOf(json.at("start"))) < kRoundingGap);
        if (json.contains("right")) {
            const at::NoGradGuard noGrad;
            tensorOf(layer, "right").copy_(matrixOf(json.at("right")));
        }
        std::vector<std::pair<std::string, at::Tensor>> learned;
        for (const LearnedTensor& tensor : layer.learned()) {
            learned.emplace_back(tensor.name, tensor.value);
        }
        AdamOptions adamOptions;
        adamOptions.beta2 = 0.95;
        Adam adam(learned, adamOptions);
        for (Adam::Entry& entry : adam.entries()) {
            entry.rate =
                json.at("rates").at(entry.name == "scale" ? "scale" : "other").get<double>();
            entry.decay = entry.name == "weight" ? json.at("decay").get<double>() : 0;
        }
        const at::Tensor x = matrixOf(json.at("x"));
        const at::Tensor target = matrixOf(json.at("target"));
        const auto loss = [&] { return (layer.linear(x) - target).square().mean(); };
        const auto losses = json.at("losses").get<std::vector<double>>();
        for (std::size_t step = 0; step < losses.size(); ++step) {
            const at::Tensor now = loss();
            QVERIFY(std::abs(now.item<double>() / losses[step] - 1) < kTrajectoryGap);
            now.backward();
            adam.step(json.at("factors")[step].get<double>());
        }
        QVERIFY(std::abs(loss().item<double>() / json.at("after").get<double>() - 1) <
                kTrajectoryGap);
        for (const LearnedTensor& tensor : layer.learned()) {
            const at::Tensor expected = matrixOf(json.at("final_" + tensor.name));
            QVERIFY(relativeGap(tensor.value.detach(), expected) < kTrajectoryGap);
        }
        const at::Tensor steps = layer.integers() - matrixOf(json.at("codes"));
        QVERIFY(steps.ne(0).to(at::kFloat).mean().item<float>() < 0.01);
    }

    // Law 1: without a product, phi fp32 and int, LSQ and PEQA are round to nearest, bit for bit.
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
            for (const TrainedKind kind :
                 {TrainedKind::LrQat, TrainedKind::Lsq, TrainedKind::Peqa}) {
                for (const char* phi : {"fp32", "int"}) {
                    TrainedWeightOptions options = optionsOf(bits, phi);
                    options.kind = kind;
                    const TrainedWeight layer = trained(w, options);
                    const GridParams params = fitGrid(w, options.grid);
                    const at::Tensor codes = gridCodes(w, params, options.grid);
                    QCOMPARE(difference(layer.values(), gridValues(codes, params)), std::string());
                    QCOMPARE(layer.moved(), (std::vector<double>{1, 0, 0}));
                }
            }
        }
    }

    // Law 1, fixed point: one level, and only where w / s is near a tie.
    void fixedPointDiffersNearTiesOnly()
    {
        const at::Tensor w = normal({64, 96}, 0.05, 9);
        for (const std::int64_t bits : {2, 3, 4, 7}) {
            const TrainedWeightOptions options = optionsOf(bits);
            const GridParams params = fitGrid(w, options.grid);
            const at::Tensor ratio = w / params.scale;
            const at::Tensor steps =
                trained(w, options).integers() - gridCodes(w, params, options.grid).to(at::kFloat);
            const at::Tensor moved = steps.ne(0);
            QVERIFY(steps.abs().max().item<float>() == 1);
            const at::Tensor tie = (ratio - ratio.floor() - 0.5).abs();
            QVERIFY(tie.masked_select(moved).max().item<double>() <=
                    std::exp2(static_cast<double>(bits - 9)) * 1.0001);
            // On the fixed-point grid both agree.
            const auto most = static_cast<double>(codeMax(options.grid));
            at::Tensor on = at::round(normal({64, 96}, most / 3, 4).clamp(-most, most) *
                                      std::exp2(static_cast<double>(8 - bits)));
            on.select(1, 0).fill_(most * std::exp2(static_cast<double>(8 - bits)));
            on *= std::exp2(-12.0);
            const at::Tensor onCodes =
                gridCodes(on, fitGrid(on, options.grid), options.grid).to(at::kFloat);
            QCOMPARE(difference(trained(on, options).integers(), onCodes), std::string());
        }
    }

    // Laws 2 and 7: what is stored is what was trained, bit for bit, inside the grid.
    void deployedIsWhatWasTrained_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<bool>("bf16");
        QTest::addColumn<qint64>("group");
        for (const char* method : {"fp32", "bf16", "fp16", "fixed8", "int", "lsq", "peqa"}) {
            for (const bool bf16 : {false, true}) {
                for (const qint64 group : {0, 8}) {
                    QTest::addRow("%s, bf16 products %d, group %lld", method, bf16, group)
                        << method << bf16 << group;
                }
            }
        }
    }
    void deployedIsWhatWasTrained()
    {
        QFETCH(QString, method);
        QFETCH(bool, bf16);
        QFETCH(qint64, group);
        const std::string name = method.toStdString();
        TrainedWeightOptions options = optionsOf(3, "int", group);
        options.kind = kindOf(name);
        if (options.kind == TrainedKind::LrQat) {
            options.phi = name;
        }
        options.compute = bf16 ? at::kBFloat16 : at::kFloat;
        options.grid.scaleDtype = at::kHalf;
        const at::Tensor w = normal({12, 24}, 0.05, 7);
        const TrainedWeight layer = trained(w, options);
        disturb(layer);
        const QuantizedLinear linear = layer.deployed(formatOf(options.grid));
        QCOMPARE(difference(linear.dequantizedCodes().to(options.compute), layer.values()),
                 std::string());
        const at::Tensor x = normal({9, 24}, 1, 8).to(options.compute);
        QCOMPARE(difference(at::linear(x, linear.dequantizedCodes().to(options.compute)),
                            layer.linear(x).detach()),
                 std::string());
        const bool learns = options.kind != TrainedKind::Peqa; // else nothing reaches -4
        QCOMPARE(linear.codes.min().item<int>(), learns ? -4 : -3);
        QCOMPARE(linear.codes.max().item<int>(), 3);
        QVERIFY(!linear.a.defined() && !linear.b.defined());
        QCOMPARE(storedBits(linear),
                 storedBits(roundToNearest("layer", w, formatOf(options.grid), options.grid)));
        const std::vector<double> moved = layer.moved();
        QVERIFY(std::abs(moved[0] + moved[1] + moved[2] - 1) < 1e-12);
        QCOMPARE(moved[2] > 0, learns);
    }

    // Law 5: the frozen part never changes; at rate 0 for the pair, training is PEQA's.
    void withoutThePairItIsPeqa()
    {
        const at::Tensor w = normal({10, 16}, 0.05, 3);
        const at::Tensor x = normal({30, 16}, 1, 4);
        const at::Tensor target = at::matmul(x, w.t());
        const auto run = [&](TrainedKind kind, const char* phi) {
            TrainedWeightOptions options = optionsOf(3, phi);
            options.kind = kind;
            TrainedWeight layer = trained(w, options);
            const at::Tensor frozen = layer.parts().frozen.stored().clone();
            Adam adam({{"scale", tensorOf(layer, "scale")}});
            for (int i = 0; i < 10; ++i) {
                (layer.linear(x) - target).square().mean().backward();
                adam.step(1e-3);
            }
            return std::tuple{layer.values(), layer.parts().frozen.stored(), frozen};
        };
        const auto [peqa, stays, frozen] = run(TrainedKind::Peqa, "int");
        QCOMPARE(difference(stays, frozen), std::string());
        for (const char* phi : {"int", "fp32"}) {
            const auto [values, after, before] = run(TrainedKind::LrQat, phi);
            QCOMPARE(difference(values, peqa), std::string());
            QCOMPARE(difference(after, before), std::string());
        }
        QVERIFY(!at::equal(peqa, trained(w, optionsOf(3, "int")).values()));
    }

    // Law 8: nothing of the size of the weight is kept beside the frozen part.
    void bytesPerWeight()
    {
        const at::Tensor w = normal({64, 128}, 0.05, 3);
        QCOMPARE(trained(w, optionsOf(4)).parameterCount(), 64 * 3 + 3 * 128 + 64);
        const auto bytes = [&](const char* phi, std::int64_t bits) {
            const TrainedWeight layer = trained(w, optionsOf(bits, phi));
            return static_cast<double>(layer.frozenBytes()) / static_cast<double>(w.numel());
        };
        QCOMPARE(bytes("fp32", 4), 4.0);
        QCOMPARE(bytes("bf16", 4), 2.0);
        QCOMPARE(bytes("fp16", 4), 2.0);
        QCOMPARE(bytes("fixed8", 4), 1.0);
        for (const std::int64_t bits : {2, 3, 4}) {
            QCOMPARE(bytes("int", bits), static_cast<double>(bits) / 8);
        }
    }

    // The frozen integers are those of round to nearest, and the pair begins between them and w.
    void correctionsBeginNearRoundToNearest()
    {
        const at::Tensor w = normal({24, 32}, 0.05, 3);
        for (const char* init : {"loftq", "lqer"}) {
            for (const char* phi : {"int", "fp32", "fixed8"}) {
                TrainedWeightOptions options = optionsOf(4, phi);
                options.init = init;
                options.grid.range = RangeSearch::LpNorm;
                const TrainedWeight layer = trained(w, options);
                const GridParams params{layer.scale(), at::zeros_like(layer.scale())};
                const at::Tensor nearest = gridCodes(w, params, options.grid).to(at::kFloat);
                const at::Tensor same = layer.integers().eq(nearest).to(at::kFloat);
                QVERIFY(same.mean().item<float>() > 0.95);
                layer.linear(normal({6, 32}, 1, 4)).square().sum().backward();
                for (const char* factor : {"left", "right"}) {
                    QVERIFY(tensorOf(layer, factor).grad().abs().max().item<float>() > 0);
                }
            }
        }
    }

    void sameSeedSameStart()
    {
        const at::Tensor w = normal({24, 32}, 0.05, 3);
        const auto right = [&](std::uint64_t seed) {
            return tensorOf(TrainedWeight("layer", w, optionsOf(4), nullptr, seed, {}), "right");
        };
        QVERIFY(at::equal(right(3), right(3)));
        QVERIFY(!at::equal(right(3), right(4)));
        QVERIFY(right(3).abs().max().item<float>() <= 1 / std::sqrt(32.0F));
    }

    void frozenScalesAreNotLearned()
    {
        TrainedWeightOptions options = optionsOf(4);
        options.learnScale = false;
        const TrainedWeight layer = trained(normal({24, 32}), options);
        QVERIFY(!tensorOf(layer, "scale").defined());
        layer.linear(normal({6, 32}, 1, 4)).sum().backward();
        QVERIFY(tensorOf(layer, "left").grad().defined());
        QVERIFY(!layer.parts().scale.grad().defined());
    }

    void rankIsCutToTheWeight()
    {
        TrainedWeightOptions options = optionsOf(4);
        options.rank = 100;
        QCOMPARE(tensorOf(trained(normal({24, 32}), options), "left").size(1), 24);
    }

    void wrongSettingsAreRefused_data()
    {
        QTest::addColumn<QString>("setting");
        QTest::addColumn<QString>("sentence");
        QTest::newRow("asym") << "asym"
                              << "symmetric grids";
        QTest::newRow("tensor") << "tensor"
                                << "a scale per row or group";
        QTest::newRow("phi") << "phi"
                             << "phi \"fixed4\" is not fp32";
        QTest::newRow("init") << "init"
                              << "init \"svd\" is not zero";
        QTest::newRow("rank") << "rank"
                              << "rank 0 is not 1 or more";
        QTest::newRow("bits") << "bits"
                              << "phi fixed8 keeps fractions";
        QTest::newRow("weight") << "weight"
                                << "not a finite number";
    }
    void wrongSettingsAreRefused()
    {
        QFETCH(QString, setting);
        QFETCH(QString, sentence);
        at::Tensor w = normal({8, 16});
        TrainedWeightOptions options = optionsOf(4);
        options.grid.sym = setting != QStringLiteral("asym");
        options.grid.groupSize = setting == QStringLiteral("tensor") ? -1 : 0;
        options.phi = setting == QStringLiteral("phi") ? "fixed4" : "fixed8";
        options.init = setting == QStringLiteral("init") ? "svd" : "zero";
        options.rank = setting == QStringLiteral("rank") ? 0 : 3;
        options.grid.bits = setting == QStringLiteral("bits") ? 8 : 4;
        if (setting == QStringLiteral("weight")) {
            w[1][2] = std::nanf("");
        }
        try {
            trained(w, options);
            QFAIL("nothing was thrown");
        } catch (const Error& problem) {
            QVERIFY2(QString::fromUtf8(problem.what()).contains(sentence), problem.what());
        }
    }

    void cancelIsObeyed()
    {
        std::stop_source stop;
        stop.request_stop();
        const RunContext run(stop.get_token(), {});
        TrainedWeightOptions options = optionsOf(4);
        options.grid.range = RangeSearch::LpNorm;
        QVERIFY_EXCEPTION_THROWN(TrainedWeight("layer", normal({8, 16}), options, nullptr, 1, run),
                                 Cancelled);
    }
};

QTEST_GUILESS_MAIN(TestTrainedWeight)
#include "tst_trained_weight.moc"
