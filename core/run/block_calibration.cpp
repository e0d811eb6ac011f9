#include "run/block_calibration.h"

#include <algorithm>

namespace qw {

BlockCalibration::BlockCalibration(const Decoder& decoder, const at::Tensor& ids,
                                   std::int64_t batch)
    : m_decoder(decoder), m_hidden(decoder.embed(ids.to(decoder.options().device))),
      m_batch(std::max<std::int64_t>(1, batch))
{
}

std::map<std::int64_t, std::unique_ptr<InputStatistics>>
BlockCalibration::advance(const BlockWeights& block, const StatisticsNeeds& needs,
                          const RunContext& run)
{
    std::map<std::int64_t, std::unique_ptr<InputStatistics>> statistics;
    BlockHooks hooks;
    if (!(needs == StatisticsNeeds{})) {
        hooks.input = [&](const LinearInfo& linear, const at::Tensor& input) {
            auto& entry = statistics[linear.inputGroup];
            if (!entry) {
                entry =
                    std::make_unique<InputStatistics>(linear.in, needs, m_decoder.options().device);
            }
            entry->add(input);
            run.checkpoint();
        };
    }
    for (std::int64_t at = 0; at < m_hidden.size(0); at += m_batch) {
        run.checkpoint();
        at::Tensor part = m_hidden.narrow(0, at, std::min(m_batch, m_hidden.size(0) - at));
        part.copy_(m_decoder.forwardBlock(block, part, hooks));
    }
    return statistics;
}

std::int64_t BlockCalibration::cachedBytes() const
{
    return m_hidden.numel() * m_hidden.element_size();
}

} // namespace qw
