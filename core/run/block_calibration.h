#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"
#include "methods/input_statistics.h"
#include "model/decoder.h"
#include "model/hidden_states.h"

namespace qw {

/// Calibration windows on their way through a model, one block at a time: the full-precision one,
/// or with hooks the quantized one. Hidden states are the only thing kept between blocks.
class BlockCalibration
{
public:
    /// @param ids [windows, seqlen] int64; @param batch  windows per batch of the statistics, the
    ///        unit of those that take the maximum over batches
    BlockCalibration(const Decoder& decoder, const at::Tensor& ids, std::int64_t batch,
                     const HiddenStatesPlace& place, const RunContext& run);

    /// Statistics of each input group of the block, by group number, then the hidden states move
    /// past it. With @p needs empty the states only move (a resumed run, a quantized model).
    std::map<std::int64_t, std::unique_ptr<InputStatistics>> advance(const BlockWeights& block,
                                                                     const StatisticsNeeds& needs,
                                                                     const RunContext& run,
                                                                     BlockHooks hooks = {});

    /// Past a block that stands in for the model's own, measuring what it makes on the way.
    /// @param targets  what the model's own makes of the same windows
    /// @return blockLoss() between the two, averaged over windows
    double advanceTowards(const HiddenStates& targets, const BlockWeights& block,
                          const RunContext& run, BlockHooks hooks);

    /// Takes the states of another of the same windows.
    void follow(const BlockCalibration& other, const RunContext& run);

    const HiddenStates& states() const { return m_hidden; }

    std::int64_t cachedBytes() const { return m_hidden.bytes(); }

private:
    const Decoder& m_decoder;
    HiddenStates m_hidden;
    std::int64_t m_batch;
    std::int64_t m_perForward; ///< windows that run together, a part of a batch
};

} // namespace qw
