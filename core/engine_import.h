#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/run_context.h"
#include "report/run_result.h"

/// The part of the front door that reads quantized models of other programs. Names no tensor.
namespace qw {

class RunStore;

struct ImportOptions {
    /// A folder (GPTQ, AWQ, compressed-tensors), or a GGUF file in the block types that exports
    /// have or a folder with one.
    std::filesystem::path source;
    /// What it was made of, to compare with: a folder or "demo". Empty: the values of the codes
    /// stand in for it, as a model written beside the run.
    std::string model;
    std::filesystem::path adapter;    ///< a PEFT folder or GGUF file with its correction, or empty
    EvaluationSpec evaluation;        ///< measured if it names a text
    std::string device = "cpu";       ///< for that
    std::filesystem::path workFolder; ///< artifacts, a subfolder per run id
};

struct QuantizedFiles {
    std::filesystem::path model;   ///< for ImportOptions::source
    std::filesystem::path adapter; ///< of its correction, where exports put it, or empty
};

/// What importRun() is for at a path that someone opens, by a look at names and config.json: a GGUF
/// file, the one in a folder without config.json, or a folder whose config.json says how its
/// weights are quantized. Nothing for anything else.
std::optional<QuantizedFiles> findQuantized(const std::filesystem::path& path);

/// Makes a stored run of the codes in files: it is inspected, measured, compared and exported like
/// any other. What the files hold and a run cannot say stands in its substitutions.
/// @return the run, in the store; nothing is left behind otherwise
/// @throws Error::NotFound, BadFile, Unsupported naming file and tensor or key, Mismatch if the
/// model is another one, Io, Cancelled
RunResult importRun(const ImportOptions& options, RunStore& store, const RunContext& run);

} // namespace qw
