#include "export/run_model.h"

#include <algorithm>

#include "base/error.h"
#include "engine.h"
#include "run/stored_run.h"

namespace qw {

namespace {
std::string canonicalPrefix(const ModelConfig& config)
{
    return std::string(config.arch->prefixes.front());
}

void addOutside(ModelPart& part, const Checkpoint& checkpoint)
{
    const ModelConfig& config = checkpoint.config();
    const ArchSpec& arch = *config.arch;
    const auto add = [&](const std::string& relative) {
        part.plain[canonicalPrefix(config) + relative] =
            checkpoint.tensor(checkpoint.fullName(relative));
    };
    add(std::string(arch.embedding));
    if (!arch.positions.empty()) {
        add(std::string(arch.positions));
    }
    if (config.embeddingDim != config.hidden) {
        add("project_in.weight");
        add("project_out.weight");
    }
    if (config.finalNorm) {
        add(std::string(arch.finalNorm) + ".weight");
        if (arch.norm == Norm::Layer) {
            add(std::string(arch.finalNorm) + ".bias");
        }
    }
    if (!config.tiedEmbeddings) {
        part.plain[std::string(arch.lmHead)] = checkpoint.tensor(std::string(arch.lmHead));
    }
}

void addBlock(ModelPart& part, const Checkpoint& checkpoint)
{
    const ModelConfig& config = checkpoint.config();
    const ArchSpec& arch = *config.arch;
    const std::string relative = std::string(arch.layers) + std::to_string(part.block) + ".";
    const auto addNorm = [&](std::string_view norm) {
        for (const char* kind : {".weight", ".bias"}) {
            if (arch.norm == Norm::Layer || std::string_view(kind) == ".weight") {
                const std::string name = relative + std::string(norm) + kind;
                part.plain[canonicalPrefix(config) + name] =
                    checkpoint.tensor(checkpoint.fullName(name));
            }
        }
    };
    addNorm(arch.attentionNorm);
    addNorm(arch.mlpNorm);
    if (arch.queryKeyNorm) {
        addNorm("self_attn.q_norm");
        addNorm("self_attn.k_norm");
    }
    for (const LinearInfo& info : checkpoint.linearsOf(part.block)) {
        part.keptLinears[info.name] = checkpoint.linearWeight(info);
        if (info.hasBias) {
            part.plain[info.name + ".bias"] = checkpoint.linearBias(info);
        }
    }
}

/// Puts what the run replaced in its place. A head of its own unties a model.
void replace(ModelPart& part, ReplacedTensors replaced, const std::string& head)
{
    for (const auto& [name, tensor] : replaced) {
        const std::string module = name.substr(0, name.rfind('.'));
        if (name.ends_with(".weight") && part.keptLinears.contains(module)) {
            part.keptLinears[module] = tensor;
            continue;
        }
        QW_REQUIRE(part.plain.contains(name) || name == head, ErrorCode::Unsupported, name,
                   ": the run added this tensor, for which the model's config.json has no place");
        part.plain[name] = tensor;
    }
    part.replaced = std::move(replaced);
}
} // namespace

std::string layerPrefix(const ModelConfig& config, std::int64_t block)
{
    return canonicalPrefix(config) + std::string(config.arch->layers) + std::to_string(block) + ".";
}

ModelPart originalPart(const Checkpoint& checkpoint, std::int64_t block)
{
    ModelPart part;
    part.block = block;
    if (block < 0) {
        addOutside(part, checkpoint);
    } else {
        addBlock(part, checkpoint);
    }
    return part;
}

RunModel::RunModel(const RunResult& run, const RunContext& context)
    : m_run(run), m_checkpoint(resolveModel(run.spec.model)), m_artifact(storedArtifact(run))
{
    requireSameModel(m_checkpoint, run, context);
    m_outside = m_artifact.readModel();
}

bool RunModel::tied() const
{
    return config().tiedEmbeddings &&
           !m_outside.replaced.contains(std::string(config().arch->lmHead));
}

ModelPart RunModel::part(std::int64_t block) const
{
    ModelPart part = originalPart(m_checkpoint, block);
    if (block < 0) {
        replace(part, m_outside.replaced, std::string(config().arch->lmHead));
        return part;
    }
    BlockArtifact stored = m_artifact.readBlock(block);
    for (const QuantizedLinear& linear : stored.linears) {
        const std::int64_t rank = settingsFor(m_run.spec, linear.name).rank;
        part.linears.push_back(linear.withRank(std::min(linear.rank(), rank)));
        part.keptLinears.erase(linear.name);
    }
    replace(part, std::move(stored.replaced), {});
    return part;
}

void RunModel::release(std::int64_t block) const
{
    if (block >= 0) {
        m_checkpoint.releaseBlock(block);
    }
}

} // namespace qw
