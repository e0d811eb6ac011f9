#include "report/learned_rank.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace qw {

std::int64_t divisorRank(const ReconstructionSpec& spec, std::int64_t out, std::int64_t in)
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
    return std::min<std::int64_t>(std::stoll(spec.rank), most);
}

std::int64_t pairRank(const TrainingSpec& spec, std::int64_t hidden)
{
    constexpr std::int64_t kPublished = 32;
    return spec.rank > 0 ? spec.rank : std::clamp<std::int64_t>(hidden / 4, 1, kPublished);
}

std::optional<std::int64_t> learnedRank(const RunSpec& spec, std::int64_t out, std::int64_t in,
                                        std::int64_t hidden)
{
    const std::int64_t full = std::min(out, in);
    if (spec.method == "lrq") {
        const std::int64_t rank = divisorRank(spec.reconstruction, out, in);
        return rank > 0 ? rank : full;
    }
    if (spec.method == "lr-qat") {
        return std::min(pairRank(spec.training, hidden), full);
    }
    return std::nullopt;
}

} // namespace qw
