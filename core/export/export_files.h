#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "export/export_reader.h"
#include "export/run_model.h"
#include "export/target_plan.h"

namespace qw {

/// The model of a GGUF export and its correction.
constexpr const char* kGgufModelFile = "model.gguf";
constexpr const char* kGgufAdapterFile = "adapter.gguf";
/// In the folder of any other export: its correction.
constexpr const char* kAdapterFolder = "adapter";

/// Before anything is written: with some to spare for tokenizer and headers.
/// @param what  "the export takes". @throws Error::Io
void requireSpace(const std::filesystem::path& folder, std::int64_t bytes, const char* what);

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
