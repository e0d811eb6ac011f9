#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"
#include "methods/input_statistics.h"
#include "model/decoder.h"

namespace qw {

/// Calibration windows on their way through the full-precision model, one block at a time. Hidden
/// states are the only thing kept between blocks.
class BlockCalibration
{
public:
    /// @param ids [windows, seqlen] int64; @param batch  windows per forward: the unit of
    ///        statistics that take the maximum over batches
    BlockCalibration(const Decoder& decoder, const at::Tensor& ids, std::int64_t batch);

    /// Statistics of each input group of the block, by group number, then the hidden states move
    /// past it. With @p needs empty the states only move (a resumed run).
    std::map<std::int64_t, std::unique_ptr<InputStatistics>>
    advance(const BlockWeights& block, const StatisticsNeeds& needs, const RunContext& run);

    std::int64_t cachedBytes() const;

private:
    const Decoder& m_decoder;
    at::Tensor m_hidden; // [windows, seqlen, hidden] float32
    std::int64_t m_batch;
};

} // namespace qw
