#include "quant/quantized_linear.h"

#include <functional>

#include <QtTest>

#include <ATen/ATen.h>

#include "base/error.h"
#include "support/tensor_quantizers.h"

using namespace qw;
using namespace qw::test;

using Tensors = std::map<std::string, at::Tensor>;
using Change = std::function<void(Tensors&, Json&)>;

/// Stored layers are read from files that anybody may have written.
class TestDamagedArtifact : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void damages_data();
    void damages();
};

namespace {
constexpr std::int64_t kOut = 12;
constexpr std::int64_t kIn = 24;
constexpr std::int64_t kRank = 5;

/// 4 bits in groups of 8. "int": float16 scales, zero points, factors as floats; "mx": 4-bit
/// exponents, factors as codes.
QuantizedLinear sample(const std::string& kind)
{
    const bool mx = kind == "mx";
    WeightFormat format;
    format.kind = mx ? WeightFormat::Kind::Mx : WeightFormat::Kind::Int;
    format.groupSize = mx ? 16 : 8;
    format.scaleDtype = at::kHalf;
    format.exponentBits = mx ? 4 : 8;
    GridOptions grid;
    grid.groupSize = 8;
    grid.scaleDtype = at::kHalf;
    QuantizedLinear linear = roundToNearest("layer", normal({kOut, kIn}), format, grid);
    linear.a.value = normal({kIn, kRank}, 0.01, 2);
    linear.b.value = normal({kRank, kOut}, 1e-4, 3);
    linear.a.quantized = linear.b.quantized = mx;
    linear.a.mx = linear.b.mx = {6, 4, 4, MxRule::Lqer};
    linear.activation.kind = ActivationQuantizer::Kind::TokenAsymmetric;
    return linear.withRank(kRank);
}
} // namespace

void TestDamagedArtifact::damages_data()
{
    QTest::addColumn<QString>("kind");
    QTest::addColumn<Change>("change");
    QTest::addColumn<QString>("sentence");
    const auto row = [](const char* name, const char* kind, const char* sentence,
                        const Change& change) {
        QTest::newRow(name) << QString(kind) << change << QString("layer: ") + sentence;
    };
    const auto set = [&](const char* name, const char* kind, const char* sentence,
                         const char* pointer, const Json& value) {
        row(name, kind, sentence,
            [pointer, value](Tensors&, Json& json) { json[Json::json_pointer(pointer)] = value; });
    };
    const auto replace = [&](const char* name, const char* kind, const char* sentence,
                             const char* tensor, const at::Tensor& value) {
        row(name, kind, sentence,
            [tensor, value](Tensors& tensors, Json&) { tensors[tensor] = value; });
    };
    const at::Tensor bytes = at::zeros({kOut, 12}, at::kByte);
    const double infinity = std::numeric_limits<double>::infinity();

    row("no description", "int", "its description has no \"out\"", [](Tensors&, Json& json) {
        json = Json::array({1, 2});
    });
    row("a key is missing", "int", "its description has no \"bits\"",
        [](Tensors&, Json& json) { json.erase("bits"); });
    set("bits 1", "int", "\"bits\" in its description is 1, not a whole number in 2..8", "/bits",
        1);
    set("bits 9", "mx", "\"bits\" in its description is 9, not a whole number in 2..8", "/bits", 9);
    set("bits 4.5", "int", "\"bits\" in its description is 4.5, not a whole number in 2..8",
        "/bits", 4.5);
    set("bits true", "int", "\"bits\" in its description is true, not a whole number", "/bits",
        true);
    set("out negative", "int", "\"out\" in its description is -12, not a whole number in 1..",
        "/out", -12);
    set("in huge", "int", "\"in\" in its description is 4611686018427387904, not a whole number",
        "/in", std::int64_t{1} << 62);
    set("in beyond int64", "int",
        "\"in\" in its description is 18446744073709551615, not a whole number", "/in",
        std::numeric_limits<std::uint64_t>::max());
    row("sizes that overflow together", "int",
        "its tensor \"codes\" is Byte [12, 12], not Byte [2147483647, 1073741824]",
        [](Tensors&, Json& json) {
            json["group_size"] = 0;
            json["out"] = json["in"] = 2147483647;
        });
    set("kind unknown", "int",
        "\"kind\" in its description is \"float\", which this program does "
        "not know",
        "/kind", "float");
    set("kind no text", "int", "\"kind\" in its description is null", "/kind", nullptr);
    set("scale type unknown", "int", "\"scale_dtype\" in its description is \"f8\"", "/scale_dtype",
        "f8");
    set("sym no flag", "int", "\"sym\" in its description is 1, not true or false", "/sym", 1);
    set("group size does not divide", "int", "its group size 7 does not divide its 24 columns",
        "/group_size", 7);
    set("group size below tensor", "int", "\"group_size\" in its description is -2", "/group_size",
        -2);
    set("block of nothing", "mx", "\"group_size\" in its description is 0, not a whole number in 1",
        "/group_size", 0);
    set("another group size", "int", "its tensor \"scale\" is Half [12, 3], not Half [12, 6]",
        "/group_size", 4);
    set("exponents of 5 bits", "mx", "exponents of 5 bits, not 4 or 8", "/exponent_bits", 5);
    set("factor exponents of 6 bits", "mx", "exponents of 6 bits, not 4 or 8",
        "/factors/exponent_bits", 6);
    set("rule unknown", "mx", "\"mx_rule\" in its description is \"ocp\"", "/mx_rule", "ocp");
    set("factor block 0", "mx", "\"block_size\" in its description is 0", "/factors/block_size", 0);
    set("factors stored otherwise", "mx", "\"stored\" in its description is \"zip\"",
        "/factors/stored", "zip");
    set("rank above the shape", "int",
        "\"rank\" in its description is 13, not a whole number in "
        "0..12",
        "/rank", 13);
    set("another rank", "int", "its tensor \"a\" is Float [24, 5], not Float [24, 4]", "/rank", 4);
    set("rank 0 with factors", "int", "a tensor \"a\" does not belong to its format", "/rank", 0);
    set("activation unknown", "int", "\"kind\" in its description is \"fp8\"", "/activation/kind",
        "fp8");
    set("activation bits", "int", "\"bits\" in its description is 16", "/activation/bits", 16);
    set("activation scale 0", "int", "its activation scale 0 is not above 0", "/activation/scale",
        0.0);
    set("activation zero no number", "int", "\"zero\" in its description is \"x\", not a number",
        "/activation/zero", "x");
    set("activation no object", "int", "its description has no \"kind\"", "/activation", 3);

    row("codes missing", "int", "the artifact has no tensor \"codes\" for it",
        [](Tensors& tensors, Json&) { tensors.erase("codes"); });
    replace("codes of another type", "int", "its tensor \"codes\" is Char [12, 12], not Byte",
            "codes", bytes.to(at::kChar));
    replace("codes of fewer rows", "int", "its tensor \"codes\" is Byte [11, 12], not Byte [12",
            "codes", bytes.narrow(0, 0, 11));
    replace("codes of fewer columns", "mx", "its tensor \"codes\" is Byte [12, 11], not Byte [12",
            "codes", bytes.narrow(1, 0, 11));
    replace("codes of three axes", "int", "its tensor \"codes\" is Byte [12, 12, 1]", "codes",
            bytes.unsqueeze(2));
    replace("the code that no magnitude has", "mx", "its tensor \"codes\" holds -8, not only -7..7",
            "codes", bytes + 0x08);
    replace("scale of another type", "int", "its tensor \"scale\" is Float [12, 3], not Half",
            "scale", at::ones({kOut, 3}));
    replace("scale infinite", "int", "its tensor \"scale\" holds what is not a finite number",
            "scale", at::full({kOut, 3}, infinity, at::kHalf));
    replace("scale 0", "int", "its tensor \"scale\" holds a number that is not above 0", "scale",
            at::zeros({kOut, 3}, at::kHalf));
    replace("scale negative", "int", "its tensor \"scale\" holds a number that is not above 0",
            "scale", at::full({kOut, 3}, -1.0, at::kHalf));
    row("zero missing", "int", "the artifact has no tensor \"zero\" for it",
        [](Tensors& tensors, Json&) { tensors.erase("zero"); });
    replace("zero unpacked", "int", "its tensor \"zero\" is Byte [12, 3], not Byte [12, 2]", "zero",
            at::zeros({kOut, 3}, at::kByte));
    set("zero of a symmetric grid", "int", "a tensor \"zero\" does not belong to its format",
        "/sym", true);
    replace("group index of another type", "int",
            "its tensor \"group_index\" is Long [24], not Int", "group_index",
            at::zeros({kIn}, at::kLong));
    replace("group index too short", "int", "its tensor \"group_index\" is Int [23], not Int [24]",
            "group_index", at::zeros({kIn - 1}, at::kInt));
    replace("group index too large", "int", "its tensor \"group_index\" holds 3, not only 0..2",
            "group_index", at::full({kIn}, 3, at::kInt));
    replace("group index negative", "int", "its tensor \"group_index\" holds -1, not only 0..2",
            "group_index", at::full({kIn}, -1, at::kInt));
    replace("group index of blocks", "mx", "a tensor \"group_index\" does not belong to its format",
            "group_index", at::zeros({kIn}, at::kInt));
    row("exponents missing", "mx", "the artifact has no tensor \"exponents\" for it",
        [](Tensors& tensors, Json&) { tensors.erase("exponents"); });
    replace("exponents of another shape", "mx", "its tensor \"exponents\" is Byte [12, 3], not",
            "exponents", at::zeros({kOut, 3}, at::kByte));
    row("top exponent missing", "mx", "the artifact has no tensor \"exponent_top\" for it",
        [](Tensors& tensors, Json&) { tensors.erase("exponent_top"); });
    row("exponent no float32 has", "mx", "its tensor \"exponents\" holds 128, not only 113..127",
        [](Tensors& tensors, Json& json) {
            json["mx_rule"] = "qera";
            tensors["exponent_top"] = at::full({1}, 255, at::kByte);
            tensors["exponents"] = at::full({kOut, 1}, 255, at::kByte);
        });
    row("a missing", "int", "the artifact has no tensor \"a\" for it",
        [](Tensors& tensors, Json&) { tensors.erase("a"); });
    row("b missing", "int", "the artifact has no tensor \"b\" for it",
        [](Tensors& tensors, Json&) { tensors.erase("b"); });
    replace("a transposed", "int", "its tensor \"a\" is Float [5, 24], not Float [24, 5]", "a",
            at::zeros({kRank, kIn}));
    replace("a in float16", "int", "its tensor \"a\" is Half [24, 5], not Float", "a",
            at::zeros({kIn, kRank}, at::kHalf));
    replace("b not finite", "int", "its tensor \"b\" holds what is not a finite number", "b",
            at::full({kRank, kOut}, std::nan("")));
    replace("a as floats where codes are announced", "mx", "its tensor \"a\" is Float", "a",
            at::zeros({kIn, kRank}));
    set("a as codes where floats are announced", "mx",
        "its tensor \"a\" is Byte [24, 4], not Float", "/factors/stored", "values");
    row("exponents of b missing", "mx", "the artifact has no tensor \"b_exponents\" for it",
        [](Tensors& tensors, Json&) { tensors.erase("b_exponents"); });
    replace("a tensor too many", "int", "a tensor \"bias\" does not belong to its format", "bias",
            at::zeros({kOut}));
}

void TestDamagedArtifact::damages()
{
    QFETCH(QString, kind);
    QFETCH(Change, change);
    QFETCH(QString, sentence);
    const QuantizedLinear linear = sample(kind.toStdString());
    Tensors tensors = toTensors(linear);
    Json description = describeFormat(linear);
    quantizedLinearFrom("layer", description, tensors); // is sound as it is
    change(tensors, description);
    try {
        quantizedLinearFrom("layer", description, tensors);
        QFAIL("was read");
    } catch (const Error& error) {
        QVERIFY(error.code() == ErrorCode::BadFile);
        QVERIFY2(QString(error.what()).startsWith(sentence), error.what());
    }
}

QTEST_GUILESS_MAIN(TestDamagedArtifact)
#include "tst_damaged_artifact.moc"
