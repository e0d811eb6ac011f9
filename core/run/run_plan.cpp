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

/// What is said of layers. A model has hundreds: what holds for several is said once.
class LayerNotes
{
public:
    void add(const std::string& layer, const std::string& sentence)
    {
        const auto known = std::find_if(m_notes.begin(), m_notes.end(), [&](const Note& note) {
            return note.sentence == sentence;
        });
        Note& note = known == m_notes.end() ? m_notes.emplace_back(Note{sentence, {}}) : *known;
        note.layers.push_back(layer);
    }
    /// In the order of their first layers. @param all  layers of the run
    void appendTo(std::vector<std::string>& said, std::size_t all) const
    {
        for (const Note& note : m_notes) {
            said.push_back(namesOf(note.layers, all) + ": " + note.sentence);
        }
    }

private:
    struct Note {
        std::string sentence;
        std::vector<std::string> layers;
    };

    static std::string namesOf(const std::vector<std::string>& layers, std::size_t all)
    {
        if (layers.size() == 1) {
            return layers.front();
        }
        if (layers.size() == all) {
            return message("all ", all, " layers");
        }
        return layers.size() == 2
                   ? message(layers[0], " and ", layers[1])
                   : message(layers[0], ", ", layers[1], " and ", layers.size() - 2, " more");
    }

    std::vector<Note> m_notes;
};

void settleRank(const MethodInfo& method, const LowRankSpec& lowRank, LayerPlan& layer,
                LayerNotes& notes)
{
    const std::int64_t asked = layer.settings.rank;
    if (!method.lowRank && lowRank.correction == "none" && asked > 0) {
        notes.add(layer.info.name, message("rank 0 instead of ", asked, "; ", method.id,
                                           " has no low-rank correction"));
        layer.settings.rank = 0;
        return;
    }
    const std::int64_t full = std::min(layer.info.in, layer.info.out);
    if (asked > full) {
        notes.add(layer.info.name,
                  message("rank ", full, " instead of ", asked, ", the most the shape allows"));
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
} // namespace

std::vector<std::string> unusedOverrides(const RunSpec& spec, const Checkpoint& checkpoint)
{
    std::vector<std::string> said;
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
    return said;
}

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
                      LayerNotes& notes)
{
    const std::int64_t group = settings.weight.groupSize;
    if (group <= 0 || layer.in % group == 0) {
        return settings;
    }
    const bool own = group != spec.weight.groupSize; // by an override
    QW_REQUIRE(spec.adjust, ErrorCode::BadInput, layer.name,
               own ? ": group_size " : ": weight.group_size ", group, " does not divide its ",
               layer.in, " columns; these do: ", divisorsOf(layer.in), " (or pass --adjust)");
    settings.weight.groupSize = nearestDivisor(layer.in, group);
    notes.add(layer.name, message("group_size ", settings.weight.groupSize, " instead of ", group,
                                  ", which does not divide ", layer.in, " columns"));
    return settings;
}

} // namespace

LayerSettings settledSettings(const RunSpec& spec, const LinearInfo& layer,
                              std::vector<std::string>& substitutions)
{
    LayerNotes notes;
    const LayerSettings settings = settled(spec, settingsFor(spec, layer.name), layer, notes);
    notes.appendTo(substitutions, 1);
    return settings;
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
    plan.substitutions = unusedOverrides(spec, checkpoint);
    if (spec.activation.scale == "tensor") {
        plan.substitutions.emplace_back(
            "experimental: activations have one scale for each layer, from the least and the "
            "largest calibration input of the full-precision model; papers that do so do not say "
            "how they find it");
    }
    std::int64_t skipped = 0;
    LayerNotes notes;
    const LayerRules rules(spec);
    for (const LinearInfo& linear : checkpoint.linears()) {
        const LayerSettings settings = rules.of(linear.name);
        if (settings.skip) {
            ++skipped;
            continue;
        }
        LayerPlan layer{linear, settled(spec, settings, linear, notes)};
        settleRank(method.info(), spec.lowRank, layer, notes);
        if (const std::string phi = phiFor(spec.training, layer.settings.weight.bits);
            spec.method == "lr-qat" && phi != spec.training.phi) {
            notes.add(linear.name, message("phi ", phi, " instead of ", spec.training.phi,
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
    notes.appendTo(plan.substitutions, plan.layers.size());
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
