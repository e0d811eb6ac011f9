#include "export/verify.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/isfinite.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>

#include "base/error.h"
#include "export/integer_weight.h"
#include "model/decoder.h"
#include "model/tokenizer.h"
#include "run/quantized_variant.h"

namespace qw {

namespace {
constexpr const char* kPrompt = "The first thing to know about the old town is that nobody who "
                                "lives there calls it old.";
constexpr std::size_t kPromptTokens = 32;
/// Logits of the same products in the same order, and where A·B was added to the weights first, as
/// a share of the largest.
constexpr double kSameLogits = 1e-6;
constexpr double kRegroupedLogits = 1e-3;

/// Token ids of the prompt; any, where there is no tokenizer.
std::vector<std::int64_t> promptIds(const Checkpoint& checkpoint)
{
    std::vector<std::int64_t> ids;
    if (std::filesystem::exists(checkpoint.folder() / "tokenizer.json")) {
        for (const std::int32_t id : Tokenizer::fromFolder(checkpoint.folder()).encode(kPrompt)) {
            ids.push_back(id);
        }
    } else {
        for (std::int64_t i = 0; i < static_cast<std::int64_t>(kPromptTokens); ++i) {
            ids.push_back(i * 31);
        }
    }
    const auto limit = static_cast<std::size_t>(checkpoint.config().maxPositions);
    ids.resize(std::min({ids.size(), kPromptTokens, limit}));
    for (std::int64_t& id : ids) {
        id %= checkpoint.config().vocabSize;
    }
    return ids;
}

/// The weight of a layer as the plan wants it in the files.
at::Tensor meantWeight(const QuantizedLinear& linear, const TargetPlan& plan)
{
    if (!writesCodes(plan, linear.name)) {
        const at::Tensor weight =
            plan.mergeFactors ? linear.dequantized() : linear.dequantizedCodes();
        return weight.to(plan.dtype).to(at::kFloat);
    }
    const IntegerWeight grid = integerWeight(linear);
    const bool half = plan.shown.target != "compressed-tensors";
    at::Tensor scale = grid.scale.to(half ? at::kHalf : plan.dtype).to(at::kFloat);
    at::Tensor zero = grid.symmetric() ? at::zeros_like(scale) : grid.zero.to(at::kFloat);
    if (grid.groupOf.defined()) { // a scale for each column
        scale = scale.index_select(1, grid.groupOf);
        zero = zero.index_select(1, grid.groupOf);
    }
    return gridValues(grid.codes, {scale, zero});
}

/// Reads a model back part by part beside the run's.
class Verifier
{
public:
    Verifier(const RunModel& model, const TargetPlan& plan, ExportReader* base,
             AdapterReader* adapter)
        : m_model(model), m_plan(plan), m_base(base), m_adapter(adapter),
          m_reference(model.checkpoint(), {}, model.outside().replaced)
    {
    }
    Verification run(const RunContext& context);

private:
    at::Tensor readPlain(const std::string& name, const at::Tensor& own);
    TensorMap readOutside();
    /// The block's weights as read. @param meant  those of the run
    BlockWeights readBlock(const ModelPart& part, const BlockWeights& meant);
    AdapterReader::Factors readFactors(const QuantizedLinear& linear);
    void compare(const std::string& name, const at::Tensor& read, const at::Tensor& meant,
                 const at::Tensor& own);
    void requireAllRead() const;
    void compareLogits(const at::Tensor& own, const at::Tensor& read);

    const RunModel& m_model;
    const TargetPlan& m_plan;
    ExportReader* m_base;
    AdapterReader* m_adapter;
    Decoder m_reference;
    Verification m_result;
    std::map<std::string, AdapterReader::Factors> m_factors; ///< of the block at work
};

void Verifier::compare(const std::string& name, const at::Tensor& read, const at::Tensor& meant,
                       const at::Tensor& own)
{
    QW_REQUIRE(read.sizes() == meant.sizes() && read.eq(meant).all().item<bool>(),
               ErrorCode::Mismatch, name,
               ": what was written does not read back as what was meant");
    ++m_result.tensors;
    const double gap = (read - own.to(at::kFloat)).abs().max().item<double>();
    if (gap > m_result.maxAbsDifference) {
        m_result.maxAbsDifference = gap;
        m_result.worst = name;
    }
}

at::Tensor Verifier::readPlain(const std::string& name, const at::Tensor& own)
{
    if (m_base == nullptr) {
        return own.to(at::kFloat);
    }
    const at::Tensor read = m_base->tensor(name);
    const at::ScalarType type = typeOfPlain(m_plan, m_model.config(), name, own);
    compare(name, read, own.to(type).to(at::kFloat), own);
    return read;
}

TensorMap Verifier::readOutside()
{
    TensorMap read;
    for (const auto& [name, own] : m_model.part(-1).plain) {
        read[name] = readPlain(name, own);
    }
    return read;
}

AdapterReader::Factors Verifier::readFactors(const QuantizedLinear& linear)
{
    const AdapterReader::Factors read = m_adapter->factors(linear.name);
    QW_REQUIRE(read.a.defined() == (linear.rank() > 0), ErrorCode::Mismatch, linear.name,
               ": the adapter ", read.a.defined() ? "holds" : "lacks", " factors of this layer");
    if (!read.a.defined()) {
        return read;
    }
    // Rows and columns beyond the layer's own rank are zeros.
    const std::int64_t spare = read.a.size(1) - linear.rank();
    QW_REQUIRE(spare >= 0 && !read.a.narrow(1, linear.rank(), spare).ne(0).any().item<bool>() &&
                   !read.b.narrow(0, linear.rank(), spare).ne(0).any().item<bool>(),
               ErrorCode::Mismatch, linear.name, ": the adapter is of another rank");
    const AdapterReader::Factors cut{read.a.narrow(1, 0, linear.rank()).contiguous(),
                                     read.b.narrow(0, 0, linear.rank()).contiguous()};
    const at::Tensor a = linear.a.deployed();
    const at::Tensor b = linear.b.deployed();
    compare(linear.name + ".A", cut.a, a, a);
    compare(linear.name + ".B", cut.b, b, b);
    return cut;
}

BlockWeights Verifier::readBlock(const ModelPart& part, const BlockWeights& meant)
{
    BlockWeights read = meant;
    const std::string layer = layerPrefix(m_model.config(), part.block);
    const ArchSpec& arch = *m_model.config().arch;
    const auto readNorm = [&](std::string_view name, NormWeights& norm) {
        const std::string module = layer + std::string(name);
        norm.weight = readPlain(module + ".weight", part.plain.at(module + ".weight"));
        if (norm.bias.defined()) {
            norm.bias = readPlain(module + ".bias", part.plain.at(module + ".bias"));
        }
    };
    readNorm(arch.attentionNorm, read.attentionNorm);
    readNorm(arch.mlpNorm, read.mlpNorm);
    if (arch.queryKeyNorm) {
        readNorm("self_attn.q_norm", read.queryNorm);
        readNorm("self_attn.k_norm", read.keyNorm);
    }
    m_factors.clear();
    for (LinearWeights& linear : read.linears) {
        const std::string& name = linear.info.name;
        const auto coded =
            std::find_if(part.linears.begin(), part.linears.end(),
                         [&](const QuantizedLinear& other) { return other.name == name; });
        const bool quantized = coded != part.linears.end();
        at::Tensor own =
            quantized ? (m_plan.mergeFactors ? coded->dequantized() : coded->dequantizedCodes())
                      : part.keptLinears.at(name).to(at::kFloat);
        if (m_base != nullptr) {
            linear.weight = m_base->linearWeight(name, linear.info.out, linear.info.in);
            compare(name, linear.weight,
                    quantized ? meantWeight(*coded, m_plan) : own.to(m_plan.dtype).to(at::kFloat),
                    own);
        } else {
            linear.weight = own;
        }
        if (linear.bias.defined()) {
            linear.bias = readPlain(name + ".bias", part.plain.at(name + ".bias"));
        }
        if (quantized && m_adapter != nullptr) {
            m_factors[name] = readFactors(*coded);
        }
    }
    return read;
}

void Verifier::requireAllRead() const
{
    std::vector<std::string> unread =
        m_base != nullptr ? m_base->unread() : std::vector<std::string>{};
    if (m_adapter != nullptr) {
        const auto more = m_adapter->unread();
        unread.insert(unread.end(), more.begin(), more.end());
    }
    // What clients want beside the model: ones for AWQ, stretched rotations, a copy of the head and
    // zero biases for llama.cpp.
    const auto known = [&](const std::string& name) {
        const bool gguf = m_plan.shown.target == "gguf";
        return name.ends_with("act.scales") ||
               (gguf &&
                (name == "rope_freqs.weight" || (name == "output.weight" && m_model.tied()) ||
                 (name.ends_with(".bias") && !m_model.config().qkvBias)));
    };
    for (const std::string& name : unread) {
        QW_REQUIRE(known(name), ErrorCode::Mismatch, name,
                   ": was written, but belongs to no layer");
    }
}

void Verifier::compareLogits(const at::Tensor& own, const at::Tensor& read)
{
    QW_REQUIRE(at::isfinite(read).all().item<bool>(), ErrorCode::Mismatch,
               "a prompt through what was written gives logits that are not finite numbers");
    m_result.maxLogitDifference =
        (read - own).abs().max().item<double>() / own.abs().max().item<double>();
    const double limit = m_plan.mergeFactors ? kRegroupedLogits : kSameLogits;
    QW_REQUIRE(m_result.maxAbsDifference > 0 || m_result.maxLogitDifference <= limit,
               ErrorCode::Mismatch,
               "the weights read back are the run's, but a prompt through them "
               "gives other logits (",
               m_result.maxLogitDifference, " of the largest)");
}

Verification Verifier::run(const RunContext& context)
{
    context.beginPhase("read back", m_reference.blockCount());
    const Decoder other(m_model.checkpoint(), {}, readOutside());
    const std::vector<std::int64_t> ids = promptIds(m_model.checkpoint());
    const at::Tensor tokens =
        at::tensor(ids, at::kLong).view({1, static_cast<std::int64_t>(ids.size())});
    const at::Tensor own = m_reference.embed(tokens);
    const at::Tensor read = other.embed(tokens);
    for (std::int64_t index = 0; index < m_reference.blockCount(); ++index) {
        context.checkpoint(index);
        ModelPart part = m_model.part(index);
        const BlockWeights block = m_reference.loadBlock(index);
        for (QuantizedLinear& linear : part.linears) {
            linear.activation = {}; // weights are compared, not what clients do to inputs
        }
        BlockArtifact artifact;
        artifact.block = index;
        artifact.linears = part.linears;
        artifact.replaced = part.replaced;
        const BlockHooks ownHooks = quantizedHooks(artifact, {}, block, m_reference);
        const BlockWeights again = readBlock(part, ownHooks.block ? *ownHooks.block : block);
        BlockHooks readHooks;
        readHooks.linear = [this](const LinearWeights& linear, const at::Tensor& input) {
            at::Tensor y = at::linear(input, linear.weight, linear.bias);
            const auto factors = m_factors.find(linear.info.name);
            if (factors != m_factors.end() && factors->second.a.defined()) {
                y += at::matmul(at::matmul(input, factors->second.a), factors->second.b);
            }
            return y;
        };
        m_reference.advanceBlock(block, own, ownHooks);
        other.advanceBlock(again, read, readHooks);
        m_model.release(index);
    }
    requireAllRead();
    compareLogits(m_reference.logits(m_reference.finish(own)), other.logits(other.finish(read)));
    return m_result;
}
} // namespace

Verification verifyExport(const RunModel& model, const TargetPlan& plan, ExportReader* base,
                          AdapterReader* adapter, const RunContext& context)
{
    return Verifier(model, plan, base, adapter).run(context);
}

} // namespace qw
