#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/number_format.h"
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

std::string formatCsv(double value); ///< nine digits; missing: nothing

/// One line a run, with what makes runs comparable.
std::string runTable(const std::vector<RunResult>& runs);
/// How a run was measured and what full precision gave; empty if it was not. Ends in a newline.
std::string measureLine(const RunResult& run);
/// One line a layer.
std::string layerTable(const RunResult& run);
/// One line a block, after an empty one; nothing for methods that go layer by layer.
std::string blockTable(const RunResult& run);
/// All of a finished run for people: layers, blocks, quality, size, memory and time beside what was
/// predicted, notes.
std::string runReport(const RunResult& run);

} // namespace qw::cli
