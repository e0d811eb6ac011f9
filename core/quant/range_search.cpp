#include "quant/range_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "quant/range_kernels.h"

namespace qw {

namespace {
constexpr std::int64_t kPatience =
    64; // candidates of one group between two looks at the stop token

/// A scale as representableScale() makes it.
float storedScale(float scale, at::ScalarType dtype)
{
    const float floored = std::max(scale, static_cast<float>(kScaleFloor));
    return dtype == at::kHalf
               ? static_cast<float>(c10::Half(std::max(floored, static_cast<float>(kSmallestHalf))))
           : dtype == at::kBFloat16 ? static_cast<float>(c10::BFloat16(floored))
                                    : floored;
}

struct Range {
    float low;
    float high;
};

/// The candidates of one group, in the order in which the first best wins, and a better order to
/// visit them in: where the good ones come early, the others are soon given up.
class Candidates
{
public:
    enum class Kind { Joint, Positive, Negative, Symmetric, Shrunk };

    Candidates(Kind kind, Range whole, const GridOptions& options)
        : m_kind(kind), m_whole(whole), m_options(options),
          m_levels(static_cast<float>(codeMax(options)))
    {
        if (kind == Kind::Joint) {
            orderZeros();
        }
    }
    std::int64_t count() const
    {
        return m_kind == Kind::Shrunk ? shrinkSteps(m_options) : m_options.rangeSteps * zeros();
    }
    Range range(std::int64_t index) const;
    GridPoint point(Range range) const;
    std::int64_t visited(std::int64_t position) const
    {
        if (m_kind == Kind::Shrunk) {
            return position;
        }
        const std::int64_t step = m_options.rangeSteps - 1 - position / zeros();
        return step * zeros() + (m_kind == Kind::Joint ? m_zeroOrder[position % zeros()] : 0);
    }

private:
    std::int64_t zeros() const { return m_kind == Kind::Joint ? codeMax(m_options) + 1 : 1; }
    void orderZeros();

    Kind m_kind;
    Range m_whole;
    const GridOptions& m_options;
    float m_levels;
    std::vector<std::int64_t> m_zeroOrder; // nearest to the zero point of the whole range first
};

void Candidates::orderZeros()
{
    const float width = m_whole.high - m_whole.low;
    const auto centre =
        static_cast<std::int64_t>(width > 0 ? std::rint(-m_whole.low / width * m_levels) : 0);
    for (std::int64_t zero = 0; zero < zeros(); ++zero) {
        m_zeroOrder.push_back(zero);
    }
    std::stable_sort(m_zeroOrder.begin(), m_zeroOrder.end(), [&](std::int64_t a, std::int64_t b) {
        return std::abs(a - centre) < std::abs(b - centre);
    });
}

Range Candidates::range(std::int64_t index) const
{
    if (m_kind == Kind::Shrunk) {
        const float shrunk = shrinkFactor(m_options, index);
        return {m_whole.low * shrunk, m_whole.high * shrunk};
    }
    const auto factor = static_cast<float>(index / zeros() + 1);
    const float width = m_kind == Kind::Joint
                            ? m_whole.high - m_whole.low
                            : std::max(std::fabs(m_whole.low), std::fabs(m_whole.high));
    const float limit = width / static_cast<float>(m_options.rangeSteps) * factor;
    switch (m_kind) {
    case Kind::Joint: {
        const float low = limit / m_levels * -static_cast<float>(index % zeros());
        return {low, limit + low};
    }
    case Kind::Positive:
        return {0, limit};
    case Kind::Negative:
        return {-limit, 0};
    case Kind::Symmetric:
    case Kind::Shrunk:
        break;
    }
    return {-limit, limit};
}

GridPoint Candidates::point(Range range) const
{
    if (m_options.sym) {
        return {storedScale(range.high / m_levels, m_options.scaleDtype), 0};
    }
    const float scale = storedScale((range.high - range.low) / m_levels, m_options.scaleDtype);
    return {scale, std::clamp(std::rint(-range.low / scale), 0.0F, m_levels)};
}

/// A group as the fast score wants it: large values first, scaled by a power of two to at most 1.
struct Prepared {
    std::vector<float> values;
    float factor = 1;

    Prepared(const float* w, std::int64_t n) : values(w, w + n)
    {
        std::sort(values.begin(), values.end(),
                  [](float a, float b) { return std::fabs(a) > std::fabs(b); });
        if (values.front() != 0) {
            factor = std::ldexp(1.0F, -std::clamp(std::ilogb(values.front()) + 1, -100, 100));
        }
        for (float& value : values) {
            value *= factor;
        }
    }
};

struct Scored {
    std::int64_t index;
    double score;
};

class Search
{
public:
    Search(const at::Tensor& groups, const GridOptions& options, const RunContext& run)
        : m_groups(groups.contiguous()), m_width(groups.size(2)), m_options(options),
          m_run(run), m_codes{static_cast<float>(codeMin(options)),
                              static_cast<float>(codeMax(options))}
    {
    }
    /// @param start  a score that a candidate must be below; else @p low and @p high stay
    void run(Candidates::Kind kind, double start, const at::Tensor& low, const at::Tensor& high);

private:
    const float* values(std::int64_t group) const
    {
        return m_groups.data_ptr<float>() + group * m_width;
    }
    double limit(double best) const
    {
        return best * (1 + nearTolerance(m_options.rangeNorm)) +
               kNearFloor * static_cast<double>(m_width);
    }
    std::vector<Scored> nearBest(const Candidates& candidates, std::int64_t group,
                                 std::int64_t first, std::int64_t stride) const;
    std::int64_t best(const Candidates& candidates, std::int64_t group, double start,
                      std::vector<Scored> near) const;

    at::Tensor m_groups;
    std::int64_t m_width;
    GridOptions m_options;
    const RunContext& m_run;
    CodeRange m_codes;
};

/// Every candidate of the share whose score may be the least.
std::vector<Scored> Search::nearBest(const Candidates& candidates, std::int64_t group,
                                     std::int64_t first, std::int64_t stride) const
{
    const Prepared prepared(values(group), m_width);
    const auto norm = static_cast<float>(m_options.rangeNorm);
    std::vector<Scored> kept;
    double least = std::numeric_limits<double>::infinity();
    for (std::int64_t position = first; position < candidates.count(); position += stride) {
        if (position / stride % kPatience == 0) {
            m_run.checkpoint();
        }
        const std::int64_t index = candidates.visited(position);
        GridPoint point = candidates.point(candidates.range(index));
        if (std::isinf(point.scale)) { // above the largest float16
            continue;
        }
        point.scale *= prepared.factor;
        const double score =
            gridScoreNear(prepared.values.data(), m_width, point, m_codes, norm, limit(least));
        if (score <= limit(least)) {
            kept.push_back({index, score});
            least = std::min(least, score);
        }
    }
    std::erase_if(kept, [&](const Scored& entry) { return entry.score > limit(least); });
    return kept;
}

/// The first candidate of least score, or -1.
std::int64_t Search::best(const Candidates& candidates, std::int64_t group, double start,
                          std::vector<Scored> near) const
{
    double least = std::numeric_limits<double>::infinity();
    for (const Scored& entry : near) {
        least = std::min(least, entry.score);
    }
    std::erase_if(near, [&](const Scored& entry) { return entry.score > limit(least); });
    std::sort(near.begin(), near.end(),
              [](const Scored& a, const Scored& b) { return a.index < b.index; });
    std::int64_t result = -1;
    double score = start;
    for (const Scored& entry : near) {
        m_run.checkpoint();
        const GridPoint point = candidates.point(candidates.range(entry.index));
        const double exact = gridScore(values(group), m_width, point, m_codes, m_options.rangeNorm);
        if (exact < score) {
            score = exact;
            result = entry.index;
        }
    }
    return result;
}

void Search::run(Candidates::Kind kind, double start, const at::Tensor& low, const at::Tensor& high)
{
    const std::int64_t groups = low.numel();
    auto* lows = low.data_ptr<float>();
    auto* highs = high.data_ptr<float>();
    // A few large groups are shared by candidates, many small ones by groups.
    const std::int64_t threads = at::get_num_threads();
    const std::int64_t shares = groups < 4 * threads ? threads : 1;
    std::vector<std::vector<Scored>> near(static_cast<std::size_t>(groups * shares));
    at::parallel_for(0, groups * shares, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t item = begin; item < end; ++item) {
            const std::int64_t group = item / shares;
            const Candidates candidates(kind, {lows[group], highs[group]}, m_options);
            near[static_cast<std::size_t>(item)] =
                nearBest(candidates, group, item % shares, shares);
        }
    });
    at::parallel_for(0, groups, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t group = begin; group < end; ++group) {
            const Candidates candidates(kind, {lows[group], highs[group]}, m_options);
            std::vector<Scored> all;
            for (std::int64_t share = 0; share < shares; ++share) {
                const auto& part = near[static_cast<std::size_t>(group * shares + share)];
                all.insert(all.end(), part.begin(), part.end());
            }
            const std::int64_t index = best(candidates, group, start, std::move(all));
            if (index >= 0) {
                const Range range = candidates.range(index);
                lows[group] = range.low;
                highs[group] = range.high;
            }
        }
    });
}
} // namespace

GridParams searchLrqRange(const at::Tensor& groups, const GridOptions& options,
                          const RunContext& run)
{
    if (!groups.is_cpu()) {
        return searchLrqRangeByOps(groups, options, run);
    }
    const at::Tensor low = groups.amin(2).clamp_max(0).contiguous();
    const at::Tensor high = groups.amax(2).clamp_min(0).contiguous();
    // One sign means in the whole tensor, as in LRQ's code.
    const auto kind = low.min().item<float>() >= 0    ? Candidates::Kind::Positive
                      : high.max().item<float>() <= 0 ? Candidates::Kind::Negative
                                                      : Candidates::Kind::Joint;
    Search(groups, options, run)
        .run(kind, kLrqStartScore * static_cast<double>(groups.size(2)), low, high);
    return paramsFromRange(low, high, options);
}

at::Tensor searchSymmetricRange(const at::Tensor& groups, const GridOptions& options,
                                const RunContext& run)
{
    if (!groups.is_cpu()) {
        return searchSymmetricRangeByOps(groups, options, run);
    }
    const at::Tensor bound = groups.abs().amax(2).contiguous();
    Search(groups, options, run)
        .run(Candidates::Kind::Symmetric, std::numeric_limits<double>::infinity(), -bound, bound);
    return bound;
}

std::int64_t shrinkSteps(const GridOptions& options)
{
    return std::max<std::int64_t>(
        1, static_cast<std::int64_t>((1 - kLeastShrink) * static_cast<double>(options.rangeSteps)));
}

float shrinkFactor(const GridOptions& options, std::int64_t candidate)
{
    return static_cast<float>(1 - static_cast<double>(candidate) /
                                      static_cast<double>(options.rangeSteps));
}

GridParams searchShrunkRange(const at::Tensor& groups, const GridOptions& options,
                             const RunContext& run)
{
    if (!groups.is_cpu()) {
        return searchShrunkRangeByOps(groups, options, run);
    }
    const at::Tensor bound = groups.abs().amax(2);
    const at::Tensor low = (options.sym ? -bound : groups.amin(2).clamp_max(0)).contiguous();
    const at::Tensor high = (options.sym ? bound : groups.amax(2).clamp_min(0)).contiguous();
    Search(groups, options, run)
        .run(Candidates::Kind::Shrunk, std::numeric_limits<double>::infinity(), low, high);
    return options.sym ? paramsFromBound(high, options) : paramsFromRange(low, high, options);
}

} // namespace qw
