#include "run/layer_measure.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

namespace qw {

namespace {
/// Multiplications of one product between two looks at the stop token: well below a second.
constexpr std::int64_t kStep = std::int64_t{1} << 32;
/// A difference that is a smaller share of its first term has lost too many digits.
constexpr double kCancelled = 1e-5;

std::int64_t rowsAtOnce(std::int64_t in)
{
    return std::max<std::int64_t>(32, kStep / (in * in));
}

double contract(const at::Tensor& a, const at::Tensor& b)
{
    return (a * b).sum().item<double>();
}
} // namespace

LayerMeasure::LayerMeasure(const at::Tensor& weight, const at::Tensor& autocorrelation,
                           const QuantizedLinear& linear, const RunContext& run)
    : m_linear(linear), m_weight(weight), m_codes(linear.dequantizedCodes().to(weight.device())),
      m_autocorrelation(autocorrelation)
{
    const auto wide = weight.options().dtype(at::kDouble);
    if (linear.a.defined()) {
        m_b = linear.b.deployed().to(wide);
        m_bError = at::zeros({m_b.size(0), linear.in}, wide);
        m_bOutput = at::zeros({m_b.size(0), linear.in}, wide);
    }
    const std::int64_t step = rowsAtOnce(linear.in);
    for (std::int64_t first = 0; first < linear.out; first += step) {
        run.checkpoint();
        const std::int64_t rows = std::min(step, linear.out - first);
        const at::Tensor w = weight.narrow(0, first, rows).to(at::kDouble);
        const at::Tensor e = w - m_codes.narrow(0, first, rows);
        m_whole.weight += contract(w, w);
        m_error.weight += contract(e, e);
        const at::Tensor b = m_b.defined() ? m_b.narrow(1, first, rows) : at::Tensor();
        if (b.defined()) {
            m_bError.addmm_(b, e);
        }
        if (autocorrelation.defined()) {
            const at::Tensor outputs = at::matmul(at::cat({w, e}), autocorrelation);
            const at::Tensor errorOutput = outputs.narrow(0, rows, rows);
            m_whole.output += contract(outputs.narrow(0, 0, rows), w);
            m_error.output += contract(errorOutput, e);
            if (b.defined()) {
                m_bOutput.addmm_(b, errorOutput);
            }
        }
    }
}

double LayerMeasure::codesOutputNorm() const
{
    return m_autocorrelation.defined() ? std::sqrt(std::max(0.0, m_error.output)) : kMissing;
}

LayerMeasure::Powers LayerMeasure::remaining(const QuantizedLinear& linear,
                                             const RunContext& run) const
{
    if (!linear.a.defined()) {
        return m_error;
    }
    const at::Tensor b = linear.b.deployed().to(m_b.options());
    const std::int64_t rank = b.size(0);
    if (!at::equal(b, m_b.narrow(0, 0, rank))) {
        return direct(linear, run); // quantized differently than as a part of the whole
    }
    const at::Tensor a = linear.a.deployed().to(m_b.options());
    const at::Tensor bb = at::matmul(b, b.t());
    Powers left = m_error;
    left.weight +=
        contract(at::matmul(a.t(), a), bb) - 2 * contract(m_bError.narrow(0, 0, rank), a.t());
    bool cancelled = left.weight < kCancelled * m_error.weight;
    if (m_autocorrelation.defined()) {
        left.output += contract(at::matmul(a.t(), at::matmul(m_autocorrelation, a)), bb) -
                       2 * contract(m_bOutput.narrow(0, 0, rank), a.t());
        cancelled = cancelled || left.output < kCancelled * m_error.output;
    }
    return cancelled ? direct(linear, run) : left;
}

LayerMeasure::Powers LayerMeasure::direct(const QuantizedLinear& linear,
                                          const RunContext& run) const
{
    const at::Tensor at = linear.a.deployed().to(m_b.options()).t();
    const at::Tensor bt = linear.b.deployed().to(m_b.options()).t();
    const std::int64_t step = rowsAtOnce(linear.in);
    Powers sum;
    for (std::int64_t first = 0; first < linear.out; first += step) {
        run.checkpoint();
        const std::int64_t rows = std::min(step, linear.out - first);
        const at::Tensor d = m_weight.narrow(0, first, rows).to(at::kDouble) -
                             m_codes.narrow(0, first, rows) -
                             at::matmul(bt.narrow(0, first, rows), at);
        sum.weight += contract(d, d);
        if (m_autocorrelation.defined()) {
            sum.output += contract(at::matmul(d, m_autocorrelation), d);
        }
    }
    return sum;
}

LayerResult LayerMeasure::atRank(std::int64_t rank, const RunContext& run) const
{
    const QuantizedLinear linear = m_linear.withRank(rank);
    const Powers left = remaining(linear, run);
    LayerResult result;
    result.name = linear.name;
    result.rows = linear.out;
    result.cols = linear.in;
    result.rank = linear.rank();
    result.weightError = m_whole.weight > 0 ? std::sqrt(left.weight / m_whole.weight) : 0;
    if (m_autocorrelation.defined() && m_whole.output > 0) {
        // Rounding can turn a vanishing power slightly negative.
        result.outputError = std::sqrt(std::max(0.0, left.output) / m_whole.output);
        result.sqnrDb = -20 * std::log10(result.outputError);
    }
    const std::int64_t bits = storedBits(linear);
    result.bytes = (bits + 7) / 8;
    result.bitsPerWeight = static_cast<double>(bits) / static_cast<double>(linear.in * linear.out);
    return result;
}

} // namespace qw
