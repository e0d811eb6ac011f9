#include "methods/fake_quant_kernels.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include <ATen/Parallel.h>

namespace qw {

namespace {
/// What is rounded, before the product.
enum class Base {
    Weight,    ///< divided by the scale here
    Fractions, ///< divided already
    Integers   ///< the product is rounded instead
};

/// One group of one row.
template <class Element>
struct FakeQuantGroup {
    const float* base;
    const Element* product;
    float scale;
    float low, high, factor;
};

/// The loops as compiled for one kind of processor.
template <class Element>
struct FakeQuantFunctions {
    const float* (*decode)(Phi, const void*, std::int64_t, std::int64_t, float*) = nullptr;
    void (*quantize)(const FakeQuantGroup<Element>&, Base, std::int64_t, bool, Element*) = nullptr;
    float (*backward)(const FakeQuantGroup<Element>&, Base, std::int64_t, Element*) = nullptr;
};

#define QW_SIMD_FUNCTIONS "methods/fake_quant_functions.inc"
#include "model/simd_versions.inc"

std::int64_t bytesOfRow(Phi phi, std::int64_t columns, std::int64_t bits)
{
    switch (phi) {
    case Phi::Float32:
        return columns * 4;
    case Phi::BFloat16:
    case Phi::Float16:
        return columns * 2;
    case Phi::Fixed8:
        return columns;
    case Phi::Int:
        return (columns * bits + 7) / 8;
    }
    return 0;
}

/// Calls function(group, base, index of the group, of its first value) for every group.
template <class Element, class Function>
void forGroups(const FakeQuantArguments<Element>& a, const FakeQuantFunctions<Element>& functions,
               Function function)
{
    const std::int64_t columns = a.groups * a.width;
    const std::int64_t rowBytes = bytesOfRow(a.phi, columns, a.bits);
    const Base base = a.weight != nullptr ? Base::Weight
                      : a.phi == Phi::Int ? Base::Integers
                                          : Base::Fractions;
    at::parallel_for(0, a.rows, 1, [&](std::int64_t from, std::int64_t to) {
        std::vector<float> buffer(static_cast<std::size_t>(columns));
        for (std::int64_t r = from; r < to; ++r) {
            const float* row =
                a.weight != nullptr
                    ? a.weight + r * columns
                    : functions.decode(a.phi, static_cast<const char*>(a.frozen) + r * rowBytes,
                                       columns, a.bits, buffer.data());
            for (std::int64_t g = 0; g < a.groups; ++g) {
                const std::int64_t at = r * columns + g * a.width;
                const std::int64_t index = r * a.groups + g;
                const Element* product = a.product != nullptr ? a.product + at : nullptr;
                function(FakeQuantGroup<Element>{row + g * a.width, product, a.scale[index], a.low,
                                                 a.high, a.factor},
                         base, index, at);
            }
        }
    });
}

template <class Element>
FakeQuantFunctions<Element> functionsFor([[maybe_unused]] Simd simd)
{
    return QW_SIMD_PICK(simd, fakeQuantFunctions<Element>());
}
} // namespace

template <class Element>
void fakeQuant(const FakeQuantArguments<Element>& a, bool codesOnly, Element* values, Simd simd)
{
    const auto functions = functionsFor<Element>(simd);
    forGroups(a, functions, [&](const auto& group, Base base, std::int64_t, std::int64_t at) {
        functions.quantize(group, base, a.width, codesOnly, values + at);
    });
}

template <class Element>
void fakeQuantBackward(const FakeQuantArguments<Element>& a, Element* gradient, float* scale,
                       Simd simd)
{
    const auto functions = functionsFor<Element>(simd);
    forGroups(a, functions, [&](const auto& group, Base base, std::int64_t index, std::int64_t at) {
        scale[index] = functions.backward(group, base, a.width, gradient + at);
    });
}

template void fakeQuant(const FakeQuantArguments<float>&, bool, float*, Simd);
template void fakeQuant(const FakeQuantArguments<std::uint16_t>&, bool, std::uint16_t*, Simd);
template void fakeQuantBackward(const FakeQuantArguments<float>&, float*, float*, Simd);
template void fakeQuantBackward(const FakeQuantArguments<std::uint16_t>&, std::uint16_t*, float*,
                                Simd);

} // namespace qw
