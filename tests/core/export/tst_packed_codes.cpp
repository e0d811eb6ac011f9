#include <QTemporaryDir>
#include <QtTest>

#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "base/json_io.h"
#include "export/folder_reader.h"
#include "model/safetensors.h"
#include "support/tensor_model_files.h"

using namespace qw;
using test::sentenceOf;

namespace {
constexpr std::int64_t kRows = 12, kColumns = 64, kGroups = 2;

/// The codes that make_packed_codes.py packs, as they are unsigned.
at::Tensor meantCodes(std::int64_t rows, std::int64_t columns, std::int64_t bits)
{
    const at::Tensor r = at::arange(rows, at::kLong).view({-1, 1});
    const at::Tensor c = at::arange(columns, at::kLong).view({1, -1});
    return (7 * r + 5 * c + r * c).remainder(std::int64_t{1} << bits).to(at::kShort);
}

at::Tensor wordsOf(const Json& matrix)
{
    std::vector<at::Tensor> rows;
    for (const Json& row : matrix) {
        rows.push_back(at::tensor(row.get<std::vector<std::int32_t>>(), at::kInt).view({1, -1}));
    }
    return at::cat(rows);
}
} // namespace

/// Codes of widths that do not fill words, as two versions of the compressed-tensors library pack
/// them: packed_codes.json, written by them.
class TestPackedCodes : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void layouts_data();
    void layouts();
    void rowsThatDoNotTell();

private:
    void write(std::int64_t bits, const at::Tensor& packed, const at::Tensor& zero,
               std::int64_t columns) const;
    std::filesystem::path path() const { return m_folder.path().toStdString(); }
    QTemporaryDir m_folder;
};

void TestPackedCodes::write(std::int64_t bits, const at::Tensor& packed, const at::Tensor& zero,
                            std::int64_t columns) const
{
    writeSafetensors(path() / "model.safetensors",
                     {{"m.weight_packed", packed},
                      {"m.weight_scale", at::full({kRows, zero.size(1)}, 0.5)},
                      {"m.weight_zero_point", zero},
                      {"m.weight_shape", at::tensor({kRows, columns}, at::kLong)}});
    const Json weights{{"num_bits", bits},
                       {"type", "int"},
                       {"symmetric", false},
                       {"strategy", "group"},
                       {"group_size", columns / zero.size(1)}};
    const Json group{{"targets", {"Linear"}}, {"format", "pack-quantized"}, {"weights", weights}};
    const Json config{
        {"quantization_config",
         {{"quant_method", "compressed-tensors"}, {"config_groups", {{"group_0", group}}}}}};
    test::writeBytes(path() / "config.json", config.dump());
}

void TestPackedCodes::layouts_data()
{
    QTest::addColumn<QString>("layout");
    QTest::addColumn<int>("bits");
    for (const char* layout : {"dense", "padded"}) {
        for (const int bits : {3, 5, 6, 7}) {
            QTest::addRow("%s, %d bits", layout, bits) << layout << bits;
        }
    }
}

void TestPackedCodes::layouts()
{
    QFETCH(QString, layout);
    QFETCH(int, bits);
    const Json golden = readJsonFile(std::filesystem::path(QW_GOLDEN_DIR) / "packed_codes.json");
    const Json& one = golden[layout.toStdString()][std::to_string(bits)];
    write(bits, wordsOf(one["weight_packed"]), wordsOf(one["weight_zero_point"]), kColumns);
    FolderReader reader(path(), false);
    const auto layers = reader.codedLayers();
    QCOMPARE(layers.size(), std::size_t{1});
    QCOMPARE(layers[0].out, kRows);
    QCOMPARE(layers[0].in, kColumns);
    const auto stored = reader.codes("m", kRows, kColumns);
    QVERIFY(stored.has_value());
    QCOMPARE(stored->bits, std::int64_t{bits});
    QVERIFY(stored->codes.equal(meantCodes(kRows, kColumns, bits)));
    QVERIFY(stored->zero.equal(meantCodes(kRows, kGroups, bits)));
}

/// 20 codes of 3 bits take two words either way.
void TestPackedCodes::rowsThatDoNotTell()
{
    write(3, at::zeros({kRows, 2}, at::kInt), at::zeros({2, 1}, at::kInt), 20);
    FolderReader reader(path(), false);
    QVERIFY(sentenceOf([&] {
                reader.codes("m", kRows, 20);
            }).find("rows of 20 codes of 3 bits look the same in both layouts") !=
            std::string::npos);
}

QTEST_GUILESS_MAIN(TestPackedCodes)
#include "tst_packed_codes.moc"
