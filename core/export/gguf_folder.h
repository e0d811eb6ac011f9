#pragma once

#include <filesystem>
#include <memory>

#include "export/export_reader.h"
#include "export/run_model.h"
#include "export/target_plan.h"

namespace qw {

/// model.gguf, a tensor in memory at a time.
void writeGgufModel(const RunModel& model, const RunFacts& facts, const TargetPlan& plan,
                    const std::filesystem::path& file, const RunContext& context);

/// The low-rank correction as a LoRA adapter of llama.cpp: A [r, in] and B [out, r] in float32, of
/// one rank for all layers, rows of B in the order of the base's.
void writeGgufAdapter(const RunModel& model, const RunFacts& facts,
                      const std::filesystem::path& file, const RunContext& context);

/// Readers that share no code with the writers. Names are those of the Hugging Face model.
std::unique_ptr<ExportReader> readGguf(const std::filesystem::path& file);
std::unique_ptr<AdapterReader> readGgufAdapter(const std::filesystem::path& file,
                                               std::int64_t heads, std::int64_t kvHeads);

} // namespace qw
