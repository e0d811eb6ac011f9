#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/checkpoint.h"
#include "model/kv_cache.h"

namespace qw {

/// One linear of a block, in memory. The weight is always [out, in].
struct LinearWeights {
    LinearInfo info;
    at::Tensor weight; ///< [out, in], compute dtype and device
    at::Tensor bias;   ///< [out] or undefined
};

struct NormWeights {
    at::Tensor weight; ///< [hidden] or [head_dim]
    at::Tensor bias;   ///< LayerNorm only
};

/// All weights of one decoder block, brought to compute dtype and device. The only part of a model
/// that is in memory while a method works.
struct BlockWeights {
    std::int64_t index = 0;
    std::vector<LinearWeights> linears; ///< in the order of Checkpoint::linearsOf
    NormWeights attentionNorm;
    NormWeights mlpNorm;
    NormWeights queryNorm; ///< Qwen3
    NormWeights keyNorm;

    LinearWeights& linear(LinearRole role);
    const LinearWeights& linear(LinearRole role) const;
    const LinearWeights* findLinear(LinearRole role) const;
};

/// Places inside a block where activations can be observed or replaced.
enum class BlockPoint {
    Query,         ///< [B, heads, T, head_dim] after RoPE, before QK^T
    KeyPreRope,    ///< [B * T, kv_heads * head_dim], keys before RoPE, a token's heads in a row
    Value,         ///< [B * T, kv_heads * head_dim], values
    Key,           ///< [B, kv_heads, T, head_dim] after RoPE
    ValueHeads,    ///< [B, kv_heads, T, head_dim], operand of PV
    Probabilities, ///< [B, heads, T, T]; asking for it disables the blocked attention kernel
    Mixed,         ///< [B, heads, T, head_dim], what attention makes, before its output layer
};

/// The two parts of a block, each of which adds to the residual stream.
enum class BlockModule { Attention, Mlp };

/// What a caller may do inside a block. Empty functions cost nothing.
struct BlockHooks {
    /// Stands in for the block that is run (folded norms, other biases), or null.
    std::shared_ptr<const BlockWeights> block;
    /// Sees the input [tokens, in] of each input group once, before its linears run.
    std::function<void(const LinearInfo& firstOfGroup, const at::Tensor& input)> input;
    /// Replaces y = x W^T + b: [tokens, in] -> [tokens, out], a new tensor of the compute dtype
    /// that the block may overwrite.
    std::function<at::Tensor(const LinearWeights& linear, const at::Tensor& input)> linear;
    /// Replaces the tensor at a point; only points listed are called.
    std::function<at::Tensor(BlockPoint, const at::Tensor&)> point;
    std::vector<BlockPoint> points;
    /// Asked before each linear whether to go on: a wide block takes seconds. Null: never stopped.
    const RunContext* run = nullptr;
};

struct DecoderOptions {
    at::ScalarType compute = at::kFloat; ///< at::kFloat | at::kBFloat16: dtype of the products
    std::string device = "cpu";
};

/// The forward pass of every supported architecture, block by block over borrowed weights.
/// Sources: the architectures' code in transformers, with whose logits the tests compare.
/// Not thread-safe: const methods too may not run concurrently with each other on one object.
class Decoder
{
public:
    /// @param outside  tensors that stand in for the checkpoint's outside the blocks (embeddings,
    ///        final norm, head), by full Hugging Face name
    Decoder(const Checkpoint& checkpoint, DecoderOptions options = {},
            std::map<std::string, at::Tensor> outside = {});
    ~Decoder();

    const Checkpoint& checkpoint() const;
    const ModelConfig& config() const;
    const DecoderOptions& options() const;
    std::int64_t blockCount() const;

    /// Token and position embeddings. @param ids [B, T] int64; @return [B, T, hidden] float32
    at::Tensor embed(const at::Tensor& ids, std::int64_t startPosition = 0) const;
    BlockWeights loadBlock(std::int64_t index) const;
    /// One block. @param x [B, T, hidden] float32; @return the same shape, float32. The residual
    /// stream stays float32; products run in the compute dtype.
    at::Tensor forwardBlock(const BlockWeights& block, const at::Tensor& x,
                            const BlockHooks& hooks = {}, KvCache* cache = nullptr) const;
    /// The same in place: @param x dense
    void advanceBlock(const BlockWeights& block, const at::Tensor& x, const BlockHooks& hooks = {},
                      KvCache* cache = nullptr) const;
    /// What one part of a block adds to the residual stream. @param normed [B, T, hidden], what the
    /// part's norm makes, in the compute dtype; @return the same shape and dtype
    at::Tensor forwardModule(BlockModule module, const BlockWeights& block,
                             const at::Tensor& normed, const BlockHooks& hooks = {}) const;
    /// As forwardBlock(), as a function that gradients can be taken of, for whoever replaces the
    /// products (hooks.linear): with respect to x and to what they are replaced with.
    at::Tensor differentiateBlock(const BlockWeights& block, const at::Tensor& x,
                                  const BlockHooks& hooks) const;
    /// Final norm (and OPT's project_out). [.., hidden] -> [.., head width], float32
    at::Tensor finish(const at::Tensor& x) const;
    /// As finish(), as a function that gradients can be taken of with respect to x.
    at::Tensor differentiateFinish(const at::Tensor& x) const;
    /// Logits of finished hidden states: [n, width] -> [n, vocab] in the compute dtype. Chunk long
    /// inputs.
    at::Tensor logits(const at::Tensor& finished) const;
    /// Gradient of logits()'s argument for that of its result. @param gradient [n, vocab] compute
    /// dtype; @return [n, width] float32
    at::Tensor logitsGradient(const at::Tensor& gradient) const;

private:
    struct Private;
    std::unique_ptr<Private> d;
};

} // namespace qw
