#include "report/learned_rank.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "base/error.h"

namespace qw {

namespace {
/// As divisorRank(); nothing if the spec says no rank.
std::optional<std::int64_t> askedRank(const ReconstructionSpec& spec, std::int64_t out,
                                      std::int64_t in)
{
    constexpr std::int64_t kWide = 4096;
    constexpr std::int64_t kWidest = 8192;
    const std::int64_t most = std::min(out, in);
    if (spec.rank == "full") {
        return 0;
    }
    if (spec.rank == "official") {
        if ((out <= kWide) != (in <= kWide) || (out == kWidest && in == kWidest)) {
            return 0;
        }
        return std::min<std::int64_t>(most >= kWidest ? 2048 : 1024, most);
    }
    if (spec.rank == "relative") {
        const double size = spec.rho * static_cast<double>(out) * static_cast<double>(in) /
                            static_cast<double>(out + in);
        return std::clamp<std::int64_t>(std::llround(size), 1, most);
    }
    std::int64_t number = 0;
    const char* end = spec.rank.data() + spec.rank.size();
    const auto [stop, problem] = std::from_chars(spec.rank.data(), end, number);
    if (problem != std::errc() || stop != end || number < 1) {
        return std::nullopt;
    }
    return std::min(number, most);
}
} // namespace

bool learnsRank(const RunSpec& spec)
{
    return spec.method == "lr-qat" ||
           (spec.method == "lrq" && spec.reconstruction.without != "low-rank");
}

std::int64_t divisorRank(const ReconstructionSpec& spec, std::int64_t out, std::int64_t in)
{
    const std::optional<std::int64_t> rank = askedRank(spec, out, in);
    QW_REQUIRE(rank, ErrorCode::BadInput, "reconstruction.rank \"", spec.rank,
               "\" is not relative, full, official or a number above 0");
    return *rank;
}

std::int64_t pairRank(const TrainingSpec& spec, std::int64_t hidden)
{
    return spec.rank > 0 ? spec.rank : std::clamp<std::int64_t>(hidden / 4, 1, kPublishedRank);
}

std::optional<KnownRank> learnedRank(const RunSpec& spec, std::int64_t out, std::int64_t in,
                                     std::int64_t hidden)
{
    if (!learnsRank(spec)) {
        return std::nullopt;
    }
    if (spec.method == "lr-qat") {
        return KnownRank{std::min({pairRank(spec.training, hidden), out, in}), true, false};
    }
    const std::optional<std::int64_t> rank = askedRank(spec.reconstruction, out, in);
    return rank ? std::optional(KnownRank{*rank, true, *rank == 0}) : std::nullopt;
}

} // namespace qw
