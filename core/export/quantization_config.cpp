#include <map>
#include <tuple>

#include "export/hf_folder.h"

namespace qw {

namespace {
/// Linears of the library's model that hold no codes, by module name.
std::vector<std::string> plainLinears(const RunFacts& facts)
{
    std::vector<std::string> names{"lm_head"};
    if (facts.config.modelType == "gpt_neox") {
        names.emplace_back("embed_out"); // transformers 5 calls it lm_head
    }
    if (facts.config.embeddingDim != facts.config.hidden) {
        const std::string prefix(facts.config.arch->prefixes.front());
        names.push_back(prefix + "project_in");
        names.push_back(prefix + "project_out");
    }
    for (const LayerFacts& layer : facts.layers) {
        if (!layer.quantized) {
            names.push_back(layer.info.name);
        }
    }
    return names;
}

Json groupOf(const LayerStorage& storage, bool wholeRows, const TargetPlan& plan)
{
    const Json nothing;
    Json activations;
    if (plan.quantizedActivations) {
        activations = {{"num_bits", 8},
                       {"type", "int"},
                       {"symmetric", true},
                       {"strategy", "token"},
                       {"dynamic", true},
                       {"group_size", nothing},
                       {"block_structure", nothing},
                       {"actorder", nothing},
                       {"observer", nothing},
                       {"observer_kwargs", Json::object()}};
    }
    return {{"targets", Json::array()},
            {"format", plan.quantizedActivations ? "int-quantized" : "pack-quantized"},
            {"weights",
             {{"num_bits", storage.bits},
              {"type", "int"},
              {"symmetric", storage.symmetric},
              {"strategy", wholeRows ? "channel" : "group"},
              {"group_size", wholeRows ? nothing : Json(storage.group)},
              {"dynamic", false},
              {"actorder", nothing},
              {"block_structure", nothing},
              {"observer", "minmax"},
              {"observer_kwargs", Json::object()}}},
            {"input_activations", activations},
            {"output_activations", nothing}};
}

Json compressedTensorsConfig(const RunFacts& facts, const TargetPlan& plan)
{
    // Layers that are stored alike share a group.
    using Kind = std::tuple<std::int64_t, std::int64_t, bool>;
    std::map<Kind, Json> groups;
    for (const LayerFacts& layer : facts.layers) {
        const auto stored = plan.layers.find(layer.info.name);
        if (stored == plan.layers.end()) {
            continue;
        }
        const LayerStorage& storage = stored->second;
        const bool wholeRows = storage.group == layer.info.in;
        Json& group = groups[{storage.bits, wholeRows ? 0 : storage.group, storage.symmetric}];
        if (group.is_null()) {
            group = groupOf(storage, wholeRows, plan);
        }
        group["targets"].push_back(layer.info.name);
    }
    Json named = Json::object();
    for (auto& [kind, group] : groups) {
        if (groups.size() == 1) {
            group["targets"] = {"Linear"};
        }
        named["group_" + std::to_string(named.size())] = group;
    }
    return {{"quant_method", "compressed-tensors"},
            {"format", plan.quantizedActivations ? "int-quantized" : "pack-quantized"},
            {"quantization_status", "compressed"},
            {"config_groups", named},
            {"ignore", plainLinears(facts)},
            {"kv_cache_scheme", nullptr}};
}

/// Columns of a group as these files say it. @pre all layers are stored alike
std::int64_t groupSize(const RunFacts& facts, const TargetPlan& plan, std::int64_t wholeRow)
{
    for (const LayerFacts& layer : facts.layers) {
        const auto stored = plan.layers.find(layer.info.name);
        if (stored != plan.layers.end() && stored->second.group != layer.info.in) {
            return stored->second.group;
        }
    }
    return wholeRow;
}

Json gptqConfig(const RunFacts& facts, const TargetPlan& plan)
{
    const LayerStorage& any = plan.layers.begin()->second;
    const char* version = plan.gptqVersion == 1 ? "gptq" : "gptq_v2";
    return {{"quant_method", "gptq"},
            {"bits", any.bits},
            {"group_size", groupSize(facts, plan, -1)},
            {"desc_act", plan.ordered},
            {"sym", any.symmetric},
            {"lm_head", false},
            {"damp_percent", 0.01},
            {"true_sequential", true},
            {"checkpoint_format", version},
            {"format", version},
            {"pack_dtype", "int32"},
            {"meta", {{"quantizer", {"quant-workbench:" QW_VERSION}}}}};
}

Json awqConfig(const RunFacts& facts, const TargetPlan& plan)
{
    return {{"quant_method", "awq"},
            {"bits", 4},
            {"group_size", plan.layers.begin()->second.group},
            {"zero_point", true},
            {"version", "gemm"},
            {"modules_to_not_convert", plainLinears(facts)}};
}
} // namespace

Json quantizationConfig(const RunFacts& facts, const TargetPlan& plan)
{
    if (plan.shown.target == "compressed-tensors") {
        return compressedTensorsConfig(facts, plan);
    }
    if (plan.shown.target == "gptq") {
        return gptqConfig(facts, plan);
    }
    return plan.shown.target == "awq" ? awqConfig(facts, plan) : Json();
}

} // namespace qw
