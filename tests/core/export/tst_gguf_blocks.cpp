#include <ATen/ops/arange.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <QTemporaryDir>
#include <QtTest>

#include "base/json_io.h"
#include "export/gguf_folder.h"
#include "export/gguf_model.h"
#include "support/tensor_model_files.h"

using namespace qw;
using test::sentenceOf;

namespace {
QuantizedLinear integerLayer(const at::Tensor& codes, std::int64_t bits, float scale)
{
    QuantizedLinear linear;
    linear.name = "m";
    linear.out = codes.size(0);
    linear.in = codes.size(1);
    linear.format.bits = bits;
    linear.format.sym = true;
    linear.codes = codes.to(at::kChar);
    linear.scale = at::full({linear.out, 1}, scale);
    return linear;
}

/// @param exponents  of steps, [rows, blocks]
QuantizedLinear mxLayer(const at::Tensor& codes, std::int64_t bits, const at::Tensor& exponents)
{
    QuantizedLinear linear = integerLayer(codes, bits, 1);
    linear.format.kind = WeightFormat::Kind::Mx;
    linear.format.groupSize = 16;
    linear.scale = at::Tensor();
    linear.exponents = exponents.to(at::kShort);
    return linear;
}

QByteArray bytesOf(const at::Tensor& blocks)
{
    return QByteArray(static_cast<const char*>(blocks.data_ptr()),
                      static_cast<int>(blocks.numel()));
}

const std::filesystem::path kGolden(QW_GOLDEN_DIR "/gguf_blocks.json");

/// Nibbles 0, 1, 2, .. 15 twice over, as the examples of the format have them.
const QByteArray kNibbles = QByteArray::fromHex("00112233445566778899AABBCCDDEEFF");
} // namespace

/// Blocks of GGUF, written as ggml reads them and read as ggml wrote them.
class TestGgufBlocks : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void vectors_data();
    void vectors();
    void golden_data();
    void golden();
    void superBlocks();
    void halvesShareAScale();
    void farExponentsAreRefused();
    void zeroBlocksDoNotCount();
    void ropeFactors();

private:
    /// The first tensor of a file of one tensor, as our reader has it.
    at::Tensor read(const at::Tensor& blocks, GgufType type, std::int64_t in) const
    {
        const auto file = std::filesystem::path(m_folder.path().toStdString()) / "one.gguf";
        GgufWriter writer(file,
                          {{"general.architecture", std::string("llama")},
                           {"llama.attention.head_count", std::uint32_t{1}},
                           {"llama.attention.head_count_kv", std::uint32_t{1}}},
                          {{"token_embd.weight", {blocks.size(0), in}, type}});
        writer.write("token_embd.weight", blocks);
        writer.finish();
        return readGguf(file)->tensor("model.embed_tokens.weight");
    }
    QTemporaryDir m_folder;
};

void TestGgufBlocks::vectors_data()
{
    QTest::addColumn<int>("bits");
    QTest::addColumn<QByteArray>("head");
    QTest::newRow("Q4_0: -8..7 twice") << 4 << QByteArray::fromHex("003C");
    QTest::newRow("Q5_0: -16..15") << 5 << QByteArray::fromHex("003C0000FFFF");
}

void TestGgufBlocks::vectors()
{
    QFETCH(int, bits);
    QFETCH(QByteArray, head);
    const std::int64_t span = std::int64_t{1} << bits;
    const at::Tensor codes = (at::arange(32, at::kLong).remainder(span) - span / 2).unsqueeze(0);
    const QuantizedLinear linear = integerLayer(codes, bits, 1);
    const GgufType type = ggufStorage(linear).type;
    const at::Tensor blocks = encodeBlocks(linear, type);
    QCOMPARE(bytesOf(blocks).toHex(), (head + kNibbles).toHex());
    QVERIFY(read(blocks, type, 32).eq(codes.to(at::kFloat)).all().item<bool>());
}

void TestGgufBlocks::golden_data()
{
    QTest::addColumn<int>("index");
    const Json golden = readJsonFile(kGolden);
    for (std::size_t i = 0; i < golden["cases"].size(); ++i) {
        QTest::newRow(golden["cases"][i]["type"].get<std::string>().c_str()) << static_cast<int>(i);
    }
}

void TestGgufBlocks::golden()
{
    QFETCH(int, index);
    const Json golden = readJsonFile(kGolden);
    const Json& example = golden["cases"][static_cast<std::size_t>(index)];
    const QByteArray bytes =
        QByteArray::fromHex(QByteArray::fromStdString(example["bytes"].get<std::string>()));
    const auto values = example["values"].get<std::vector<float>>();
    const auto type = static_cast<GgufType>(example["id"].get<std::uint32_t>());
    const at::Tensor blocks =
        at::from_blob(const_cast<char*>(bytes.data()), {1, bytes.size()}, at::kByte).clone();
    const at::Tensor ours = read(blocks, type, static_cast<std::int64_t>(values.size()));
    QVERIFY(ours.view({-1}).eq(at::tensor(values)).all().item<bool>());
}

void TestGgufBlocks::superBlocks()
{
    // 16 blocks, each with a step of its own: six octaves and all codes of 6 bits.
    const at::Tensor codes = (at::arange(512, at::kLong) % 63 - 31).view({2, 256});
    const at::Tensor exponents = (at::arange(32, at::kLong) % 7 - 9).view({2, 16});
    const QuantizedLinear linear = mxLayer(codes, 6, exponents);
    const GgufStorage storage = ggufStorage(linear);
    QCOMPARE(storage.type, GgufType::Q6_K);
    const at::Tensor blocks = encodeBlocks(linear, storage.type);
    QCOMPARE(blocks.size(1), std::int64_t{210});
    QVERIFY(read(blocks, storage.type, 256).eq(linear.dequantizedCodes()).all().item<bool>());
}

void TestGgufBlocks::halvesShareAScale()
{
    // Codes of 4 bits, at most 7: two halves may lie four octaves apart in 8 bits.
    const at::Tensor codes = (at::arange(96, at::kLong) % 15 - 7).view({1, 96});
    for (const std::int64_t apart : {0, 1, 4}) {
        const at::Tensor exponents = at::tensor({0, 0, 1, 0, 0, 1}, at::kLong) * apart - 6;
        const QuantizedLinear linear = mxLayer(codes, 4, exponents.view({1, 6}));
        const GgufStorage storage = ggufStorage(linear);
        QCOMPARE(storage.type, GgufType::Q8_0);
        const at::Tensor blocks = encodeBlocks(linear, storage.type);
        QVERIFY(read(blocks, storage.type, 96).eq(linear.dequantizedCodes()).all().item<bool>());
    }
}

void TestGgufBlocks::farExponentsAreRefused()
{
    const at::Tensor codes = (at::arange(32, at::kLong) % 15 - 7).view({1, 32});
    const QuantizedLinear linear = mxLayer(codes, 4, at::tensor({-9, -4}, at::kLong).view({1, 2}));
    const std::string problem = ggufStorage(linear).problem;
    QVERIFY2(problem.find("m: the exponents of its blocks of 16 lie too far apart") == 0,
             problem.c_str());
}

void TestGgufBlocks::zeroBlocksDoNotCount()
{
    at::Tensor codes = (at::arange(256, at::kLong) % 15 - 7).view({1, 256}).clone();
    codes.narrow(1, 16, 32).zero_();
    at::Tensor exponents = at::full({1, 16}, -5, at::kLong);
    exponents.narrow(1, 1, 2).fill_(-126); // what a block of zeros may say
    const QuantizedLinear linear = mxLayer(codes, 4, exponents);
    const GgufStorage storage = ggufStorage(linear);
    QCOMPARE(storage.type, GgufType::Q6_K);
    const at::Tensor blocks = encodeBlocks(linear, storage.type);
    QVERIFY(read(blocks, storage.type, 256).eq(linear.dequantizedCodes()).all().item<bool>());
}

void TestGgufBlocks::ropeFactors()
{
    RopeSettings rope;
    QVERIFY(!ggufRopeFactors(rope).defined());
    rope.type = "llama3";
    rope.theta = 500000;
    rope.factor = 8;
    rope.originalMaxPositions = 8192;
    rope.rotaryDims = 128;
    const at::Tensor factors = ggufRopeFactors(rope);
    QCOMPARE(factors.numel(), std::int64_t{64});
    QCOMPARE(factors[0].item<float>(), 1.0F);  // short waves stay
    QCOMPARE(factors[63].item<float>(), 8.0F); // long ones are stretched by all of it
    const at::Tensor rising = factors.narrow(0, 1, 63).ge(factors.narrow(0, 0, 63));
    QVERIFY(rising.all().item<bool>());
}

QTEST_GUILESS_MAIN(TestGgufBlocks)
#include "tst_gguf_blocks.moc"
