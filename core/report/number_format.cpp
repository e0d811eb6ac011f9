#include "report/number_format.h"

#include <cmath>
#include <cstdio>

namespace qw {

const char* const kMissingText = "\u2013";

std::string formatNumber(double value, int decimals)
{
    if (!std::isfinite(value)) {
        return kMissingText;
    }
    char text[400]; // the largest double has 309 digits
    std::snprintf(text, sizeof text, "%.*f", decimals, value);
    return text;
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
    if (!std::isfinite(share)) {
        return kMissingText;
    }
    char text[64];
    std::snprintf(text, sizeof text, "%.3g %%", share * 100);
    return text;
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
    char text[64];
    if (whole < 3600) {
        std::snprintf(text, sizeof text, "%lld:%02lld", whole / 60, whole % 60);
    } else {
        std::snprintf(text, sizeof text, "%lld h %02lld", whole / 3600, whole / 60 % 60);
    }
    return text;
}

} // namespace qw
