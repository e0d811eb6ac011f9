// The Llama-shaped network of the demo model with a hand-written gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace qw::demo {

/// Shape of the network; names as in a Hugging Face config.json.
struct ModelShape {
    int64_t vocabulary = 4096;
    int64_t hidden = 256;
    int64_t intermediate = 768;
    int64_t layers = 5;
    int64_t heads = 4;
    int64_t kvHeads = 2;
    int64_t headWidth = 64;
    int64_t maxPositions = 512;
    double ropeTheta = 10000.0;
    double rmsEps = 1e-5;
};

/// A trained tensor with its gradient and AdamW moments, all float32 and of one shape.
struct Parameter {
    std::string name;
    at::Tensor value, gradient, first, second;
    bool decays = false;
};

/// The decoder: float32 weights, forward, loss and gradient on the CPU. Query, key and value
/// projections are one matrix here, as are gate and up; the export splits them.
class DemoModel
{
public:
    /// `products` is the type of the matrix products: float32, or bfloat16 (float32 weights, sums
    /// of gradients, norms and softmax all the same), four times as fast on processors that have
    /// it.
    DemoModel(const ModelShape& shape, uint64_t seed, at::ScalarType products = at::kFloat);

    /// Mean next-token cross entropy (nats) of windows [batch, tokens + 1] of int64 ids; adds the
    /// gradient to every parameter. dropout > 0 drops residual branches' outputs with masks drawn
    /// from `dropoutSeed`.
    double step(const at::Tensor& windows, double dropout, uint64_t dropoutSeed);

    /// Sum of the cross entropies (nats) over batch * tokens predictions; no gradient.
    double evaluate(const at::Tensor& windows);

    /// Zeroes all gradients.
    void clearGradients();

    std::vector<Parameter>& parameters() { return m_parameters; }
    const std::vector<Parameter>& parameters() const { return m_parameters; }
    const ModelShape& shape() const { return m_shape; }

private:
    struct Saved {
        at::Tensor input, inverse1, norm1, q, k, v, attention, merged, mask1;
        at::Tensor middle, inverse2, norm2, gateUp, activated, mask2;
    };

    double run(const at::Tensor& windows, bool backward, double dropout, uint64_t dropoutSeed);
    at::Tensor forwardLayer(size_t layer, const at::Tensor& x, Saved& saved);
    at::Tensor backwardLayer(size_t layer, at::Tensor dx, Saved& saved);
    double lossAndGradient(const at::Tensor& hidden, const at::Tensor& targets, bool backward,
                           at::Tensor& dhidden);
    at::Tensor multiply(const at::Tensor& a, const at::Tensor& b) const;
    at::Tensor product(const at::Tensor& x, const at::Tensor& weight) const;
    void addWeightGradient(Parameter& p, const at::Tensor& dy, const at::Tensor& x) const;
    Parameter& at(size_t layer, size_t which) { return m_parameters[1 + layer * 6 + which]; }

    ModelShape m_shape;
    at::ScalarType m_products;
    std::vector<Parameter> m_parameters;
    at::Tensor m_cosine, m_sine;
    int64_t m_batch = 0, m_tokens = 0;
};

} // namespace qw::demo
