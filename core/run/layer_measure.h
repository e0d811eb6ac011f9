#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "base/run_context.h"
#include "quant/quantized_linear.h"
#include "report/run_result.h"

namespace qw {

/// Errors, SQNR and size of one layer at any rank up to that of its factors (activations
/// unquantized). With E = W - codes, D = E - (A B)^T and G = E R, computed once in float64,
///   tr(D R D^T) = tr(E R E^T) - 2 tr(B G A) + tr((A^T R A)(B B^T)),
/// so that a further rank costs thin products only; likewise ||D||^2 with R = 1. Where so little
/// remains that the difference would lose its digits, D itself is formed.
class LayerMeasure
{
public:
    /// @param weight [out, in] float32; @param autocorrelation [in, in] float64 of the
    /// full-precision inputs, or undefined: then the output error is missing; @param linear  is
    /// referred to as long as this lives
    LayerMeasure(const at::Tensor& weight, const at::Tensor& autocorrelation,
                 const QuantizedLinear& linear, const RunContext& run);

    /// As deployed with the first @p rank columns of A and rows of B.
    LayerResult atRank(std::int64_t rank, const RunContext& run) const;
    /// Root of E||x E^T||^2, the error of the codes alone. Missing without inputs.
    double codesOutputNorm() const;

private:
    /// Squared norms of one matrix: its entries, and its output on the inputs.
    struct Powers {
        double weight = 0;
        double output = 0;
    };
    Powers remaining(const QuantizedLinear& linear, const RunContext& run) const;
    Powers direct(const QuantizedLinear& linear, const RunContext& run) const;

    const QuantizedLinear& m_linear;
    at::Tensor m_weight;          // [out, in] float32
    at::Tensor m_codes;           // [out, in] float32, dequantized
    at::Tensor m_autocorrelation; // R
    at::Tensor m_b;               // [k, out] float64, as deployed at full rank
    at::Tensor m_bError;          // [k, in] float64: B E
    at::Tensor m_bOutput;         // [k, in] float64: B E R
    Powers m_whole;               // of W
    Powers m_error;               // of E
};

} // namespace qw
