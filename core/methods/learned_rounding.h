#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "quant/quantized_linear.h"

namespace qw {

/// What a weight is divided by before it is rounded: D = exp(l1 + Z + r2 + c2).
struct DivisorShape {
    std::int64_t rank = 0;  ///< Z = L2 U2 of this rank; 0: Z is a full matrix (FlexRound's S2)
    bool hasZ = true;       ///< false: no Z at all
    bool hasRow = true;     ///< r2, [out, 1]
    bool hasColumn = true;  ///< c2, [1, in]
    bool learnScale = true; ///< false: s1 stays as found
    /// True: D = exp(l1) (1 + Z) (1 + r2) (1 + c2), as FlexRound's paper has it, with factors of at
    /// least 0.01.
    bool product = false;
};

/// The tensors that decide the rounding of one weight. Learned ones require a gradient.
struct RoundingParameters {
    at::Tensor logScale; ///< l1 [out, groups]
    at::Tensor left;     ///< L2 [out, rank], or S2 [out, in]
    at::Tensor right;    ///< U2 [rank, in], undefined if Z is full
    at::Tensor row;      ///< r2 [out]
    at::Tensor column;   ///< c2 [in]
};

/// s1 * clamp(round(W / exp(l1 + z + r2 + c2)), low, high) as one operation of autograd: own
/// kernels on the CPU, plain ATen elsewhere.
/// @param weight [out, in] float32; @param z [out, in] or undefined, its type is the result's
/// @param low, high [out, groups] float32 integers
/// Source: LRQ, arXiv:2407.11534, and its official code. Differs: groups, and the gradient of the
/// clamp at its bounds is 1 whatever the version of the library.
at::Tensor roundLearned(const at::Tensor& weight, const RoundingParameters& parameters,
                        const at::Tensor& z, const at::Tensor& low, const at::Tensor& high,
                        at::ScalarType type);
/// The same in plain ATen: the oracle, and the way of other devices.
at::Tensor plainRoundLearned(const at::Tensor& weight, const RoundingParameters& parameters,
                             const at::Tensor& z, const at::Tensor& low, const at::Tensor& high,
                             at::ScalarType type);

/// The rounding of one linear layer while it is learned. Begins at round to nearest.
class LearnedRounding
{
public:
    /// @param weight [out, in] float32; @param seed  of U2
    /// @throws Error as roundToNearest() does
    LearnedRounding(std::string name, const at::Tensor& weight, const GridOptions& grid,
                    const DivisorShape& shape, std::uint64_t seed, const RunContext& run);

    const std::string& name() const { return m_name; }
    RoundingParameters& parameters() { return m_parameters; }
    /// Those that are learned, with names for a checkpoint.
    std::vector<std::pair<std::string, at::Tensor>> learned() const;
    std::int64_t parameterCount() const;

    /// W^ [out, in]; the low-rank product is computed in @p type too, the rest in float32.
    at::Tensor weight(at::ScalarType type) const;
    /// The integers of W^ / s1, float32.
    at::Tensor integers() const;
    at::Tensor scale() const; ///< s1 [out, groups], as the training has it
    /// As it will be stored: the integers in float32, s1 rounded to the type of the scales.
    QuantizedLinear deployed(const WeightFormat& format) const;
    /// Shares of weights whose integer lies 0, 1, 2 and more steps from where it began.
    std::vector<double> moved() const;

private:
    at::Tensor z(at::ScalarType type) const;
    /// As the fused operation wants them: everything an exponent.
    RoundingParameters exponents() const;

    std::string m_name;
    at::Tensor m_weight;
    GridOptions m_grid;
    at::Tensor m_zero; ///< [out, groups] float32 integers
    at::Tensor m_low;  ///< smallest and largest integer
    at::Tensor m_high;
    at::Tensor m_startLogScale;
    DivisorShape m_shape;
    RoundingParameters m_parameters;
};

} // namespace qw
