#include "methods/rounding_kernels.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/Parallel.h>

namespace qw {

namespace {
/// Rows whose column sums are added up before those of others, so that the order of a sum does not
/// depend on the number of threads.
constexpr std::int64_t kRowBlock = 64;
constexpr std::int64_t kAdamGrain = 1 << 14;

/// One group of one row.
template <class Element>
struct RoundingGroup {
    const float* w;
    const Element* z;
    const float* column;
    float offset;
    float logScale;
    float low, high;
};

struct GroupSums {
    float row;
    float logScale;
};

/// The loops as compiled for one kind of processor.
template <class Element>
struct RoundingFunctions {
    void (*round)(const RoundingGroup<Element>&, std::int64_t, bool, Element*) = nullptr;
    GroupSums (*backward)(const RoundingGroup<Element>&, std::int64_t, const Element*, Element*,
                          float*) = nullptr;
    void (*adam)(const AdamRates&, const float*, std::int64_t, float*, float*, float*) = nullptr;
};

#define QW_SIMD_FUNCTIONS "methods/rounding_functions.inc"
#include "model/simd_versions.inc"

template <class Element>
RoundingFunctions<Element> functionsFor([[maybe_unused]] Simd simd)
{
    return QW_SIMD_PICK(simd, roundingFunctions<Element>());
}

template <class Element>
RoundingGroup<Element> groupOf(const RoundingArguments<Element>& a, std::int64_t r, std::int64_t g)
{
    const std::int64_t at = (r * a.groups + g) * a.width;
    const std::int64_t i = r * a.groups + g;
    return {a.weight + at,
            a.z != nullptr ? a.z + at : nullptr,
            a.column != nullptr ? a.column + g * a.width : nullptr,
            a.logScale[i] + (a.row != nullptr ? a.row[r] : 0.0F),
            a.logScale[i],
            a.low[i],
            a.high[i]};
}
} // namespace

template <class Element>
void roundLearned(const RoundingArguments<Element>& a, bool codesOnly, Element* values, Simd simd)
{
    const auto round = functionsFor<Element>(simd).round;
    at::parallel_for(0, a.rows, 1, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t r = from; r < to; ++r) {
            for (std::int64_t g = 0; g < a.groups; ++g) {
                round(groupOf(a, r, g), a.width, codesOnly, values + (r * a.groups + g) * a.width);
            }
        }
    });
}

template <class Element>
void roundLearnedBackward(const RoundingArguments<Element>& a, const Element* gradient,
                          const RoundingGradients<Element>& gradients, Simd simd)
{
    const auto backward = functionsFor<Element>(simd).backward;
    const std::int64_t columns = a.groups * a.width;
    const std::int64_t blocks = (a.rows + kRowBlock - 1) / kRowBlock;
    std::vector<float> sums(a.column != nullptr ? static_cast<std::size_t>(blocks * columns) : 0);
    at::parallel_for(0, blocks, 1, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t r = from * kRowBlock; r < std::min(a.rows, to * kRowBlock); ++r) {
            float* blockSums =
                a.column != nullptr ? sums.data() + r / kRowBlock * columns : nullptr;
            float rowSum = 0;
            for (std::int64_t g = 0; g < a.groups; ++g) {
                const std::int64_t at = (r * a.groups + g) * a.width;
                const GroupSums sum =
                    backward(groupOf(a, r, g), a.width, gradient + at,
                             gradients.z != nullptr ? gradients.z + at : nullptr,
                             blockSums != nullptr ? blockSums + g * a.width : nullptr);
                rowSum += sum.row;
                gradients.logScale[r * a.groups + g] = sum.logScale;
            }
            if (gradients.row != nullptr) {
                gradients.row[r] = rowSum;
            }
        }
    });
    if (gradients.column != nullptr) {
        std::fill(gradients.column, gradients.column + columns, 0.0F);
        for (std::int64_t block = 0; block < blocks; ++block) {
            for (std::int64_t i = 0; i < columns; ++i) {
                gradients.column[i] += sums[static_cast<std::size_t>(block * columns + i)];
            }
        }
    }
}

void exponentials(const float* x, std::int64_t count, float* y)
{
    std::transform(x, x + count, y, [](float value) { return expOf(value); });
}

void adamStep(const AdamRates& rates, const float* gradient, std::int64_t count, float* value,
              float* first, float* second, Simd simd)
{
    const auto adam = functionsFor<float>(simd).adam;
    at::parallel_for(0, count, kAdamGrain, [&](std::int64_t from, std::int64_t to) {
        adam(rates, gradient + from, to - from, value + from, first + from, second + from);
    });
}

template void roundLearned(const RoundingArguments<float>&, bool, float*, Simd);
template void roundLearned(const RoundingArguments<std::uint16_t>&, bool, std::uint16_t*, Simd);
template void roundLearnedBackward(const RoundingArguments<float>&, const float*,
                                   const RoundingGradients<float>&, Simd);
template void roundLearnedBackward(const RoundingArguments<std::uint16_t>&, const std::uint16_t*,
                                   const RoundingGradients<std::uint16_t>&, Simd);

} // namespace qw
