#pragma once

#include <QVariant>

#include "report/run_summary.h"

/// What stands in each column of the table of runs (RunTableModel::Column).
namespace qw::run_columns {

QString title(int column);
QString help(int column); ///< of the header
QVariant alignment(int column);
QString display(const RunSummary& run, int column);
/// A number where the column is one (NaN: missing), else a text.
QVariant sortKey(const RunSummary& run, int column);
/// What was done differently from what was asked, a sentence a line.
QString remarks(const RunResult& run);
/// More than the cell shows, or empty.
QString tip(const RunSummary& run, int column);

} // namespace qw::run_columns
