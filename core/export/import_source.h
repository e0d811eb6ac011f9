#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/run_context.h"
#include "engine_import.h"
#include "export/export_reader.h"
#include "model/model_config.h"

namespace qw {

/// A quantized model of another program, opened.
struct ImportSource {
    std::unique_ptr<ExportReader> reader;
    std::unique_ptr<AdapterReader> adapter; ///< of its correction, or null
    std::string title;                      ///< "GPTQ, version 1"
    bool wrapsZeros = false;                ///< a stored zero point of 0 may mean another number
    bool tokenActivations = false;          ///< inputs of layers are rounded to 8 bits
    std::vector<std::string> notDone;       ///< what the files ask for beyond that, a sentence each
};

/// @throws Error::Mismatch if the files are of another model than @p config says
ImportSource openSource(const ImportOptions& options, const ModelConfig& config);

/// A model folder with the values of all codes in float32 and everything else as it is.
/// @return what the folder lacks, a sentence each
/// @throws Error::Io, and what readers of the files throw
std::vector<std::string> writeOriginal(const std::filesystem::path& source,
                                       const std::filesystem::path& folder, const RunContext& run);

/// @throws Error::Mismatch naming what differs: widths, heads, layers, rows of the vocabulary
void requireSameSizes(const ModelConfig& theirs, const ModelConfig& ours, const std::string& where);

} // namespace qw
