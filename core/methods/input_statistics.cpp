#include "methods/input_statistics.h"

#include <algorithm>

#include <ATen/ops/matmul.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"

namespace qw {

namespace {
constexpr std::int64_t kChunk = 2048; // tokens per float32 product before float64 accumulation
} // namespace

InputStatistics::InputStatistics(std::int64_t in, StatisticsNeeds needs, const std::string& device)
    : m_needs(needs)
{
    const auto options = at::TensorOptions().dtype(at::kDouble).device(device);
    if (needs.meanAbs) {
        m_maxMeanAbs = at::zeros({in}, options);
        m_sumMeanAbs = at::zeros({in}, options);
    }
    if (needs.meanSquare) {
        m_maxRms = at::zeros({in}, options);
        m_sumRms = at::zeros({in}, options);
        m_sumSquares = at::zeros({in}, options);
    }
    if (needs.autocorrelation) {
        m_autocorrelation = at::zeros({in, in}, options);
    }
}

void InputStatistics::add(const at::Tensor& x)
{
    const at::Tensor values = x.to(at::kFloat);
    m_tokens += values.size(0);
    ++m_batches;
    if (m_needs.meanAbs) {
        const at::Tensor mean = values.abs().mean(0).to(at::kDouble);
        m_maxMeanAbs = at::maximum(m_maxMeanAbs, mean);
        m_sumMeanAbs += mean;
    }
    if (m_needs.meanSquare) {
        const at::Tensor squares = values.square().sum(0, false, at::kDouble);
        const at::Tensor rms = (squares / values.size(0)).sqrt();
        m_sumSquares += squares;
        m_maxRms = at::maximum(m_maxRms, rms);
        m_sumRms += rms;
    }
    if (m_needs.autocorrelation) {
        for (std::int64_t at = 0; at < values.size(0); at += kChunk) {
            const at::Tensor part = values.narrow(0, at, std::min(kChunk, values.size(0) - at));
            m_autocorrelation += at::matmul(part.t(), part);
        }
    }
}

at::Tensor InputStatistics::scaleMeanAbs(bool maxOverBatches) const
{
    QW_REQUIRE(m_needs.meanAbs && m_batches > 0, ErrorCode::Internal, "mean |x| was not collected");
    return maxOverBatches ? m_maxMeanAbs : m_sumMeanAbs / m_batches;
}

at::Tensor InputStatistics::scaleRms(bool maxOverBatches) const
{
    QW_REQUIRE(m_needs.meanSquare && m_batches > 0, ErrorCode::Internal, "x^2 was not collected");
    return maxOverBatches ? m_maxRms : m_sumRms / m_batches;
}

at::Tensor InputStatistics::meanSquare() const
{
    QW_REQUIRE(m_needs.meanSquare && m_tokens > 0, ErrorCode::Internal, "x^2 was not collected");
    return m_sumSquares / m_tokens;
}

at::Tensor InputStatistics::autocorrelation() const
{
    QW_REQUIRE(m_needs.autocorrelation && m_tokens > 0, ErrorCode::Internal,
               "x^T x was not collected");
    return m_autocorrelation / m_tokens;
}

} // namespace qw
