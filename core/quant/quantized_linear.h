#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <ATen/core/Tensor.h>

#include "base/json_io.h"
#include "quant/activation_quantizer.h"
#include "quant/grid.h"
#include "quant/mxint.h"

namespace qw {

/// How the codes of a weight are to be read.
struct WeightFormat {
    enum class Kind { Int, Mx };
    Kind kind = Kind::Int;
    std::int64_t bits = 4;
    std::int64_t groupSize = 0; ///< Int: as in GridOptions; Mx: the block
    bool sym = false;
    at::ScalarType scaleDtype = at::kFloat;
    std::int64_t exponentBits = 8; ///< Mx
    MxRule mxRule = MxRule::Lqer;  ///< Mx
    bool operator==(const WeightFormat&) const = default;

    MxOptions mx() const { return {bits, groupSize, exponentBits, mxRule}; }
};

/// A low-rank factor. One to be quantized is kept as floats while its rank may still be cut, since
/// a slice of codes is not what the slice would be quantized to, and as codes from then on.
struct Factor {
    at::Tensor value; ///< float32: as computed, or as `codes` decode
    bool quantized = false;
    MxOptions mx;  ///< how, blocks along the last axis
    MxCodes codes; ///< if settled
    bool defined() const { return value.defined(); }
    /// As it multiplies, in the dtype of value.
    at::Tensor deployed() const;
    /// With codes if it is to be quantized; the values it was made of are dropped.
    Factor settled() const;
};

/// The one value every method ends in and every consumer reads: a linear layer as deployed.
///   y = q(x) W^^T + q(q(q(x) A) B) + bias,   q the activation quantizer
/// The layer does not hold its bias, which MXINT activations round with q as well.
struct QuantizedLinear {
    std::string name;
    std::int64_t out = 0;
    std::int64_t in = 0;
    WeightFormat format;
    at::Tensor codes;      ///< [out, in] int8 (Mx, sym) or uint8 (asym)
    at::Tensor scale;      ///< Int: [out, groups] float32
    at::Tensor zero;       ///< Int, asym: [out, groups] uint8; else undefined
    at::Tensor exponents;  ///< Mx: [out, blocks] int16
    at::Tensor groupIndex; ///< Int: [in] int32, group of each column if not in order (act-order)
    Factor a;              ///< [in, k] or undefined
    Factor b;              ///< [k, out] or undefined
    ActivationQuantizer activation;

    std::int64_t rank() const { return a.defined() ? a.value.size(1) : 0; }
    /// As deployed at rank k <= rank(): the first k columns of A and rows of B, settled.
    /// @throws Error::BadInput for a smaller rank once the factors are settled
    QuantizedLinear withRank(std::int64_t k) const;
    /// W^ of the codes alone. [out, in] float32
    at::Tensor dequantizedCodes() const;
    /// W^ with A·B. [out, in] float32
    at::Tensor dequantized() const;
};

/// Quantizes a weight by rounding to nearest. @param w [out, in] float32
/// @throws Error::NonFinite naming layer and first index, or if a scale is too large for its type;
/// BadShape, BadInput naming the layer; Cancelled
QuantizedLinear roundToNearest(const std::string& name, const at::Tensor& w,
                               const WeightFormat& format, const GridOptions& grid,
                               const RunContext& run = {});

/// Bits stored for the layer as deployed: codes, scales (at scaleDtype), zero points, exponents,
/// group index, factors. The tensors of toTensors() take no more but the padding of packed rows.
std::int64_t storedBits(const QuantizedLinear& linear);

/// Tensors (packed codes and the rest) and description, for the artifact, as
/// docs/artifact-format.md has it. Bit-exact both ways.
std::map<std::string, at::Tensor> toTensors(const QuantizedLinear& linear);
Json describeFormat(const QuantizedLinear& linear);
Json activationToJson(const ActivationQuantizer& quantizer);
/// @param where  layer or file, for the sentence. @throws Error::BadFile naming it and the key
ActivationQuantizer activationFromJson(const Json& json, const std::string& where);
/// Trusts neither. @throws Error::BadFile naming layer and tensor, expected and found
QuantizedLinear quantizedLinearFrom(const std::string& name, const Json& description,
                                    const std::map<std::string, at::Tensor>& tensors);

} // namespace qw
