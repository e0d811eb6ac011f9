#include "methods/input_statistics.h"

#include <algorithm>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"

namespace qw {

namespace {
constexpr std::int64_t kChunk = 2048; // tokens per float32 product before float64 accumulation
/// Rows of x^T x made at once: only what lies right of the diagonal strip, and temporaries stay
/// small beside a matrix that may take half a gigabyte.
constexpr std::int64_t kStrip = 512;
/// Rows reduced at once: their float64 copies stay small beside the inputs.
constexpr std::int64_t kReducedRows = 256;

/// Adds the column sums in float64 of f(rows) to @p sums.
template <typename F>
void addColumnSums(const at::Tensor& sums, const at::Tensor& values, F f)
{
    for (std::int64_t row = 0; row < values.size(0); row += kReducedRows) {
        const std::int64_t rows = std::min(kReducedRows, values.size(0) - row);
        sums.add_(f(values.narrow(0, row, rows)).sum(0, false, at::kDouble));
    }
}
} // namespace

InputStatistics::InputStatistics(std::int64_t in, StatisticsNeeds needs, const std::string& device)
    : m_needs(needs)
{
    const auto options = at::TensorOptions().dtype(at::kDouble).device(device);
    if (needs.meanAbs) {
        m_batchAbs = at::zeros({in}, options);
        m_maxMeanAbs = at::zeros({in}, options);
        m_sumMeanAbs = at::zeros({in}, options);
        m_sumAbs = at::zeros({in}, options);
    }
    if (needs.meanSquare) {
        m_batchSquares = at::zeros({in}, options);
        m_maxRms = at::zeros({in}, options);
        m_sumRms = at::zeros({in}, options);
        m_sumSquares = at::zeros({in}, options);
    }
    if (needs.autocorrelation) {
        m_autocorrelation = at::zeros({in, in}, options);
    }
    if (needs.range) {
        constexpr float kInfinite = std::numeric_limits<float>::infinity();
        m_lowest = at::full({in}, kInfinite, options.dtype(at::kFloat));
        m_highest = at::full({in}, -kInfinite, options.dtype(at::kFloat));
    }
}

void InputStatistics::add(const at::Tensor& x, bool endsBatch, const RunContext& run)
{
    QW_REQUIRE(!m_finished, ErrorCode::Internal, "inputs came after their statistics were read");
    const at::Tensor values = x.to(at::kFloat);
    m_tokens += values.size(0);
    m_batchTokens += values.size(0);
    if (m_needs.meanAbs) {
        addColumnSums(m_batchAbs, values, [](const at::Tensor& rows) { return rows.abs(); });
    }
    if (m_needs.meanSquare) {
        addColumnSums(m_batchSquares, values, [](const at::Tensor& rows) { return rows.square(); });
    }
    if (m_needs.autocorrelation) {
        addProducts(values, run);
    }
    if (m_needs.range) {
        m_lowest = at::minimum(m_lowest, values.amin(0));
        m_highest = at::maximum(m_highest, values.amax(0));
    }
    if (endsBatch) {
        endBatch();
    }
}

void InputStatistics::endBatch()
{
    if (m_needs.meanAbs) {
        const at::Tensor mean = m_batchAbs / m_batchTokens;
        m_maxMeanAbs = at::maximum(m_maxMeanAbs, mean);
        m_sumMeanAbs += mean;
        m_sumAbs += m_batchAbs;
        m_batchAbs.zero_();
    }
    if (m_needs.meanSquare) {
        const at::Tensor rms = (m_batchSquares / m_batchTokens).sqrt();
        m_sumSquares += m_batchSquares;
        m_maxRms = at::maximum(m_maxRms, rms);
        m_sumRms += rms;
        m_batchSquares.zero_();
    }
    m_batchTokens = 0;
    ++m_batches;
}

void InputStatistics::addProducts(const at::Tensor& values, const RunContext& run)
{
    const std::int64_t in = values.size(1);
    for (std::int64_t at = 0; at < values.size(0); at += kChunk) {
        const at::Tensor part = values.narrow(0, at, std::min(kChunk, values.size(0) - at));
        for (std::int64_t first = 0; first < in; first += kStrip) {
            run.checkpoint();
            const std::int64_t rows = std::min(kStrip, in - first);
            m_autocorrelation.narrow(0, first, rows).narrow(1, first, in - first) +=
                at::matmul(part.narrow(1, first, rows).t(), part.narrow(1, first, in - first));
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

at::Tensor InputStatistics::meanAbs() const
{
    QW_REQUIRE(m_needs.meanAbs && m_batches > 0, ErrorCode::Internal, "mean |x| was not collected");
    return m_sumAbs / m_tokens;
}

at::Tensor InputStatistics::largest() const
{
    QW_REQUIRE(m_needs.range && m_tokens > 0, ErrorCode::Internal, "the range was not collected");
    return at::maximum(-m_lowest, m_highest);
}

double InputStatistics::lowest() const
{
    QW_REQUIRE(m_needs.range && m_tokens > 0, ErrorCode::Internal, "the range was not collected");
    return m_lowest.min().item<double>();
}

double InputStatistics::highest() const
{
    QW_REQUIRE(m_needs.range && m_tokens > 0, ErrorCode::Internal, "the range was not collected");
    return m_highest.max().item<double>();
}

std::vector<at::Tensor*> InputStatistics::tensors()
{
    return {&m_batchAbs, &m_batchSquares, &m_maxMeanAbs,     &m_sumMeanAbs,
            &m_maxRms,   &m_sumRms,       &m_sumAbs,         &m_sumSquares,
            &m_lowest,   &m_highest,      &m_autocorrelation};
}

void InputStatistics::divideBy(const at::Tensor& scale)
{
    const at::Tensor wide = scale.to(at::kDouble);
    for (at::Tensor* sums :
         {&m_batchAbs, &m_maxMeanAbs, &m_sumMeanAbs, &m_maxRms, &m_sumRms, &m_sumAbs}) {
        if (sums->defined()) {
            sums->div_(wide);
        }
    }
    for (at::Tensor* squares : {&m_batchSquares, &m_sumSquares}) {
        if (squares->defined()) {
            squares->div_(wide.square());
        }
    }
    if (m_autocorrelation.defined()) {
        m_autocorrelation.div_(wide.unsqueeze(0)).div_(wide.unsqueeze(1));
    }
    if (m_lowest.defined()) {
        m_lowest = m_lowest / scale;
        m_highest = m_highest / scale;
    }
}

at::Tensor InputStatistics::autocorrelation() const
{
    QW_REQUIRE(m_needs.autocorrelation && m_tokens > 0, ErrorCode::Internal,
               "x^T x was not collected");
    if (m_finished) {
        return m_autocorrelation;
    }
    m_finished = true;
    at::Tensor r = m_autocorrelation; // the same memory
    r.div_(m_tokens);
    const std::int64_t in = r.size(0);
    for (std::int64_t first = 0; first < in; first += kStrip) {
        const std::int64_t rows = std::min(kStrip, in - first);
        const std::int64_t rest = in - first - rows;
        at::Tensor corner = r.narrow(0, first, rows).narrow(1, first, rows);
        corner.copy_((corner + corner.t()) / 2); // a float32 product is not exactly symmetric
        r.narrow(0, first + rows, rest)
            .narrow(1, first, rows)
            .copy_(r.narrow(0, first, rows).narrow(1, first + rows, rest).t());
    }
    return r;
}

} // namespace qw
