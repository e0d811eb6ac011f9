#pragma once

#include <memory>
#include <string>
#include <vector>

#include "methods/trained_weight.h"
#include "model/decoder.h"
#include "report/run_spec.h"

namespace qw {

/// A model whose quantized linears are learned together. Of those nothing is kept but what their
/// TrainedWeight keeps. Backward, one block after another is run once more from its input, which
/// alone is kept between the two passes, unless spec.training.recompute says otherwise: same bits.
class TrainableModel
{
public:
    /// @param decoder  in the type of the products; @param spec  both must live as long
    TrainableModel(const Decoder& decoder, const RunSpec& spec);

    /// The next block. @param block  in float32; weights of layers that are learned are dropped
    void add(BlockWeights block, std::vector<std::unique_ptr<TrainedWeight>> learned);

    /// Adds the gradient of the windows' loss to what the learned tensors hold.
    /// @param ids [B, T] int64; @param scale  of each prediction; @return sum of nll, nats
    double addGradients(const at::Tensor& ids, double scale, const RunContext& run);
    /// Sum of nll without gradients.
    double nll(const at::Tensor& ids, const RunContext& run);
    /// The first layer, in the order they run, whose result is not finite; else "the output layer".
    std::string overflowingLayer(const at::Tensor& ids, const RunContext& run);

    std::vector<const TrainedWeight*> weights() const;
    /// @throws Error::Internal if the layer is not learned
    const TrainedWeight& weight(const std::string& layer) const;

private:
    struct Block {
        BlockWeights frozen;
        std::vector<std::unique_ptr<TrainedWeight>> learned;
    };
    static const TrainedWeight* find(const Block& block, const std::string& layer);
    at::Tensor forward(const Block& block, const at::Tensor& x, Wanted wanted,
                       const RunContext& run) const;
    at::Tensor linear(const Block& block, const LinearWeights& linear, const at::Tensor& x,
                      Wanted wanted, const RunContext& run) const;

    const Decoder& m_decoder;
    const RunSpec& m_spec;
    std::vector<Block> m_blocks;
    std::size_t m_firstLearned = 0; ///< block; gradients go no further down
    /// Layer whose result was first seen not to be finite, while somebody looks.
    mutable std::string m_overflowing;
    bool m_looking = false;
};

} // namespace qw
