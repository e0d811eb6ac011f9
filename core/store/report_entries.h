#pragma once

#include <string>
#include <vector>

#include "report/report_content.h"

namespace qw {

class RunStore;

/// Stored runs with all their layers, tags and notes, each once, in the order asked for.
/// @param ids  or the beginnings of ids
/// @throws Error::NotFound, BadInput if several begin so
std::vector<ReportEntry> reportEntries(const RunStore& store, const std::vector<std::string>& ids);

} // namespace qw
