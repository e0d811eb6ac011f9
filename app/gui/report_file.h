#pragma once

#include <string>
#include <vector>

#include <QString>

#include "report/report_content.h"

namespace qw {

/// The document as pages of A4: text as text, plots as lines, page numbers. Needs an application
/// object, no display; any thread.
/// @throws Error::Io naming the file
void writePdf(const ReportDocument& document, const QString& file);

/// Reads runs from a store and writes their report: PDF where @p file ends so, else HTML.
/// @throws Error::NotFound, BadInput, Io
void writeReport(const std::string& storeFile, const std::vector<std::string>& ids,
                 const QString& title, const QString& file);

} // namespace qw
