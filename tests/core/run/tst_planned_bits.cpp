#include <QTemporaryDir>
#include <QtTest>

#include <ATen/ATen.h>

#include "methods/settings.h"
#include "model/safetensors.h"
#include "report/rank_prediction.h"
#include "run/run_plan.h"
#include "support/tensor_quantizers.h"

using namespace qw;
using namespace qw::test;

class TestPlannedBits : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void equalStoredBits_data();
    void equalStoredBits();
};

void TestPlannedBits::equalStoredBits_data()
{
    QTest::addColumn<QString>("format");
    QTest::addColumn<int>("bits");
    QTest::addColumn<int>("group");
    QTest::addColumn<bool>("sym");
    QTest::addColumn<QString>("scaleType");
    QTest::addColumn<int>("exponentBits");
    QTest::addColumn<int>("rank");
    QTest::addColumn<int>("factorBits");
    for (const int rank : {0, 3, 20}) {
        for (const int factorBits : {0, 7, 8}) {
            for (int bits = 2; bits <= 8; bits += rank > 0 ? 3 : 1) {
                if (rank == 0 && factorBits > 0) {
                    continue;
                }
                for (const int group : {-1, 0, 8}) {
                    for (const bool sym : {false, true}) {
                        const char* type = group == -1 ? "f32" : group == 0 ? "f16" : "bf16";
                        QTest::addRow("int %d bits, %s, group %d, %s, rank %d at %d bits", bits,
                                      sym ? "sym" : "asym", group, type, rank, factorBits)
                            << "int" << bits << group << sym << type << 8 << rank << factorBits;
                    }
                }
                for (const int exponent : {4, 8}) {
                    for (const int block : {7, 16}) {
                        QTest::addRow("mxint %d bits, block %d, exponent %d, rank %d at %d bits",
                                      bits, block, exponent, rank, factorBits)
                            << "mxint" << bits << block << false << "f16" << exponent << rank
                            << factorBits;
                    }
                }
            }
        }
    }
}

void TestPlannedBits::equalStoredBits()
{
    QFETCH(QString, format);
    QFETCH(int, bits);
    QFETCH(int, group);
    QFETCH(bool, sym);
    QFETCH(QString, scaleType);
    QFETCH(int, exponentBits);
    QFETCH(int, rank);
    QFETCH(int, factorBits);
    constexpr std::int64_t kOut = 22;
    constexpr std::int64_t kIn = 40;
    WeightSpec weight;
    weight.format = format.toStdString();
    weight.bits = bits;
    weight.groupSize = group;
    weight.sym = sym;
    weight.scaleDtype = scaleType.toStdString();
    weight.exponentBits = exponentBits;
    RunSpec spec;
    LowRankSpec& lowRank = spec.lowRank;
    lowRank.factorBits = factorBits;
    LayerPlan plan;
    plan.info.out = kOut;
    plan.info.in = kIn;
    plan.settings = {weight, rank, false};

    QuantizedLinear linear =
        roundToNearest("layer", normal({kOut, kIn}), weightFormat(weight), gridOptions(weight));
    if (rank > 0) {
        linear.a.value = normal({kIn, rank}, 0.05, 2);
        linear.b.value = normal({rank, kOut}, 0.05, 3);
        linear.a.quantized = linear.b.quantized = factorBits > 0;
        linear.a.mx = linear.b.mx = {factorBits, lowRank.factorBlock, exponentBits, MxRule::Lqer};
    }
    linear = linear.withRank(rank);
    QCOMPARE(plannedBits(plan, spec), storedBits(linear));
    if (format == "int" && group > 0) { // GPTQ in the order of activations, groups on the way
        QuantizedLinear ordered = linear;
        ordered.groupIndex = at::arange(kIn).floor_divide(group).to(at::kInt);
        spec.method = "gptq";
        spec.gptq.actOrder = true;
        QCOMPARE(plannedBits(plan, spec), storedBits(ordered));
        spec.gptq.staticGroups = true;
        QCOMPARE(plannedBits(plan, spec), storedBits(linear));
    }

    QTemporaryDir folder;
    const std::filesystem::path file = folder.filePath("layer.safetensors").toStdString();
    writeSafetensors(file, toTensors(linear), {});
    std::int64_t fileBits = 0;
    std::int64_t packedRows = 0;
    const SafetensorsFile written(file);
    for (const auto& [name, entry] : written.entries()) {
        fileBits += static_cast<std::int64_t>(entry.bytes) * 8;
        packedRows += entry.dtype == "U8" ? entry.shape.front() : 0;
    }
    QVERIFY(fileBits >= storedBits(linear) && fileBits - storedBits(linear) <= 7 * packedRows);
    if (bits == 8 && factorBits != 7 && exponentBits == 8) { // no row is padded
        QCOMPARE(fileBits, storedBits(linear));
    }
}

QTEST_GUILESS_MAIN(TestPlannedBits)
#include "tst_planned_bits.moc"
