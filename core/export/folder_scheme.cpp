#include "export/folder_scheme.h"

#include <algorithm>

#include "base/error.h"
#include "base/json_problem.h"

namespace qw {

namespace {
constexpr std::int64_t kLargestGroup = 1 << 24;

bool present(const Json& object, const char* key)
{
    return object.contains(key) && !object.at(key).is_null();
}

/// A whole number in a range.
std::int64_t number(const Json& object, const char* key, std::int64_t low, std::int64_t high,
                    const std::string& where)
{
    QW_REQUIRE(present(object, key), ErrorCode::BadFile, where, ": says no \"", key, "\"");
    const Json& value = object.at(key);
    const bool fits = value.is_number_integer() && value >= low && value <= high;
    QW_REQUIRE(fits, ErrorCode::BadFile, where, ": \"", key, "\" is ", value.dump(),
               ", not a whole number in ", low, "..", high);
    return value.get<std::int64_t>();
}

/// Columns of a group; -1 or nothing: whole rows.
std::int64_t groupSize(const Json& object, const std::string& where)
{
    if (!present(object, "group_size")) {
        return -1;
    }
    const std::int64_t group = number(object, "group_size", -1, kLargestGroup, where);
    QW_REQUIRE(group != 0, ErrorCode::BadFile, where, ": \"group_size\" is 0");
    return group;
}

template <class Value>
void requireOneOf(const Value& value, const std::vector<Value>& known, const std::string& what)
{
    QW_REQUIRE(std::find(known.begin(), known.end(), value) != known.end(), ErrorCode::Unsupported,
               what, " ", Json(value).dump(), " is not supported; supported: ", Json(known).dump());
}

LayerScheme compressedScheme(const Json& group, const std::string& format, const std::string& where)
{
    const Json& weights = group.at("weights");
    LayerScheme scheme;
    requireOneOf<std::string>(format, {"pack-quantized", "int-quantized"},
                              where + ": the compressed-tensors format");
    const bool integers = format == "int-quantized";
    scheme.kind = integers ? LayerScheme::Kind::Integers : LayerScheme::Kind::Packed;
    requireOneOf<std::string>(weights.value("type", "int"), {"int"},
                              where + ": the type of weights");
    scheme.bits = number(weights, "num_bits", 2, 8, where);
    scheme.symmetric = weights.at("symmetric").get<bool>();
    const auto strategy = weights.at("strategy").get<std::string>();
    requireOneOf<std::string>(strategy, {"group", "channel"}, where + ": the strategy");
    scheme.group = strategy == "group" ? groupSize(weights, where) : -1;
    QW_REQUIRE(strategy != "group" || scheme.group > 0, ErrorCode::BadFile, where,
               ": the strategy \"group\" has no group_size");
    return scheme;
}
} // namespace

QuantizationScheme::QuantizationScheme(const Json& quantization, std::string where)
    : m_where(std::move(where) + ": quantization_config")
{
    if (quantization.is_null()) {
        return;
    }
    QW_REQUIRE(quantization.is_object(), ErrorCode::BadFile, m_where, ": is no object");
    try {
        m_method = quantization.value("quant_method", "");
        requireOneOf<std::string>(m_method, {"compressed-tensors", "gptq", "awq"},
                                  m_where + ": quant_method");
        if (m_method == "compressed-tensors") {
            readCompressedTensors(quantization);
        } else if (m_method == "gptq") {
            readGptq(quantization);
        } else {
            readAwq(quantization);
        }
    } catch (const nlohmann::json::exception& problem) {
        throw Error(ErrorCode::BadFile, message(m_where, ": ", jsonProblem(problem)));
    }
}

void QuantizationScheme::readCompressedTensors(const Json& quantization)
{
    const Json& groups = quantization.at("config_groups");
    QW_REQUIRE(groups.is_object() && !groups.empty(), ErrorCode::BadFile, m_where,
               ": config_groups holds no group");
    for (const auto& [name, group] : groups.items()) {
        const std::string format = present(group, "format") ? group.at("format").get<std::string>()
                                                            : quantization.value("format", "");
        m_groups.push_back({group.at("targets").get<std::vector<std::string>>(),
                            compressedScheme(group, format, m_where + ": " + name)});
        if (present(group, "input_activations")) {
            readActivations(group.at("input_activations"));
        }
    }
    if (present(quantization, "kv_cache_scheme")) {
        m_notDone.emplace_back("clients quantize keys and values (kv_cache_scheme)");
    }
}

void QuantizationScheme::readActivations(const Json& activations)
{
    m_tokenActivations =
        activations.value("dynamic", Json()) == Json(true) &&
        activations.value("strategy", "") == "token" && activations.value("type", "int") == "int" &&
        activations.value("symmetric", false) && activations.value("num_bits", 0) == 8;
    m_notDone.emplace_back(m_tokenActivations
                               ? "clients round the inputs of layers to 8 bits over another range "
                                 "(the largest over 127.5, here 127)"
                               : "clients quantize the inputs of layers (input_activations)");
}

void QuantizationScheme::readGptq(const Json& quantization)
{
    LayerScheme scheme;
    scheme.kind = LayerScheme::Kind::Gptq;
    scheme.bits = number(quantization, "bits", 2, 8, m_where);
    requireOneOf<std::int64_t>(scheme.bits, {2, 3, 4, 8}, m_where + ": packing of this many bits:");
    scheme.group = groupSize(quantization, m_where);
    scheme.symmetric = false; // zero points are always written
    const std::string format =
        quantization.value("checkpoint_format", quantization.value("format", "gptq"));
    requireOneOf<std::string>(format, {"gptq", "gptq_v2"}, m_where + ": checkpoint_format");
    scheme.zeroOffset = format == "gptq" ? 1 : 0;
    scheme.declaredSymmetric = quantization.value("sym", Json()) == Json(true);
    const Json single = quantization.value("dynamic", Json());
    QW_REQUIRE(single.is_null() || single.empty(), ErrorCode::Unsupported, m_where,
               ": settings for single layers (\"dynamic\") are not supported");
    m_groups.push_back({{}, scheme});
}

void QuantizationScheme::readAwq(const Json& quantization)
{
    LayerScheme scheme;
    scheme.kind = LayerScheme::Kind::Awq;
    scheme.bits = number(quantization, "bits", 2, 8, m_where);
    requireOneOf<std::int64_t>(scheme.bits, {4}, m_where + ": packing of this many bits:");
    scheme.group = groupSize(quantization, m_where);
    scheme.symmetric = false;
    requireOneOf<std::string>(quantization.value("version", "gemm"), {"gemm", "GEMM"},
                              m_where + ": the version");
    m_groups.push_back({{}, scheme});
}

std::string QuantizationScheme::title() const
{
    if (m_method == "gptq") {
        return m_groups.front().scheme.zeroOffset == 1 ? "GPTQ, version 1" : "GPTQ, version 2";
    }
    return m_method == "awq" ? "AWQ" : m_method;
}

LayerScheme QuantizationScheme::ofCoded(const std::string& module) const
{
    QW_REQUIRE(!m_groups.empty(), ErrorCode::BadFile, m_where,
               ": is missing, but the files hold codes for ", module);
    if (m_groups.size() == 1) { // whatever its targets: these are codes, and of no other kind
        return m_groups.front().scheme;
    }
    const Group* byClass = nullptr;
    for (const Group& group : m_groups) {
        for (const std::string& target : group.targets) {
            QW_REQUIRE(target.rfind("re:", 0) != 0, ErrorCode::Unsupported, m_where,
                       ": several groups that name layers by patterns (\"", target,
                       "\") are not supported");
            if (target == module) {
                return group.scheme;
            }
            byClass = target == "Linear" ? &group : byClass;
        }
    }
    QW_REQUIRE(byClass != nullptr, ErrorCode::BadFile, m_where, ": no group names ", module);
    return byClass->scheme;
}

} // namespace qw
