#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"

namespace qw {

/// What a method wants to know of a layer's inputs; only what is asked for is accumulated.
struct StatisticsNeeds {
    bool meanAbs = false;         ///< L2QER's s
    bool meanSquare = false;      ///< QERA-approx
    bool autocorrelation = false; ///< QERA-exact: R, float64, also gives the output error
    bool range = false;           ///< SmoothQuant, static activations: least and largest
    bool operator==(const StatisticsNeeds&) const = default;
};

/// Running statistics of the input of one group of linears. float64 accumulation.
class InputStatistics
{
public:
    InputStatistics(std::int64_t in, StatisticsNeeds needs, const std::string& device = "cpu");
    /// @param x [tokens, in] float32, a part of a batch; @param endsBatch  the batch (the unit of
    ///        L2QER's max over batches) is complete with it
    /// @throws Cancelled; what was accumulated is of no use then
    void add(const at::Tensor& x, bool endsBatch = true, const RunContext& run = {});

    std::int64_t tokens() const { return m_tokens; }
    /// max or mean over batches of mean |x|, or of the root mean square. [in] float64
    at::Tensor scaleMeanAbs(bool maxOverBatches) const;
    at::Tensor scaleRms(bool maxOverBatches) const;
    at::Tensor meanSquare() const; ///< E[x_i^2], [in] float64
    at::Tensor meanAbs() const;    ///< E|x_i|, [in] float64
    at::Tensor largest() const;    ///< max |x_i|, [in] float32
    double lowest() const;         ///< of all values
    double highest() const;        ///< of all values
    /// As if all inputs so far had been x / scale. @param scale [in] float32, above 0
    void divideBy(const at::Tensor& scale);
    /// R = E[x^T x], [in, in] float64, no copy: the sums become R in place, so that nothing can be
    /// added after the first call.
    at::Tensor autocorrelation() const;

    /// All it holds, always in the same order and undefined where not asked for: for whoever puts
    /// it elsewhere. Copies of an object share these.
    std::vector<at::Tensor*> tensors();

private:
    void addProducts(const at::Tensor& values, const RunContext& run);
    void endBatch();

    StatisticsNeeds m_needs;
    std::int64_t m_tokens = 0;
    std::int64_t m_batches = 0;
    std::int64_t m_batchTokens = 0;
    at::Tensor m_batchAbs, m_batchSquares; ///< sums over the batch so far
    at::Tensor m_maxMeanAbs, m_sumMeanAbs, m_maxRms, m_sumRms, m_sumAbs, m_sumSquares;
    at::Tensor m_lowest, m_highest; ///< float32
    at::Tensor m_autocorrelation;   ///< sums, upper triangle of strips; R once finished
    mutable bool m_finished = false;
};

} // namespace qw
