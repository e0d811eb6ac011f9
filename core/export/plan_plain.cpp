#include "base/error.h"
#include "export/target_plan.h"

namespace qw {

namespace {
std::int64_t bytesOfType(at::ScalarType type)
{
    return type == at::kFloat ? 4 : 2;
}
} // namespace

TargetPlan planSafetensors(const RunFacts& facts, const ExportOptions& options)
{
    TargetPlan plan;
    ExportOptions asked = options;
    plan.dtype = facts.stored;
    if (!asked.dtype.empty()) {
        plan.dtype = dtypeFor(facts, asked);
    }
    chooseFactors(plan, facts, options, true);
    loseRoundedTensors(plan, facts);
    if (plan.dtype != at::kFloat) {
        lose(plan, message("weights are rounded to ", typeTitle(plan.dtype)));
    }
    loseActivations(plan, facts);
    plan.shown.storage = message("every weight in ", typeTitle(plan.dtype));
    std::int64_t elements = facts.plainElements;
    for (const LayerFacts& layer : facts.layers) {
        elements += layer.info.out * layer.info.in;
    }
    plan.shown.bytes =
        elements * bytesOfType(plan.dtype) + (plan.separateFactors ? factorBytes(facts) : 0);
    if (plan.mergeFactors) {
        plan.shown.notes.emplace_back("the low-rank correction is added to the weights");
    }
    return plan;
}

TargetPlan planPeft(const RunFacts& facts, const ExportOptions& options)
{
    TargetPlan plan;
    if (facts.rank == 0) {
        refuse(plan, "the run has no low-rank correction, so there is no adapter to write",
               "safetensors");
        return plan;
    }
    if (options.lora == "merge") {
        refuse(plan, "an adapter is what a merged correction is not", "safetensors");
        return plan;
    }
    plan.separateFactors = true;
    loseActivations(plan, facts);
    plan.shown.storage = message("A and B of rank ", facts.rank, " in F32");
    plan.shown.notes.emplace_back(
        "it corrects the quantized base (exported by --to safetensors --lora separate, "
        "compressed-tensors, gptq or awq), not the original model");
    plan.shown.bytes = factorBytes(facts);
    return plan;
}

} // namespace qw
