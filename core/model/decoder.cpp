#include "model/decoder.h"

#include <algorithm>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>

#include "base/error.h"
#include "model/block_forward.h"
#include "model/matrix_product.h"
#include "model/rope.h"
#include "model/row_ops.h"

namespace qw {

const LinearWeights* BlockWeights::findLinear(LinearRole role) const
{
    const auto found = std::find_if(linears.begin(), linears.end(),
                                    [&](const LinearWeights& l) { return l.info.role == role; });
    return found == linears.end() ? nullptr : &*found;
}

const LinearWeights& BlockWeights::linear(LinearRole role) const
{
    const LinearWeights* found = findLinear(role);
    QW_REQUIRE(found != nullptr, ErrorCode::Internal, "block ", index, " has no such linear");
    return *found;
}

LinearWeights& BlockWeights::linear(LinearRole role)
{
    return const_cast<LinearWeights&>(std::as_const(*this).linear(role));
}

struct Decoder::Private {
    const Checkpoint& checkpoint;
    DecoderOptions options;
    std::map<std::string, at::Tensor> outside;
    NormWeights finalNorm;
    at::Tensor projectIn; // OPT with narrow embeddings
    at::Tensor projectOut;
    at::Tensor head; // [vocab, width], compute dtype
    RotaryTables rotary{checkpoint.config(), options.device};

    /// What stands in for a tensor of the files, or null. Those names have the full model's prefix.
    const at::Tensor* replacement(const std::string& name) const
    {
        const ArchSpec& arch = *checkpoint.config().arch;
        const std::string inFiles = checkpoint.fullName("");
        const std::string full =
            name == arch.lmHead ? name
                                : std::string(arch.prefixes.front()) + name.substr(inFiles.size());
        const auto found = outside.find(full);
        return found == outside.end() ? nullptr : &found->second;
    }
    /// Borrowed.
    at::Tensor stored(const std::string& name) const
    {
        const at::Tensor* other = replacement(name);
        return other != nullptr ? *other : checkpoint.tensor(name);
    }
    /// A copy; the pages it was read from go back to the system.
    at::Tensor load(const std::string& name, at::ScalarType type) const
    {
        const at::Tensor copy = stored(name).to(options.device, type, false, true);
        checkpoint.release(name);
        return copy;
    }
    NormWeights loadNorm(const std::string& module) const
    {
        NormWeights norm;
        norm.weight = load(module + ".weight", at::kFloat);
        if (checkpoint.config().arch->norm == Norm::Layer) {
            norm.bias = load(module + ".bias", at::kFloat);
        }
        return norm;
    }
    /// [vocab, width], loaded when first asked for.
    const at::Tensor& headWeight()
    {
        if (!head.defined()) {
            const ModelConfig& config = checkpoint.config();
            const std::string name(config.arch->lmHead);
            const bool tied = config.tiedEmbeddings && replacement(name) == nullptr;
            head = load(tied ? checkpoint.fullName(std::string(config.arch->embedding)) : name,
                        options.compute);
        }
        return head;
    }
};

Decoder::Decoder(const Checkpoint& checkpoint, DecoderOptions options,
                 std::map<std::string, at::Tensor> outside)
    : d(std::make_unique<Private>(
          Private{checkpoint, std::move(options), std::move(outside), {}, {}, {}, {}}))
{
    const ModelConfig& c = config();
    const ArchSpec& arch = *c.arch;
    if (c.finalNorm) {
        d->finalNorm = d->loadNorm(checkpoint.fullName(std::string(arch.finalNorm)));
    }
    if (c.embeddingDim != c.hidden) {
        d->projectIn = d->load(checkpoint.fullName("project_in.weight"), at::kFloat);
        d->projectOut = d->load(checkpoint.fullName("project_out.weight"), at::kFloat);
    }
}

Decoder::~Decoder() = default;

const Checkpoint& Decoder::checkpoint() const
{
    return d->checkpoint;
}

const ModelConfig& Decoder::config() const
{
    return d->checkpoint.config();
}

const DecoderOptions& Decoder::options() const
{
    return d->options;
}

std::int64_t Decoder::blockCount() const
{
    return config().layers;
}

at::Tensor Decoder::embed(const at::Tensor& ids, std::int64_t startPosition) const
{
    const at::NoGradGuard noGrad;
    const ArchSpec& arch = *config().arch;
    // Rows are picked from the map itself; the table is never copied.
    const std::string name = d->checkpoint.fullName(std::string(arch.embedding));
    at::Tensor x =
        at::embedding(d->stored(name).cpu(), ids.cpu()).to(d->options.device, at::kFloat);
    d->checkpoint.release(name);
    if (d->projectIn.defined()) {
        x = linearProduct(x, d->projectIn, {});
    }
    if (!arch.positions.empty()) {
        const std::string positions = d->checkpoint.fullName(std::string(arch.positions));
        const std::int64_t first = startPosition + arch.positionOffset;
        x = x +
            d->stored(positions).narrow(0, first, ids.size(1)).to(d->options.device, at::kFloat);
    }
    return x;
}

BlockWeights Decoder::loadBlock(std::int64_t index) const
{
    const at::NoGradGuard noGrad;
    const ArchSpec& arch = *config().arch;
    BlockWeights block;
    block.index = index;
    for (const LinearInfo& info : d->checkpoint.linearsOf(index)) {
        LinearWeights linear;
        linear.info = info;
        linear.weight = d->checkpoint.linearWeight(info)
                            .to(d->options.device, d->options.compute, false, true)
                            .contiguous();
        if (info.hasBias) {
            linear.bias = d->checkpoint.linearBias(info).to(d->options.device, d->options.compute,
                                                            false, true);
        }
        d->checkpoint.releaseLinear(info);
        block.linears.push_back(std::move(linear));
    }
    const std::string layer =
        d->checkpoint.fullName(std::string(arch.layers) + std::to_string(index) + ".");
    block.attentionNorm = d->loadNorm(layer + std::string(arch.attentionNorm));
    block.mlpNorm = d->loadNorm(layer + std::string(arch.mlpNorm));
    if (arch.queryKeyNorm) {
        block.queryNorm = d->loadNorm(layer + "self_attn.q_norm");
        block.keyNorm = d->loadNorm(layer + "self_attn.k_norm");
    }
    return block;
}

at::Tensor Decoder::forwardBlock(const BlockWeights& block, const at::Tensor& x,
                                 const BlockHooks& hooks, KvCache* cache) const
{
    at::Tensor y = x.clone(at::MemoryFormat::Contiguous);
    advanceBlock(block, y, hooks, cache);
    return y;
}

void Decoder::advanceBlock(const BlockWeights& block, const at::Tensor& x, const BlockHooks& hooks,
                           KvCache* cache) const
{
    const at::NoGradGuard noGrad;
    BlockForward(config(), d->options.compute, block, hooks, cache, d->rotary).run(x);
}

at::Tensor Decoder::forwardModule(BlockModule module, const BlockWeights& block,
                                  const at::Tensor& normed, const BlockHooks& hooks) const
{
    const at::NoGradGuard noGrad;
    return BlockForward(config(), d->options.compute, block, hooks, nullptr, d->rotary)
        .runModule(module, normed);
}

at::Tensor Decoder::differentiateBlock(const BlockWeights& block, const at::Tensor& x,
                                       const BlockHooks& hooks) const
{
    return BlockForward(config(), d->options.compute, block, hooks, nullptr, d->rotary,
                        differentiableOps())
        .run(x);
}

at::Tensor Decoder::finish(const at::Tensor& x) const
{
    const at::NoGradGuard noGrad;
    at::Tensor y = config().finalNorm ? normalize(config(), d->finalNorm, x, at::kFloat) : x;
    return d->projectOut.defined() ? linearProduct(y, d->projectOut, {}) : y;
}

at::Tensor Decoder::differentiateFinish(const at::Tensor& x) const
{
    const at::Tensor y = config().finalNorm
                             ? differentiableOps().normalize(config(), d->finalNorm, x, at::kFloat)
                             : x;
    return d->projectOut.defined() ? linearProduct(y, d->projectOut, {}) : y;
}

at::Tensor Decoder::logits(const at::Tensor& finished) const
{
    const at::NoGradGuard noGrad;
    return linearProduct(finished.to(d->options.compute), d->headWeight(), {});
}

at::Tensor Decoder::logitsGradient(const at::Tensor& gradient) const
{
    const at::NoGradGuard noGrad;
    return matrixProduct(gradient, d->headWeight(), at::kFloat);
}

} // namespace qw
