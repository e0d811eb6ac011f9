#include "methods/fake_quant.h"

#include <map>

#include <QtTest>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/error.h"
#include "methods/fake_quant_kernels.h"
#include "quant/packing.h"
#include "support/tensor_golden.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

Q_DECLARE_METATYPE(at::ScalarType)

namespace {
const Json& golden()
{
    static const Json kGolden = readJsonFile(QW_GOLDEN_DIR "/qat.json");
    return kGolden.at("cases");
}

GridOptions symmetric(std::int64_t bits, std::int64_t groupSize = 0)
{
    GridOptions grid;
    grid.bits = bits;
    grid.groupSize = groupSize;
    grid.sym = true;
    return grid;
}

at::Tensor ratioOf(const at::Tensor& weight, const at::Tensor& scale)
{
    return (weight.view({scale.size(0), scale.size(1), -1}) / scale.unsqueeze(2)).view_as(weight);
}

at::Tensor leaf(const at::Tensor& x)
{
    return x.clone().set_requires_grad(true);
}

/// A golden case as tensors that require gradients.
struct Case {
    at::Tensor x, gradient;
    FakeQuantParts parts;

    explicit Case(const Json& json)
        : x(leaf(matrixOf(json.at("x")))), gradient(matrixOf(json.at("gradient")))
    {
        const at::Tensor weight = matrixOf(json.at("weight"));
        parts.grid = symmetric(json.at("bits").get<std::int64_t>());
        parts.frozen = FrozenWeight(ratioOf(weight, matrixOf(json.at("start"))),
                                    phiFromName(json.at("phi").get<std::string>()), parts.grid);
        parts.scale = leaf(matrixOf(json.at("scale")));
        if (json.contains("left")) {
            parts.left = leaf(matrixOf(json.at("left")));
            parts.right = leaf(matrixOf(json.at("right")));
            parts.factor = json.at("alpha").get<double>() / json.at("rank").get<double>();
        }
        if (json.at("kind").get<std::string>() == "lsq") {
            parts.weight = leaf(weight);
        }
    }
    /// Name in the golden file and tensor.
    std::vector<std::pair<std::string, at::Tensor>> leaves() const
    {
        std::vector<std::pair<std::string, at::Tensor>> all = {{"d_x", x}};
        for (const auto& [name, part] :
             {std::pair{"d_scale", parts.scale}, std::pair{"d_left", parts.left},
              std::pair{"d_right", parts.right}, std::pair{"d_weight", parts.weight}}) {
            if (part.defined()) {
                all.emplace_back(name, part);
            }
        }
        return all;
    }
    /// Of y, through fakeQuantLinear() or by plain operations.
    at::Tensor output(bool fused) const
    {
        const at::Tensor input = x.to(parts.compute);
        return (fused ? fakeQuantLinear(input, parts) : at::linear(input, plainFakeQuant(parts)))
            .to(at::kFloat);
    }
    std::vector<at::Tensor> gradients(bool fused) const
    {
        (output(fused) * gradient).sum().backward();
        std::vector<at::Tensor> all;
        for (auto& [name, tensor] : leaves()) {
            all.push_back(tensor.grad().clone());
            tensor.mutable_grad().reset();
        }
        return all;
    }
};

const Json& caseNamed(const char* name)
{
    return namedCase(golden(), name);
}

void addGoldenRows()
{
    QTest::addColumn<int>("index");
    for (std::size_t i = 0; i < golden().size(); ++i) {
        QTest::newRow(golden()[i].at("name").get<std::string>().c_str()) << static_cast<int>(i);
    }
}
} // namespace

class TestFakeQuant : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void valueFollowsTheFormula_data() { addGoldenRows(); }
    void valueFollowsTheFormula()
    {
        QFETCH(int, index);
        const Json& json = golden()[static_cast<std::size_t>(index)];
        const Case one(json);
        const at::Tensor value = matrixOf(json.at("value"));
        QVERIFY(relativeGap(fakeQuant(one.parts, false), value) < kRoundingGap);
        QVERIFY(relativeGap(plainFakeQuant(one.parts).detach(), value) < kRoundingGap);
        QCOMPARE(difference(fakeQuant(one.parts, true), matrixOf(json.at("code"))), std::string());
        for (const bool fused : {true, false}) {
            QVERIFY(relativeGap(one.output(fused).detach(), matrixOf(json.at("y"))) < kRegroupGap);
        }
    }

    void gradientsFollowTheFormula_data() { addGoldenRows(); }
    void gradientsFollowTheFormula()
    {
        QFETCH(int, index);
        const Json& json = golden()[static_cast<std::size_t>(index)];
        const Case one(json);
        for (const bool fused : {true, false}) {
            const std::vector<at::Tensor> found = one.gradients(fused);
            for (std::size_t i = 0; i < found.size(); ++i) {
                const std::string name = one.leaves()[i].first;
                const double gap = relativeGap(found[i], matrixOf(json.at(name)));
                QVERIFY2(gap < kRoundingGradientGap,
                         qPrintable(QStringLiteral("%1, fused %2: %3")
                                        .arg(QString::fromStdString(name))
                                        .arg(fused)
                                        .arg(gap)));
            }
        }
    }

    void frozenPartIsStoredAsThePaperSays_data() { addGoldenRows(); }
    void frozenPartIsStoredAsThePaperSays()
    {
        QFETCH(int, index);
        const Json& json = golden()[static_cast<std::size_t>(index)];
        const FrozenWeight frozen = Case(json).parts.frozen;
        const at::Tensor expected = matrixOf(json.at("stored"));
        const std::int64_t bits = json.at("bits").get<std::int64_t>();
        const std::int64_t rows = expected.size(0);
        const std::int64_t columns = expected.size(1);
        if (frozen.phi() == Phi::Int) {
            QCOMPARE(difference(unpackCodes(frozen.stored(), columns, bits, true).to(at::kFloat),
                                expected),
                     std::string());
            QCOMPARE(frozen.bytes(), rows * ((columns * bits + 7) / 8));
            QCOMPARE(difference(frozen.decoded(), expected), std::string());
            return;
        }
        QCOMPARE(difference(frozen.stored().to(at::kFloat), expected), std::string());
        const std::map<Phi, std::int64_t> bytes = {
            {Phi::Float32, 4}, {Phi::BFloat16, 2}, {Phi::Float16, 2}, {Phi::Fixed8, 1}};
        QCOMPARE(frozen.bytes(), rows * columns * bytes.at(frozen.phi()));
    }

    void kernelsAreThePlainOperations_data()
    {
        QTest::addColumn<QString>("phi");
        QTest::addColumn<int>("bits");
        QTest::addColumn<at::ScalarType>("compute");
        const std::vector<std::string> phis = {"fp32", "bf16", "fp16", "fixed8", "int", "lsq"};
        for (const std::string& phi : phis) {
            for (const int bits : {2, 3, 4, 5, 7, 8}) {
                for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
                    if (phi != "fixed8" || bits < 8) {
                        QTest::newRow(message(phi, ", ", bits, " bits, ", compute).c_str())
                            << QString::fromStdString(phi) << bits << compute;
                    }
                }
            }
        }
    }
    void kernelsAreThePlainOperations()
    {
        QFETCH(QString, phi);
        QFETCH(int, bits);
        QFETCH(at::ScalarType, compute);
        const bool lsq = phi == QStringLiteral("lsq");
        const at::Tensor weight = normal({37, 45}, 0.05, 3);
        Case one(golden()[0]);
        one.x = leaf(normal({11, 45}, 1, 5));
        one.gradient = normal({11, 37}, 1, 6).to(compute).to(at::kFloat);
        FakeQuantParts& p = one.parts;
        p.grid = symmetric(bits, 15);
        p.compute = compute;
        const at::Tensor start = fitGrid(weight, p.grid).scale;
        p.frozen = FrozenWeight(ratioOf(weight, start),
                                lsq ? Phi::Int : phiFromName(phi.toStdString()), p.grid);
        p.scale = leaf(start * 0.9);
        p.left = lsq ? at::Tensor() : leaf(normal({37, 3}, 2, 7));
        p.right = lsq ? at::Tensor() : leaf(normal({3, 45}, 1, 8));
        p.weight = lsq ? leaf(weight) : at::Tensor();
        QCOMPARE(difference(fakeQuant(p, false), plainFakeQuant(p).detach()), std::string());
        QCOMPARE(difference(one.output(true).detach(), one.output(false).detach()), std::string());
        const std::vector<at::Tensor> fused = one.gradients(true);
        const std::vector<at::Tensor> plain = one.gradients(false);
        const double most = compute == at::kFloat ? kRoundingGradientGap : kBfloat16GradientGap;
        for (std::size_t i = 0; i < fused.size(); ++i) {
            const double gap = relativeGap(fused[i], plain[i]);
            QVERIFY2(gap < most, qPrintable(QString::fromStdString(one.leaves()[i].first) +
                                            QString::number(gap)));
        }
    }

    // Law 3: what is kept for the gradient is enough; doing plain operations again changes no bit.
    void recomputingChangesNothing()
    {
        const Case one(caseNamed("fixed8, 3 bits, groups"));
        const std::vector<at::Tensor> kept = one.gradients(false);
        const at::Tensor y = plainFakeQuantLinear(one.x, one.parts);
        QCOMPARE(difference(y.detach(), one.output(false).detach()), std::string());
        (y * one.gradient).sum().backward();
        for (std::size_t i = 0; i < kept.size(); ++i) {
            QCOMPARE(difference(one.leaves()[i].second.grad(), kept[i]), std::string());
        }
    }

    // Law 4: the loss is smooth in the scales where nothing is rounded anew.
    void gradientOfTheScaleIsTheSlope()
    {
        Case one(caseNamed("int, 4 bits, groups"));
        const auto loss = [&] { return (one.output(true) * one.gradient).sum(); };
        loss().backward();
        const at::Tensor slope = one.parts.scale.grad();
        const at::Tensor middle = one.parts.scale.detach().clone();
        for (std::int64_t i = 0; i < middle.numel(); ++i) {
            const at::NoGradGuard noGrad;
            at::Tensor at = one.parts.scale.view(-1)[i];
            const float size = middle.view(-1)[i].item<float>() / 16;
            at.add_(size);
            const double above = loss().item<double>();
            at.sub_(2 * size);
            const double below = loss().item<double>();
            at.add_(size);
            const double expected = slope.view(-1)[i].item<double>();
            QVERIFY(std::abs((above - below) / (2 * size) - expected) <
                    kSlopeGap * slope.abs().max().item<double>());
        }
    }

    // Law 6: the factor enters once.
    void factorEntersOnce()
    {
        const Case one(caseNamed("fp32, 4 bits"));
        const at::Tensor before = fakeQuant(one.parts, true);
        FakeQuantParts other = one.parts;
        other.factor *= 4;
        other.left = other.left.detach() / 4;
        QCOMPARE(difference(fakeQuant(other, true), before), std::string());
        other.factor *= 2;
        QVERIFY(!at::equal(fakeQuant(other, true), before));
    }

    void scalesAreThoseThatAreStored()
    {
        Case one(caseNamed("LSQ, 3 bits"));
        one.parts.grid.scaleDtype = at::kHalf;
        const at::Tensor stored = storedScale(one.parts).detach();
        QCOMPARE(difference(stored, one.parts.scale.detach().to(at::kHalf).to(at::kFloat)),
                 std::string());
        QVERIFY(!at::equal(stored, one.parts.scale.detach()));
        const at::Tensor integers = fakeQuant(one.parts, true);
        QCOMPARE(difference(fakeQuant(one.parts, false), integers * stored), std::string());
    }

    void scalesBelowTheFloorHaveNoGradient()
    {
        Case one(caseNamed("PEQA, 4 bits"));
        {
            const at::NoGradGuard noGrad;
            one.parts.scale[2].fill_(1e-9F);
        }
        QCOMPARE(storedScale(one.parts)[2].item<float>(), 1e-8F);
        for (const bool fused : {true, false}) {
            const at::Tensor gradient = one.gradients(fused)[1];
            QCOMPARE(gradient[2].item<float>(), 0.0F);
            QVERIFY(gradient[3].item<float>() != 0.0F);
        }
    }

    void everyProcessorGivesTheSameValues() // and every number of threads
    {
        const at::Tensor weight = normal({23, 77}, 0.05, 3);
        const at::Tensor scale = normal({23, 7}, 0.001, 4).abs() + 0.01;
        const at::Tensor product = normal({23, 77}, 1, 5);
        const at::Tensor gradient = normal({23, 77}, 1, 6);
        for (const Phi phi : {Phi::Float32, Phi::BFloat16, Phi::Float16, Phi::Fixed8, Phi::Int}) {
            const FrozenWeight frozen(ratioOf(weight, scale), phi, symmetric(3));
            FakeQuantArguments<float> a;
            a.rows = 23;
            a.groups = 7;
            a.width = 11;
            a.phi = phi;
            a.bits = 3;
            a.frozen = frozen.stored().data_ptr();
            a.product = product.data_ptr<float>();
            a.scale = scale.data_ptr<float>();
            a.low = -4;
            a.high = 3;
            a.factor = 0.5;
            const auto on = [&](Simd simd) {
                const at::Tensor values = at::empty_like(weight);
                const at::Tensor back = gradient.clone();
                const at::Tensor scales = at::empty_like(scale);
                fakeQuant(a, false, values.data_ptr<float>(), simd);
                fakeQuantBackward(a, back.data_ptr<float>(), scales.data_ptr<float>(), simd);
                return std::pair{values, back};
            };
            const auto [values, back] = on(Simd::Baseline);
            for (const Simd simd : {Simd::Avx2, Simd::Avx512}) {
                if (simd <= bestSimd()) {
                    QCOMPARE(difference(on(simd).first, values), std::string());
                    QCOMPARE(difference(on(simd).second, back), std::string());
                }
            }
            at::set_num_threads(3);
            const auto [together, backTogether] = on(bestSimd());
            at::set_num_threads(1);
            QCOMPARE(difference(together, values), std::string());
            QCOMPARE(difference(backTogether, back), std::string());
        }
    }

    void inputsOfAnotherTypeAreRefused()
    {
        const Case one(golden()[0]);
        QVERIFY_EXCEPTION_THROWN(fakeQuantLinear(one.x.to(at::kBFloat16), one.parts), Error);
    }

    void unknownPhiIsRefused()
    {
        QVERIFY_EXCEPTION_THROWN(phiFromName("fixed4"), Error);
        QVERIFY_EXCEPTION_THROWN(FrozenWeight(normal({4, 8}), Phi::Fixed8, symmetric(8)), Error);
    }
};

QTEST_GUILESS_MAIN(TestFakeQuant)
#include "tst_fake_quant.moc"
