#include "methods/frozen_weight.h"

#include <cmath>
#include <map>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/round.h>

#include "base/error.h"
#include "quant/packing.h"

namespace qw {

namespace {
/// The inverse of packCodes() for signed codes on any device, as float32.
at::Tensor unpacked(const at::Tensor& packed, std::int64_t columns, std::int64_t bits)
{
    const at::Tensor bit = at::arange(columns, packed.options().dtype(at::kLong)) * bits;
    const at::Tensor byte = bit.div(8, "floor");
    const at::Tensor next = (byte + 1).clamp_max(packed.size(1) - 1);
    const at::Tensor wide = packed.to(at::kInt);
    const at::Tensor two = wide.index_select(1, byte) + wide.index_select(1, next) * 256;
    const std::int64_t levels = std::int64_t{1} << bits;
    const at::Tensor code =
        two.bitwise_right_shift(bit.remainder(8).to(at::kInt)).remainder(levels);
    return (code - code.ge(levels / 2).to(at::kInt) * levels).to(at::kFloat);
}
} // namespace

Phi phiFromName(const std::string& name)
{
    static const std::map<std::string, Phi> kNames = {{"fp32", Phi::Float32},
                                                      {"bf16", Phi::BFloat16},
                                                      {"fp16", Phi::Float16},
                                                      {"fixed8", Phi::Fixed8},
                                                      {"int", Phi::Int}};
    const auto found = kNames.find(name);
    QW_REQUIRE(found != kNames.end(), ErrorCode::BadInput, "phi \"", name,
               "\" is not fp32, bf16, fp16, fixed8 or int");
    return found->second;
}

FrozenWeight::FrozenWeight(const at::Tensor& ratio, Phi phi, const GridOptions& grid)
    : m_phi(phi), m_bits(grid.bits), m_columns(ratio.size(1))
{
    const auto low = static_cast<double>(codeMin(grid));
    const auto high = static_cast<double>(codeMax(grid));
    switch (phi) {
    case Phi::Float32:
        m_stored = ratio.clone();
        break;
    case Phi::BFloat16:
        m_stored = ratio.to(at::kBFloat16);
        break;
    case Phi::Float16:
        m_stored = ratio.to(at::kHalf);
        break;
    case Phi::Fixed8:
        QW_REQUIRE(grid.sym && grid.bits < 8, ErrorCode::BadInput,
                   "phi fixed8 keeps fractions of symmetric codes of 2 to 7 bits, not ", grid.bits,
                   "; use phi int or fp32");
        m_stored = at::round(ratio.clamp(low, high) * std::exp2(8 - grid.bits)).to(at::kChar);
        break;
    case Phi::Int:
        m_stored = packCodes(at::round(ratio).clamp_(low, high), grid.bits).to(ratio.device());
        break;
    }
}

at::Tensor FrozenWeight::decoded() const
{
    if (m_phi == Phi::Int) {
        return unpacked(m_stored, m_columns, m_bits);
    }
    const at::Tensor values = m_stored.to(at::kFloat);
    return m_phi == Phi::Fixed8 ? values * std::exp2(m_bits - 8) : values;
}

} // namespace qw
