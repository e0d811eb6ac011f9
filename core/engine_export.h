#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/run_context.h"
#include "report/run_result.h"

/// The part of the front door that turns stored runs into files of other programs. Names no tensor.
namespace qw {

class RunStore;

struct ExportOptions {
    std::string target; ///< one of exportTargets()
    std::filesystem::path out;
    std::string dtype;            ///< "f32" | "f16" | "bf16"; empty: the target's own choice
    std::int64_t gptqVersion = 1; ///< 1 | 2
    std::string lora;             ///< "separate" | "merge"; empty: the target's own choice
    std::string base;             ///< peft: folder or name of the quantized base, or empty
};

/// What an export would be, known before anything is written.
struct ExportPlan {
    std::string target;
    std::string title; ///< "GGUF for llama.cpp"
    bool possible = true;
    std::string refusal;            ///< why not, with the layer, if not possible
    std::string nearest;            ///< the target that works instead
    bool lossless = true;           ///< everything the run is, bit for bit
    std::vector<std::string> lost;  ///< what the files cannot say, a sentence each
    std::vector<std::string> notes; ///< what to know when loading it
    std::string storage;            ///< "4-bit codes, a scale for 32 columns"
    std::int64_t bytes = 0;         ///< of all tensors
};

struct ExportReport {
    ExportPlan plan;
    std::vector<std::string> files; ///< relative to the folder
    std::int64_t bytes = 0;
    bool lossless = false;
    double maxAbsDifference = 0;   ///< of a weight, read back, from the run's
    double maxLogitDifference = 0; ///< on the prompt, of the largest logit: a share
    std::string verdict;
};

std::vector<std::string> exportTargets();

/// Reads the artifact once and plans. @throws Error::BadInput for options that no target knows
ExportPlan planExport(const RunResult& run, const ExportOptions& options,
                      const RunContext& context);
/// The same for all targets, options.target left aside.
std::vector<ExportPlan> planExports(const RunResult& run, const ExportOptions& options,
                                    const RunContext& context);

/// What planExports() will most likely say of a run of this spec, from the first rows of the
/// model's layers, rounded to nearest, and the first values of its other tensors: fast, and no
/// promise.
/// @throws Error as planning the run does
std::vector<ExportPlan> foreseeExports(const RunSpec& spec);

/// Writes into a temporary folder beside options.out, reads all of it back, compares it with the
/// run, runs a prompt through what was read and only then renames. Nothing is left behind
/// otherwise.
/// @param store  the verdict goes into the run's record there, if given
/// @throws Error::Unsupported for a plan that is not possible, BadInput if options.out exists,
/// Io (disk full), Mismatch if what was read is not what was meant, Cancelled
ExportReport exportRun(const RunResult& run, RunStore* store, const ExportOptions& options,
                       const RunContext& context);

} // namespace qw
