#include "report/number_format.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace qw {

const char* const kMissingText = "\u2013";

namespace {
/// Not printf: it writes a comma where the user's locale has one.
std::string digits(double value, std::chars_format format, int precision)
{
    char text[400]; // the largest double has 309 digits
    return {text, std::to_chars(text, text + sizeof text, value, format, precision).ptr};
}

std::string twoDigits(long long value)
{
    return (value < 10 ? "0" : "") + std::to_string(value);
}
} // namespace

std::string formatNumber(double value, int decimals)
{
    return std::isfinite(value) ? digits(value, std::chars_format::fixed, decimals) : kMissingText;
}

std::string formatWithError(double value, double standardError, int decimals)
{
    if (!std::isfinite(value)) {
        return kMissingText;
    }
    return formatNumber(value, decimals) +
           (std::isfinite(standardError) ? " ± " + formatNumber(standardError, decimals) : "");
}

std::string formatSignificant(double value, int digitCount)
{
    return std::isfinite(value) ? digits(value, std::chars_format::general, digitCount)
                                : kMissingText;
}

std::string formatPercent(double share)
{
    if (!std::isfinite(share)) {
        return kMissingText;
    }
    const double value = share * 100;
    if (value == 0) {
        return "0 %";
    }
    // The exponent after rounding, so that 9.996 becomes 10.0 and not 10.00.
    const std::string rounded = digits(value, std::chars_format::scientific, 2);
    const int exponent = std::stoi(rounded.substr(rounded.find('e') + 1));
    constexpr int kSmallest = -4; // below it zeros would outnumber digits
    return (exponent < kSmallest
                ? rounded
                : digits(value, std::chars_format::fixed, std::max(0, 2 - exponent))) +
           " %";
}

std::string formatMegabytes(std::int64_t bytes)
{
    return bytes > 0 ? formatNumber(static_cast<double>(bytes) / 1e6, 2) + " MB" : kMissingText;
}

std::string formatDuration(double seconds)
{
    if (!std::isfinite(seconds)) {
        return kMissingText;
    }
    if (seconds < 60) {
        return formatNumber(seconds, 1) + " s";
    }
    const auto whole = static_cast<long long>(seconds);
    return whole < 3600 ? std::to_string(whole / 60) + ":" + twoDigits(whole % 60)
                        : std::to_string(whole / 3600) + " h " + twoDigits(whole / 60 % 60);
}

} // namespace qw
