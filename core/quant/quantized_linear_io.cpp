#include <algorithm>
#include <set>

#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>

#include "base/error.h"
#include "quant/packing.h"
#include "quant/quantized_linear.h"
#include "quant/quantized_linear_json.h"

namespace qw {

namespace {
std::int64_t blocksOf(std::int64_t n, std::int64_t block)
{
    return (n + block - 1) / block;
}

constexpr std::int64_t kNarrowSpan = 15;               // of a 4-bit exponent field
constexpr std::int64_t kLowest = -127, kHighest = 128; // shared exponents of float32 numbers

/// Adds shared exponents as fields of exponentBits, and the exponent at the top of a narrow field.
void addExponents(std::map<std::string, at::Tensor>& tensors, const std::string& prefix,
                  const at::Tensor& steps, const MxOptions& mx)
{
    const at::Tensor shared = steps + stepBelow(mx);
    const MxExponentRange range = mxExponentRange(
        mx.exponentBits, shared.min().item<std::int64_t>(), shared.max().item<std::int64_t>());
    tensors.emplace(prefix + "exponents", packCodes(shared - range.low, mx.exponentBits));
    if (mx.exponentBits == 4) {
        tensors.emplace(prefix + "exponent_top", at::full({1}, range.high - kLowest, at::kByte));
    }
}

void addFactor(std::map<std::string, at::Tensor>& tensors, const std::string& name,
               const Factor& factor)
{
    if (factor.codes.defined()) {
        tensors.emplace(name, packCodes(factor.codes.codes, factor.mx.bits));
        addExponents(tensors, name + "_", factor.codes.exponents, factor.mx);
    } else if (factor.defined()) {
        tensors.emplace(name, factor.value);
    }
}

/// Takes the tensors of one layer, each checked against what its description makes of it.
class Tensors
{
public:
    Tensors(const std::string& layer, const std::map<std::string, at::Tensor>& tensors)
        : m_layer(layer), m_tensors(tensors)
    {
    }
    bool has(const std::string& name) const { return m_tensors.contains(name); }
    const at::Tensor& take(const std::string& name, at::ScalarType type, at::IntArrayRef shape);
    /// @return finite float32
    at::Tensor takeFinite(const std::string& name, at::ScalarType type, at::IntArrayRef shape);
    /// @return [rows, cols] int16
    at::Tensor takePacked(const std::string& name, std::int64_t rows, std::int64_t cols,
                          std::int64_t bits, bool isSigned);
    MxCodes takeMx(const std::string& codes, const std::string& prefix, std::int64_t rows,
                   std::int64_t cols, const MxOptions& mx);
    /// @throws Error::BadFile unless all values are in low..high
    void requireRange(const std::string& name, const at::Tensor& values, std::int64_t low,
                      std::int64_t high) const;
    /// @throws Error::BadFile if there is a tensor that nobody took
    void finish() const;

private:
    const std::string& m_layer;
    const std::map<std::string, at::Tensor>& m_tensors;
    std::set<std::string> m_taken;
};

const at::Tensor& Tensors::take(const std::string& name, at::ScalarType type, at::IntArrayRef shape)
{
    const auto found = m_tensors.find(name);
    QW_REQUIRE(found != m_tensors.end(), ErrorCode::BadFile, m_layer,
               ": the artifact has no tensor \"", name, "\" for it");
    const at::Tensor& tensor = found->second;
    QW_REQUIRE(tensor.scalar_type() == type && tensor.sizes() == shape, ErrorCode::BadFile, m_layer,
               ": its tensor \"", name, "\" is ", tensor.scalar_type(), " ", tensor.sizes(),
               ", not ", type, " ", shape);
    m_taken.insert(name);
    return tensor;
}

at::Tensor Tensors::takeFinite(const std::string& name, at::ScalarType type, at::IntArrayRef shape)
{
    const at::Tensor tensor = take(name, type, shape).to(at::kFloat);
    QW_REQUIRE(at::isfinite(tensor).all().item<bool>(), ErrorCode::BadFile, m_layer,
               ": its tensor \"", name, "\" holds what is not a finite number");
    return tensor;
}

at::Tensor Tensors::takePacked(const std::string& name, std::int64_t rows, std::int64_t cols,
                               std::int64_t bits, bool isSigned)
{
    return unpackCodes(take(name, at::kByte, {rows, (cols * bits + 7) / 8}), cols, bits, isSigned);
}

void Tensors::requireRange(const std::string& name, const at::Tensor& values, std::int64_t low,
                           std::int64_t high) const
{
    const auto least = values.min().item<std::int64_t>();
    const auto most = values.max().item<std::int64_t>();
    QW_REQUIRE(least >= low && most <= high, ErrorCode::BadFile, m_layer, ": its tensor \"", name,
               "\" holds ", least < low ? least : most, ", not only ", low, "..", high);
}

MxCodes Tensors::takeMx(const std::string& codes, const std::string& prefix, std::int64_t rows,
                        std::int64_t cols, const MxOptions& mx)
{
    MxCodes result;
    result.codes = takePacked(codes, rows, cols, mx.bits, true).to(at::kChar);
    const std::int64_t largest = (std::int64_t{1} << (mx.bits - 1)) - 1;
    requireRange(codes, result.codes, -largest, largest);
    std::int64_t low = kLowest;
    if (mx.exponentBits == 4) {
        low += take(prefix + "exponent_top", at::kByte, {1}).item<std::int64_t>() - kNarrowSpan;
    }
    const std::string name = prefix + "exponents";
    const at::Tensor shared =
        takePacked(name, rows, blocksOf(cols, mx.blockSize), mx.exponentBits, false) + low;
    // 2^128 is no float32; under LQER's rule the largest code stays below it.
    requireRange(name, shared, low, mx.rule == MxRule::Lqer ? kHighest : kHighest - 1);
    result.exponents = shared - stepBelow(mx);
    return result;
}

void Tensors::finish() const
{
    for (const auto& [name, tensor] : m_tensors) {
        QW_REQUIRE(m_taken.contains(name), ErrorCode::BadFile, m_layer, ": a tensor \"", name,
                   "\" does not belong to its format");
    }
}

void takeInteger(Tensors& tensors, QuantizedLinear& linear)
{
    const WeightFormat& format = linear.format;
    const std::int64_t rows = format.groupSize == -1 ? 1 : linear.out;
    const std::int64_t groups = format.groupSize > 0 ? linear.in / format.groupSize : 1;
    linear.codes = tensors.takePacked("codes", linear.out, linear.in, format.bits, format.sym)
                       .to(format.sym ? at::kChar : at::kByte);
    linear.scale = tensors.takeFinite("scale", format.scaleDtype, {rows, groups});
    QW_REQUIRE(linear.scale.gt(0).all().item<bool>(), ErrorCode::BadFile, linear.name,
               ": its tensor \"scale\" holds a number that is not above 0");
    if (!format.sym) {
        linear.zero = tensors.takePacked("zero", rows, groups, format.bits, false).to(at::kByte);
    }
    if (tensors.has("group_index")) {
        linear.groupIndex = tensors.take("group_index", at::kInt, {linear.in});
        tensors.requireRange("group_index", linear.groupIndex, 0, groups - 1);
    }
}
} // namespace

std::map<std::string, at::Tensor> toTensors(const QuantizedLinear& linear)
{
    std::map<std::string, at::Tensor> tensors;
    tensors.emplace("codes", packCodes(linear.codes, linear.format.bits));
    if (linear.scale.defined()) {
        // Exact: scales were rounded in this type before codes were computed.
        tensors.emplace("scale", linear.scale.to(linear.format.scaleDtype));
    }
    if (linear.zero.defined()) {
        tensors.emplace("zero", packCodes(linear.zero, linear.format.bits));
    }
    if (linear.exponents.defined()) {
        addExponents(tensors, "", linear.exponents, linear.format.mx());
    }
    if (linear.groupIndex.defined()) {
        tensors.emplace("group_index", linear.groupIndex);
    }
    addFactor(tensors, "a", linear.a);
    addFactor(tensors, "b", linear.b);
    return tensors;
}

QuantizedLinear quantizedLinearFrom(const std::string& name, const Json& description,
                                    const std::map<std::string, at::Tensor>& stored)
{
    DescribedLinear described = describedLinear(name, description);
    QuantizedLinear& linear = described.linear;
    Tensors tensors(name, stored);
    if (linear.format.kind == WeightFormat::Kind::Mx) {
        MxCodes codes = tensors.takeMx("codes", "", linear.out, linear.in, linear.format.mx());
        linear.codes = codes.codes;
        linear.exponents = codes.exponents;
    } else {
        takeInteger(tensors, linear);
    }
    const std::int64_t rank = described.rank;
    const auto takeFactor = [&](Factor& factor, const char* key, std::int64_t rows,
                                std::int64_t cols) {
        if (described.factorsAsCodes) {
            factor.codes = tensors.takeMx(key, std::string(key) + "_", rows, cols, factor.mx);
            factor.value = mxDecode(factor.codes, factor.mx);
        } else {
            factor.value = tensors.takeFinite(key, at::kFloat, {rows, cols});
        }
    };
    if (rank > 0) {
        takeFactor(linear.a, "a", linear.in, rank);
        takeFactor(linear.b, "b", rank, linear.out);
    }
    tensors.finish();
    return linear;
}

} // namespace qw
