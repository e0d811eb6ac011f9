#include "report/axis_ticks.h"

#include <algorithm>
#include <cmath>

#include "report/number_format.h"

namespace qw {

namespace {
constexpr double kRounding = 1e-9; ///< of a step: what counts as inside the range

/// 1, 2 or 5 times a power of ten, not below @p least.
double niceStep(double least)
{
    const double power = std::pow(10, std::floor(std::log10(least)));
    for (const double factor : {1., 2., 5.}) {
        if (factor * power >= least * (1 - kRounding)) {
            return factor * power;
        }
    }
    return 10 * power;
}

std::string multipleLabel(const std::string& factor, int exponent)
{
    return factor == "1" ? powerLabel(exponent) : factor + "·" + powerLabel(exponent);
}

void keepEvery(std::vector<PlotTick>& ticks, int wanted)
{
    const std::size_t every = ticks.size() / static_cast<std::size_t>(std::max(wanted, 1)) + 1;
    std::vector<PlotTick> kept;
    for (std::size_t i = 0; i < ticks.size(); i += every) {
        kept.push_back(ticks[i]);
    }
    ticks = std::move(kept);
}
} // namespace

std::string powerLabel(int exponent)
{
    static const char* const digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    std::string text = exponent < 0 ? "10⁻" : "10";
    for (const char digit : std::to_string(std::abs(exponent))) {
        text += digits[digit - '0'];
    }
    return text;
}

std::string tickLabel(double value, double step)
{
    constexpr int kLargest = 5; // more digits than 10^5 read worse than a power
    const int stepPower = static_cast<int>(std::floor(std::log10(step) + kRounding));
    const double rounded = std::round(value / step) * step;
    if (rounded == 0) {
        return "0";
    }
    const int power = static_cast<int>(std::floor(std::log10(std::abs(rounded)) + kRounding));
    std::string text;
    if (power > kLargest || stepPower < -kLargest) {
        const double mantissa = std::abs(rounded) / std::pow(10, power);
        const std::string digits = formatNumber(mantissa, std::max(0, power - stepPower));
        text = multipleLabel(digits, power);
    } else {
        text = formatNumber(std::abs(rounded), std::max(0, -stepPower));
    }
    return rounded < 0 ? "−" + text : text;
}

AxisTicks linearTicks(double low, double high, int wanted)
{
    AxisTicks ticks;
    const double step = niceStep((high - low) / std::max(wanted, 1));
    const double first = std::ceil(low / step - kRounding);
    const double last = std::floor(high / step + kRounding);
    for (double i = first; i <= last; ++i) {
        ticks.major.push_back({i * step, tickLabel(i * step, step)});
    }
    return ticks;
}

AxisTicks logTicks(double low, double high, int wanted)
{
    AxisTicks powers;
    AxisTicks few;
    const int first = static_cast<int>(std::floor(std::log10(low)));
    const int last = static_cast<int>(std::ceil(std::log10(high)));
    for (int exponent = first; exponent <= last; ++exponent) {
        for (int factor = 1; factor < 10; ++factor) {
            const double value = factor * std::pow(10, exponent);
            if (value < low * (1 - kRounding) || value > high * (1 + kRounding)) {
                continue;
            }
            if (factor == 1) {
                powers.major.push_back({value, powerLabel(exponent)});
            } else {
                powers.minor.push_back(value);
            }
            if (factor == 1 || factor == 2 || factor == 5) {
                few.major.push_back({value, multipleLabel(std::to_string(factor), exponent)});
            }
        }
    }
    if (powers.major.size() >= 2) {
        keepEvery(powers.major, wanted);
        return powers;
    }
    return few.major.size() >= 3 ? few : linearTicks(low, high, wanted);
}

} // namespace qw
