#include "export/run_facts.h"

#include <algorithm>

#include "base/error.h"
#include "export/gguf_model.h"
#include "export/integer_weight.h"

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

std::string ggufTokenizerProblem(const RunModel& model)
{
    try {
        ggufTokenizer(model.checkpoint().folder(), model.config());
        return {};
    } catch (const Error& error) {
        return error.what();
    }
}
} // namespace

RunFacts gatherFacts(const RunModel& model, const RunContext& context)
{
    RunFacts facts;
    facts.config = model.config();
    facts.tied = model.tied();
    facts.ggufTokenizerProblem = ggufTokenizerProblem(model);
    facts.attentionQuantized = model.outside().attention.active() || model.outside().heads.active();
    facts.kvCacheQuantized = model.outside().kvCache.active();
    context.beginPhase("plan", facts.config.layers + 1);
    bool first = true;
    const auto add = [&](const at::Tensor& tensor) {
        const at::ScalarType type = tensor.scalar_type();
        facts.stored = first ? type : wider(facts.stored, type);
        first = false;
        facts.f16Plain = facts.f16Plain && (type == at::kHalf || exactIn(tensor, at::kHalf));
        facts.bf16Plain =
            facts.bf16Plain && (type == at::kBFloat16 || exactIn(tensor, at::kBFloat16));
    };
    for (std::int64_t block = -1; block < facts.config.layers; ++block) {
        context.checkpoint(block + 1);
        const ModelPart part = model.part(block);
        for (const auto& [name, tensor] : part.plain) {
            add(tensor);
            facts.plainElements += tensor.numel();
        }
        for (const auto& [name, tensor] : part.keptLinears) {
            add(tensor);
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
