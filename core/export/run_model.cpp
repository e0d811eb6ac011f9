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

/// Everything the run replaced must have found its place.
void requirePlaced(const ReplacedTensors& replaced, const ModelPart& part)
{
    for (const auto& [name, tensor] : replaced) {
        const std::string module = name.substr(0, name.rfind('.'));
        const bool weight = name.size() > 7 && name.compare(name.size() - 7, 7, ".weight") == 0;
        QW_REQUIRE(part.plain.contains(name) || (weight && part.keptLinears.contains(module)),
                   ErrorCode::Unsupported, name,
                   ": the run added this tensor, for which the model's config.json has no place");
    }
}
} // namespace

std::string layerPrefix(const ModelConfig& config, std::int64_t block)
{
    return canonicalPrefix(config) + std::string(config.arch->layers) + std::to_string(block) + ".";
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

void RunModel::addPlain(ModelPart& part, const ReplacedTensors& replaced,
                        const std::string& canonical, const std::string& inFile) const
{
    const auto found = replaced.find(canonical);
    part.plain[canonical] = found != replaced.end() ? found->second : m_checkpoint.tensor(inFile);
}

void RunModel::addOutside(ModelPart& part) const
{
    const ArchSpec& arch = *config().arch;
    const auto add = [&](const std::string& relative) {
        addPlain(part, m_outside.replaced, canonicalPrefix(config()) + relative,
                 m_checkpoint.fullName(relative));
    };
    add(std::string(arch.embedding));
    if (!arch.positions.empty()) {
        add(std::string(arch.positions));
    }
    if (config().embeddingDim != config().hidden) {
        add("project_in.weight");
        add("project_out.weight");
    }
    if (config().finalNorm) {
        add(std::string(arch.finalNorm) + ".weight");
        if (arch.norm == Norm::Layer) {
            add(std::string(arch.finalNorm) + ".bias");
        }
    }
    if (!tied()) {
        addPlain(part, m_outside.replaced, std::string(arch.lmHead), std::string(arch.lmHead));
    }
    requirePlaced(m_outside.replaced, part);
    part.replaced = m_outside.replaced;
}

void RunModel::addBlock(ModelPart& part) const
{
    const ArchSpec& arch = *config().arch;
    BlockArtifact stored = m_artifact.readBlock(part.block);
    for (const QuantizedLinear& linear : stored.linears) {
        const std::int64_t rank = settingsFor(m_run.spec, linear.name).rank;
        part.linears.push_back(linear.withRank(std::min(linear.rank(), rank)));
    }
    const std::string relative = std::string(arch.layers) + std::to_string(part.block) + ".";
    const auto addNorm = [&](std::string_view norm) {
        for (const char* kind : {".weight", ".bias"}) {
            if (arch.norm == Norm::Layer || std::string_view(kind) == ".weight") {
                const std::string name = relative + std::string(norm) + kind;
                addPlain(part, stored.replaced, canonicalPrefix(config()) + name,
                         m_checkpoint.fullName(name));
            }
        }
    };
    addNorm(arch.attentionNorm);
    addNorm(arch.mlpNorm);
    if (arch.queryKeyNorm) {
        addNorm("self_attn.q_norm");
        addNorm("self_attn.k_norm");
    }
    for (const LinearInfo& info : m_checkpoint.linearsOf(part.block)) {
        const bool quantized =
            std::any_of(part.linears.begin(), part.linears.end(),
                        [&](const QuantizedLinear& linear) { return linear.name == info.name; });
        if (!quantized) {
            const auto other = stored.replaced.find(info.name + ".weight");
            part.keptLinears[info.name] =
                other != stored.replaced.end() ? other->second : m_checkpoint.linearWeight(info);
        }
        if (info.hasBias) {
            const auto other = stored.replaced.find(info.name + ".bias");
            part.plain[info.name + ".bias"] =
                other != stored.replaced.end() ? other->second : m_checkpoint.linearBias(info);
        }
    }
    requirePlaced(stored.replaced, part);
    part.replaced = std::move(stored.replaced);
}

ModelPart RunModel::part(std::int64_t block) const
{
    ModelPart part;
    part.block = block;
    if (block < 0) {
        addOutside(part);
    } else {
        addBlock(part);
    }
    return part;
}

void RunModel::release(std::int64_t block) const
{
    if (block >= 0) {
        m_checkpoint.releaseBlock(block);
    }
}

} // namespace qw
