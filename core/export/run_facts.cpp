#include "export/run_facts.h"

#include <algorithm>
#include <set>

#include <ATen/ops/arange.h>

#include "base/error.h"
#include "export/gguf_model.h"
#include "export/integer_weight.h"
#include "methods/method.h"
#include "methods/settings.h"
#include "run/run_plan.h"

namespace qw {

namespace {
/// The type that holds both; F16 and BF16 meet in F32.
at::ScalarType wider(at::ScalarType a, at::ScalarType b)
{
    return a == b ? a : at::kFloat;
}

LayerFacts factsOf(const QuantizedLinear& linear, const LinearInfo& info)
{
    LayerFacts facts;
    facts.info = info;
    facts.format = linear.format;
    facts.rank = linear.rank();
    facts.codeBits = storedBits(linear.withRank(0));
    facts.activation = linear.activation;
    facts.group = scaleGroup(linear);
    facts.problem = integerProblem(linear);
    facts.orderProblem = orderProblem(linear);
    facts.gguf = ggufStorage(linear);
    if (facts.problem.empty()) {
        const IntegerWeight weight = integerWeight(linear);
        facts.f16Scales = exactIn(weight.scale, at::kHalf);
        facts.bf16Scales = exactIn(weight.scale, at::kBFloat16);
        if (!weight.symmetric()) {
            facts.lowestZero = weight.zero.min().item<std::int64_t>();
        }
    }
    return facts;
}

std::string ggufTokenizerProblem(const Checkpoint& checkpoint)
{
    try {
        ggufTokenizer(checkpoint.folder(), checkpoint.config());
        return {};
    } catch (const Error& error) {
        return error.what();
    }
}

/// The types of tensors that are no weights of quantized linears, one after the other.
class PlainTypes
{
public:
    explicit PlainTypes(RunFacts& facts) : m_facts(facts) {}
    void add(const at::Tensor& tensor)
    {
        const at::ScalarType type = tensor.scalar_type();
        m_facts.stored = m_first ? type : wider(m_facts.stored, type);
        m_first = false;
        m_facts.f16Plain = m_facts.f16Plain && (type == at::kHalf || exactIn(tensor, at::kHalf));
        m_facts.bf16Plain =
            m_facts.bf16Plain && (type == at::kBFloat16 || exactIn(tensor, at::kBFloat16));
    }

private:
    RunFacts& m_facts;
    bool m_first = true;
};

/// Whether the method stores norms or biases of its own, in float32.
bool replacesTensors(const RunPlan& plan, const QuantMethod& method, const Checkpoint& checkpoint)
{
    const auto* blockwise = dynamic_cast<const BlockMethod*>(&method);
    std::set<std::string> quantized;
    for (const LayerPlan& layer : plan.layers) {
        quantized.insert(layer.info.name);
    }
    return blockwise != nullptr &&
           blockwise->replacedBytes(checkpoint.linearsOf(0), checkpoint.config(), quantized) > 0;
}

/// The first rows of a layer as round to nearest leaves them.
QuantizedLinear sampleOf(const RunSpec& spec, const LayerPlan& layer, const Checkpoint& checkpoint)
{
    constexpr std::int64_t kRows = 8;
    const WeightSpec& weight = layer.settings.weight;
    WeightSpec plain = weight;
    plain.range = "minmax"; // a search takes long, and changes no format
    const at::Tensor rows =
        checkpoint.linearWeight(layer.info).narrow(0, 0, std::min(kRows, layer.info.out));
    QuantizedLinear sample = roundToNearest(layer.info.name, rows.to(at::kFloat).contiguous(),
                                            weightFormat(plain), gridOptions(plain));
    if (spec.method == "gptq" && spec.gptq.actOrder && !spec.gptq.staticGroups &&
        weight.groupSize > 0 && weight.groupSize < layer.info.in) {
        sample.groupIndex = at::arange(layer.info.in, at::kInt);
    }
    return sample;
}
} // namespace

RunFacts foreseenFacts(const RunSpec& spec, const Checkpoint& checkpoint)
{
    constexpr std::int64_t kValues = 1 << 20; // of a tensor
    const RunPlan plan = planRun(spec, checkpoint);
    RunFacts facts;
    facts.config = checkpoint.config();
    facts.tied = facts.config.tiedEmbeddings;
    facts.ggufTokenizerProblem = ggufTokenizerProblem(checkpoint);
    facts.attentionQuantized = (spec.activation.format == "mxint" && spec.activation.attention) ||
                               spec.activation.points != "linear";
    facts.kvCacheQuantized = kvCacheQuantizer(spec.kvCache).active();
    PlainTypes types(facts);
    const auto sample = [&](const at::Tensor& tensor) {
        const at::Tensor values = tensor.flatten();
        types.add(values.narrow(0, 0, std::min(kValues, values.numel())));
    };
    auto planned = plan.layers.begin(); // in the order of the model
    for (std::int64_t block = -1; block < facts.config.layers; ++block) {
        const ModelPart part = originalPart(checkpoint, block);
        for (const auto& [name, tensor] : part.plain) {
            sample(tensor);
            facts.plainElements += tensor.numel();
        }
        for (const LinearInfo& info : checkpoint.linearsOf(block)) {
            LayerFacts layer;
            layer.info = info;
            layer.quantized = planned != plan.layers.end() && planned->info.name == info.name;
            if (layer.quantized) {
                layer = factsOf(sampleOf(spec, *planned, checkpoint), info);
                layer.rank = planned->settings.rank;
                layer.activation = activationQuantizer(spec.activation, planned->settings.weight);
                if (layer.activation.active() && spec.activation.scale == "tensor") {
                    layer.activation.kind = ActivationQuantizer::Kind::TensorStatic;
                }
                ++planned;
            } else {
                sample(part.keptLinears.at(info.name));
            }
            facts.rank = std::max(facts.rank, layer.rank);
            facts.layers.push_back(layer);
        }
    }
    if (replacesTensors(plan, findMethod(spec.method), checkpoint)) {
        facts.stored = at::kFloat;
        facts.f16Plain = facts.bf16Plain = false;
    }
    return facts;
}

RunFacts gatherFacts(const RunModel& model, const RunContext& context)
{
    RunFacts facts;
    facts.config = model.config();
    facts.tied = model.tied();
    facts.ggufTokenizerProblem = ggufTokenizerProblem(model.checkpoint());
    facts.attentionQuantized = model.outside().attention.active() || model.outside().heads.active();
    facts.kvCacheQuantized = model.outside().kvCache.active();
    context.beginPhase("plan", facts.config.layers + 1);
    PlainTypes types(facts);
    for (std::int64_t block = -1; block < facts.config.layers; ++block) {
        context.checkpoint(block + 1);
        const ModelPart part = model.part(block);
        for (const auto& [name, tensor] : part.plain) {
            types.add(tensor);
            facts.plainElements += tensor.numel();
        }
        for (const auto& [name, tensor] : part.keptLinears) {
            types.add(tensor);
        }
        for (const LinearInfo& info : model.checkpoint().linearsOf(block)) {
            const auto found = std::find_if(
                part.linears.begin(), part.linears.end(),
                [&](const QuantizedLinear& linear) { return linear.name == info.name; });
            LayerFacts layer;
            layer.info = info;
            layer.quantized = found != part.linears.end();
            facts.layers.push_back(layer.quantized ? factsOf(*found, info) : layer);
            facts.rank = std::max(facts.rank, facts.layers.back().rank);
        }
        model.release(block);
    }
    return facts;
}

} // namespace qw
