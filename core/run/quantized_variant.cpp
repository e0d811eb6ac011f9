#include "run/quantized_variant.h"

#include <algorithm>
#include <map>
#include <memory>

#include "base/error.h"
#include "methods/apply_quantized.h"
#include "model/block_tensors.h"
#include "model/matrix_product.h"
#include "report/layer_rules.h"
#include "run/activation_points.h"

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

BlockWeights withReplaced(BlockWeights block, const ReplacedTensors& replaced,
                          const Decoder& decoder)
{
    const DecoderOptions& options = decoder.options();
    const auto places = tensorsOf(block, *decoder.config().arch);
    for (const auto& [name, tensor] : replaced) {
        const auto place = places.find(name);
        QW_REQUIRE(place != places.end(), ErrorCode::BadFile, "the artifact replaces \"", name,
                   "\", which block ", block.index, " does not have");
        at::Tensor& target = *place->second;
        QW_REQUIRE(!target.defined() || target.sizes() == tensor.sizes(), ErrorCode::BadFile,
                   "the artifact replaces \"", name, "\" by a tensor of shape ", tensor.sizes(),
                   ", the model has ", target.sizes());
        // Norms are float32 whatever the products are; a bias the layer did not have is a
        // product's.
        target =
            tensor.to(options.device, target.defined() ? target.scalar_type() : options.compute);
    }
    return block;
}

} // namespace

BlockHooks quantizedHooks(const BlockArtifact& artifact, const ModelArtifact& model,
                          const BlockWeights& block, const Decoder& decoder)
{
    const DecoderOptions& options = decoder.options();
    // Shared: std::function copies its target, and these are large.
    auto prepared = std::make_shared<std::map<std::string, Prepared>>();
    for (const QuantizedLinear& linear : artifact.linears) {
        Prepared entry{linear, linear.dequantizedCodes().to(options.device).to(options.compute)};
        entry.linear.codes = at::Tensor();
        entry.linear.a = moved(linear.a, options);
        entry.linear.b = moved(linear.b, options);
        prepared->emplace(linear.name, std::move(entry));
    }
    BlockHooks hooks;
    hooks.linear = [prepared](const LinearWeights& linear, const at::Tensor& input) {
        const auto found = prepared->find(linear.info.name);
        if (found == prepared->end()) { // skipped by an override: runs in full precision
            return linearProduct(input, linear.weight, linear.bias);
        }
        return applyQuantized(found->second.linear, found->second.weight, input, linear.bias);
    };
    if (!artifact.replaced.empty()) {
        hooks.block =
            std::make_shared<const BlockWeights>(withReplaced(block, artifact.replaced, decoder));
    }
    addPoints(model, quantizeActivation, hooks);
    return hooks;
}

ModelVariant storedVariant(const ArtifactFolder& artifact, const RunSpec& spec,
                           const Decoder& decoder)
{
    const ModelArtifact model = artifact.readModel();
    const LayerRules rules(spec);
    ModelVariant variant([artifact, rules, model, &decoder](const BlockWeights& block) {
        BlockArtifact part = artifact.readBlock(block.index);
        for (QuantizedLinear& linear : part.linears) { // a sweep stores its largest rank once
            linear = linear.withRank(std::min(linear.rank(), rules.of(linear.name).rank));
        }
        return quantizedHooks(part, model, block, decoder);
    });
    if (!model.replaced.empty()) {
        variant.outside = std::make_shared<const Decoder>(decoder.checkpoint(), decoder.options(),
                                                          model.replaced);
    }
    return variant;
}

} // namespace qw
