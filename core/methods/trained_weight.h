#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "methods/fake_quant.h"
#include "methods/trained_start.h"
#include "quant/quantized_linear.h"

namespace qw {

/// A tensor that training changes: float32, dense, requires a gradient.
struct LearnedTensor {
    enum class Group { LowRank, Scale, Weight }; ///< they learn at different rates
    std::string name;                            ///< "left" | "right" | "scale" | "weight"
    at::Tensor value;
    Group group = Group::LowRank;
};

/// The weight of one linear layer under quantization-aware training: LR-QAT, LSQ or PEQA, as
/// FakeQuantParts have them, with alpha / rank as the factor; PEQA's integers are frozen and have
/// no pair. Sources: LR-QAT (arXiv:2406.06385) and its official code, LSQ (arXiv:1902.08153), PEQA
/// (arXiv:2305.14152). Differs: scales are rounded to the type they are stored in, so that what is
/// trained is what is stored; the floor under them holds for phi int too; LSQ's gradient of the
/// scale is not scaled, as in LR-QAT's experiments.
class TrainedWeight
{
public:
    /// @param weight [out, in] float32, not kept but by LSQ; @param statistics  of its inputs,
    /// needed by the init qera-exact; @param seed  of the pair. @throws Error as startOf()
    TrainedWeight(std::string name, const at::Tensor& weight, const TrainedWeightOptions& options,
                  const InputStatistics* statistics, std::uint64_t seed, const RunContext& run);

    const std::string& name() const { return m_name; }
    const FakeQuantParts& parts() const { return m_parts; }
    /// x W^^T, differentiable in x and the learned tensors. Only those and x are kept for the
    /// gradient, which makes W^ again.
    /// @param x [tokens, in] of the compute type; @return [tokens, out] of the compute type; zeros
    /// where only the gradient is wanted
    at::Tensor linear(const at::Tensor& x, Wanted wanted = Wanted::Values) const
    {
        return fakeQuantLinear(x, m_parts, wanted);
    }
    /// W^ [out, in] of the compute type, without gradients.
    at::Tensor values() const { return fakeQuant(m_parts, false); }

    std::vector<LearnedTensor> learned() const;
    /// What a checkpoint must hold besides those, to be copied into; empty where the constructor
    /// makes it again, the same with any number of threads.
    std::vector<std::pair<std::string, at::Tensor>> state() const;
    std::int64_t parameterCount() const;
    std::int64_t frozenBytes() const { return m_parts.frozen.bytes(); }

    at::Tensor integers() const { return fakeQuant(m_parts, true); } ///< [out, in] float32
    at::Tensor scale() const; ///< as stored, [out, groups] float32
    /// The weight as it will be stored: codes * scale is W^, bit for bit.
    QuantizedLinear deployed(const WeightFormat& format) const;
    /// Shares of weights whose integer lies 0, 1, 2 and more steps from what the frozen part alone
    /// rounds to; LSQ's is its start.
    std::vector<double> moved() const;

private:
    std::string m_name;
    TrainedWeightOptions m_options;
    FakeQuantParts m_parts;
};

} // namespace qw
