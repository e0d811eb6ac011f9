#include "run/trainable_model.h"

#include <cmath>
#include <stop_token>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <QtTest>

#include "base/error.h"
#include "eval/next_token_loss.h"
#include "methods/method.h"
#include "methods/settings.h"
#include "support/tensor_golden.h"
#include "support/tensor_quantizers.h"

using namespace qw;
using namespace qw::test;

namespace {
RunSpec specOf(const std::string& method, const std::string& points = "linear")
{
    RunSpec spec;
    spec.method = method;
    spec.weight = usualWeight(method);
    spec.weight.bits = 3;
    spec.weight.groupSize = kPerChannel;
    spec.weight.scaleDtype = "f32"; // smooth in the scales
    spec.activation.points = points;
    spec.training.compute = "f32";
    return spec;
}

/// All layers of a golden model under training.
struct Trained {
    explicit Trained(const std::string& name, const RunSpec& asked)
        : spec(asked), golden(goldenModel(name)), checkpoint(golden.folder), decoder(checkpoint),
          model(decoder, spec), ids(golden.ids.narrow(0, 0, 1).repeat({2, 1}))
    {
        const auto& method = dynamic_cast<const ModelMethod&>(findMethod(spec.method));
        for (std::int64_t i = 0; i < decoder.blockCount(); ++i) {
            BlockWeights block = decoder.loadBlock(i);
            std::vector<std::unique_ptr<TrainedWeight>> learned;
            for (const LinearWeights& linear : block.linears) {
                originals.emplace_back(linear.info.name,
                                       linear.weight.storage().getWeakStorageImpl());
                LayerTask task;
                task.name = linear.info.name;
                task.weight = linear.weight;
                task.settings = settingsFor(spec, linear.info.name);
                task.spec = &spec;
                task.seed = learned.size() + 1;
                if (!task.settings.skip) {
                    learned.push_back(method.begin(task, 4, {}));
                }
            }
            model.add(std::move(block), std::move(learned));
        }
    }
    /// Moves every learned tensor away from its start.
    void disturb() const
    {
        const at::NoGradGuard noGrad;
        std::uint64_t seed = 1;
        for (const TrainedWeight* weight : model.weights()) {
            for (const LearnedTensor& tensor : weight->learned()) {
                const bool scale = tensor.group == LearnedTensor::Group::Scale;
                tensor.value.mul_(1 + normal(tensor.value.sizes(), scale ? 0.05 : 0.3, ++seed));
                if (!scale) { // a factor may begin at zero
                    tensor.value.add_(normal(tensor.value.sizes(), 0.02, ++seed));
                }
            }
        }
    }
    double predictions() const { return static_cast<double>(ids.size(0) * (ids.size(1) - 1)); }
    std::vector<at::Tensor> gradients(const RunContext& run = {})
    {
        model.addGradients(ids, 1 / predictions(), run);
        std::vector<at::Tensor> all;
        for (const TrainedWeight* weight : model.weights()) {
            for (const LearnedTensor& tensor : weight->learned()) {
                all.push_back(tensor.value.grad());
            }
        }
        return all;
    }

    RunSpec spec;
    GoldenModel golden;
    Checkpoint checkpoint;
    Decoder decoder;
    TrainableModel model;
    at::Tensor ids;
    /// Name and memory of each weight as the block was loaded.
    std::vector<std::pair<std::string, c10::weak_intrusive_ptr<c10::StorageImpl>>> originals;
};

void addModels()
{
    QTest::addColumn<QString>("name");
    for (const std::string& name : goldenModelNames()) {
        QTest::newRow(name.c_str()) << QString::fromStdString(name);
    }
}
} // namespace

class TestTrainableModel : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase() { at::set_num_threads(1); }

    void runningBlocksAgainChangesNoBit_data() { addModels(); }
    void runningBlocksAgainChangesNoBit()
    {
        QFETCH(QString, name);
        for (const char* points : {"linear", "a8kv4"}) {
            RunSpec spec = specOf("lr-qat", points);
            spec.overrides = {{"\\.1\\..*(down|fc2|c_proj|4h_to_h)", {}, {}, {}, true}};
            Trained again(name.toStdString(), spec);
            spec.training.recompute = false;
            Trained kept(name.toStdString(), spec);
            again.disturb();
            kept.disturb();
            const std::vector<at::Tensor> a = again.gradients();
            const std::vector<at::Tensor> b = kept.gradients();
            QCOMPARE(a.size(), b.size());
            for (std::size_t i = 0; i < a.size(); ++i) {
                QVERIFY(a[i].abs().max().item<float>() > 0);
                QVERIFY(at::equal(a[i], b[i]));
            }
        }
    }

    /// No rounding depends on a scale once training has begun: the loss is smooth in it.
    void gradientsOfScalesAreDifferences_data()
    {
        QTest::addColumn<QString>("method");
        QTest::newRow("lr-qat") << "lr-qat";
        QTest::newRow("peqa") << "peqa";
    }
    void gradientsOfScalesAreDifferences()
    {
        QFETCH(QString, method);
        Trained trained("llama", specOf(method.toStdString()));
        trained.disturb();
        trained.gradients();
        for (const TrainedWeight* weight : trained.model.weights()) {
            for (const LearnedTensor& tensor : weight->learned()) {
                if (tensor.group != LearnedTensor::Group::Scale) {
                    continue;
                }
                // Along the gradient, so that the difference is large against rounding.
                const at::Tensor direction = tensor.value.grad() / tensor.value.grad().norm();
                const double expected = tensor.value.grad().norm().item<double>();
                const at::Tensor keep = tensor.value.detach().clone();
                const double h = 2e-3 * keep.norm().item<double>();
                const auto lossAt = [&](double place) {
                    const at::NoGradGuard noGrad;
                    tensor.value.copy_(keep + place * direction);
                    return trained.model.nll(trained.ids, {}) / trained.predictions();
                };
                const double found = (lossAt(h) - lossAt(-h)) / (2 * h);
                lossAt(0);
                QVERIFY2(std::abs(found - expected) < 0.02 * expected + 1e-5,
                         qPrintable(QString("%1: %2 and %3")
                                        .arg(QString::fromStdString(weight->name()))
                                        .arg(found)
                                        .arg(expected)));
            }
        }
    }

    void mergingChangesNoLogit_data() { addModels(); }
    void mergingChangesNoLogit()
    {
        QFETCH(QString, name);
        for (const char* method : {"lr-qat", "lsq", "peqa"}) {
            Trained trained(name.toStdString(), specOf(method));
            trained.disturb();
            at::NoGradGuard noGrad;
            at::Tensor x = trained.decoder.embed(trained.ids);
            for (std::int64_t i = 0; i < trained.decoder.blockCount(); ++i) {
                BlockHooks hooks;
                hooks.linear = [&](const LinearWeights& linear, const at::Tensor& input) {
                    const QuantizedLinear merged = trained.model.weight(linear.info.name)
                                                       .deployed(weightFormat(trained.spec.weight));
                    const at::Tensor y = at::linear(input, merged.dequantizedCodes());
                    return linear.bias.defined() ? y + linear.bias : y;
                };
                x = trained.decoder.differentiateBlock(trained.decoder.loadBlock(i), x, hooks);
            }
            QCOMPARE(nextTokenNll(trained.decoder, x, trained.ids, {}),
                     trained.model.nll(trained.ids, {}));
        }
    }

    // Law 8: of what is kept as fixed point no copy in full precision is left, nor a piece of one.
    void fullPrecisionIsDropped_data() { addModels(); }
    void fullPrecisionIsDropped()
    {
        QFETCH(QString, name);
        RunSpec spec = specOf("lr-qat");
        spec.overrides = {{"layers\\.1\\.|h\\.1\\.", {}, {}, {}, true}};
        Trained trained(name.toStdString(), spec);
        trained.gradients();
        std::size_t dropped = 0;
        for (const auto& [layer, memory] : trained.originals) {
            const bool skipped = settingsFor(spec, layer).skip;
            QVERIFY2(memory.expired() != skipped, layer.c_str());
            dropped += skipped ? 0 : 1;
        }
        QCOMPARE(dropped, trained.model.weights().size());
        QCOMPARE(2 * dropped, trained.originals.size());
    }

    void skippedBlocksTakeNoGradient()
    {
        RunSpec spec = specOf("lr-qat");
        spec.overrides = {{"layers\\.0\\.", {}, {}, {}, true}};
        Trained trained("llama", spec);
        for (const at::Tensor& gradient : trained.gradients()) {
            QVERIFY(gradient.defined());
        }
        for (const TrainedWeight* weight : trained.model.weights()) {
            QVERIFY(weight->name().find("layers.0.") == std::string::npos);
        }
    }

    void cancelIsObeyedWithinABlocksBackwardPass()
    {
        Trained trained("llama", specOf("lr-qat"));
        std::stop_source stop;
        const std::vector<const TrainedWeight*> weights = trained.model.weights();
        const at::Tensor last = weights.back()->learned().front().value; // its gradient comes first
        last.register_hook([&](const at::Tensor& gradient) {
            stop.request_stop();
            return gradient;
        });
        QVERIFY_EXCEPTION_THROWN(trained.gradients(RunContext(stop.get_token(), {})), Cancelled);
        QVERIFY(last.grad().defined());
        const at::Tensor first = weights[weights.size() - 7]->learned().front().value;
        QVERIFY(!first.grad().defined()); // of the same block
    }

    void overflowIsNamed()
    {
        Trained trained("llama", specOf("lr-qat"));
        {
            const at::NoGradGuard noGrad;
            for (const TrainedWeight* weight : trained.model.weights()) {
                if (weight->name().find("layers.1.mlp.up_proj") != std::string::npos) {
                    for (const LearnedTensor& tensor : weight->learned()) {
                        if (tensor.group == LearnedTensor::Group::Scale) {
                            tensor.value.fill_(std::numeric_limits<float>::infinity());
                        }
                    }
                }
            }
        }
        QCOMPARE(trained.model.overflowingLayer(trained.ids, {}),
                 std::string("model.layers.1.mlp.up_proj"));
    }
};

QTEST_GUILESS_MAIN(TestTrainableModel)
#include "tst_trainable_model.moc"
