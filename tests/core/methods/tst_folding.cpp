#include <filesystem>
#include <map>

#include <QtTest>

#include <ATen/ATen.h>

#include "base/error.h"
#include "methods/awq.h"
#include "methods/smooth_scale.h"
#include "model/safetensors.h"
#include "support/tensor_block_task.h"
#include "support/tensor_golden.h"
#include "support/tensor_model_files.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

namespace {
const std::filesystem::path kFolder = QW_GOLDEN_DIR "/folding";

const Json& golden()
{
    static const Json kGolden = readJsonFile(kFolder / "golden.json");
    return kGolden;
}

at::Tensor idsOf(const Json& rows)
{
    std::vector<at::Tensor> all;
    for (const Json& row : rows) {
        all.push_back(at::tensor(row.get<std::vector<std::int64_t>>(), at::kLong));
    }
    return at::stack(all);
}

at::Tensor someIds(std::int64_t windows = 3, std::int64_t seqlen = 16)
{
    return at::arange(windows * seqlen).mul(7).remainder(90).view({windows, seqlen}) + 4;
}

/// A block that scales are folded into.
struct Block : GoldenBlock {
    Block(const std::string& model, const at::Tensor& ids) : GoldenBlock(model, ids)
    {
        spec.method = "awq";
        spec.weight.bits = 3;
        spec.weight.groupSize = 8;
        spec.weight.scaleDtype = "f32";
    }
    std::vector<FoldGroup> groups() const
    {
        std::vector<LinearInfo> linears;
        std::set<std::string> quantized;
        for (const LinearWeights& linear : weights.linears) {
            linears.push_back(linear.info);
            quantized.insert(linear.info.name);
        }
        return foldGroups(linears, decoder.config(), quantized);
    }
};

/// Mean squared error of what judges a group's scale with these weights in their places: the output
/// of the attention for its queries, keys and values, of the MLP for its first linears, of the
/// layer itself for any other, and for OPT's fc1.
double errorWith(const Block& block, const FoldGroup& group,
                 const std::map<std::string, at::Tensor>& weights)
{
    const bool itself =
        group.source == FoldGroup::Source::Values || group.source == FoldGroup::Source::Up ||
        (group.source == FoldGroup::Source::MlpNorm && block.decoder.config().arch->id == "opt");
    const auto judges = [&](const LinearInfo& linear) {
        return itself ? linear.name == group.layers.front()
               : group.source == FoldGroup::Source::AttentionNorm
                   ? linear.role == LinearRole::AttentionOut
                   : linear.role == LinearRole::Down;
    };
    const auto outputOf = [&](bool replaced) {
        at::Tensor output;
        BlockHooks hooks;
        hooks.linear = [&](const LinearWeights& linear, const at::Tensor& x) {
            const auto found = weights.find(linear.info.name);
            at::Tensor y = at::linear(
                x, replaced && found != weights.end() ? found->second : linear.weight, linear.bias);
            if (judges(linear.info)) {
                output = y.to(at::kDouble);
            }
            return y;
        };
        block.decoder.forwardBlock(block.weights, block.inputs.load(0, block.inputs.windows()),
                                   hooks);
        return output;
    };
    return (outputOf(true) - outputOf(false)).square().mean().item<double>();
}

/// Weights times scale, rounded to nearest and divided by it again. @param scale  undefined: by 1
std::map<std::string, at::Tensor> roundedScaled(const Block& block, const FoldGroup& group,
                                                const at::Tensor& scale)
{
    GridOptions grid;
    grid.bits = block.spec.weight.bits;
    grid.groupSize = block.spec.weight.groupSize;
    std::map<std::string, at::Tensor> weights;
    for (const std::string& name : group.layers) {
        const auto own =
            std::find_if(block.weights.linears.begin(), block.weights.linears.end(),
                         [&](const LinearWeights& linear) { return linear.info.name == name; });
        const at::Tensor w = scale.defined() ? own->weight * scale : own->weight;
        const GridParams params = fitGrid(w, grid);
        const at::Tensor values = gridValues(gridCodes(w, params, grid), params);
        weights[name] = scale.defined() ? values / scale : values;
    }
    return weights;
}

const std::vector<const char*> kModels = {
    "llama",         "mistral_window", "qwen2_window",  "qwen3",           "opt",
    "opt_post_norm", "gpt2",           "neox_parallel", "neox_sequential", "llama_bias_head_dim"};
} // namespace

class TestFolding : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void awqFollowsTheReference_data()
    {
        QTest::addColumn<int>("index");
        for (std::size_t i = 0; i < golden().at("awq").size(); ++i) {
            const auto model = golden().at("awq")[i].at("model").get<std::string>();
            QTest::newRow(model.c_str()) << static_cast<int>(i);
        }
    }
    void awqFollowsTheReference()
    {
        QFETCH(int, index);
        const Json& one = golden().at("awq")[static_cast<std::size_t>(index)];
        const auto model = one.at("model").get<std::string>();
        Block block(model, idsOf(one.at("ids")));
        block.spec.weight.bits = one.at("bits").get<std::int64_t>();
        block.spec.weight.groupSize = one.at("group").get<std::int64_t>();
        const AwqChoices found = chooseAwq(block.task(), block.groups(), [](std::int64_t) {}, {});
        QCOMPARE(found.scales.size(), one.at("groups").size());
        for (const Json& group : one.at("groups")) {
            const ScaleChoice& choice =
                found.scales.at(group.at("input_group").get<std::int64_t>());
            QCOMPARE(choice.ratio, group.at("ratio").get<double>());
            const at::Tensor scale =
                at::tensor(group.at("scale").get<std::vector<double>>(), at::kFloat);
            QVERIFY(relativeGap(choice.scale, scale) < kFoldedGap);
            const auto errors = group.at("errors").get<std::vector<double>>();
            QVERIFY(std::abs(choice.unscaledError / errors.front() - 1) < kSearchedErrorGap);
            QVERIFY(std::abs(choice.error / *std::min_element(errors.begin(), errors.end()) - 1) <
                    kSearchedErrorGap);
        }
        QCOMPARE(found.bounds.size(), one.at("bounds").size());
        for (const auto& [layer, bounds] : found.bounds) {
            const at::Tensor expected = matrixOf(one.at("bounds").at(layer));
            const at::Tensor gap = (bounds - expected).abs() / expected.abs().clamp_min(1e-12);
            // A bound is one of ten, the next is 5 % off; two may be as good but for a last digit.
            const auto other = (gap > kFoldedGap).sum().item<std::int64_t>();
            QVERIFY2(other <= expected.numel() / 50,
                     qPrintable(QStringLiteral("%1: %2 of %3 bounds")
                                    .arg(layer.c_str())
                                    .arg(other)
                                    .arg(expected.numel())));
        }
        const BlockOutcome outcome = block.quantize();
        compareFolded(outcome, block, "awq_" + model);
        std::map<std::string, double> ratios; // as the result tells them
        for (const LinearWeights& linear : block.weights.linears) {
            if (const auto group = found.scales.find(linear.info.inputGroup);
                group != found.scales.end()) {
                ratios[linear.info.name] = group->second.ratio;
            }
        }
        QVERIFY(outcome.result.awqRatios == ratios);
    }

    void smoothQuantFollowsTheReference_data()
    {
        QTest::addColumn<int>("index");
        for (std::size_t i = 0; i < golden().at("smooth").size(); ++i) {
            const auto model = golden().at("smooth")[i].at("model").get<std::string>();
            QTest::newRow(model.c_str()) << static_cast<int>(i);
        }
    }
    void smoothQuantFollowsTheReference()
    {
        QFETCH(int, index);
        const Json& one = golden().at("smooth")[static_cast<std::size_t>(index)];
        const auto model = one.at("model").get<std::string>();
        Block block(model, idsOf(one.at("ids")));
        block.spec.method = "smoothquant";
        // The family's own strength, without being told.
        QCOMPARE(smoothAlpha(block.spec, block.decoder.config()), one.at("alpha").get<double>());
        compareFolded(block.quantize(), block, "smooth_" + model);
    }

    // Law: folding leaves the function as it was.
    void foldingChangesNothing_data()
    {
        QTest::addColumn<QString>("model");
        QTest::addColumn<QString>("method");
        for (const char* model : kModels) {
            for (const char* method : {"awq", "smoothquant"}) {
                QTest::addRow("%s, %s", model, method) << model << method;
            }
        }
    }
    void foldingChangesNothing()
    {
        QFETCH(QString, model);
        QFETCH(QString, method);
        Block block(model.toStdString(), someIds());
        block.spec.method = method.toStdString();
        const BlockOutcome outcome = block.quantize();
        const bool postNorm = model == QStringLiteral("opt_post_norm");
        QCOMPARE(outcome.replaced.empty(), postNorm && method == QStringLiteral("smoothquant"));
        const BlockWeights folded = block.folded(outcome);
        const at::Tensor made = block.decoder.forwardBlock(folded, block.inputs.load(0, 3));
        QVERIFY(relativeGap(made, block.targets.load(0, 3)) < kFoldedFunctionGap);
        // And what it replaces is what was said before.
        std::int64_t bytes = 0;
        for (const auto& [name, tensor] : outcome.replaced) {
            bytes += static_cast<std::int64_t>(tensor.nbytes());
        }
        std::vector<LinearInfo> linears;
        std::set<std::string> quantized;
        for (const LinearWeights& linear : block.weights.linears) {
            linears.push_back(linear.info);
            quantized.insert(linear.info.name);
        }
        QCOMPARE(dynamic_cast<const BlockMethod&>(findMethod(block.spec.method))
                     .replacedBytes(linears, block.decoder.config(), quantized),
                 bytes);
    }

    // Law: ratio 0 is round to nearest, so the best is never worse, both measured here once more;
    // and the whole helps.
    void searchedErrorIsNeverAboveRoundToNearest_data()
    {
        QTest::addColumn<QString>("model");
        for (const char* model : kModels) {
            QTest::newRow(model) << model;
        }
    }
    void searchedErrorIsNeverAboveRoundToNearest()
    {
        QFETCH(QString, model);
        const Block block(model.toStdString(), someIds());
        const AwqChoices found = chooseAwq(block.task(), block.groups(), [](std::int64_t) {}, {});
        QVERIFY(!found.scales.empty());
        bool scaled = false;
        for (const FoldGroup& group : block.groups()) {
            const auto choice = found.scales.find(group.inputGroup);
            if (choice == found.scales.end()) {
                continue;
            }
            const double nearest = errorWith(block, group, roundedScaled(block, group, {}));
            const double best =
                errorWith(block, group, roundedScaled(block, group, choice->second.scale));
            const std::string seen =
                message(problemOf(group), nearest, ", ", best, " and not ",
                        choice->second.unscaledError, ", ", choice->second.error);
            QVERIFY2(std::abs(choice->second.unscaledError / nearest - 1) < kSearchedErrorGap,
                     seen.c_str());
            QVERIFY2(std::abs(choice->second.error / best - 1) < kSearchedErrorGap, seen.c_str());
            QVERIFY2(best <= nearest * (1 + kSearchedErrorGap), seen.c_str());
            scaled = scaled || best < 0.99 * nearest;
        }
        QVERIFY(scaled);
        const BlockOutcome outcome = block.quantize();
        QVERIFY(block.errorAfter(outcome) < outcome.result.errorBefore);
    }

    void oneRatioWithoutCutsIsRoundToNearest()
    {
        Block block("opt", someIds());
        block.spec.awq = {1, "none"};
        const BlockOutcome outcome = block.quantize();
        QCOMPARE(block.errorAfter(outcome), outcome.result.errorBefore);
        const auto& rtn = dynamic_cast<const LayerMethod&>(findMethod("rtn"));
        for (std::size_t i = 0; i < outcome.layers.size(); ++i) {
            const LayerOutcome nearest = rtn.quantize(block.task().layers[i], {});
            QVERIFY(at::equal(outcome.layers[i].linear.codes, nearest.linear.codes));
        }
    }

    void clipNeverLosesOnItsTokens()
    {
        const at::Tensor w = normal({20, 48}, 0.05, 3);
        const at::Tensor x = normal({64, 48}, 1, 4) * normal({48}, 1, 5).exp();
        GridOptions grid;
        grid.bits = 2;
        grid.groupSize = 16;
        const at::Tensor bounds = searchClip(w, x, grid, {});
        QCOMPARE(bounds.sizes().vec(), (std::vector<std::int64_t>{20, 3}));
        const at::Tensor cut = clipped(w, bounds);
        const auto errors = [&](const at::Tensor& v) { // of each group's part of the outputs
            const at::Tensor d =
                (gridValues(gridCodes(v, fitGrid(v, grid), grid), fitGrid(v, grid)) - w)
                    .view({20, 3, 16});
            return at::einsum("ogi,tgi->tog", {d, x.view({64, 3, 16})}).square().mean(0);
        };
        QVERIFY((errors(cut) <= errors(w) * (1 + kSearchedErrorGap)).all().item<bool>());
        QVERIFY((bounds < w.view({20, 3, 16}).abs().amax(2)).any().item<bool>());
    }

    void groupsThatStayAreTold_data()
    {
        QTest::addColumn<QString>("model");
        QTest::addColumn<QString>("skip");
        QTest::addColumn<QString>("said");
        QTest::newRow("grouped queries")
            << "llama"
            << ""
            << "o_proj: inputs not scaled in any block; v_proj has another shape";
        QTest::newRow("GELU") << "gpt2"
                              << ""
                              << "c_proj: inputs not scaled in any block; GELU";
        QTest::newRow("no norm before") << "opt_post_norm"
                                        << ""
                                        << "q_proj, k_proj, v_proj: inputs";
        QTest::newRow("one of a group")
            << "llama"
            << "gate_proj"
            << "model.layers.0.mlp.gate_proj, model.layers.0.mlp.up_proj: inputs not scaled; "
               "gate_proj is not quantized";
        QTest::newRow("what makes the inputs")
            << "llama"
            << "up_proj"
            << "down_proj: inputs not scaled; up_proj is not quantized";
    }
    void groupsThatStayAreTold()
    {
        QFETCH(QString, model);
        QFETCH(QString, skip);
        QFETCH(QString, said);
        Block block(model.toStdString(), someIds());
        if (!skip.isEmpty()) {
            LayerOverride entry;
            entry.pattern = skip.toStdString();
            entry.skip = true;
            block.spec.overrides = {entry};
        }
        const BlockOutcome outcome = block.quantize();
        const bool found = std::any_of(
            outcome.substitutions.begin(), outcome.substitutions.end(),
            [&](const std::string& s) { return s.find(said.toStdString()) != std::string::npos; });
        QVERIFY2(found,
                 outcome.substitutions.empty() ? "nothing" : outcome.substitutions.front().c_str());
        // What stays in full precision still gets what it was made for.
        const at::Tensor made =
            block.decoder.forwardBlock(block.folded(outcome), block.inputs.load(0, 3));
        QVERIFY(relativeGap(made, block.targets.load(0, 3)) < kFoldedFunctionGap);
    }

    void statisticsOfScaledInputs()
    {
        StatisticsNeeds needs;
        needs.meanAbs = needs.meanSquare = needs.autocorrelation = needs.range = true;
        const at::Tensor scale = normal({24}, 0.5, 7).exp();
        InputStatistics plain(24, needs);
        InputStatistics divided(24, needs);
        for (const std::int64_t seed : {1, 2}) {
            const at::Tensor x = normal({30, 24}, 1, seed);
            plain.add(x);
            divided.add(x / scale);
        }
        plain.divideBy(scale);
        QVERIFY(relativeGap(plain.meanAbs(), divided.meanAbs()) < kStatisticGap * 2);
        QVERIFY(relativeGap(plain.scaleMeanAbs(true), divided.scaleMeanAbs(true)) <
                kStatisticGap * 2);
        QVERIFY(relativeGap(plain.scaleRms(false), divided.scaleRms(false)) < kStatisticGap * 2);
        QVERIFY(relativeGap(plain.meanSquare(), divided.meanSquare()) < kStatisticGap * 2);
        QVERIFY(relativeGap(plain.largest(), divided.largest()) < kStatisticGap);
        QCOMPARE(plain.lowest(), divided.lowest());
        QCOMPARE(plain.highest(), divided.highest());
        QVERIFY(relativeGap(plain.autocorrelation(), divided.autocorrelation()) <
                kAutocorrelationGap);
    }

    void impossibleSettingsAreRefused()
    {
        const auto refusal = [](const RunSpec& spec) {
            return sentenceOf(
                [&] { dynamic_cast<const BlockMethod&>(findMethod("awq")).check(spec); });
        };
        RunSpec spec;
        QVERIFY(refusal(spec).empty());
        spec.weight.range = "lrq";
        QVERIFY(refusal(spec).find("weight.range lrq does not go with awq") != std::string::npos);
        spec.weight = {};
        spec.weight.format = "mxint";
        QVERIFY(refusal(spec).find("integer grids") != std::string::npos);
        spec.weight = {};
        spec.weight.groupSize = kPerTensor;
        QVERIFY(refusal(spec).find("scale per row") != std::string::npos);
    }

private:
    static void compareFolded(const BlockOutcome& outcome, const Block& block,
                              const std::string& file)
    {
        const SafetensorsFile expected(kFolder / (file + ".safetensors"));
        std::size_t seen = 0;
        for (const auto& [name, tensor] : outcome.replaced) {
            QVERIFY2(relativeGap(tensor, expected.borrow(name)) < kFoldedGap, name.c_str());
            ++seen;
        }
        for (const LayerOutcome& layer : outcome.layers) {
            if (layer.fold.defined()) {
                const std::string name = layer.linear.name + ".weight";
                const auto own = std::find_if(
                    block.weights.linears.begin(), block.weights.linears.end(),
                    [&](const LinearWeights& l) { return l.info.name == layer.linear.name; });
                const at::Tensor weight = layer.fold.apply(own->weight);
                QVERIFY2(relativeGap(weight, expected.borrow(name)) < kFoldedGap, name.c_str());
                ++seen;
            }
        }
        QCOMPARE(seen, expected.entries().size());
    }
};

QTEST_GUILESS_MAIN(TestFolding)
#include "tst_folding.moc"
