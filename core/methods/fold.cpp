#include "methods/fold.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>

#include "base/error.h"
#include "model/block_tensors.h"

namespace qw {

namespace {
constexpr std::int64_t kGroups = 4; // as the checkpoint numbers them: qkv, o, gate and up, down
constexpr std::int64_t kFloatBytes = 4;

const LinearInfo* findRole(const std::vector<LinearInfo>& linears, LinearRole role)
{
    const auto found = std::find_if(linears.begin(), linears.end(),
                                    [&](const LinearInfo& l) { return l.role == role; });
    return found == linears.end() ? nullptr : &*found;
}

/// The linear that makes the group's inputs, or null where a norm does.
const LinearInfo* sourceOf(const FoldGroup& group, const std::vector<LinearInfo>& linears)
{
    if (group.source == FoldGroup::Source::Up) {
        return findRole(linears, LinearRole::Up);
    }
    if (group.source == FoldGroup::Source::Values) {
        const LinearInfo* values = findRole(linears, LinearRole::Value);
        return values != nullptr ? values : findRole(linears, LinearRole::FusedQkv);
    }
    return nullptr;
}

std::string architectureProblem(const FoldGroup& group, const std::vector<LinearInfo>& linears,
                                const ModelConfig& config)
{
    if (group.ofNorm()) {
        return config.preNorm ? "" : "no norm of its own makes its inputs";
    }
    if (group.source == FoldGroup::Source::Up) {
        const bool passes = config.mlp == Mlp::GatedSilu || config.mlp == Mlp::Relu;
        return passes ? "" : "GELU stands between it and the layer before";
    }
    const LinearInfo* values = findRole(linears, LinearRole::Value);
    const LinearInfo* out = findRole(linears, LinearRole::AttentionOut);
    if (values != nullptr && (values->out != out->out || values->in != out->in)) {
        return message("v_proj has another shape (", values->out, " x ", values->in,
                       ", grouped-query attention or wide heads) than its ", out->out, " x ",
                       out->in);
    }
    return "";
}

std::string lastPart(const std::string& name)
{
    return name.substr(name.rfind('.') + 1);
}
} // namespace

std::vector<FoldGroup> foldGroups(const std::vector<LinearInfo>& linears, const ModelConfig& config,
                                  const std::set<std::string>& quantized)
{
    using Source = FoldGroup::Source;
    constexpr Source kSources[kGroups] = {Source::AttentionNorm, Source::Values, Source::MlpNorm,
                                          Source::Up};
    std::vector<FoldGroup> groups;
    for (std::int64_t index = 0; index < kGroups; ++index) {
        FoldGroup& group = groups.emplace_back();
        group.inputGroup = index;
        group.source = kSources[index];
        for (const LinearInfo& linear : linears) {
            if (linear.inputGroup == index) {
                group.layers.push_back(linear.name);
            }
        }
        group.problem = architectureProblem(group, linears, config);
        group.everywhere = !group.problem.empty();
        std::vector<std::string> needed = group.layers;
        if (const LinearInfo* source = sourceOf(group, linears)) {
            needed.push_back(source->name);
        }
        for (const std::string& name : needed) {
            if (group.problem.empty() && quantized.count(name) == 0) {
                group.problem = lastPart(name) + " is not quantized";
            }
        }
    }
    return groups;
}

std::int64_t foldedBytes(const std::vector<FoldGroup>& groups,
                         const std::vector<LinearInfo>& linears, const ModelConfig& config)
{
    std::int64_t values = 0;
    std::set<std::string> counted; // a fused layer's bias, folded into once or twice
    for (const FoldGroup& group : groups) {
        if (!group.problem.empty()) {
            continue;
        }
        const LinearInfo* source = sourceOf(group, linears);
        if (source == nullptr) {
            values += config.hidden * (config.arch->norm == Norm::Layer ? 2 : 1);
        } else if (source->hasBias && counted.insert(source->name).second) {
            values += source->out;
        }
    }
    return values * kFloatBytes;
}

std::string problemOf(const FoldGroup& group)
{
    std::string layers;
    for (const std::string& layer : group.layers) {
        layers += (layers.empty() ? "" : ", ") + (group.everywhere ? lastPart(layer) : layer);
    }
    return message(layers, ": inputs not scaled", group.everywhere ? " in any block; " : "; ",
                   group.problem);
}

at::Tensor LayerFold::apply(const at::Tensor& weight) const
{
    at::Tensor folded = columns.defined() ? weight * columns.unsqueeze(0) : weight;
    return rows.defined() ? folded / rows.unsqueeze(1) : folded;
}

FoldedBlock::FoldedBlock(const BlockWeights& block, const ModelConfig& config)
    : m_original(block), m_config(config), m_block(block)
{
    for (const LinearWeights& linear : block.linears) {
        m_folds[linear.info.name] = {};
    }
}

const LayerFold& FoldedBlock::foldOf(const std::string& layer) const
{
    return m_folds.at(layer);
}

void FoldedBlock::divideInputs(const FoldGroup& group, const at::Tensor& scale)
{
    for (LinearWeights& linear : m_block.linears) {
        if (linear.info.inputGroup == group.inputGroup) {
            QW_REQUIRE(scale.numel() == linear.info.in, ErrorCode::BadShape, linear.info.name, ": ",
                       scale.numel(), " scales for ", linear.info.in, " inputs");
            LayerFold& fold = m_folds[linear.info.name];
            QW_ASSERT(!fold.rows.defined()); // so that both ways to the weight agree in every bit
            fold.columns = scale;
            linear.weight = linear.weight * scale.unsqueeze(0);
        }
    }
    switch (group.source) {
    case FoldGroup::Source::AttentionNorm:
        divideNorm(m_block.attentionNorm, scale);
        break;
    case FoldGroup::Source::MlpNorm:
        divideNorm(m_block.mlpNorm, scale);
        break;
    case FoldGroup::Source::Up:
        divideRows(m_block.linear(LinearRole::Up), scale);
        break;
    case FoldGroup::Source::Values:
        if (m_block.findLinear(LinearRole::FusedQkv) == nullptr) {
            divideRows(m_block.linear(LinearRole::Value), scale);
            break;
        }
        LinearWeights& fused = m_block.linear(LinearRole::FusedQkv);
        const at::Tensor rows = at::ones({fused.info.out}, scale.options());
        if (m_config.arch->qkvInterleavedPerHead) {
            rows.view({m_config.heads, 3, m_config.headDim})
                .select(1, 2)
                .copy_(scale.view({m_config.heads, m_config.headDim}));
        } else {
            rows.narrow(0, fused.info.out - scale.numel(), scale.numel()).copy_(scale);
        }
        divideRows(fused, rows);
        break;
    }
}

void FoldedBlock::divideNorm(NormWeights& norm, const at::Tensor& scale)
{
    norm.weight = norm.weight / scale;
    if (norm.bias.defined()) {
        norm.bias = norm.bias / scale;
    }
}

void FoldedBlock::divideRows(LinearWeights& linear, const at::Tensor& scale)
{
    m_folds[linear.info.name].rows = scale;
    linear.weight = linear.weight / scale.unsqueeze(1);
    if (linear.bias.defined()) {
        linear.bias = linear.bias / scale;
    }
}

std::map<std::string, at::Tensor> FoldedBlock::replaced() const
{
    BlockWeights before = m_original; // handles
    BlockWeights after = m_block;
    const auto old = tensorsOf(before, *m_config.arch);
    std::map<std::string, at::Tensor> replaced;
    for (const auto& [name, tensor] : tensorsOf(after, *m_config.arch)) {
        if (tensor->defined() && tensor->dim() == 1 && !tensor->is_same(*old.at(name))) {
            replaced[name] = tensor->cpu();
        }
    }
    return replaced;
}

} // namespace qw
