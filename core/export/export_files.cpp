#include "export/export_files.h"

#include "base/error.h"
#include "base/files.h"
#include "export/encode.h"
#include "export/gguf_folder.h"
#include "export/gguf_original.h"
#include "export/hf_folder.h"
#include "model/safetensors.h"

namespace qw {

namespace {
constexpr std::int64_t kSpareBytes = std::int64_t{32} << 20;

void writeModel(const RunModel& model, const RunFacts& facts, const TargetPlan& plan,
                const std::filesystem::path& folder, const RunContext& context)
{
    context.beginPhase("write", facts.config.layers + 1);
    ShardWriter shards(folder);
    for (std::int64_t block = -1; block < facts.config.layers; ++block) {
        context.checkpoint(block + 1);
        shards.add(encodePart(model.part(block), plan, facts.config));
        model.release(block);
    }
    shards.finish();
    writeConfig(folder, facts, plan, model.checkpoint().folder());
    copyCompanions(model.checkpoint().folder(), folder);
}

void writeAdapter(const RunModel& model, const RunFacts& facts, const std::string& base,
                  const std::filesystem::path& folder, const RunContext& context)
{
    context.beginPhase("write the adapter", facts.config.layers);
    TensorMap tensors;
    for (std::int64_t block = 0; block < facts.config.layers; ++block) {
        context.checkpoint(block);
        tensors.merge(encodePeft(model.part(block), facts.rank));
        model.release(block);
    }
    writeSafetensors(folder / "adapter_model.safetensors", tensors);
    writeAdapterConfig(folder, facts, base);
}

/// PEFT refuses to share a folder with the base.
std::filesystem::path adapterFolder(const TargetPlan& plan, const std::filesystem::path& folder)
{
    return plan.shown.target == "peft" ? folder : folder / kAdapterFolder;
}
} // namespace

void requireSpace(const std::filesystem::path& folder, std::int64_t bytes, const char* what)
{
    const std::int64_t free = freeBytes(folder);
    QW_REQUIRE(free >= bytes + kSpareBytes, ErrorCode::Io, folder.string(), ": ", what, " ",
               bytes / 1000000, " MB and ", free / 1000000, " MB are free");
}

void writeExport(const RunModel& model, const RunFacts& facts, const TargetPlan& plan,
                 const std::filesystem::path& folder, const std::string& base,
                 const RunContext& context)
{
    if (plan.shown.target == "gguf") {
        writeGgufModel(model, facts, plan, folder / kGgufModelFile, context);
        if (plan.separateFactors) {
            writeGgufAdapter(model, facts, folder / kGgufAdapterFile, context);
        }
        return;
    }
    if (plan.shown.target != "peft") {
        writeModel(model, facts, plan, folder, context);
    }
    if (plan.separateFactors) {
        std::filesystem::create_directories(adapterFolder(plan, folder));
        writeAdapter(model, facts, base, adapterFolder(plan, folder), context);
    }
}

ExportedFiles readExport(const RunFacts& facts, const TargetPlan& plan,
                         const std::filesystem::path& folder)
{
    ExportedFiles files;
    if (plan.shown.target == "gguf") {
        GgufSource source(folder / kGgufModelFile);
        requireSameModel(source, facts.config); // what its metadata says
        files.base = readGguf(folder / kGgufModelFile);
        if (plan.separateFactors) {
            files.adapter = readGgufAdapter(folder / kGgufAdapterFile, facts.config.heads,
                                            facts.config.kvHeads);
        }
        return files;
    }
    if (plan.shown.target != "peft") {
        files.base = readFolder(folder, facts.config.arch->weightStoredInByOut);
    }
    if (plan.separateFactors) {
        files.adapter = readPeft(adapterFolder(plan, folder));
    }
    return files;
}

} // namespace qw
