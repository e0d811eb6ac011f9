#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <QTemporaryDir>
#include <QtTest>

#include "export/encode.h"
#include "export/export_reader.h"
#include "model/safetensors.h"
#include "support/tensor_model_files.h"

using namespace qw;
using test::writeBytes;

namespace {
/// A layer on an integer grid with scale 1 everywhere.
QuantizedLinear layerOf(const at::Tensor& codes, std::int64_t bits, std::int64_t group,
                        const at::Tensor& zero = {})
{
    QuantizedLinear linear;
    linear.name = "m";
    linear.out = codes.size(0);
    linear.in = codes.size(1);
    linear.format.bits = bits;
    linear.format.groupSize = group;
    linear.format.sym = !zero.defined();
    linear.codes = codes.to(zero.defined() ? at::kByte : at::kChar);
    linear.scale = at::ones({linear.out, group > 0 ? linear.in / group : 1}, at::kFloat);
    if (zero.defined()) {
        linear.zero = zero.to(at::kByte);
    }
    return linear;
}

TargetPlan planOf(const std::string& target, const QuantizedLinear& linear, std::int64_t bits,
                  bool symmetric)
{
    TargetPlan plan;
    plan.shown.target = target;
    plan.dtype = at::kFloat;
    const std::int64_t group = linear.format.groupSize > 0 ? linear.format.groupSize : linear.in;
    plan.layers[linear.name] = {bits, group, symmetric};
    return plan;
}

QString hex(const at::Tensor& words)
{
    QStringList all;
    const at::Tensor flat = words.contiguous().flatten();
    for (std::int64_t i = 0; i < flat.numel(); ++i) {
        const auto word = static_cast<quint32>(flat.data_ptr<std::int32_t>()[i]);
        all << QStringLiteral("%1").arg(word, 8, 16, QLatin1Char('0')).toUpper();
    }
    return all.join(' ');
}

at::Tensor signedCodes(std::int64_t bits, std::int64_t count)
{
    const std::int64_t low = -(std::int64_t{1} << (bits - 1));
    return (at::arange(count, at::kLong).remainder(std::int64_t{1} << bits) + low).unsqueeze(0);
}

/// The words of published examples; the readers take them apart bit by bit.
at::Tensor wordsOf(const QString& text)
{
    std::vector<std::int32_t> words;
    for (const QString& word : text.split(' ')) {
        words.push_back(static_cast<std::int32_t>(word.toUInt(nullptr, 16)));
    }
    return at::tensor(words, at::kInt);
}
} // namespace

/// The words that other programs' files hold, written and read.
class TestEncodeCoded : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void compressedTensorsCodes_data();
    void compressedTensorsCodes();
    void compressedTensorsZeros();
    void compressedTensorsIntegers();
    void gptqZeros_data();
    void gptqZeros();
    void gptqThreeBitsStraddle();
    void awqOrder();
    void peftOrientation();

private:
    std::filesystem::path folder() const { return m_folder.path().toStdString(); }
    /// A folder as the clients have it, and what our reader makes of it.
    at::Tensor readBack(const std::map<std::string, at::Tensor>& tensors, const char* config,
                        std::int64_t out, std::int64_t in) const
    {
        writeSafetensors(folder() / "model.safetensors", tensors);
        writeBytes(folder() / "config.json",
                   std::string("{\"quantization_config\": ") + config + "}");
        return readFolder(folder(), false)->linearWeight("m", out, in);
    }
    QTemporaryDir m_folder;
};

void TestEncodeCoded::compressedTensorsCodes_data()
{
    QTest::addColumn<int>("bits");
    QTest::addColumn<QVector<int>>("codes");
    QTest::addColumn<QString>("words");
    QTest::newRow("4 bits") << 4
                            << QVector<int>{-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7}
                            << "76543210 FEDCBA98";
    QTest::newRow("8 bits") << 8 << QVector<int>{-128, -1, 0, 127} << "FF807F00";
}

void TestEncodeCoded::compressedTensorsCodes()
{
    QFETCH(int, bits);
    QFETCH(QVector<int>, codes);
    QFETCH(QString, words);
    const at::Tensor row =
        at::tensor(std::vector<std::int64_t>(codes.begin(), codes.end()), at::kLong).unsqueeze(0);
    const QuantizedLinear linear = layerOf(row, bits, 0);
    TensorMap tensors =
        encodeCompressedTensors(linear, planOf("compressed-tensors", linear, bits, true));
    QCOMPARE(hex(tensors.at("m.weight_packed")), words);
    QVERIFY(!tensors.contains("m.weight_zero_point"));

    tensors["m.weight_packed"] = wordsOf(words).unsqueeze(0);
    const std::string config =
        R"({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups":
            {"group_0": {"targets": ["Linear"], "weights": {"num_bits": )" +
        std::to_string(bits) + R"(, "symmetric": true, "strategy": "channel"}}}})";
    const at::Tensor read = readBack(tensors, config.c_str(), 1, row.size(1));
    QVERIFY(read.eq(row.to(at::kFloat)).all().item<bool>());
}

void TestEncodeCoded::compressedTensorsZeros()
{
    // A zero point a row, packed down the rows; codes equal to them, so that every weight is 0.
    const at::Tensor zero = at::tensor({0, 1, 8, 15, 9, 10, 11, 12}, at::kLong).unsqueeze(1);
    const QuantizedLinear linear = layerOf(zero.expand({8, 8}), 4, 0, zero);
    const TensorMap tensors =
        encodeCompressedTensors(linear, planOf("compressed-tensors", linear, 4, false));
    QCOMPARE(hex(tensors.at("m.weight_zero_point")), QString("CBA9F810"));
    QVERIFY(tensors.at("m.weight_zero_point").sizes() == at::IntArrayRef({1, 1}));
    QCOMPARE(hex(tensors.at("m.weight_packed").narrow(0, 3, 1)), QString("FFFFFFFF"));
    const char* config =
        R"({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups":
            {"group_0": {"targets": ["m"], "weights":
            {"num_bits": 4, "symmetric": false, "strategy": "group", "group_size": 8}}}})";
    QVERIFY(readBack(tensors, config, 8, 8).eq(0).all().item<bool>());
}

void TestEncodeCoded::compressedTensorsIntegers()
{
    const at::Tensor codes = signedCodes(4, 32);
    const QuantizedLinear linear = layerOf(codes, 4, 16);
    TargetPlan plan = planOf("compressed-tensors", linear, 4, true);
    plan.quantizedActivations = true;
    const TensorMap tensors = encodeCompressedTensors(linear, plan);
    QVERIFY(tensors.at("m.weight").scalar_type() == at::kChar);
    QVERIFY(tensors.at("m.weight").eq(codes).all().item<bool>());
    QVERIFY(!tensors.contains("m.weight_packed") && !tensors.contains("m.weight_shape"));
    const char* config =
        R"({"quant_method": "compressed-tensors", "config_groups":
            {"group_0": {"targets": ["Linear"], "format": "int-quantized", "weights":
            {"num_bits": 4, "symmetric": true, "strategy": "group", "group_size": 16}}}})";
    QVERIFY(readBack(tensors, config, 1, 32).eq(codes).all().item<bool>());
}

void TestEncodeCoded::gptqZeros_data()
{
    QTest::addColumn<int>("bits");
    QTest::addColumn<int>("version");
    QTest::addColumn<QString>("words"); // of 32 symmetric outputs
    QTest::newRow("2 bits, v1") << 2 << 1 << "55555555 55555555";
    QTest::newRow("2 bits, v2") << 2 << 2 << "AAAAAAAA AAAAAAAA";
    QTest::newRow("3 bits, v1") << 3 << 1 << "DB6DB6DB B6DB6DB6 6DB6DB6D";
    QTest::newRow("3 bits, v2") << 3 << 2 << "24924924 49249249 92492492";
    QTest::newRow("4 bits, v1") << 4 << 1 << "77777777 77777777 77777777 77777777";
    QTest::newRow("4 bits, v2") << 4 << 2 << "88888888 88888888 88888888 88888888";
    QTest::newRow("8 bits, v1") << 8 << 1 << QStringList(8, "7F7F7F7F").join(' ');
    QTest::newRow("8 bits, v2") << 8 << 2 << QStringList(8, "80808080").join(' ');
}

void TestEncodeCoded::gptqZeros()
{
    QFETCH(int, bits);
    QFETCH(int, version);
    QFETCH(QString, words);
    const at::Tensor codes = signedCodes(bits, 32 * 64).view({32, 64});
    const QuantizedLinear linear = layerOf(codes, bits, 0);
    TargetPlan plan = planOf("gptq", linear, bits, true);
    plan.gptqVersion = version;
    TensorMap tensors = encodeGptq(linear, plan);
    QCOMPARE(hex(tensors.at("m.qzeros")), words);
    QVERIFY(tensors.at("m.qweight").sizes() == at::IntArrayRef({64 * bits / 32, 32}));

    tensors["m.qzeros"] = wordsOf(words).unsqueeze(0);
    const std::string config = R"({"quant_method": "gptq", "bits": )" + std::to_string(bits) +
                               R"(, "group_size": -1, "checkpoint_format": ")" +
                               (version == 1 ? "gptq" : "gptq_v2") + "\"}";
    const at::Tensor read = readBack(tensors, config.c_str(), 32, 64);
    QVERIFY(read.eq(codes.to(at::kFloat)).all().item<bool>());
}

void TestEncodeCoded::gptqThreeBitsStraddle()
{
    // 32 codes down one column, all 0 but the two that straddle words: 10 and 21 are 7.
    at::Tensor codes = at::zeros({32, 32}, at::kLong);
    codes.select(1, 10).fill_(7);
    codes.select(1, 21).fill_(7);
    const QuantizedLinear linear = layerOf(codes, 3, 0, at::ones({32, 1}, at::kLong));
    const TensorMap tensors = encodeGptq(linear, planOf("gptq", linear, 3, false));
    QCOMPARE(hex(tensors.at("m.qweight").select(1, 5)), QString("C0000000 80000001 00000003"));
}

void TestEncodeCoded::awqOrder()
{
    // Columns 0..7 of the layer's outputs hold 0..7.
    const at::Tensor codes = at::arange(8, at::kLong).unsqueeze(1).expand({8, 32});
    const QuantizedLinear linear = layerOf(codes, 4, 32, at::zeros({8, 1}, at::kLong));
    const TensorMap tensors = encodeAwq(linear, planOf("awq", linear, 4, false));
    QCOMPARE(hex(tensors.at("m.qweight").narrow(0, 31, 1)), QString("75316420"));
    QCOMPARE(hex(tensors.at("m.qzeros")), QString("00000000"));
    const at::Tensor read =
        readBack(tensors, R"({"quant_method": "awq", "bits": 4, "group_size": 32})", 8, 32);
    QVERIFY(read.eq(codes.to(at::kFloat)).all().item<bool>());
}

void TestEncodeCoded::peftOrientation()
{
    ModelPart part;
    QuantizedLinear linear = layerOf(at::zeros({3, 4}, at::kLong), 4, 0);
    linear.a.value = at::arange(8, at::kFloat).view({4, 2});
    linear.b.value = at::arange(6, at::kFloat).view({2, 3});
    part.linears = {linear};
    const TensorMap tensors = encodePeft(part, 5);
    const at::Tensor a = tensors.at("base_model.model.m.lora_A.weight");
    const at::Tensor b = tensors.at("base_model.model.m.lora_B.weight");
    QVERIFY(a.sizes() == at::IntArrayRef({5, 4}) && b.sizes() == at::IntArrayRef({3, 5}));
    // dW = B A is what the run adds to its weight.
    QVERIFY(b.matmul(a).eq(linear.a.value.matmul(linear.b.value).t()).all().item<bool>());
}

QTEST_GUILESS_MAIN(TestEncodeCoded)
#include "tst_encode_coded.moc"
