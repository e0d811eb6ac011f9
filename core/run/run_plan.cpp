#include "run/run_plan.h"

#include <algorithm>
#include <cmath>
#include <regex>
#include <set>
#include <sstream>

#include "base/error.h"
#include "methods/method.h"
#include "methods/training_rules.h"
#include "report/layer_rules.h"
#include "report/rank_prediction.h"

namespace qw {

namespace {
/// The divisor of @p columns nearest to @p wanted, the smaller one of two equally near.
std::int64_t nearestDivisor(std::int64_t columns, std::int64_t wanted)
{
    std::int64_t best = 1;
    for (std::int64_t candidate = 1; candidate <= columns; ++candidate) {
        if (columns % candidate == 0 && std::abs(candidate - wanted) < std::abs(best - wanted)) {
            best = candidate;
        }
    }
    return best;
}

void settleRank(const MethodInfo& method, const LowRankSpec& lowRank, LayerPlan& layer,
                std::vector<std::string>& said)
{
    if (!method.lowRank && lowRank.correction == "none" && layer.settings.rank > 0) {
        said.push_back(message(layer.info.name, ": rank 0 instead of ", layer.settings.rank, "; ",
                               method.id, " has no low-rank correction"));
        layer.settings.rank = 0;
    }
    const std::int64_t full = std::min(layer.info.in, layer.info.out);
    if (layer.settings.rank > full) {
        said.push_back(message(layer.info.name, ": rank ", full, " instead of ",
                               layer.settings.rank, ", the most its shape allows"));
        layer.settings.rank = full;
    }
}

/// What a block-wise method replaces besides weights.
std::int64_t replacedBytes(const BlockMethod& method, const RunPlan& plan,
                           const Checkpoint& checkpoint)
{
    std::set<std::string> quantized;
    for (const LayerPlan& layer : plan.layers) {
        quantized.insert(layer.info.name);
    }
    std::int64_t bytes = 0;
    for (std::int64_t block = 0; block < checkpoint.config().layers; ++block) {
        bytes += method.replacedBytes(checkpoint.linearsOf(block), checkpoint.config(), quantized);
    }
    return bytes;
}

/// A pattern that matches nothing is most likely a typing error.
void noteUnusedOverrides(const RunSpec& spec, const Checkpoint& checkpoint,
                         std::vector<std::string>& said)
{
    for (const LayerOverride& entry : spec.overrides) {
        const std::regex pattern(entry.pattern, std::regex::ECMAScript);
        const auto matches = [&](const LinearInfo& linear) {
            return std::regex_search(linear.name, pattern);
        };
        if (std::none_of(checkpoint.linears().begin(), checkpoint.linears().end(), matches)) {
            said.push_back(message("override \"", entry.pattern, "\" matches none of the ",
                                   checkpoint.linears().size(), " linear layers"));
        }
    }
}
} // namespace

std::string divisorsOf(std::int64_t columns)
{
    std::ostringstream out;
    const char* separator = "";
    for (std::int64_t candidate = 1; candidate <= columns; ++candidate) {
        if (columns % candidate == 0) {
            out << separator << candidate;
            separator = ", ";
        }
    }
    return out.str();
}

double RunPlan::bitsPerWeight() const
{
    return weights > 0 ? static_cast<double>(bytes) * 8 / static_cast<double>(weights) : kMissing;
}

std::vector<LayerPlan> RunPlan::ofBlock(std::int64_t block) const
{
    std::vector<LayerPlan> result;
    std::copy_if(layers.begin(), layers.end(), std::back_inserter(result),
                 [&](const LayerPlan& layer) { return layer.info.block == block; });
    return result;
}

const LinearInfo& findLayer(const Checkpoint& checkpoint, const std::string& name)
{
    std::vector<std::string> names;
    for (const LinearInfo& linear : checkpoint.linears()) {
        if (linear.name == name) {
            return linear;
        }
        names.push_back(linear.name);
    }
    const std::string nearest = nearestName(name, names);
    throw Error(ErrorCode::BadInput,
                message("the model has no linear layer \"", name, "\"",
                        nearest.empty() ? std::string() : "; did you mean \"" + nearest + "\"?"));
}

namespace {
LayerSettings settled(const RunSpec& spec, LayerSettings settings, const LinearInfo& layer,
                      std::vector<std::string>& substitutions)
{
    const std::int64_t group = settings.weight.groupSize;
    if (group <= 0 || layer.in % group == 0) {
        return settings;
    }
    QW_REQUIRE(spec.adjust, ErrorCode::BadInput, layer.name, ": group_size ", group,
               " does not divide its ", layer.in, " columns; these do: ", divisorsOf(layer.in),
               " (or pass --adjust)");
    settings.weight.groupSize = nearestDivisor(layer.in, group);
    substitutions.push_back(message(layer.name, ": group_size ", settings.weight.groupSize,
                                    " instead of ", group, ", which does not divide its ", layer.in,
                                    " columns"));
    return settings;
}

} // namespace

LayerSettings settledSettings(const RunSpec& spec, const LinearInfo& layer,
                              std::vector<std::string>& substitutions)
{
    return settled(spec, settingsFor(spec, layer.name), layer, substitutions);
}

RunPlan planRun(const RunSpec& spec, const Checkpoint& checkpoint)
{
    const QuantMethod& method = findMethod(spec.method); // refuses an unknown one
    QW_REQUIRE(!method.info().lowRank || spec.lowRank.correction == "none", ErrorCode::BadInput,
               spec.method, " is a low-rank correction itself; drop --correction ",
               spec.lowRank.correction);
    QW_REQUIRE(spec.activation.scale == "token" ||
                   (!method.info().lowRank && spec.lowRank.correction == "none"),
               ErrorCode::BadInput,
               "activation.scale tensor has no scale for what a low-rank correction makes of the "
               "inputs; use token");
    const auto* blockwise = dynamic_cast<const BlockMethod*>(&method);
    if (blockwise != nullptr) {
        blockwise->check(spec);
    }
    RunPlan plan;
    noteUnusedOverrides(spec, checkpoint, plan.substitutions);
    if (spec.activation.scale == "tensor") {
        plan.substitutions.emplace_back(
            "experimental: activations have one scale for each layer, from the least and the "
            "largest calibration input of the full-precision model; papers that do so do not say "
            "how they find it");
    }
    std::int64_t skipped = 0;
    const LayerRules rules(spec);
    for (const LinearInfo& linear : checkpoint.linears()) {
        const LayerSettings settings = rules.of(linear.name);
        if (settings.skip) {
            ++skipped;
            continue;
        }
        LayerPlan layer{linear, settled(spec, settings, linear, plan.substitutions)};
        settleRank(method.info(), spec.lowRank, layer, plan.substitutions);
        if (const std::string phi = phiFor(spec.training, layer.settings.weight.bits);
            spec.method == "lr-qat" && phi != spec.training.phi) {
            plan.substitutions.push_back(message(linear.name, ": phi ", phi, " instead of ",
                                                 spec.training.phi,
                                                 ", which has no room for 8 bits"));
        }
        const std::int64_t weights = linear.in * linear.out;
        plan.weights += weights;
        plan.bytesOriginal += weights * (linear.dtype == "F32" ? 4 : 2);
        plan.bytes += (plannedBits(layer, spec) + 7) / 8;
        plan.maxRank = std::max(plan.maxRank, layer.settings.rank);
        plan.layers.push_back(std::move(layer));
    }
    if (plan.maxRank == 0 && (method.info().lowRank || spec.lowRank.correction != "none")) {
        plan.substitutions.push_back(
            message("rank 0: no error is corrected; for a model this wide begin with rank ",
                    std::max<std::int64_t>(1, checkpoint.config().hidden / 32)));
    }
    QW_REQUIRE(!plan.layers.empty(), ErrorCode::BadInput,
               "nothing is left to quantize: the overrides skip all ", skipped, " linear layers");
    if (blockwise != nullptr) {
        plan.bytes += replacedBytes(*blockwise, plan, checkpoint);
    }
    return plan;
}

std::int64_t plannedBits(const LayerPlan& layer, const RunSpec& spec)
{
    const WeightSpec& weight = layer.settings.weight;
    const std::int64_t in = layer.info.in;
    const std::int64_t out = layer.info.out;
    std::int64_t bits = in * out * weight.bits;
    if (weight.format == "mxint") {
        const std::int64_t blocks = (in + weight.groupSize - 1) / weight.groupSize;
        bits += exponentBits(out * blocks, weight.exponentBits);
    } else {
        const std::int64_t scales = weight.groupSize == kPerTensor ? 1
                                    : weight.groupSize == kPerChannel
                                        ? out
                                        : out * (in / weight.groupSize);
        bits += scales * ((weight.scaleDtype == "f32" ? 32 : 16) + (weight.sym ? 0 : weight.bits));
    }
    if (spec.method == "gptq" && spec.gptq.actOrder && !spec.gptq.staticGroups &&
        weight.groupSize > 0 && weight.groupSize < in) {
        bits += 32 * in; // which group each column went to
    }
    return bits + factorBits(out, in, layer.settings.rank, spec.lowRank, weight.exponentBits);
}

} // namespace qw
