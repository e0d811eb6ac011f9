#include "quant/activation_quantizer.h"

#include <algorithm>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include "base/error.h"
#include "quant/activation_kernels.h"
#include "quant/mx_rounding.h"

namespace qw {

namespace {
using Kind = ActivationQuantizer::Kind;
constexpr std::int64_t kGrain = 1 << 14; // values worth a thread

/// Quantizes one token; what it needs of the options is worked out once.
class RowQuantizer
{
public:
    explicit RowQuantizer(const ActivationQuantizer& quantizer)
        : m_quantizer(quantizer),
          m_mx(quantizer.kind == Kind::Mx ? mxRounding(quantizer.mx) : MxRounding{})
    {
    }
    void operator()(const float* x, std::int64_t n, float* y) const
    {
        const std::int64_t bits = m_quantizer.bits;
        switch (m_quantizer.kind) {
        case Kind::None:
            std::copy(x, x + n, y);
            break;
        case Kind::TokenAsymmetric:
        case Kind::TokenAsymmetricFloat:
            tokenAsymmetricRow(x, n, bits, m_quantizer.kind == Kind::TokenAsymmetricFloat, y);
            break;
        case Kind::TokenSymmetric:
            tokenSymmetricRow(x, n, bits, y);
            break;
        case Kind::TensorStatic:
            staticRow(x, n, bits, static_cast<float>(m_quantizer.scale),
                      static_cast<float>(m_quantizer.zero), y);
            break;
        case Kind::Mx:
            mxFakeQuantizeRow(x, n, m_quantizer.mx.blockSize, m_mx, y);
            break;
        }
    }

private:
    const ActivationQuantizer& m_quantizer;
    MxRounding m_mx;
};

void requireOptions(const ActivationQuantizer& quantizer)
{
    if (quantizer.kind == Kind::Mx) {
        requireMxOptions(quantizer.mx);
        return;
    }
    QW_REQUIRE(quantizer.bits >= 2 && quantizer.bits <= 8, ErrorCode::BadInput, "activation bits ",
               quantizer.bits, " are not in 2..8");
}
} // namespace

at::Tensor quantizeActivation(const at::Tensor& x, const ActivationQuantizer& quantizer)
{
    if (!quantizer.active() || x.numel() == 0) {
        return x;
    }
    requireOptions(quantizer);
    const bool narrow = x.scalar_type() == at::kBFloat16;
    if (!x.is_cpu() || !(narrow || x.scalar_type() == at::kFloat)) {
        return quantizeActivationByOps(x, quantizer);
    }
    const at::Tensor values = x.contiguous();
    const at::Tensor result = at::empty_like(values);
    const std::int64_t n = values.size(-1);
    const RowQuantizer row(quantizer);
    const std::int64_t grain = std::max<std::int64_t>(1, kGrain / n);
    at::parallel_for(0, values.numel() / n, grain, [&](std::int64_t begin, std::int64_t end) {
        if (!narrow) {
            for (std::int64_t r = begin; r < end; ++r) {
                row(values.data_ptr<float>() + r * n, n, result.data_ptr<float>() + r * n);
            }
            return;
        }
        const auto* from = reinterpret_cast<const std::uint16_t*>(values.data_ptr<at::BFloat16>());
        auto* to = reinterpret_cast<std::uint16_t*>(result.data_ptr<at::BFloat16>());
        std::vector<float> wide(static_cast<std::size_t>(2 * n)); // a row before and after
        for (std::int64_t r = begin; r < end; ++r) {
            widenRow(from + r * n, n, wide.data());
            row(wide.data(), n, wide.data() + n);
            narrowRow(wide.data() + n, n, to + r * n);
        }
    });
    return result;
}

std::string describe(const ActivationQuantizer& quantizer)
{
    switch (quantizer.kind) {
    case Kind::TokenAsymmetric:
        return message("int", quantizer.bits, " per token, asymmetric");
    case Kind::TokenAsymmetricFloat:
        return message("int", quantizer.bits, " per token, asymmetric, float zero point");
    case Kind::TokenSymmetric:
        return message("int", quantizer.bits, " per token, symmetric");
    case Kind::TensorStatic:
        return message("int", quantizer.bits, " per tensor, static");
    case Kind::Mx:
        return describe(quantizer.mx);
    case Kind::None:
        break;
    }
    return "none";
}

} // namespace qw
