#include <c10/core/ScalarType.h>

#include "base/error.h"
#include "quant/packing.h"
#include "quant/quantized_linear.h"

namespace qw {

namespace {
const char* scaleName(at::ScalarType type)
{
    return type == at::kHalf ? "f16" : type == at::kBFloat16 ? "bf16" : "f32";
}

at::ScalarType scaleType(const std::string& name)
{
    return name == "f16" ? at::kHalf : name == "bf16" ? at::kBFloat16 : at::kFloat;
}

const char* ruleName(MxRule rule)
{
    return rule == MxRule::Qera ? "qera" : "lqer";
}

MxRule ruleFrom(const std::string& name)
{
    return name == "qera" ? MxRule::Qera : MxRule::Lqer;
}

Json mxToJson(const MxOptions& mx)
{
    return {{"bits", mx.bits},
            {"block_size", mx.blockSize},
            {"exponent_bits", mx.exponentBits},
            {"rule", ruleName(mx.rule)}};
}

MxOptions mxFromJson(const Json& json)
{
    return {json.at("bits").get<std::int64_t>(), json.at("block_size").get<std::int64_t>(),
            json.at("exponent_bits").get<std::int64_t>(),
            ruleFrom(json.at("rule").get<std::string>())};
}

const at::Tensor& need(const std::map<std::string, at::Tensor>& tensors, const std::string& layer,
                       const char* name)
{
    const auto found = tensors.find(name);
    QW_REQUIRE(found != tensors.end(), ErrorCode::BadFile, layer, ": the artifact has no tensor \"",
               name, "\" for it");
    return found->second;
}

void addFactor(std::map<std::string, at::Tensor>& tensors, const char* name, const Factor& factor)
{
    // Stored before quantization: every rank is then a slice, quantized after it is cut.
    if (factor.defined()) {
        tensors.emplace(name, factor.value);
    }
}
} // namespace

Json activationToJson(const ActivationQuantizer& quantizer)
{
    return {{"kind", static_cast<int>(quantizer.kind)},
            {"description", describe(quantizer)},
            {"bits", quantizer.bits},
            {"mx", mxToJson(quantizer.mx)},
            {"scale", quantizer.scale},
            {"zero", quantizer.zero}};
}

ActivationQuantizer activationFromJson(const Json& json)
{
    ActivationQuantizer quantizer;
    quantizer.kind = static_cast<ActivationQuantizer::Kind>(json.at("kind").get<int>());
    quantizer.bits = json.at("bits").get<std::int64_t>();
    quantizer.mx = mxFromJson(json.at("mx"));
    quantizer.scale = json.at("scale").get<double>();
    quantizer.zero = json.at("zero").get<double>();
    return quantizer;
}

std::map<std::string, at::Tensor> toTensors(const QuantizedLinear& linear)
{
    std::map<std::string, at::Tensor> tensors;
    tensors.emplace("codes", packCodes(linear.codes, linear.format.bits));
    if (linear.scale.defined()) {
        // Exact: scales were rounded in this type before codes were computed.
        tensors.emplace("scale", linear.scale.to(linear.format.scaleDtype));
    }
    if (linear.zero.defined()) {
        tensors.emplace("zero", linear.zero);
    }
    if (linear.exponents.defined()) {
        tensors.emplace("exponents", linear.exponents);
    }
    if (linear.groupIndex.defined()) {
        tensors.emplace("group_index", linear.groupIndex);
    }
    addFactor(tensors, "a", linear.a);
    addFactor(tensors, "b", linear.b);
    return tensors;
}

Json describeFormat(const QuantizedLinear& linear)
{
    const WeightFormat& format = linear.format;
    Json json = {{"kind", format.kind == WeightFormat::Kind::Mx ? "mxint" : "int"},
                 {"bits", format.bits},
                 {"group_size", format.groupSize},
                 {"sym", format.sym},
                 {"scale_dtype", scaleName(format.scaleDtype)},
                 {"exponent_bits", format.exponentBits},
                 {"mx_rule", ruleName(format.mxRule)},
                 {"out", linear.out},
                 {"in", linear.in},
                 {"rank", linear.rank()},
                 {"activation", activationToJson(linear.activation)}};
    if (linear.a.quantized) {
        json["factors"] = mxToJson(linear.a.mx);
    }
    return json;
}

QuantizedLinear quantizedLinearFrom(const std::string& name, const Json& description,
                                    const std::map<std::string, at::Tensor>& tensors)
{
    QuantizedLinear linear;
    linear.name = name;
    try {
        WeightFormat& format = linear.format;
        format.kind =
            description.at("kind") == "mxint" ? WeightFormat::Kind::Mx : WeightFormat::Kind::Int;
        format.bits = description.at("bits").get<std::int64_t>();
        format.groupSize = description.at("group_size").get<std::int64_t>();
        format.sym = description.at("sym").get<bool>();
        format.scaleDtype = scaleType(description.at("scale_dtype").get<std::string>());
        format.exponentBits = description.at("exponent_bits").get<std::int64_t>();
        format.mxRule = ruleFrom(description.at("mx_rule").get<std::string>());
        linear.out = description.at("out").get<std::int64_t>();
        linear.in = description.at("in").get<std::int64_t>();
        linear.activation = activationFromJson(description.at("activation"));
        if (description.contains("factors")) {
            linear.a.quantized = linear.b.quantized = true;
            linear.a.mx = linear.b.mx = mxFromJson(description.at("factors"));
        }
    } catch (const nlohmann::json::exception& problem) {
        throw Error(ErrorCode::BadFile,
                    message(name, ": its description is damaged: ", problem.what()));
    }
    const bool mx = linear.format.kind == WeightFormat::Kind::Mx;
    const bool isSigned = mx || linear.format.sym;
    const at::Tensor& packed = need(tensors, name, "codes");
    QW_REQUIRE(packed.dim() == 2 && packed.size(0) == linear.out, ErrorCode::BadFile, name,
               ": its codes have the wrong shape");
    linear.codes = unpackCodes(packed, linear.in, linear.format.bits, isSigned)
                       .to(isSigned ? at::kChar : at::kByte);
    if (mx) {
        linear.exponents = need(tensors, name, "exponents");
    } else {
        linear.scale = need(tensors, name, "scale").to(at::kFloat);
        if (!linear.format.sym) {
            linear.zero = need(tensors, name, "zero");
        }
    }
    if (tensors.contains("group_index")) {
        linear.groupIndex = tensors.at("group_index");
    }
    if (tensors.contains("a")) {
        linear.a.value = need(tensors, name, "a");
        linear.b.value = need(tensors, name, "b");
    }
    return linear;
}

} // namespace qw
