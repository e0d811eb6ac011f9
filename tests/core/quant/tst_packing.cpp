#include "quant/packing.h"

#include <QtTest>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "support/tensor_model_files.h"
#include "support/tensor_quantizers.h"

using namespace qw;
using namespace qw::test;

class TestPacking : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void identity_data();
    void identity();
    void layout();
    void refusals();
};

void TestPacking::identity_data()
{
    QTest::addColumn<int>("bits");
    QTest::addColumn<bool>("isSigned");
    for (int bits = 1; bits <= 8; ++bits) {
        QTest::addRow("%d bits, unsigned", bits) << bits << false;
        QTest::addRow("%d bits, signed", bits) << bits << true;
    }
}

void TestPacking::identity()
{
    QFETCH(int, bits);
    QFETCH(bool, isSigned);
    const std::int64_t low = isSigned ? -(1 << (bits - 1)) : 0;
    const std::int64_t high = low + (1 << bits); // every code occurs
    for (const std::int64_t cols : {1, 3, 7, 8, 16, 23, 257}) {
        for (const std::int64_t rows : {1, 5, 40}) {
            at::Tensor codes = at::randint(low, high, {rows, cols},
                                           at::make_generator<at::CPUGeneratorImpl>(7), at::kShort);
            const std::int64_t some = std::min(cols, high - low);
            codes[0].narrow(0, 0, some).copy_(at::arange(low, low + some));
            const at::Tensor packed = packCodes(codes, bits);
            QCOMPARE(packed.size(1), (cols * bits + 7) / 8);
            QCOMPARE(difference(unpackCodes(packed, cols, bits, isSigned), codes), std::string());
        }
    }
}

void TestPacking::layout()
{
    // Little-endian bit stream: 5, 3, 6 in three bits are 101 011 110 -> 0b10'011'101, 0b1.
    const at::Tensor packed = packCodes(at::tensor({5, 3, 6}, at::kShort).view({1, 3}), 3);
    QCOMPARE(packed[0][0].item<int>(), 0b10011101);
    QCOMPARE(packed[0][1].item<int>(), 0b1);
    // Two's complement: -1 in four bits is 1111.
    QCOMPARE(packCodes(at::tensor({-1, 2}, at::kShort).view({1, 2}), 4)[0][0].item<int>(), 0x2F);
}

void TestPacking::refusals()
{
    const auto pack = [](std::int64_t code, std::int64_t bits) {
        return sentenceOf([&] { packCodes(at::full({1, 1}, code, at::kShort), bits); });
    };
    QCOMPARE(pack(16, 4), std::string("codes 16..16 do not fit in 4 bits"));
    QCOMPARE(pack(-9, 4), std::string("codes -9..-9 do not fit in 4 bits"));
    QCOMPARE(pack(-8, 4), std::string());
    QCOMPARE(pack(0, 9), std::string("packing takes a matrix of codes of 1 to 8 bits"));
    QCOMPARE(sentenceOf([] {
                 unpackCodes(at::zeros({1, 2}, at::kByte), 3, 4, false);
             }),
             std::string());
    QCOMPARE(sentenceOf([] {
                 unpackCodes(at::zeros({1, 3}, at::kByte), 3, 4, false);
             }),
             std::string("packed codes have 3 bytes a row, 3 codes of 4 bits need 2"));
}

QTEST_GUILESS_MAIN(TestPacking)
#include "tst_packing.moc"
