#include "report/colour_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace qw {

namespace {
constexpr std::uint32_t kMissingColour = 0xD0D0D0;
constexpr std::array<std::uint32_t, 10> kViridis = {0x440154, 0x482878, 0x3E4989, 0x31688E,
                                                    0x26828E, 0x1F9E89, 0x35B779, 0x6ECE58,
                                                    0xB5DE2B, 0xFDE725};
constexpr std::array<std::uint32_t, 5> kBlueWhiteOrange = {0x0B4A8F, 0x6FADE0, 0xF7F7F7, 0xF2A44C,
                                                           0xA64B00};

double channel(std::uint32_t colour, int shift)
{
    return (colour >> shift) & 0xFF;
}

/// Linear between the colours of a list. @param share 0..1
std::uint32_t between(std::span<const std::uint32_t> colours, double share)
{
    const double place = std::clamp(share, 0., 1.) * static_cast<double>(colours.size() - 1);
    const auto left = std::min(static_cast<std::size_t>(place), colours.size() - 2);
    const double part = place - static_cast<double>(left);
    std::uint32_t colour = 0;
    for (const int shift : {16, 8, 0}) {
        const double value =
            (1 - part) * channel(colours[left], shift) + part * channel(colours[left + 1], shift);
        colour |= static_cast<std::uint32_t>(std::lround(value)) << shift;
    }
    return colour;
}

/// Relative luminance, WCAG 2.
double luminance(std::uint32_t colour)
{
    const auto linear = [&](int shift) {
        const double value = channel(colour, shift) / 255;
        return value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
    };
    return 0.2126 * linear(16) + 0.7152 * linear(8) + 0.0722 * linear(0);
}
} // namespace

std::uint32_t sequentialColour(double share)
{
    return std::isnan(share) ? kMissingColour : between(kViridis, share);
}

std::uint32_t divergingColour(double share)
{
    return std::isnan(share) ? kMissingColour : between(kBlueWhiteOrange, (share + 1) / 2);
}

bool wantsDarkText(std::uint32_t colour)
{
    const double ground = luminance(colour) + 0.05;
    return ground / 0.05 > 1.05 / ground; // contrast with black, contrast with white
}

} // namespace qw
