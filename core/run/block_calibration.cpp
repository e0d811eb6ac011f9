#include "run/block_calibration.h"

#include <algorithm>

namespace qw {

namespace {
/// Enough for products at full speed; what a block holds on the way grows with it.
constexpr std::int64_t kTokensPerForward = 2048;
} // namespace

BlockCalibration::BlockCalibration(const Decoder& decoder, const at::Tensor& ids,
                                   std::int64_t batch, const HiddenStatesPlace& place,
                                   const RunContext& run)
    : m_decoder(decoder),
      m_hidden(ids.size(0), ids.size(1), decoder.config().hidden, decoder.options().device, place),
      m_batch(std::max<std::int64_t>(1, batch)),
      m_perForward(std::clamp<std::int64_t>(kTokensPerForward / ids.size(1), 1, m_batch))
{
    for (std::int64_t at = 0; at < m_hidden.windows(); at += m_perForward) {
        run.checkpoint();
        const std::int64_t count = std::min(m_perForward, m_hidden.windows() - at);
        m_hidden.store(at, decoder.embed(ids.narrow(0, at, count)));
    }
}

std::map<std::int64_t, std::unique_ptr<InputStatistics>>
BlockCalibration::advance(const BlockWeights& block, const StatisticsNeeds& needs,
                          const RunContext& run, BlockHooks hooks)
{
    std::map<std::int64_t, std::unique_ptr<InputStatistics>> statistics;
    const bool collect = !(needs == StatisticsNeeds{});
    bool endsBatch = false;
    hooks.run = &run;
    hooks.input = [&](const LinearInfo& linear, const at::Tensor& input) {
        if (!collect) {
            return;
        }
        auto& entry = statistics[linear.inputGroup];
        if (!entry) {
            entry = std::make_unique<InputStatistics>(linear.in, needs, m_decoder.options().device);
        }
        entry->add(input, endsBatch, run);
    };
    for (std::int64_t begin = 0; begin < m_hidden.windows(); begin += m_batch) {
        const std::int64_t end = std::min(begin + m_batch, m_hidden.windows());
        for (std::int64_t at = begin; at < end; at += m_perForward) {
            const std::int64_t count = std::min(m_perForward, end - at);
            endsBatch = at + count == end;
            m_hidden.store(at, m_decoder.forwardBlock(block, m_hidden.load(at, count), hooks));
        }
    }
    return statistics;
}

void BlockCalibration::follow(const BlockCalibration& other, const RunContext& run)
{
    for (std::int64_t at = 0; at < m_hidden.windows(); at += m_perForward) {
        run.checkpoint();
        const std::int64_t count = std::min(m_perForward, m_hidden.windows() - at);
        m_hidden.store(at, other.m_hidden.load(at, count));
    }
}

} // namespace qw
