#include "report/sweep_grid.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "report/method_settings.h"

namespace qw {

namespace {
template <class T>
std::vector<T> orBase(const std::vector<T>& values, const T& base)
{
    return values.empty() ? std::vector<T>{base} : values;
}

/// Between commas, without the spaces around; nothing between two commas is left out.
std::vector<std::string> partsOf(const std::string& text)
{
    std::vector<std::string> parts;
    std::size_t at = 0;
    while (at <= text.size()) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        const std::string part = text.substr(at, end - at);
        const std::size_t first = part.find_first_not_of(' ');
        if (first != std::string::npos) {
            parts.push_back(part.substr(first, part.find_last_not_of(' ') - first + 1));
        }
        at = end + 1;
    }
    return parts;
}

/// @param rank  nothing: as in the base; @param corrects  whether the spec corrects errors
void takeRank(RunSpec& spec, const std::optional<std::int64_t>& rank, bool corrects)
{
    if (corrects) {
        spec.lowRank.rank = rank.value_or(spec.lowRank.rank);
        return;
    }
    spec.lowRank.rank = 0; // once is enough
    if (rank.value_or(0) == 0) {
        return;
    }
    if (looksAt(spec.method, "none", "reconstruction.rank")) {
        spec.reconstruction.rank = std::to_string(*rank);
    } else if (looksAt(spec.method, "none", "training.rank")) {
        spec.training.rank = *rank;
    }
}
} // namespace

std::vector<RunSpec> sweepSpecs(const RunSpec& base, const SweepGrid& grid,
                                const std::function<bool(const RunSpec&)>& hasRank)
{
    const std::vector<std::optional<std::int64_t>> ranks(grid.ranks.begin(), grid.ranks.end());
    std::vector<RunSpec> specs;
    for (const std::string& method : orBase(grid.methods, base.method)) {
        for (const std::int64_t bits : orBase(grid.bits, base.weight.bits)) {
            for (const std::int64_t group : orBase(grid.groupSizes, base.weight.groupSize)) {
                for (const std::int64_t seed : orBase(grid.seeds, base.seed)) {
                    for (const std::optional<std::int64_t>& rank : orBase(ranks, {})) {
                        RunSpec spec = withMethod(base, method);
                        spec.weight.bits = bits;
                        spec.weight.groupSize = group;
                        takeRank(spec, rank, hasRank(spec));
                        spec.seed = seed;
                        if (std::find(specs.begin(), specs.end(), spec) == specs.end()) {
                            specs.push_back(std::move(spec));
                        }
                    }
                }
            }
        }
    }
    return specs;
}

std::vector<std::int64_t> numbersFromText(const std::string& text, const std::string& what)
{
    std::vector<std::int64_t> numbers;
    for (const std::string& part : partsOf(text)) {
        std::int64_t value = 0;
        const auto [end, problem] = std::from_chars(part.data(), part.data() + part.size(), value);
        QW_REQUIRE(problem == std::errc() && end == part.data() + part.size(), ErrorCode::BadInput,
                   what, ": \"", part, "\" is not a whole number");
        numbers.push_back(value);
    }
    return numbers;
}

std::vector<std::int64_t> groupSizesFromText(const std::string& text)
{
    std::vector<std::int64_t> sizes;
    for (const std::string& part : partsOf(text)) {
        sizes.push_back(groupSizeFromText(part));
    }
    return sizes;
}

} // namespace qw
