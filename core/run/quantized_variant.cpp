#include "run/quantized_variant.h"

#include <algorithm>
#include <map>
#include <memory>

#include "base/error.h"

namespace qw {

namespace {
struct Prepared {
    QuantizedLinear linear; // factors moved to the device; codes dropped once dequantized
    at::Tensor weight;      // [out, in], compute dtype
};

Factor moved(const Factor& factor, const DecoderOptions& options)
{
    Factor result = factor;
    if (result.value.defined()) {
        result.value = result.deployed().to(options.device).to(options.compute);
        result.quantized = false; // once here, not at every call
    }
    return result;
}
} // namespace

BlockHooks quantizedHooks(const std::vector<QuantizedLinear>& linears, bool attention,
                          const DecoderOptions& options)
{
    // Shared: std::function copies its target, and these are large.
    auto prepared = std::make_shared<std::map<std::string, Prepared>>();
    ActivationQuantizer activation;
    for (const QuantizedLinear& linear : linears) {
        Prepared entry{linear, linear.dequantizedCodes().to(options.device).to(options.compute)};
        entry.linear.codes = at::Tensor();
        entry.linear.a = moved(linear.a, options);
        entry.linear.b = moved(linear.b, options);
        activation = linear.activation;
        prepared->emplace(linear.name, std::move(entry));
    }
    BlockHooks hooks;
    hooks.linear = [prepared](const LinearWeights& linear, const at::Tensor& input) {
        const auto found = prepared->find(linear.info.name);
        if (found == prepared->end()) { // skipped by an override: runs in full precision
            at::Tensor y = at::matmul(input, linear.weight.t());
            return linear.bias.defined() ? y.add_(linear.bias) : y;
        }
        return applyQuantized(found->second.linear, found->second.weight, input, linear.bias);
    };
    if (attention && activation.active()) {
        hooks.points = {BlockPoint::Query, BlockPoint::Key, BlockPoint::Probabilities,
                        BlockPoint::ValueHeads};
        hooks.point = [activation](BlockPoint point, const at::Tensor& x) {
            if (point == BlockPoint::Key) { // K^T has the key positions as its last axis
                return quantizeActivation(x.transpose(-1, -2).contiguous(), activation)
                    .transpose(-1, -2);
            }
            return quantizeActivation(x, activation);
        };
    }
    return hooks;
}

BlockVariant storedVariant(const ArtifactFolder& artifact, const RunSpec& spec,
                           const DecoderOptions& options)
{
    return [artifact, spec, options](const BlockWeights& block) {
        std::vector<QuantizedLinear> linears = artifact.readBlock(block.index).linears;
        for (QuantizedLinear& linear : linears) { // a sweep stores its largest rank once
            linear = linear.withRank(std::min(linear.rank(), settingsFor(spec, linear.name).rank));
        }
        return quantizedHooks(linears, spec.activation.attention, options);
    };
}

} // namespace qw
