#pragma once

#include <string>
#include <vector>

#include "report/report_content.h"

namespace qw {

/// The document as one HTML file that refers to nothing outside itself: plots are inline SVG, there
/// is no script, light and dark follow the reader, and it prints. All text is escaped.
std::string toHtml(const ReportDocument& document);

} // namespace qw
