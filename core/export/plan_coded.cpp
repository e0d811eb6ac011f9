#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "export/target_plan.h"

namespace qw {

namespace {
constexpr const char* kGpt2 = "gpt2";

std::int64_t bytesOfType(at::ScalarType type)
{
    return type == at::kFloat ? 4 : 2;
}

bool symmetricCodes(const LayerFacts& layer)
{
    return layer.format.kind == WeightFormat::Kind::Mx || layer.format.sym;
}

/// The first layer that is no integer grid. @return false after refusing
bool requireGrids(TargetPlan& plan, const RunFacts& facts)
{
    for (const LayerFacts& layer : facts.layers) {
        if (!layer.problem.empty()) {
            refuse(plan, layer.problem + "; export it dequantized", "safetensors");
            return false;
        }
    }
    return true;
}

/// The same for layers whose columns are grouped out of order, which GPTQ alone can say.
bool requireOrder(TargetPlan& plan, const RunFacts& facts)
{
    for (const LayerFacts& layer : facts.layers) {
        if (!layer.orderProblem.empty()) {
            const std::string nearest = orderedTarget(facts);
            refuse(plan,
                   layer.orderProblem + (nearest == "gptq"
                                             ? "; choose gptq, which stores their groups"
                                             : "; export it dequantized"),
                   nearest);
            return false;
        }
    }
    return true;
}

std::int64_t codedTotal(const TargetPlan& plan, const RunFacts& facts, std::int64_t scaleBytes)
{
    std::int64_t bytes = facts.plainElements * bytesOfType(plan.dtype);
    for (const LayerFacts& layer : facts.layers) {
        const auto found = plan.layers.find(layer.info.name);
        bytes += found != plan.layers.end()
                     ? codedBytes(layer, found->second, scaleBytes)
                     : layer.info.out * layer.info.in * bytesOfType(plan.dtype);
    }
    return bytes + (plan.separateFactors ? factorBytes(facts) : 0);
}

/// The ways in which layers are stored, whole rows as groups of 0.
std::vector<LayerStorage> storageKinds(const TargetPlan& plan, const RunFacts& facts)
{
    std::vector<LayerStorage> kinds;
    for (const LayerFacts& layer : facts.layers) {
        const auto found = plan.layers.find(layer.info.name);
        if (found == plan.layers.end()) {
            continue;
        }
        LayerStorage storage = found->second;
        storage.group = storage.group == layer.info.in ? 0 : storage.group;
        if (std::find(kinds.begin(), kinds.end(), storage) == kinds.end()) {
            kinds.push_back(storage);
        }
    }
    return kinds;
}

std::string describeStorage(const TargetPlan& plan, const RunFacts& facts)
{
    std::string text;
    for (const LayerStorage& storage : storageKinds(plan, facts)) {
        text += message(text.empty() ? "" : "; ", storage.bits, "-bit codes, ",
                        storage.symmetric ? "symmetric" : "asymmetric", ", a scale for ",
                        storage.group == 0 ? "each row" : message(storage.group, " columns"));
    }
    return text;
}

void noteWidened(TargetPlan& plan, const RunFacts& facts)
{
    for (const LayerFacts& layer : facts.layers) {
        const auto found = plan.layers.find(layer.info.name);
        if (found != plan.layers.end() && found->second.bits != layer.format.bits) {
            plan.shown.notes.push_back(message("codes of ", layer.format.bits,
                                               " bits are held in fields of ", found->second.bits,
                                               ": the values are the same, the files larger"));
            return;
        }
    }
}

/// vLLM's Marlin kernels know few groups; its others are slower or refuse them.
void noteUnusualGroups(TargetPlan& plan, const RunFacts& facts)
{
    for (const LayerFacts& layer : facts.layers) {
        const auto found = plan.layers.find(layer.info.name);
        const std::int64_t group = found == plan.layers.end() ? 32 : found->second.group;
        if (group != layer.info.in && group != 32 && group != 64 && group != 128) {
            plan.shown.notes.push_back(message("a scale for ", group,
                                               " columns: vLLM's fast kernels ",
                                               "take 32, 64 and 128 columns and whole rows only"));
            return;
        }
    }
}

/// All layers stored alike, as formats need that say it once for the model.
struct Common {
    std::int64_t bits = 0;  ///< widest code
    std::int64_t group = 0; ///< that divides all groups; 0: whole rows
    bool symmetric = true;
};

Common commonStorage(const RunFacts& facts)
{
    Common common;
    for (const LayerFacts& layer : facts.layers) {
        if (!layer.quantized) {
            continue;
        }
        common.bits = std::max(common.bits, layer.format.bits);
        common.symmetric = common.symmetric && symmetricCodes(layer);
        if (layer.group != layer.info.in) {
            common.group = std::gcd(common.group, layer.group);
        }
    }
    return common;
}

/// Divides common.group until it divides every row too.
void fitRows(Common& common, const RunFacts& facts)
{
    for (const LayerFacts& layer : facts.layers) {
        common.group = common.group == 0 ? 0 : std::gcd(common.group, layer.info.in);
    }
}

bool requireAllQuantized(TargetPlan& plan, const RunFacts& facts, const char* format)
{
    for (const LayerFacts& layer : facts.layers) {
        if (!layer.quantized) {
            refuse(plan,
                   message(layer.info.name, ": was left as it is, and ", format,
                           " holds every layer as codes; choose compressed-tensors"),
                   "compressed-tensors");
            return false;
        }
    }
    return true;
}

void storeAlike(TargetPlan& plan, const RunFacts& facts, std::int64_t bits, std::int64_t group,
                bool symmetric)
{
    for (const LayerFacts& layer : facts.layers) {
        if (layer.quantized) {
            plan.layers[layer.info.name] = {bits, group > 0 ? group : layer.info.in, symmetric};
        }
    }
}

/// 8-bit activations per token, computed when the model runs: the one kind these files can say.
bool integerActivations(const RunFacts& facts)
{
    return std::all_of(facts.layers.begin(), facts.layers.end(), [](const LayerFacts& layer) {
        using Kind = ActivationQuantizer::Kind;
        return layer.quantized && layer.activation.bits == 8 && symmetricCodes(layer) &&
               (layer.activation.kind == Kind::TokenAsymmetric ||
                layer.activation.kind == Kind::TokenSymmetric);
    });
}

/// What transformers can do with packed codes depends on how they are stored.
void chooseLoading(TargetPlan& plan, const RunFacts& facts)
{
    const std::vector<LayerStorage> kinds = storageKinds(plan, facts);
    const bool alike = kinds.size() == 1;
    const bool asymmetric = std::any_of(
        kinds.begin(), kinds.end(), [](const LayerStorage& storage) { return !storage.symmetric; });
    plan.loadedDequantized = asymmetric && alike;
    plan.unpackedByUse = plan.separateFactors && !asymmetric && !plan.quantizedActivations;
    if (asymmetric) {
        plan.shown.notes.emplace_back(
            alike ? "asymmetric codes: transformers with compressed-tensors 0.18 to 0.20 load them "
                    "with CompressedTensorsConfig(dequantize=True) only, 0.15 to 0.17 as they are"
                  : "asymmetric codes, and layers stored in several ways: transformers loads them "
                    "with compressed-tensors 0.15 to 0.17 only");
    }
}
} // namespace

std::string orderedTarget(const RunFacts& facts)
{
    ExportOptions options;
    options.gptqVersion = 2;
    return planGptq(facts, options).shown.possible ? "gptq" : "safetensors";
}

TargetPlan planCompressedTensors(const RunFacts& facts, const ExportOptions& options)
{
    TargetPlan plan;
    if (facts.config.modelType == kGpt2) {
        refuse(plan, "GPT-2's layers are of a class (Conv1D) that compressed-tensors cannot name",
               "safetensors");
        return plan;
    }
    if (!requireGrids(plan, facts) || !requireOrder(plan, facts) ||
        !requireFactorsApart(plan, facts, options)) {
        return plan;
    }
    plan.quantizedActivations = integerActivations(facts);
    for (const LayerFacts& layer : facts.layers) {
        if (layer.quantized) {
            const std::int64_t bits = layer.format.bits <= 4 ? 4 : 8;
            plan.layers[layer.info.name] = {bits, layer.group, symmetricCodes(layer)};
        }
    }
    plan.dtype = dtypeFor(facts, options);
    loseRoundedScales(plan, facts, plan.dtype);
    loseRoundedTensors(plan, facts);
    const std::int64_t scaleBytes = bytesOfType(plan.dtype);
    plan.shown.bytes = codedTotal(plan, facts, scaleBytes);
    plan.shown.storage = describeStorage(plan, facts);
    noteWidened(plan, facts);
    noteUnusualGroups(plan, facts);
    if (!plan.quantizedActivations) {
        loseActivations(plan, facts);
    } else {
        for (const LayerFacts& layer : facts.layers) { // a byte a code, whatever its width
            plan.shown.bytes +=
                layer.info.out * layer.info.in * (8 - plan.layers.at(layer.info.name).bits) / 8;
        }
        plan.shown.storage += ", activations int8 for each token";
        lose(plan,
             "the client rounds each token to 8 bits in its own way (symmetric, other range), "
             "so logits differ a little");
    }
    chooseLoading(plan, facts);
    if (plan.dtype != at::kFloat) {
        plan.shown.notes.push_back(message("clients multiply codes and scales in ",
                                           typeTitle(plan.dtype), " and round the product"));
    }
    return plan;
}

TargetPlan planGptq(const RunFacts& facts, const ExportOptions& options)
{
    TargetPlan plan;
    plan.gptqVersion = options.gptqVersion;
    if (facts.config.modelType == kGpt2) {
        refuse(plan, "transformers cannot load GPTQ codes into GPT-2's layers (Conv1D)",
               "safetensors");
        return plan;
    }
    if (!requireGrids(plan, facts) || !requireFactorsApart(plan, facts, options) ||
        !requireAllQuantized(plan, facts, "a GPTQ checkpoint")) {
        return plan;
    }
    Common common = commonStorage(facts);
    fitRows(common, facts);
    const std::int64_t bits = common.bits <= 4 ? common.bits : 8;
    for (const LayerFacts& layer : facts.layers) {
        const LinearInfo& info = layer.info;
        if (info.in % 32 != 0 || info.out % 32 != 0) {
            refuse(plan,
                   message(info.name, ": ", info.out, " x ", info.in,
                           " is not a multiple of 32 both ways, as GPTQ packs it; choose "
                           "compressed-tensors"),
                   "compressed-tensors");
            return plan;
        }
        if (!layer.orderProblem.empty() && layer.group != common.group) {
            refuse(plan,
                   message(layer.orderProblem, " in groups of ", layer.group,
                           ", and all layers need groups of ", common.group,
                           "; export it dequantized"),
                   "safetensors");
            return plan;
        }
        if (plan.gptqVersion == 1 && !symmetricCodes(layer) && layer.lowestZero < 1) {
            refuse(plan,
                   message(info.name, ": has a zero point 0, which version 1 of GPTQ cannot hold "
                                      "(it stores one less); version 2 can; or choose "
                                      "compressed-tensors"),
                   "compressed-tensors");
            return plan;
        }
    }
    storeAlike(plan, facts, bits, common.group, common.symmetric);
    plan.ordered = std::any_of(facts.layers.begin(), facts.layers.end(),
                               [](const LayerFacts& layer) { return !layer.orderProblem.empty(); });
    plan.dtype = options.dtype.empty() ? at::kHalf : dtypeFor(facts, options);
    loseRoundedScales(plan, facts, at::kHalf);
    loseRoundedTensors(plan, facts);
    loseActivations(plan, facts);
    // Zero points are written for symmetric codes too, and a group index.
    plan.shown.bytes = codedTotal(plan, facts, 2);
    for (const LayerFacts& layer : facts.layers) {
        const LayerStorage& storage = plan.layers.at(layer.info.name);
        const std::int64_t groups = layer.info.in / storage.group;
        plan.shown.bytes +=
            4 * layer.info.in + (storage.symmetric ? groups * layer.info.out * bits / 8 : 0);
    }
    plan.shown.storage = describeStorage(plan, facts);
    plan.shown.storage += plan.ordered ? ", columns grouped in the order of their inputs" : "";
    noteWidened(plan, facts);
    noteUnusualGroups(plan, facts);
    if (!common.symmetric || bits < 4) {
        plan.shown.notes.emplace_back("recent vLLM reads symmetric codes of 4 and 8 bits only; "
                                      "GPTQModel and transformers read these");
    }
    plan.shown.notes.emplace_back("GPTQModel rounds each weight to F16");
    return plan;
}

TargetPlan planAwq(const RunFacts& facts, const ExportOptions& options)
{
    TargetPlan plan;
    if (facts.config.modelType == kGpt2) {
        refuse(plan, "AWQ's layers cannot stand in for GPT-2's (Conv1D)", "safetensors");
        return plan;
    }
    if (!requireGrids(plan, facts) || !requireOrder(plan, facts) ||
        !requireFactorsApart(plan, facts, options)) {
        return plan;
    }
    constexpr std::int64_t kWholeRowGroup = 128; // whole rows are cut into these
    Common common = commonStorage(facts);
    common.group = common.group == 0 ? kWholeRowGroup : common.group;
    for (const LayerFacts& layer : facts.layers) {
        if (!layer.quantized) {
            continue;
        }
        const LinearInfo& info = layer.info;
        const std::string layerSays = info.name + ": ";
        if (layer.format.bits > 4) {
            refuse(plan,
                   message(layerSays, layer.format.bits,
                           "-bit codes, AWQ has 4 bits only; "
                           "choose compressed-tensors"),
                   "compressed-tensors");
        } else if (common.group % 32 != 0) {
            refuse(plan,
                   message(layerSays, "a scale for ", layer.group,
                           " columns; AWQ's kernels need a multiple of 32; choose "
                           "compressed-tensors"),
                   "compressed-tensors");
        } else if (info.in % common.group != 0) {
            refuse(plan,
                   message(layerSays, "in_features ", info.in, " is not a multiple of ",
                           common.group,
                           "; AWQ has no scales for whole rows; choose "
                           "compressed-tensors"),
                   "compressed-tensors");
        } else if (info.out % 32 != 0) {
            refuse(plan,
                   message(layerSays, "out_features ", info.out,
                           " is not a multiple of 32, as AWQ's kernels need; choose "
                           "compressed-tensors"),
                   "compressed-tensors");
        }
        if (!plan.shown.possible) {
            return plan;
        }
    }
    storeAlike(plan, facts, 4, common.group, false);
    plan.dtype = options.dtype.empty() ? at::kHalf : dtypeFor(facts, options);
    loseRoundedScales(plan, facts, at::kHalf);
    loseRoundedTensors(plan, facts);
    loseActivations(plan, facts);
    plan.shown.bytes = codedTotal(plan, facts, 2);
    plan.shown.storage = describeStorage(plan, facts);
    noteWidened(plan, facts);
    plan.shown.notes.emplace_back("AutoAWQ and GPTQModel round each weight to F16");
    return plan;
}

} // namespace qw
