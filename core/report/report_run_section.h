#pragma once

#include <string>

#include "report/report_content.h"

namespace qw {

/// "int3 g128", "mxint4 b16, activations mxint8".
std::string formatName(const RunSpec& spec);

/// Everything about one run: notes, what went differently, layers, time, configuration, provenance,
/// how to repeat it.
ReportSection sectionOf(const ReportEntry& entry);

} // namespace qw
