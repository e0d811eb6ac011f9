#include "model/safetensors.h"

#include <QTemporaryDir>
#include <QtTest>

#include <ATen/ATen.h>

#include "support/tensor_model_files.h"

using namespace qw;

class TestSafetensors : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void roundTrip();
    void hostile_data();
    void hostile();
};

void TestSafetensors::roundTrip()
{
    QTemporaryDir folder;
    const std::filesystem::path file = folder.filePath("a.safetensors").toStdString();
    const std::map<std::string, at::Tensor> tensors = {
        {"f32", at::arange(6, at::kFloat).reshape({2, 3})},
        {"bf16", at::arange(5, at::kFloat).to(at::kBFloat16)},
        {"f16", at::arange(4, at::kFloat).to(at::kHalf)},
        {"i8", at::arange(3, at::kChar)},
        {"i64", at::arange(2, at::kLong)},
        {"scalar", at::scalar_tensor(7, at::kInt)},
        {"empty", at::empty({0, 3}, at::kFloat)}};
    writeSafetensors(file, tensors, {{"made", "here"}});
    const SafetensorsFile read(file);
    QCOMPARE(read.entries().size(), tensors.size());
    QCOMPARE(read.metadata().at("format"), std::string("pt"));
    QCOMPARE(read.metadata().at("made"), std::string("here"));
    for (const auto& [name, tensor] : tensors) {
        const at::Tensor back = read.borrow(name);
        QVERIFY2(back.scalar_type() == tensor.scalar_type() && at::equal(back, tensor),
                 name.c_str());
    }
}

void TestSafetensors::hostile_data()
{
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("sentence");
    const auto raw = [](const char* row, const std::string& bytes, const char* sentence) {
        QTest::newRow(row) << QByteArray::fromStdString(bytes) << QString(sentence);
    };
    const auto row = [&](const char* name, const std::string& header, const char* sentence,
                         std::size_t data = 4) {
        raw(name, test::safetensorsBytes(header, data), sentence);
    };
    const auto entry = [](const std::string& dtype, const std::string& shape,
                          const std::string& offsets) {
        return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
               offsets + "}}";
    };
    const std::string good = entry("F32", "[1]", "[0,4]");
    raw("shorter than 8 bytes", "1234567", "too short");
    raw("header too large", std::string(7, '\0') + "\x80", "more than the 100000000 allowed");
    raw("header longer than the file", std::string("\xff\0\0\0\0\0\0\0{}", 10),
        "claims a header of 255 bytes, the file has 10");
    row("not JSON", R"({"a":)", "not valid JSON: line 1, column");
    row("not UTF-8", "{\"\xff\xfe\":{}}", "not valid JSON");
    row("outermost array", "[]", "not a JSON object", 0);
    row("deep nesting", R"({"a":{"shape":)" + std::string(100000, '['), "holds an array");
    row("hole", entry("F32", "[1]", "[4,8]"), "overlap or leave a hole", 8);
    row("overlap",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
        R"("b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
        "overlap or leave a hole", 6);
    row("alias",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
        R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
        "overlap or leave a hole");
    row("end before begin", entry("F32", "[1]", "[4,0]"), "no valid data_offsets");
    row("three offsets", entry("F32", "[1]", "[0,4,4]"), "no valid data_offsets");
    row("product overflows", entry("F32", "[4294967296,4294967296]", "[0,4]"), "overflows");
    row("zero hides giants", entry("F32", "[0,70368744177664,70368744177664]", "[0,0]"),
        "overflows", 0);
    row("sub-byte remainder", entry("F4", "[1]", "[0,1]"), "does not fill whole bytes", 1);
    row("size differs", entry("F32", "[2]", "[0,4]"), "shape and dtype need 8");
    row("truncated", good, "truncated or has bytes after its end", 3);
    row("bytes after the end", good, "truncated or has bytes after its end", 5);
    row("duplicate tensor", good.substr(0, good.size() - 1) + "," + good.substr(1),
        "stands twice in the header");
    row("duplicate key", R"({"a":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}})",
        "\"dtype\" stands twice");
    row("unknown dtype", entry("F99", "[1]", "[0,4]"), "unknown dtype \"F99\"");
    row("missing shape", R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", "lacks dtype, shape");
    row("negative", entry("F32", "[-1]", "[0,4]"), "the negative number -1");
    row("exponent", entry("F32", "[1e0]", "[0,4]"), "the number 1e0");
    row("fraction", entry("F32", "[1.0]", "[0,4]"), "the number 1.0");
    row("2^64", entry("F32", "[18446744073709551616]", "[0,4]"), "18446744073709551616");
    row("beyond 2^48", entry("F32", "[281474976710657]", "[0,4]"), "far beyond any file");
    row("number in metadata", R"({"__metadata__":{"format":1}})", "holds a number", 0);
    row("long name", "{\"" + std::string(5000, 'x') + "\":{}}", "a tensor name has 5000 bytes");
}

void TestSafetensors::hostile()
{
    QFETCH(QByteArray, bytes);
    QFETCH(QString, sentence);
    QTemporaryDir folder;
    const std::filesystem::path file = folder.filePath("bad.safetensors").toStdString();
    test::writeBytes(file, bytes.toStdString());
    const std::string said = test::sentenceOf([&] { SafetensorsFile opened(file); });
    QVERIFY2(QString::fromStdString(said).contains(sentence), said.c_str());
    QVERIFY2(QString::fromStdString(said).contains("bad.safetensors"), said.c_str());
}

QTEST_GUILESS_MAIN(TestSafetensors)
#include "tst_safetensors.moc"
