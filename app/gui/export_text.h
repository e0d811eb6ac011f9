#pragma once

#include <QString>

#include "engine_export.h"
#include "report/run_result.h"

/// How the window speaks of exports.
namespace qw::export_text {

/// "21.3 MB, lossless"; "not possible".
QString headline(const ExportPlan& plan);
/// What is stored, what is lost and what to know, or why not and what instead, as HTML.
QString details(const ExportPlan& plan);
/// "demo-l2qer-w4-gguf": of a folder.
QString folderName(const RunSpec& spec, const std::string& target);
/// "read back 3/5"
QString progress(const Progress& progress);

} // namespace qw::export_text
