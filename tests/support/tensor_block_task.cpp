#include "support/tensor_block_task.h"

#include "methods/block_error.h"
#include "model/block_tensors.h"
#include "support/tensor_golden.h"

namespace qw::test {

GoldenBlock::GoldenBlock(const std::string& model, const at::Tensor& ids)
    : checkpoint(goldenFolder(model)), decoder(checkpoint), weights(decoder.loadBlock(0)),
      inputs(ids.size(0), ids.size(1), decoder.config().hidden, "cpu", {}),
      targets(ids.size(0), ids.size(1), decoder.config().hidden, "cpu", {})
{
    StatisticsNeeds needs;
    needs.meanAbs = needs.autocorrelation = needs.range = true;
    BlockHooks hooks;
    hooks.input = [&](const LinearInfo& linear, const at::Tensor& x) {
        auto& entry = statistics[linear.inputGroup];
        entry = std::make_unique<InputStatistics>(linear.in, needs);
        entry->add(x);
    };
    inputs.store(0, decoder.embed(ids));
    targets.store(0, decoder.forwardBlock(weights, inputs.load(0, ids.size(0)), hooks));
}

BlockTask GoldenBlock::task(const std::filesystem::path& stateFile) const
{
    BlockTask made;
    made.decoder = &decoder;
    made.block = &weights;
    made.inputs = &inputs;
    made.targets = &targets;
    made.spec = &spec;
    made.seed = 3 + seed;
    made.stateFile = stateFile;
    for (const LinearWeights& linear : weights.linears) {
        if (settingsFor(spec, linear.info.name).skip) {
            continue;
        }
        LayerTask& layer = made.layers.emplace_back();
        layer.name = linear.info.name;
        layer.weight = linear.weight;
        layer.statistics = statistics.at(linear.info.inputGroup).get();
        layer.settings = settingsFor(spec, layer.name);
        layer.spec = &spec;
        layer.seed = 7 + made.layers.size() + 100 * seed;
    }
    return made;
}

BlockOutcome GoldenBlock::quantize(const std::filesystem::path& stateFile,
                                   const RunContext& run) const
{
    return dynamic_cast<const BlockMethod&>(findMethod(spec.method)).quantize(task(stateFile), run);
}

BlockWeights GoldenBlock::folded(const BlockOutcome& outcome) const
{
    BlockWeights block = weights;
    const auto tensors = tensorsOf(block, *decoder.config().arch);
    for (const auto& [name, tensor] : outcome.replaced) {
        *tensors.at(name) = tensor;
    }
    for (const LayerOutcome& layer : outcome.layers) {
        at::Tensor& weight = *tensors.at(layer.linear.name + ".weight");
        weight = layer.fold.apply(weight);
    }
    return block;
}

double GoldenBlock::errorAfter(const BlockOutcome& outcome) const
{
    const BlockWeights block = folded(outcome);
    BlockTask deployed = task();
    deployed.block = &block;
    std::map<std::string, at::Tensor> codes;
    for (const LayerOutcome& layer : outcome.layers) {
        codes[layer.linear.name] = layer.linear.dequantizedCodes();
    }
    return blockError(deployed, codes, {});
}

} // namespace qw::test
