#include "support/tensor_exports.h"

#include <sstream>
#include <stdexcept>

#include <ATen/core/Tensor.h>

#include "engine.h"
#include "engine_export.h"
#include "model/checkpoint.h"
#include "run/artifact.h"
#include "store/run_store.h"
#include "support/tensor_model_files.h"

namespace qw::test {

WeightSpec weightOf(const std::string& text)
{
    std::istringstream words(text);
    WeightSpec weight;
    words >> weight.format >> weight.bits;
    weight.sym = false;
    for (std::string word; words >> word;) {
        if (word == "sym" || word == "asym") {
            weight.sym = word == "sym";
        } else {
            weight.groupSize = groupSizeFromText(word);
        }
    }
    return weight;
}

ExportBench::ExportBench(std::filesystem::path folder) : m_folder(std::move(folder))
{
    RandomModelSpec shape = smallShape();
    shape.hidden = 256;
    shape.intermediate = 512;
    writeRandomModel(model(), shape);
}

RunSpec ExportBench::spec(const std::string& weight) const
{
    RunSpec spec;
    spec.model = model().string();
    spec.weight = weightOf(weight);
    return spec;
}

RunResult ExportBench::made(const RunSpec& spec) const
{
    RunStore store(m_folder / "runs.sqlite");
    RunOptions options;
    options.workFolder = m_folder / "work";
    return runQuantization(spec, store, options, {});
}

std::filesystem::path ExportBench::freshPath()
{
    return m_folder / ("out" + std::to_string(++m_number));
}

std::filesystem::path ExportBench::exported(const RunResult& run, const std::string& target,
                                            const std::string& dtype, std::int64_t gptqVersion)
{
    ExportOptions options;
    options.target = target;
    options.dtype = target == "gguf" ? "" : dtype;
    options.gptqVersion = gptqVersion;
    options.out = freshPath();
    exportRun(run, nullptr, options, {});
    return target == "gguf" ? options.out / "model.gguf" : options.out;
}

ImportOptions ExportBench::from(const std::filesystem::path& source) const
{
    ImportOptions options;
    options.source = source;
    options.model = model().string();
    options.workFolder = m_folder / "imports";
    return options;
}

RunResult ExportBench::imported(const ImportOptions& options) const
{
    RunStore store(m_folder / "runs.sqlite");
    const RunResult run = importRun(options, store, {});
    if (store.get(run.id) != run) {
        throw std::runtime_error("the store holds another run");
    }
    return run;
}

std::string differingLayer(const RunResult& one, const RunResult& other)
{
    const ArtifactFolder a(one.artifactFolder, "");
    const ArtifactFolder b(other.artifactFolder, "");
    const Checkpoint model(resolveModel(one.spec.model));
    for (std::int64_t block = 0; block < model.config().layers; ++block) {
        const BlockArtifact first = a.readBlock(block);
        const BlockArtifact second = b.readBlock(block);
        if (first.linears.size() != second.linears.size()) {
            return "block " + std::to_string(block) + " has other layers";
        }
        for (std::size_t i = 0; i < first.linears.size(); ++i) {
            const QuantizedLinear& mine = first.linears[i];
            const QuantizedLinear& theirs = second.linears[i];
            if (mine.name != theirs.name ||
                !mine.dequantizedCodes().equal(theirs.dequantizedCodes())) {
                return mine.name;
            }
        }
    }
    return {};
}

} // namespace qw::test
