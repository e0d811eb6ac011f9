#include "quant/grid.h"

#include <QtTest>

#include <ATen/ATen.h>

#include "quant/range_search.h"
#include "support/tensor_model_files.h"
#include "support/tensor_quantizers.h"
#include "support/tolerances.h"

using namespace qw;
using namespace qw::test;

class TestGrid : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void golden_data();
    void golden();
    void laws_data();
    void laws();
    void scaleTypes_data();
    void scaleTypes();
    void scaleFloors();
    void errorFallsWithBits();
    void refusals();
};

namespace {
const char* groupName(std::int64_t group)
{
    return group == 0 ? "channel" : group == -1 ? "tensor" : "group of 4";
}
} // namespace

void TestGrid::golden_data()
{
    QTest::addColumn<QByteArray>("name");
    for (const Json& entry : quantizerGolden("grid")) {
        const auto name = QByteArray::fromStdString(entry.at("name").get<std::string>());
        QTest::newRow(name.constData()) << name;
    }
}

void TestGrid::golden()
{
    QFETCH(QByteArray, name);
    const Json& entry = namedCase(quantizerGolden("grid"), name.constData());
    GridOptions options;
    options.bits = entry.at("bits").get<std::int64_t>();
    options.groupSize = entry.at("group").get<std::int64_t>();
    options.sym = entry.at("sym").get<bool>();
    const at::Tensor w =
        matrixOf(quantizerGolden("weights").at(entry.at("input").get<std::string>()));
    const GridParams params = fitGrid(w, options);
    QCOMPARE(difference(params.scale, matrixOf(entry.at("scale"))), std::string());
    QCOMPARE(difference(params.zero, matrixOf(entry.at("zero"))), std::string());
    QCOMPARE(difference(gridCodes(w, params, options).to(at::kFloat), matrixOf(entry.at("codes"))),
             std::string());
}

void TestGrid::laws_data()
{
    QTest::addColumn<QString>("weight");
    QTest::addColumn<int>("bits");
    QTest::addColumn<bool>("sym");
    QTest::addColumn<int>("group");
    for (const auto& [name, w] : awkwardWeights()) {
        for (int bits = 2; bits <= 8; ++bits) {
            for (const bool sym : {false, true}) {
                for (const int group : {0, -1, 4}) {
                    if (group <= 0 || w.size(1) % group == 0) {
                        QTest::addRow("%s, %d bits, %s, %s", name.c_str(), bits,
                                      sym ? "sym" : "asym", groupName(group))
                            << QString::fromStdString(name) << bits << sym << group;
                    }
                }
            }
        }
    }
}

void TestGrid::laws()
{
    QFETCH(QString, weight);
    QFETCH(int, bits);
    QFETCH(bool, sym);
    QFETCH(int, group);
    const at::Tensor& w = awkwardWeight(weight.toStdString());
    GridOptions options;
    options.bits = bits;
    options.groupSize = group;
    options.sym = sym;
    const GridParams params = fitGrid(w, options);
    const at::Tensor codes = gridCodes(w, params, options);
    const at::Tensor values = gridValues(codes, params);
    QVERIFY(codes.scalar_type() == at::kShort);
    QVERIFY(codes.min().item<std::int64_t>() >= codeMin(options));
    QVERIFY(codes.max().item<std::int64_t>() <= codeMax(options));
    QVERIFY(params.scale.ge(1e-8F).all().item<bool>());
    QVERIFY(params.zero.eq(params.zero.round()).all().item<bool>());
    QVERIFY(params.zero.ge(0)
                .logical_and(params.zero.le(sym ? 0 : codeMax(options)))
                .all()
                .item<bool>());
    QVERIFY(values.masked_select(w.eq(0)).eq(0).all().item<bool>()); // zero stays zero
    QCOMPARE(difference(gridCodes(values, params, options), codes), std::string());
    const std::int64_t width = group == 0 ? w.size(1) : group == -1 ? w.numel() : group;
    const at::Tensor steps = params.scale.flatten().repeat_interleave(width).reshape(w.sizes());
    const at::Tensor error = (values - w).abs();
    // All is interior on a min-max grid, but for the half step that rounding the zero point may
    // cut from the ends of an asymmetric one.
    const at::Tensor interior = codes.gt(codeMin(options))
                                    .logical_and(codes.lt(codeMax(options)))
                                    .logical_or(at::full_like(codes, sym, at::kBool));
    QVERIFY((error <= kHalfStep * steps).masked_select(interior).all().item<bool>());
    QVERIFY((error <= 2 * kHalfStep * steps).all().item<bool>());
}

void TestGrid::scaleTypes_data()
{
    QTest::addColumn<int>("type");
    for (const at::ScalarType type : {at::kFloat, at::kHalf, at::kBFloat16}) {
        QTest::newRow(scaleTypeName(type)) << static_cast<int>(type);
    }
}

void TestGrid::scaleTypes()
{
    QFETCH(int, type);
    const auto dtype = static_cast<at::ScalarType>(type);
    for (const RangeSearch range : {RangeSearch::MinMax, RangeSearch::Lrq, RangeSearch::LpNorm}) {
        for (const bool sym : {false, true}) {
            if (range != RangeSearch::MinMax && sym == (range == RangeSearch::Lrq)) {
                continue;
            }
            GridOptions options;
            options.groupSize = 8;
            options.sym = sym;
            options.range = range;
            options.scaleDtype = dtype;
            const at::Tensor w = normal({8, 32});
            const GridParams params = fitGrid(w, options);
            QCOMPARE(difference(params.scale.to(dtype).to(at::kFloat), params.scale),
                     std::string());
            // Codes are of the rounded scale: nearest on the grid that will be stored.
            const at::Tensor scale = params.scale.repeat_interleave(8, 1);
            const at::Tensor zero = params.zero.repeat_interleave(8, 1);
            const at::Tensor nearest = ((w / scale).round() + zero)
                                           .clamp(static_cast<double>(codeMin(options)),
                                                  static_cast<double>(codeMax(options)));
            QCOMPARE(difference(gridCodes(w, params, options).to(at::kFloat), nearest),
                     std::string());
        }
    }
}

void TestGrid::scaleFloors()
{
    const at::Tensor small = at::tensor({0.0, 1e-30, 1e-9, 3e-5, 7e-5}, at::kFloat);
    const auto stored = [&](at::ScalarType type) { return representableScale(small, type); };
    QCOMPARE(difference(stored(at::kFloat), at::tensor({1e-8, 1e-8, 1e-8, 3e-5, 7e-5}, at::kFloat)),
             std::string());
    const double half = 1.0 / 16384; // the smallest normal float16
    QCOMPARE(difference(stored(at::kHalf).narrow(0, 0, 4), at::full({4}, half, at::kFloat)),
             std::string());
    QVERIFY(stored(at::kHalf)[4].item<float>() > half);
    const at::Tensor bfloat = stored(at::kBFloat16);
    QCOMPARE(difference(bfloat, small.clamp_min(1e-8).to(at::kBFloat16).to(at::kFloat)),
             std::string());
}

void TestGrid::errorFallsWithBits()
{
    const at::Tensor w = normal({32, 64});
    for (const bool sym : {false, true}) {
        double last = std::numeric_limits<double>::infinity();
        for (int bits = 2; bits <= 8; ++bits) {
            GridOptions options;
            options.bits = bits;
            options.sym = sym;
            const GridParams params = fitGrid(w, options);
            const double error =
                (gridValues(gridCodes(w, params, options), params) - w).norm().item<double>();
            QVERIFY2(error < 0.7 * last, qPrintable(QString::number(bits)));
            last = error;
        }
    }
}

void TestGrid::refusals()
{
    const auto sentence = [](const at::Tensor& w, const GridOptions& options) {
        return sentenceOf([&] { fitGrid(w, options); });
    };
    const at::Tensor w = normal({4, 24});
    GridOptions options;
    options.groupSize = 7;
    QCOMPARE(sentence(w, options), std::string("group size 7 does not divide 24 columns"));
    options = {};
    options.bits = 1;
    QCOMPARE(sentence(w, options), std::string("bits 1 is not in 2..8"));
    options = {};
    options.range = RangeSearch::LpNorm;
    QVERIFY(sentence(w, options).starts_with("the LP range search is for symmetric grids"));
    options.range = RangeSearch::Lrq;
    options.sym = true;
    QVERIFY(sentence(w, options).starts_with("the LRQ range search is for asymmetric grids"));
    options = {};
    options.scaleDtype = at::kHalf;
    QCOMPARE(sentence(w * 1e8, options), std::string("a scale is above the largest f16 number; "
                                                     "store scales as f32"));
    options.scaleDtype = at::kBFloat16;
    QCOMPARE(sentence(w * 1e8, options), std::string());
    QCOMPARE(sentence(at::full({1, 4}, 3.4e38F) * at::tensor({1, -1, 1, -1}), options),
             std::string("a scale is above the largest bf16 number; store scales as f32"));
}

QTEST_GUILESS_MAIN(TestGrid)
#include "tst_grid.moc"
