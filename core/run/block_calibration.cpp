#include "run/block_calibration.h"

#include <algorithm>

#include "methods/block_error.h"

namespace qw {

namespace {
/// Enough for products at full speed; what a block holds on the way grows with it.
constexpr std::int64_t kTokensPerForward = 2048;

/// Windows that run together, none of two batches. @param f  called with the first of them, their
/// number and whether the batch ends with them
template <typename F>
void forEachPart(std::int64_t windows, std::int64_t batch, std::int64_t together, F f)
{
    for (std::int64_t begin = 0; begin < windows; begin += batch) {
        const std::int64_t end = std::min(begin + batch, windows);
        for (std::int64_t at = begin; at < end; at += together) {
            const std::int64_t count = std::min(together, end - at);
            f(at, count, at + count == end);
        }
    }
}
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
    forEachPart(m_hidden.windows(), m_batch, m_perForward,
                [&](std::int64_t at, std::int64_t count, bool last) {
                    endsBatch = last;
                    m_hidden.store(at,
                                   m_decoder.forwardBlock(block, m_hidden.load(at, count), hooks));
                });
    return statistics;
}

double BlockCalibration::advanceTowards(const HiddenStates& targets, const BlockWeights& block,
                                        const RunContext& run, BlockHooks hooks)
{
    hooks.run = &run;
    double sum = 0;
    forEachPart(m_hidden.windows(), m_batch, m_perForward,
                [&](std::int64_t at, std::int64_t count, bool /*last*/) {
                    const at::Tensor made =
                        m_decoder.forwardBlock(block, m_hidden.load(at, count), hooks);
                    for (std::int64_t i = 0; i < count; ++i) {
                        sum +=
                            blockLoss(made.narrow(0, i, 1), targets.load(at + i, 1)).item<double>();
                    }
                    m_hidden.store(at, made);
                });
    return sum / static_cast<double>(m_hidden.windows());
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
