#pragma once

#include <cstdint>
#include <string>

/// Numbers as the tables of the command line, the window and the report write them.
namespace qw {

/// Stands for a missing number everywhere (en dash).
extern const char* const kMissingText;

std::string formatNumber(double value, int decimals);
std::string formatWithError(double value, double standardError, int decimals);
std::string formatSignificant(double value, int digitCount); ///< "0.003", "1204"
std::string formatPercent(double share);                     ///< three significant digits: "16.0 %"
std::string formatMegabytes(std::int64_t bytes);             ///< 10^6 bytes
std::string formatDuration(double seconds);                  ///< 3.1 s, 1:12, 2 h 05

} // namespace qw
