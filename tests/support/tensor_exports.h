#pragma once

#include <filesystem>
#include <string>

#include "engine_import.h"
#include "report/run_result.h"
#include "report/run_spec.h"

namespace qw::test {

/// As users write it: "int 4 sym 32", "mxint 4 16".
WeightSpec weightOf(const std::string& text);

/// Runs of a small random model, their exports and imports, all in one folder.
class ExportBench
{
public:
    /// Writes the model: two blocks, grouped-query attention, no tokenizer.
    explicit ExportBench(std::filesystem::path folder);
    const std::filesystem::path& folder() const { return m_folder; }
    std::filesystem::path model() const { return m_folder / "model"; }
    RunSpec spec(const std::string& weight) const;
    RunResult made(const RunSpec& spec) const;
    /// A path in the folder that nothing has yet.
    std::filesystem::path freshPath();
    /// @return what to import: the folder, or the GGUF file, in its blocks
    std::filesystem::path exported(const RunResult& run, const std::string& target,
                                   const std::string& dtype = "f32", std::int64_t gptqVersion = 2);
    /// Over the model. @param source  a folder or GGUF file
    ImportOptions from(const std::filesystem::path& source) const;
    /// Stored as returned. @throws std::runtime_error if the store holds another run
    RunResult imported(const ImportOptions& options) const;

private:
    std::filesystem::path m_folder;
    int m_number = 0;
};

/// The first layer whose codes stand for other values in one run than in the other, or empty.
std::string differingLayer(const RunResult& one, const RunResult& other);

} // namespace qw::test
