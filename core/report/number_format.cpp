#include "report/number_format.h"

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

std::string formatPercent(double share)
{
    return std::isfinite(share) ? digits(share * 100, std::chars_format::general, 3) + " %"
                                : kMissingText;
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
