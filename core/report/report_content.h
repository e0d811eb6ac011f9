#pragma once

#include <string>
#include <variant>
#include <vector>

#include "report/plot_data.h"
#include "report/run_result.h"

/// A report of runs as values, before it becomes HTML or pages.
namespace qw {

/// A run and what its user wrote to it.
struct ReportEntry {
    RunResult run;
    std::vector<std::string> tags;
    std::string notes;
};

struct ReportText {
    std::string text;
};

/// Lines in a fixed-width face.
struct ReportCode {
    std::string text;
};

struct ReportTable {
    std::vector<std::string> header;
    std::vector<std::vector<std::string>> rows;
    std::size_t textColumns = 1; ///< so many columns are words, aligned left; the rest numbers
    std::string linkPrefix;      ///< not empty: the first column links to the section of this name
};

using ReportBlock =
    std::variant<ReportText, ReportCode, ReportTable, PlotData, Heatmap, ParallelPlot>;

struct ReportSection {
    std::string heading;
    std::string anchor; ///< what links name, or empty
    bool ofRun = false; ///< a section of one run, under "Runs"
    std::vector<ReportBlock> blocks;
};

struct ReportDocument {
    std::string title;
    std::string subtitle;
    std::vector<ReportSection> sections;
};

/// Results, plots, what differs, and for each run its configuration, layers, provenance and how to
/// repeat it. Depends on its arguments only: the same runs give the same report.
/// @param title  empty: made from the runs
/// @throws Error::BadInput without runs
ReportDocument reportOf(const std::vector<ReportEntry>& entries, const std::string& title);

} // namespace qw
