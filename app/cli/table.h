#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/run_result.h"

namespace qw::cli {

/// Columns of text for people: the first left-aligned, the others right-aligned.
class Table
{
public:
    explicit Table(std::vector<std::string> header);
    void add(std::vector<std::string> row);
    std::string text() const;

private:
    std::vector<std::vector<std::string>> m_rows;
};

/// A missing number is an en dash everywhere.
std::string formatNumber(double value, int decimals);
std::string formatPercent(double share);         ///< three significant digits
std::string formatMegabytes(std::int64_t bytes); ///< 10^6 bytes
std::string formatDuration(double seconds);      ///< 3.1 s, 1:12, 2 h 05
std::string formatWithError(double value, double standardError, int decimals);

/// One line a run, with what makes runs comparable.
std::string runTable(const std::vector<RunResult>& runs);
/// One line a layer.
std::string layerTable(const RunResult& run);

} // namespace qw::cli
