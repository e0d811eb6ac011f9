#include <cmath>
#include <stdexcept>

#include <QTemporaryDir>
#include <QtTest>

#include "engine.h"
#include "store/run_store.h"

using namespace qw;

namespace {
constexpr double kAllowed = 0.01; // of the final error of a block, mean of the seeds
constexpr std::int64_t kSeeds = 3;

/// Learns the first block of the bundled model.
RunSpec firstBlock(const std::string& method)
{
    RunSpec spec;
    spec.model = "demo";
    spec.method = method;
    spec.weight.bits = 3;
    spec.weight.groupSize = kPerChannel;
    spec.reconstruction.iterations = 40;
    spec.reconstruction.lr = 0.01;
    spec.calibration.text = "demo:calibration";
    spec.calibration.nsamples = 8;
    spec.calibration.seqlen = 128;
    spec.artifacts = "discard";
    LayerOverride& others = spec.overrides.emplace_back();
    others.pattern = "layers\\.[1-9]\\.";
    others.skip = true;
    return spec;
}
} // namespace

/// Products in bfloat16 against those in float32, on real weights.
class TestMixedPrecision : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void finalErrorIsThatOfFloat32_data()
    {
        QTest::addColumn<QString>("method");
        QTest::newRow("lrq") << "lrq";
        QTest::newRow("flexround") << "flexround";
    }
    void finalErrorIsThatOfFloat32()
    {
        QFETCH(QString, method);
        const QTemporaryDir folder;
        RunStore store((folder.path() + "/runs.sqlite").toStdString());
        RunOptions options;
        options.workFolder = (folder.path() + "/runs").toStdString();
        RunSpec spec = firstBlock(method.toStdString());
        const auto finalError = [&](const std::string& compute) {
            spec.reconstruction.compute = compute;
            const BlockResult block = runQuantization(spec, store, options, {}).blocks.front();
            if (block.errorAfter >= 0.9 * block.errorBefore) {
                throw std::runtime_error("nothing was learned");
            }
            return block.errorAfter;
        };
        double wide = 0;
        double mixed = 0;
        for (spec.seed = 0; spec.seed < kSeeds; ++spec.seed) {
            wide += finalError("f32");
            mixed += finalError("bf16");
        }
        QVERIFY(mixed != wide);
        QVERIFY2(std::abs(mixed / wide - 1) < kAllowed,
                 qPrintable(QString::number(mixed / wide - 1)));
    }
};

QTEST_GUILESS_MAIN(TestMixedPrecision)
#include "tst_mixed_precision.moc"
