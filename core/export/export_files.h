#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "export/export_reader.h"
#include "export/run_model.h"
#include "export/target_plan.h"

namespace qw {

/// The model of a GGUF export.
constexpr const char* kGgufModelFile = "model.gguf";

/// Writes all that a plan says into a folder.
/// @param base  what the adapter names as the model it belongs to
void writeExport(const RunModel& model, const RunFacts& facts, const TargetPlan& plan,
                 const std::filesystem::path& folder, const std::string& base,
                 const RunContext& context);

/// What reads it back; null for what the plan does not write.
struct ExportedFiles {
    std::unique_ptr<ExportReader> base;
    std::unique_ptr<AdapterReader> adapter;
};
ExportedFiles readExport(const RunFacts& facts, const TargetPlan& plan,
                         const std::filesystem::path& folder);

} // namespace qw
