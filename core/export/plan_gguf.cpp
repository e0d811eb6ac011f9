#include <map>

#include "base/error.h"
#include "export/gguf_model.h"
#include "report/number_format.h"

namespace qw {

namespace {
std::int64_t bytesOf(GgufType type, std::int64_t elements)
{
    return elements / ggufBlock(type) * ggufBlockBytes(type);
}

/// Block types where the layers have one, floats where the options or a merge want them.
/// @return false after refusing
bool chooseTypes(TargetPlan& plan, const RunFacts& facts, bool dequantized)
{
    for (const LayerFacts& layer : facts.layers) {
        const bool coded =
            layer.quantized && !dequantized && !(plan.mergeFactors && layer.rank > 0);
        if (coded && !layer.gguf.problem.empty()) {
            const bool other = facts.config.modelType != "gpt2" && layer.problem.empty();
            const bool ordered = !layer.orderProblem.empty();
            refuse(plan, layer.gguf.problem,
                   !other    ? std::string("safetensors")
                   : ordered ? orderedTarget(facts)
                             : std::string("compressed-tensors"));
            return false;
        }
        plan.ggufTypes[layer.info.name] = coded ? layer.gguf.type : ggufTypeOf(plan.dtype);
    }
    return true;
}

double bitsPerWeight(double bits, double weights)
{
    return weights > 0 ? bits / weights : 0;
}

/// What the blocks of the layers written as codes take, against what the run has.
void noteWider(TargetPlan& plan, const RunFacts& facts)
{
    double blocks = 0;
    double own = 0;
    double weights = 0;
    const LayerFacts* first = nullptr;
    for (const LayerFacts& layer : facts.layers) {
        const GgufType type = plan.ggufTypes.at(layer.info.name);
        if (layer.quantized && ggufBlock(type) > 1) {
            const std::int64_t elements = layer.info.out * layer.info.in;
            blocks += static_cast<double>(8 * bytesOf(type, elements));
            own += static_cast<double>(layer.codeBits);
            weights += static_cast<double>(elements);
            first = first == nullptr ? &layer : first;
        }
    }
    if (blocks > own) {
        plan.shown.notes.push_back(
            message("GGUF's blocks take ", formatNumber(bitsPerWeight(blocks, weights), 2),
                    " bits per weight, the run's codes of ", first->format.bits,
                    " bits and their scales ", formatNumber(bitsPerWeight(own, weights), 2),
                    ": the values are the same, the file larger"));
    }
}

std::string describeTypes(const TargetPlan& plan)
{
    std::map<std::string, int> counts;
    for (const auto& [name, type] : plan.ggufTypes) {
        ++counts[ggufTypeName(type)];
    }
    std::string text;
    for (const auto& [type, count] : counts) {
        if (!text.empty()) {
            text += ", ";
        }
        text += message(type, " for ", counted(count, "layer"));
    }
    return text;
}

void addNotes(TargetPlan& plan, const RunFacts& facts)
{
    if (facts.config.mlp == Mlp::GeluErf || facts.config.mlp == Mlp::GeluTanh) {
        plan.shown.notes.emplace_back("llama.cpp computes GELU from a table: logits differ by some "
                                      "3e-4 of the largest");
    }
    for (const std::int64_t window : facts.config.slidingWindow) {
        if (window > 0) {
            plan.shown.notes.push_back(message("llama.cpp ignores the sliding window: keep the "
                                               "context below ",
                                               window, " tokens"));
            break;
        }
    }
    if (plan.separateFactors) {
        plan.shown.notes.emplace_back("the low-rank correction is adapter.gguf (--lora); without "
                                      "it the model is the quantized base alone");
    }
    plan.shown.notes.emplace_back("llama.cpp quantizes the inputs of quantized layers to 8 bits "
                                  "on processors: logits differ, the weights do not");
}
} // namespace

TargetPlan planGguf(const RunFacts& facts, const ExportOptions& options)
{
    TargetPlan plan;
    const std::string modelProblem = ggufProblem(facts.config);
    const std::string& problem = modelProblem.empty() ? facts.ggufTokenizerProblem : modelProblem;
    if (!problem.empty()) {
        const bool other = facts.config.modelType != "gpt2";
        refuse(plan, problem + (other ? "; choose compressed-tensors" : "; choose safetensors"),
               other ? "compressed-tensors" : "safetensors");
        return plan;
    }
    const bool dequantized = !options.dtype.empty();
    plan.dtype = dequantized ? dtypeFor(facts, options) : facts.stored;
    const bool merge = facts.rank > 0 && options.lora == "merge";
    plan.mergeFactors = merge;
    plan.separateFactors = facts.rank > 0 && !merge;
    if (!chooseTypes(plan, facts, dequantized)) {
        return plan;
    }
    std::int64_t coded = 0;
    std::int64_t weights = 0;
    bool floats = false;
    for (const LayerFacts& layer : facts.layers) {
        const GgufType type = plan.ggufTypes.at(layer.info.name);
        coded += bytesOf(type, layer.info.out * layer.info.in);
        weights += layer.info.out * layer.info.in;
        floats = floats || (layer.quantized && ggufBlock(type) == 1 && plan.dtype != at::kFloat);
    }
    if (floats) {
        lose(plan, message("weights", dequantized ? "" : " with a merged correction",
                           " are rounded to ", typeTitle(plan.dtype)));
    }
    if (!dequantized) {
        loseRoundedScales(plan, facts, at::kHalf);
    }
    loseRoundedTensors(plan, facts);
    loseActivations(plan, facts);
    plan.shown.storage =
        message(describeTypes(plan), ": ",
                formatNumber(
                    bitsPerWeight(8 * static_cast<double>(coded), static_cast<double>(weights)), 2),
                " bits per weight");
    plan.shown.bytes = coded + facts.plainElements * ggufBlockBytes(ggufTypeOf(plan.dtype)) +
                       (plan.separateFactors ? factorBytes(facts) : 0);
    noteWider(plan, facts);
    addNotes(plan, facts);
    return plan;
}

} // namespace qw
