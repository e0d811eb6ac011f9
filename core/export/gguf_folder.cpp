#include "export/gguf_folder.h"

#include <algorithm>
#include <functional>

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "export/gguf_model.h"

namespace qw {

namespace {
/// general.file_type of a model mostly of this type.
std::uint32_t fileType(GgufType type)
{
    switch (type) {
    case GgufType::F32:
        return 0;
    case GgufType::F16:
        return 1;
    case GgufType::Q4_0:
        return 2;
    case GgufType::Q8_0:
        return 7;
    case GgufType::Q5_0:
        return 8;
    case GgufType::Q6_K:
        return 18;
    case GgufType::Bf16:
        return 32;
    }
    return 0;
}

/// Writes the tensors of a model in two passes: announced from shapes, then one after the other.
class ModelWriter
{
public:
    ModelWriter(const RunModel& model, const RunFacts& facts, const TargetPlan& plan)
        : m_model(model), m_facts(facts), m_plan(plan)
    {
    }
    void write(const std::filesystem::path& file, const RunContext& context);

private:
    using Visit = std::function<void(const GgufTensor&, const std::function<at::Tensor()>&)>;
    void visitPlain(const ModelPart& part, const Visit& visit) const;
    void visitLinears(const ModelPart& part, const Visit& visit) const;
    void visitExtras(std::int64_t block, const Visit& visit) const;
    void visitPart(std::int64_t block, const Visit& visit) const;
    at::Tensor ordered(const at::Tensor& rows, LinearRole role) const;
    LinearRole roleOf(const std::string& module) const;

    const RunModel& m_model;
    const RunFacts& m_facts;
    const TargetPlan& m_plan;
};

LinearRole ModelWriter::roleOf(const std::string& module) const
{
    const auto found =
        std::find_if(m_facts.layers.begin(), m_facts.layers.end(),
                     [&](const LayerFacts& layer) { return layer.info.name == module; });
    // Norms have no rows to reorder: any other role does for them.
    return found == m_facts.layers.end() ? LinearRole::Down : found->info.role;
}

at::Tensor ModelWriter::ordered(const at::Tensor& rows, LinearRole role) const
{
    const at::Tensor order = ggufRows(m_facts.config, role);
    return order.defined() ? rows.index_select(0, order) : rows;
}

void ModelWriter::visitPlain(const ModelPart& part, const Visit& visit) const
{
    for (const auto& [name, tensor] : part.plain) {
        const std::string inFile = ggufName(m_facts.config, name);
        const at::ScalarType type = typeOfPlain(m_plan, m_facts.config, name, tensor);
        visit({inFile, tensor.sizes().vec(), ggufTypeOf(type)}, [&, &own = tensor, &key = name] {
            return ordered(own, roleOf(key.substr(0, key.rfind('.')))).to(type);
        });
    }
}

void ModelWriter::visitLinears(const ModelPart& part, const Visit& visit) const
{
    for (const LinearInfo& info : m_model.checkpoint().linearsOf(part.block)) {
        const GgufType type = m_plan.ggufTypes.at(info.name);
        const GgufTensor shape{
            ggufName(m_facts.config, info.name + ".weight"), {info.out, info.in}, type};
        visit(shape, [&] {
            const auto coded = std::find_if(
                part.linears.begin(), part.linears.end(),
                [&](const QuantizedLinear& linear) { return linear.name == info.name; });
            if (coded == part.linears.end()) {
                return ordered(part.keptLinears.at(info.name), info.role).to(m_plan.dtype);
            }
            if (ggufBlock(type) > 1) {
                return ordered(encodeBlocks(*coded, type), info.role);
            }
            return ordered(m_plan.mergeFactors ? coded->dequantized() : coded->dequantizedCodes(),
                           info.role)
                .to(m_plan.dtype);
        });
    }
}

/// What llama.cpp wants and the model does not have.
void ModelWriter::visitExtras(std::int64_t block, const Visit& visit) const
{
    const ModelConfig& config = m_facts.config;
    const bool neox = config.modelType == "gpt_neox";
    if (block < 0) {
        if (const at::Tensor factors = ggufRopeFactors(config.rope); factors.defined()) {
            visit({"rope_freqs.weight", factors.sizes().vec(), GgufType::F32},
                  [&] { return factors; });
        }
        if (neox && m_facts.tied) {
            const ModelPart part = m_model.part(-1);
            const at::Tensor embedding = part.plain.at(std::string(config.arch->prefixes.front()) +
                                                       std::string(config.arch->embedding));
            visit({"output.weight", embedding.sizes().vec(), ggufTypeOf(m_plan.dtype)},
                  [&] { return embedding.to(m_plan.dtype); });
        }
        return;
    }
    for (const LinearInfo& info : m_model.checkpoint().linearsOf(block)) {
        const bool attention =
            info.role == LinearRole::FusedQkv || info.role == LinearRole::AttentionOut;
        if (neox && attention && !info.hasBias) {
            visit({ggufName(config, info.name + ".bias"), {info.out}, GgufType::F32},
                  [&] { return at::zeros({info.out}, at::kFloat); });
        }
    }
}

void ModelWriter::visitPart(std::int64_t block, const Visit& visit) const
{
    const ModelPart part = m_model.part(block);
    visitPlain(part, visit);
    if (block >= 0) {
        visitLinears(part, visit);
    }
    visitExtras(block, visit);
    m_model.release(block);
}

void ModelWriter::write(const std::filesystem::path& file, const RunContext& context)
{
    std::vector<GgufTensor> tensors;
    for (std::int64_t block = -1; block < m_facts.config.layers; ++block) {
        context.checkpoint();
        visitPart(block, [&](const GgufTensor& tensor, const auto&) { tensors.push_back(tensor); });
    }
    const std::filesystem::path original = m_model.checkpoint().folder();
    GgufMetadata metadata = ggufHyperParameters(m_facts, original.filename().string(),
                                                fileType(m_plan.ggufTypes.begin()->second));
    const GgufMetadata tokenizer = ggufTokenizer(original, m_facts.config);
    metadata.insert(metadata.end(), tokenizer.begin(), tokenizer.end());
    GgufWriter writer(file, metadata, tensors);
    context.beginPhase("write", m_facts.config.layers + 1);
    for (std::int64_t block = -1; block < m_facts.config.layers; ++block) {
        context.checkpoint(block + 1);
        visitPart(block, [&](const GgufTensor& tensor, const auto& make) {
            writer.write(tensor.name, make());
        });
    }
    writer.finish();
}

struct AdapterTensor {
    GgufTensor shape;
    at::Tensor value;
};
} // namespace

void writeGgufModel(const RunModel& model, const RunFacts& facts, const TargetPlan& plan,
                    const std::filesystem::path& file, const RunContext& context)
{
    ModelWriter(model, facts, plan).write(file, context);
}

void writeGgufAdapter(const RunModel& model, const RunFacts& facts,
                      const std::filesystem::path& file, const RunContext& context)
{
    std::vector<AdapterTensor> all;
    context.beginPhase("write the adapter", facts.config.layers);
    for (std::int64_t block = 0; block < facts.config.layers; ++block) {
        context.checkpoint(block);
        const ModelPart part = model.part(block);
        for (const LinearInfo& info : model.checkpoint().linearsOf(block)) {
            for (const QuantizedLinear& linear : part.linears) {
                if (linear.name != info.name || linear.rank() == 0) {
                    continue;
                }
                const std::int64_t spare = facts.rank - linear.rank();
                const std::string name = ggufName(facts.config, info.name + ".weight");
                const at::Tensor a =
                    at::constant_pad_nd(linear.a.deployed().t(), {0, 0, 0, spare}).contiguous();
                at::Tensor b = at::constant_pad_nd(linear.b.deployed().t(), {0, spare});
                const at::Tensor order = ggufRows(facts.config, info.role);
                b = order.defined() ? b.index_select(0, order) : b.contiguous();
                all.push_back({{name + ".lora_a", a.sizes().vec(), GgufType::F32}, a});
                all.push_back({{name + ".lora_b", b.sizes().vec(), GgufType::F32}, b});
            }
        }
        model.release(block);
    }
    std::vector<GgufTensor> shapes;
    for (const AdapterTensor& tensor : all) {
        shapes.push_back(tensor.shape);
    }
    GgufWriter writer(file,
                      {{"general.architecture", ggufArchitecture(facts.config)},
                       {"general.type", std::string("adapter")},
                       {"adapter.type", std::string("lora")},
                       {"adapter.lora.alpha", static_cast<float>(facts.rank)}},
                      shapes);
    for (const AdapterTensor& tensor : all) {
        writer.write(tensor.shape.name, tensor.value);
    }
    writer.finish();
}

} // namespace qw
