#include "quant/quantized_linear_json.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace qw {

namespace {
constexpr std::int64_t kMaxSide = std::numeric_limits<std::int32_t>::max();

/// Names of an enumeration's values, in their order.
using Names = std::vector<std::string>;
const Names kKinds = {"int", "mxint"};
const Names kRules = {"lqer", "qera"};
const Names kScaleTypes = {"f32", "f16", "bf16"};
const Names kStored = {"values", "codes"};
const Names kActivations = {
    "none", "token-asymmetric", "token-asymmetric-float", "token-symmetric", "tensor-static",
    "mxint"};

template <class Enum>
const std::string& nameOf(const Names& names, Enum value)
{
    return names.at(static_cast<std::size_t>(value));
}

/// An object of the description, read key by key.
class Description
{
public:
    Description(const std::string& layer, const Json& object) : m_layer(layer), m_object(object) {}

    const Json& at(const char* key) const
    {
        const bool found = m_object.is_object() && m_object.contains(key);
        QW_REQUIRE(found, ErrorCode::BadFile, m_layer, ": its description has no \"", key, "\"");
        return m_object.at(key);
    }
    Description nested(const char* key) const { return {m_layer, at(key)}; }
    bool has(const char* key) const { return m_object.is_object() && m_object.contains(key); }
    bool flag(const char* key) const
    {
        const Json& value = at(key);
        QW_REQUIRE(value.is_boolean(), ErrorCode::BadFile, m_layer, ": \"", key,
                   "\" in its description is ", value.dump(), ", not true or false");
        return value.get<bool>();
    }
    std::int64_t integer(const char* key, std::int64_t low, std::int64_t high) const
    {
        const Json& value = at(key);
        // A number above the largest int64 would come out negative.
        const bool fits = value.is_number_integer() &&
                          !(value.is_number_unsigned() &&
                            value.get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxSide));
        const std::int64_t number = fits ? value.get<std::int64_t>() : 0;
        QW_REQUIRE(fits && number >= low && number <= high, ErrorCode::BadFile, m_layer, ": \"",
                   key, "\" in its description is ", value.dump(), ", not a whole number in ", low,
                   "..", high);
        return number;
    }
    std::int64_t exponentBits() const
    {
        const std::int64_t bits = integer("exponent_bits", 4, 8);
        QW_REQUIRE(bits == 4 || bits == 8, ErrorCode::BadFile, m_layer, ": exponents of ", bits,
                   " bits, not 4 or 8");
        return bits;
    }
    double number(const char* key) const
    {
        const Json& value = at(key);
        QW_REQUIRE(value.is_number() && std::isfinite(value.get<double>()), ErrorCode::BadFile,
                   m_layer, ": \"", key, "\" in its description is ", value.dump(),
                   ", not a number");
        return value.get<double>();
    }
    template <class Enum>
    Enum choice(const char* key, const Names& names) const
    {
        const Json& value = at(key);
        const auto found = value.is_string()
                               ? std::find(names.begin(), names.end(), value.get<std::string>())
                               : names.end();
        QW_REQUIRE(found != names.end(), ErrorCode::BadFile, m_layer, ": \"", key,
                   "\" in its description is ", value.dump(), ", which this program does not know");
        return static_cast<Enum>(found - names.begin());
    }

private:
    const std::string& m_layer;
    const Json& m_object;
};

Json mxToJson(const MxOptions& mx)
{
    return {{"bits", mx.bits},
            {"block_size", mx.blockSize},
            {"exponent_bits", mx.exponentBits},
            {"rule", nameOf(kRules, mx.rule)}};
}

MxOptions mxFrom(const Description& json)
{
    return {json.integer("bits", 2, 8), json.integer("block_size", 1, kMaxSide),
            json.exponentBits(), json.choice<MxRule>("rule", kRules)};
}

enum class ScaleType { F32, F16, Bf16 };

WeightFormat formatFrom(const std::string& layer, const Description& json, std::int64_t in)
{
    constexpr at::ScalarType kTypes[] = {at::kFloat, at::kHalf, at::kBFloat16};
    WeightFormat format;
    format.kind = json.choice<WeightFormat::Kind>("kind", kKinds);
    const bool mx = format.kind == WeightFormat::Kind::Mx;
    format.bits = json.integer("bits", 2, 8);
    format.groupSize = json.integer("group_size", mx ? 1 : -1, kMaxSide);
    format.sym = json.flag("sym");
    format.scaleDtype =
        kTypes[static_cast<std::size_t>(json.choice<ScaleType>("scale_dtype", kScaleTypes))];
    format.exponentBits = json.exponentBits();
    format.mxRule = json.choice<MxRule>("mx_rule", kRules);
    QW_REQUIRE(mx || format.groupSize < 1 || in % format.groupSize == 0, ErrorCode::BadFile, layer,
               ": its group size ", format.groupSize, " does not divide its ", in, " columns");
    return format;
}

} // namespace

Json activationToJson(const ActivationQuantizer& quantizer)
{
    return {{"kind", nameOf(kActivations, quantizer.kind)},
            {"bits", quantizer.bits},
            {"mx", mxToJson(quantizer.mx)},
            {"scale", quantizer.scale},
            {"zero", quantizer.zero}};
}

ActivationQuantizer activationFromJson(const Json& object, const std::string& where)
{
    const Description json(where, object);
    ActivationQuantizer quantizer;
    quantizer.kind = json.choice<ActivationQuantizer::Kind>("kind", kActivations);
    quantizer.bits = json.integer("bits", 2, 8);
    quantizer.mx = mxFrom(json.nested("mx"));
    quantizer.scale = json.number("scale");
    quantizer.zero = json.number("zero");
    QW_REQUIRE(static_cast<float>(quantizer.scale) > 0, ErrorCode::BadFile, where,
               ": its activation scale ", quantizer.scale, " is not above 0");
    return quantizer;
}

Json describeFormat(const QuantizedLinear& linear)
{
    const WeightFormat& format = linear.format;
    Json json = {{"kind", nameOf(kKinds, format.kind)},
                 {"bits", format.bits},
                 {"group_size", format.groupSize},
                 {"sym", format.sym},
                 {"scale_dtype", scaleTypeName(format.scaleDtype)},
                 {"exponent_bits", format.exponentBits},
                 {"mx_rule", nameOf(kRules, format.mxRule)},
                 {"out", linear.out},
                 {"in", linear.in},
                 {"rank", linear.rank()},
                 {"activation", activationToJson(linear.activation)}};
    if (linear.a.quantized) {
        json["factors"] = mxToJson(linear.a.mx);
        json["factors"]["stored"] = nameOf(kStored, linear.a.codes.defined());
    }
    return json;
}

DescribedLinear describedLinear(const std::string& name, const Json& description)
{
    const Description json(name, description);
    DescribedLinear result;
    QuantizedLinear& linear = result.linear;
    linear.name = name;
    linear.out = json.integer("out", 1, kMaxSide);
    linear.in = json.integer("in", 1, kMaxSide);
    linear.format = formatFrom(name, json, linear.in);
    linear.activation = activationFromJson(json.at("activation"), name);
    result.rank = json.integer("rank", 0, std::min(linear.in, linear.out));
    if (json.has("factors")) {
        const Description factors = json.nested("factors");
        linear.a.quantized = linear.b.quantized = true;
        linear.a.mx = linear.b.mx = mxFrom(factors);
        result.factorsAsCodes = factors.choice<int>("stored", kStored) == 1;
    }
    return result;
}

} // namespace qw
