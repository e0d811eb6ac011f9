#include "run/activation_points.h"

#include "methods/settings.h"
#include "model/custom_gradient.h"

namespace qw {

namespace {
/// Widths of a pattern.
struct Pattern {
    std::int64_t inputs = 8; ///< of linears, but for the one after attention
    std::int64_t cache = 8;  ///< keys before RoPE, values
    std::int64_t heads = 8;  ///< queries and keys after RoPE, what attention makes
};

Pattern patternOf(const std::string& points)
{
    return points == "a4" ? Pattern{4, 4, 4} : points == "a8kv4" ? Pattern{8, 4, 8} : Pattern{};
}

bool usesPattern(const RunSpec& spec)
{
    return spec.activation.points != "linear";
}

/// Per token, dynamic, asymmetric.
ActivationQuantizer perToken(const RunSpec& spec, std::int64_t bits)
{
    ActivationSpec activation = spec.activation;
    activation.format = "int";
    activation.bits = bits;
    return activationQuantizer(activation, spec.weight);
}
} // namespace

ActivationQuantizer inputQuantizer(const RunSpec& spec, LinearRole role)
{
    if (!usesPattern(spec)) {
        return activationQuantizer(spec.activation, spec.weight);
    }
    return role == LinearRole::AttentionOut
               ? ActivationQuantizer{}
               : perToken(spec, patternOf(spec.activation.points).inputs);
}

ModelArtifact modelQuantizers(const RunSpec& spec)
{
    ModelArtifact model;
    if (usesPattern(spec)) {
        const Pattern pattern = patternOf(spec.activation.points);
        model.kvCache = perToken(spec, pattern.cache);
        model.heads = perToken(spec, pattern.heads);
        return model;
    }
    if (spec.activation.attention) {
        model.attention = activationQuantizer(spec.activation, spec.weight);
    }
    model.kvCache = kvCacheQuantizer(spec.kvCache);
    return model;
}

void addPoints(const ModelArtifact& model, const Quantize& quantize, BlockHooks& hooks)
{
    if (model.attention.active()) {
        hooks.points = {BlockPoint::Query, BlockPoint::Key, BlockPoint::Probabilities,
                        BlockPoint::ValueHeads};
    }
    if (model.heads.active()) {
        hooks.points = {BlockPoint::Query, BlockPoint::Key, BlockPoint::Mixed};
    }
    if (model.kvCache.active()) {
        hooks.points.push_back(BlockPoint::KeyPreRope);
        hooks.points.push_back(BlockPoint::Value);
    }
    if (hooks.points.empty()) {
        return;
    }
    hooks.point = [quantize, attention = model.attention, kvCache = model.kvCache,
                   heads = model.heads](BlockPoint point, const at::Tensor& x) {
        if (point == BlockPoint::KeyPreRope || point == BlockPoint::Value) {
            return quantize(x, kvCache);
        }
        if (heads.active()) {
            return quantize(x, heads);
        }
        if (point == BlockPoint::Key) { // K^T has the key positions as its last axis
            return quantize(x.transpose(-1, -2).contiguous(), attention).transpose(-1, -2);
        }
        return quantize(x, attention);
    };
}

at::Tensor quantizeThrough(const at::Tensor& x, const ActivationQuantizer& how)
{
    if (!how.active()) {
        return x;
    }
    return applyWithGradient({x},
                             {[=] { return quantizeActivation(x, how); },
                              [=](const at::Tensor& gradient) {
                                  return std::vector<at::Tensor>{gradient * insideGrid(x, how)};
                              }});
}

} // namespace qw
