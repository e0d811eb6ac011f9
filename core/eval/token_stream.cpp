#include "eval/token_stream.h"

#include <algorithm>
#include <numeric>
#include <random>

#include <ATen/ops/empty.h>

#include "base/error.h"
#include "eval/usual_length.h"

namespace qw {

namespace {
constexpr std::int64_t kEnoughToHoldOut = 20;
constexpr std::int64_t kMostHeldOut = 32;
} // namespace

TokenStream::TokenStream(std::vector<std::int32_t> ids, std::int64_t seqlen, std::uint64_t seed)
    : m_ids(std::move(ids)), m_seqlen(seqlen), m_seed(seed)
{
    const std::int64_t all = static_cast<std::int64_t>(m_ids.size()) / seqlen;
    QW_ASSERT(all > 0);
    m_heldOut = all < kEnoughToHoldOut ? 0 : std::min(kMostHeldOut, all / 10);
    m_perPass = all - m_heldOut;
}

/// First token of a window.
std::int64_t TokenStream::startOf(std::int64_t window)
{
    if (const std::int64_t pass = window / m_perPass; pass != m_pass) {
        // Draws are made by hand: library distributions differ between implementations.
        std::seed_seq sequence{static_cast<std::uint32_t>(m_seed),
                               static_cast<std::uint32_t>(m_seed >> 32),
                               static_cast<std::uint32_t>(pass)};
        std::mt19937_64 random(sequence);
        const auto below = [&](std::int64_t n) {
            return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
        };
        const std::int64_t tokens = static_cast<std::int64_t>(m_ids.size()) - m_heldOut * m_seqlen;
        m_cut = below(tokens - m_perPass * m_seqlen + 1);
        m_order.resize(static_cast<std::size_t>(m_perPass));
        std::iota(m_order.begin(), m_order.end(), 0);
        for (std::size_t i = m_order.size(); i > 1; --i) {
            std::swap(m_order[i - 1],
                      m_order[static_cast<std::size_t>(below(static_cast<std::int64_t>(i)))]);
        }
        m_pass = pass;
    }
    return m_cut + m_order[static_cast<std::size_t>(window % m_perPass)] * m_seqlen;
}

at::Tensor TokenStream::windows(std::int64_t first, std::int64_t count)
{
    at::Tensor ids = at::empty({count, m_seqlen}, at::kLong);
    auto* to = ids.data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < count; ++i, to += m_seqlen) {
        std::copy_n(m_ids.begin() + startOf(first + i), m_seqlen, to);
    }
    return ids;
}

at::Tensor TokenStream::validation() const
{
    at::Tensor ids = at::empty({m_heldOut, m_seqlen}, at::kLong);
    std::copy(m_ids.end() - m_heldOut * m_seqlen, m_ids.end(), ids.data_ptr<std::int64_t>());
    return ids;
}

TrainingText trainingText(const TrainingSpec& spec, const std::string& textFile,
                          const ModelConfig& config, const Tokenizer& tokenizer, std::uint64_t seed,
                          const RunContext& run)
{
    const std::int64_t seqlen =
        windowLength(spec.seqlen, kTrainingLength, config, "training seqlen");
    EncodedText encoded = encodeFile(textFile, config, tokenizer, run);
    requireOneWindow(textFile, encoded.ids.size(), seqlen);
    TrainingText text{TokenStream(std::move(encoded.ids), seqlen, seed),
                      std::move(encoded.text),
                      std::move(encoded.hash),
                      {}};
    const std::int64_t wanted = spec.steps * spec.batchSize * spec.gradAccum;
    if (const std::int64_t once = text.tokens.windowsPerPass(); wanted > once) {
        text.substitutions.push_back(message(
            "training: ", wanted, " windows of ", seqlen, " tokens are wanted, the text holds ",
            once, ": it is read ", (wanted + once - 1) / once, " times"));
    }
    return text;
}

} // namespace qw
