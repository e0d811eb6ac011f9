#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/decoder.h"

namespace qw {

/// Linears of a block that read one input, and what makes that input: there a scale of it can be
/// undone, so that the block computes what it computed.
struct FoldGroup {
    enum class Source {
        AttentionNorm,
        MlpNorm,
        Values, ///< the value rows of v_proj or of a fused layer
        Up      ///< up_proj, or fc1 before ReLU
    };
    std::int64_t inputGroup = 0;     ///< as in LinearInfo
    std::vector<std::string> layers; ///< in the order they run
    Source source = Source::AttentionNorm;
    std::string problem;     ///< why nothing can be folded there, or empty
    bool everywhere = false; ///< the problem is the architecture's: it is the same in every block

    bool ofNorm() const { return source == Source::AttentionNorm || source == Source::MlpNorm; }
};

/// The four groups of a block. @param linears  of one block; @param quantized  names of those that
/// the run quantizes: a group of which one is left alone is left alone
/// Source: AWQ, official code: o_proj only if v_proj has its shape. Differs: the values of a fused
/// layer are scaled by rows; a layer behind GELU, whose scale needs an operation of its own, is
/// left alone.
std::vector<FoldGroup> foldGroups(const std::vector<LinearInfo>& linears, const ModelConfig& config,
                                  const std::set<std::string>& quantized);

/// Bytes of what folding these groups replaces besides the weights: norms and biases, float32.
std::int64_t foldedBytes(const std::vector<FoldGroup>& groups,
                         const std::vector<LinearInfo>& linears, const ModelConfig& config);

/// "q_proj, k_proj, v_proj: ..." for the notes of a result.
std::string problemOf(const FoldGroup& group);

/// How the weight of one layer was folded: W' = W * columns / rows. Undefined: not at all.
struct LayerFold {
    at::Tensor columns; ///< [in] float32: what its inputs were divided by
    at::Tensor rows;    ///< [out] float32: what its outputs were divided by
    bool defined() const { return columns.defined() || rows.defined(); }
    /// @param weight [out, in] float32
    at::Tensor apply(const at::Tensor& weight) const;
};

/// A block while scales are folded into it. The original is left as it is.
class FoldedBlock
{
public:
    FoldedBlock(const BlockWeights& block, const ModelConfig& config);
    /// The group's inputs become x / scale: its weights are multiplied by column, what makes the
    /// inputs is divided. @param scale [in] float32, above 0. @throws Error::BadShape
    void divideInputs(const FoldGroup& group, const at::Tensor& scale);

    const BlockWeights& weights() const { return m_block; }
    const LayerFold& foldOf(const std::string& layer) const;
    /// Norms and biases that are no longer the original's, by full name, float32.
    std::map<std::string, at::Tensor> replaced() const;

private:
    void divideNorm(NormWeights& norm, const at::Tensor& scale);
    void divideRows(LinearWeights& linear, const at::Tensor& scale);

    const BlockWeights& m_original;
    const ModelConfig& m_config;
    BlockWeights m_block;
    std::map<std::string, LayerFold> m_folds; ///< of every linear
};

} // namespace qw
