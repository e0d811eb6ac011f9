#include "quant/packing.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"

namespace qw {

at::Tensor packCodes(const at::Tensor& codes, std::int64_t bits)
{
    QW_REQUIRE(codes.dim() == 2 && bits >= 1 && bits <= 8, ErrorCode::BadShape,
               "packing takes a matrix of codes of 1 to 8 bits");
    const at::Tensor host = codes.to(at::kCPU, at::kShort).contiguous();
    const std::int64_t rows = host.size(0);
    const std::int64_t cols = host.size(1);
    const std::int64_t bytes = (cols * bits + 7) / 8;
    if (host.numel() > 0) {
        const auto low = host.min().item<std::int64_t>();
        const auto high = host.max().item<std::int64_t>();
        QW_REQUIRE(low >= -(std::int64_t{1} << (bits - 1)) && high < (std::int64_t{1} << bits),
                   ErrorCode::BadInput, "codes ", low, "..", high, " do not fit in ", bits,
                   " bits");
    }
    at::Tensor packed = at::zeros({rows, bytes}, at::kByte);
    const auto* from = host.data_ptr<std::int16_t>();
    auto* to = packed.data_ptr<std::uint8_t>();
    const unsigned mask = (1U << bits) - 1;
    at::parallel_for(0, rows, 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            for (std::int64_t c = 0; c < cols; ++c) {
                const std::int64_t bit = c * bits;
                const unsigned value = (static_cast<unsigned>(from[r * cols + c]) & mask)
                                       << (bit % 8);
                std::uint8_t* byte = to + r * bytes + bit / 8;
                byte[0] = static_cast<std::uint8_t>(byte[0] | value);
                if (value > 0xFF) { // the code straddles two bytes
                    byte[1] = static_cast<std::uint8_t>(byte[1] | (value >> 8));
                }
            }
        }
    });
    return packed;
}

at::Tensor unpackCodes(const at::Tensor& packed, std::int64_t cols, std::int64_t bits,
                       bool isSigned)
{
    QW_REQUIRE(packed.dim() == 2 && packed.size(1) == (cols * bits + 7) / 8, ErrorCode::BadShape,
               "packed codes have ", packed.dim() == 2 ? packed.size(1) : -1, " bytes a row, ",
               cols, " codes of ", bits, " bits need ", (cols * bits + 7) / 8);
    const at::Tensor host = packed.to(at::kCPU, at::kByte).contiguous();
    const std::int64_t rows = host.size(0);
    const std::int64_t bytes = host.size(1);
    at::Tensor codes = at::empty({rows, cols}, at::kShort);
    const auto* from = host.data_ptr<std::uint8_t>();
    auto* to = codes.data_ptr<std::int16_t>();
    const int mask = (1 << bits) - 1;
    const int sign = 1 << (bits - 1);
    at::parallel_for(0, rows, 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            for (std::int64_t c = 0; c < cols; ++c) {
                const std::int64_t bit = c * bits;
                const std::uint8_t* byte = from + r * bytes + bit / 8;
                int value = byte[0] >> (bit % 8);
                if (bit % 8 + bits > 8) {
                    value |= byte[1] << (8 - bit % 8);
                }
                value &= mask;
                if (isSigned && (value & sign) != 0) {
                    value -= 1 << bits;
                }
                to[r * cols + c] = static_cast<std::int16_t>(value);
            }
        }
    });
    return codes;
}

} // namespace qw
