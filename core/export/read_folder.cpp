#include <algorithm>
#include <array>
#include <cstdint>

#include <ATen/ops/empty.h>

#include "base/error.h"
#include "base/json_io.h"
#include "base/json_problem.h"
#include "export/export_reader.h"
#include "export/tensor_files.h"

namespace qw {

namespace {
/// `width` bits from bit `position` of words that follow each other `stride` words apart.
std::int64_t bitsAt(const std::int32_t* words, std::int64_t stride, std::int64_t position,
                    std::int64_t width)
{
    std::int64_t value = 0;
    for (std::int64_t bit = 0; bit < width; ++bit) {
        const std::int64_t at = position + bit;
        const auto word = static_cast<std::uint32_t>(words[at / 32 * stride]);
        value |= static_cast<std::int64_t>((word >> (at % 32)) & 1U) << bit;
    }
    return value;
}

std::int64_t wordsFor(std::int64_t count, std::int64_t bits)
{
    return (count * bits + 31) / 32;
}

/// Fills a matrix element by element. @param value  of row and column
template <class Value>
at::Tensor filled(std::int64_t rows, std::int64_t cols, Value&& value)
{
    at::Tensor result = at::empty({rows, cols}, at::kFloat);
    float* at = result.data_ptr<float>();
    for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < cols; ++c) {
            *at++ = value(r, c);
        }
    }
    return result;
}

/// The part of config.json that says how a module is stored.
struct Scheme {
    enum class Kind { Plain, Packed, Integers, Gptq, Awq };
    Kind kind = Kind::Plain;
    std::int64_t bits = 4;
    std::int64_t group = -1; ///< -1: whole rows
    bool symmetric = true;
    std::int64_t zeroOffset = 0; ///< GPTQ v1 stores one less
};

class FolderReader : public ExportReader
{
public:
    FolderReader(const std::filesystem::path& folder, bool storedInByOut)
        : m_files(folder), m_storedInByOut(storedInByOut)
    {
        const Json config = readJsonFile(folder / "config.json", 64 << 20);
        m_quantization = config.value("quantization_config", Json());
    }
    at::Tensor linearWeight(const std::string& module, std::int64_t out, std::int64_t in) override;
    at::Tensor tensor(const std::string& name) override
    {
        return m_files.take(name).to(at::kFloat);
    }
    std::vector<std::string> unread() const override { return m_files.unread(); }

private:
    Scheme schemeOf(const std::string& module) const;
    Scheme compressedTensorsScheme(const std::string& module) const;
    at::Tensor plain(const std::string& module, std::int64_t out, std::int64_t in);
    at::Tensor packed(const std::string& module, std::int64_t out, std::int64_t in, const Scheme&);
    at::Tensor integers(const std::string& module, std::int64_t out, std::int64_t in,
                        const Scheme&);
    at::Tensor gptq(const std::string& module, std::int64_t out, std::int64_t in, const Scheme&);
    at::Tensor awq(const std::string& module, std::int64_t out, std::int64_t in, const Scheme&);
    at::Tensor scales(const std::string& name, std::int64_t rows, std::int64_t cols);

    TensorFiles m_files;
    bool m_storedInByOut;
    Json m_quantization;
};

Scheme FolderReader::compressedTensorsScheme(const std::string& module) const
{
    Scheme scheme;
    for (const auto& [name, group] : m_quantization.at("config_groups").items()) {
        const auto targets = group.at("targets").get<std::vector<std::string>>();
        const bool mine = std::any_of(targets.begin(), targets.end(), [&](const std::string& to) {
            return to == "Linear" || to == module;
        });
        if (!mine) {
            continue;
        }
        const Json& weights = group.at("weights");
        const std::string format = group.value("format", m_quantization.value("format", ""));
        scheme.kind = format == "int-quantized" ? Scheme::Kind::Integers : Scheme::Kind::Packed;
        QW_REQUIRE(format == "int-quantized" || format == "pack-quantized", ErrorCode::Unsupported,
                   m_files.folder().string(), ": the compressed-tensors format \"", format,
                   "\" is not supported; pack-quantized and int-quantized are");
        scheme.bits = weights.at("num_bits").get<std::int64_t>();
        scheme.symmetric = weights.at("symmetric").get<bool>();
        const bool grouped = weights.at("strategy") == "group";
        scheme.group = grouped ? weights.at("group_size").get<std::int64_t>() : -1;
        return scheme;
    }
    return scheme;
}

Scheme FolderReader::schemeOf(const std::string& module) const
{
    if (m_quantization.is_null() || m_files.has(module + ".weight")) {
        const bool integers = !m_quantization.is_null() && m_files.has(module + ".weight_scale");
        return integers ? compressedTensorsScheme(module) : Scheme{};
    }
    const std::string method = m_quantization.value("quant_method", "");
    if (method == "compressed-tensors") {
        return compressedTensorsScheme(module);
    }
    Scheme scheme;
    scheme.bits = m_quantization.value("bits", std::int64_t{4});
    scheme.group = m_quantization.value("group_size", std::int64_t{-1});
    scheme.symmetric = false;
    if (method == "gptq") {
        scheme.kind = Scheme::Kind::Gptq;
        const std::string version =
            m_quantization.value("checkpoint_format", m_quantization.value("format", "gptq"));
        scheme.zeroOffset = version == "gptq_v2" ? 0 : 1;
        return scheme;
    }
    QW_REQUIRE(method == "awq", ErrorCode::Unsupported, m_files.folder().string(),
               ": quant_method \"", method,
               "\" is not supported; compressed-tensors, gptq and awq are");
    scheme.kind = Scheme::Kind::Awq;
    return scheme;
}

at::Tensor FolderReader::scales(const std::string& name, std::int64_t rows, std::int64_t cols)
{
    const at::Tensor scale = m_files.take(name);
    QW_REQUIRE(scale.is_floating_point() && scale.sizes() == at::IntArrayRef({rows, cols}),
               ErrorCode::BadFile, m_files.folder().string(), ": tensor \"", name, "\" is ",
               scale.scalar_type(), " ", scale.sizes(), ", not scales [", rows, ", ", cols, "]");
    return scale.to(at::kFloat).contiguous();
}

at::Tensor FolderReader::plain(const std::string& module, std::int64_t out, std::int64_t in)
{
    const at::Tensor stored = m_files.take(module + ".weight").to(at::kFloat);
    const at::Tensor weight = m_storedInByOut ? stored.t() : stored;
    QW_REQUIRE(weight.sizes() == at::IntArrayRef({out, in}), ErrorCode::BadFile,
               m_files.folder().string(), ": tensor \"", module, ".weight\" is ", stored.sizes());
    return weight.contiguous();
}

at::Tensor FolderReader::packed(const std::string& module, std::int64_t out, std::int64_t in,
                                const Scheme& scheme)
{
    const std::int64_t group = scheme.group > 0 ? scheme.group : in;
    const std::int64_t groups = in / group;
    const std::int64_t rowWords = wordsFor(in, scheme.bits);
    const at::Tensor codes =
        m_files.take(module + ".weight_packed", at::kInt, {out, rowWords}).contiguous();
    const at::Tensor shape = m_files.take(module + ".weight_shape", at::kLong, {2});
    QW_REQUIRE(shape.data_ptr<std::int64_t>()[0] == out && shape.data_ptr<std::int64_t>()[1] == in,
               ErrorCode::BadFile, m_files.folder().string(), ": tensor \"", module,
               ".weight_shape\" is not [", out, ", ", in, "]");
    const at::Tensor scale = scales(module + ".weight_scale", out, groups);
    at::Tensor zero;
    if (!scheme.symmetric) {
        zero =
            m_files
                .take(module + ".weight_zero_point", at::kInt, {wordsFor(out, scheme.bits), groups})
                .contiguous();
    }
    const std::int64_t middle = std::int64_t{1} << (scheme.bits - 1);
    return filled(out, in, [&](std::int64_t r, std::int64_t c) {
        const std::int64_t g = c / group;
        const std::int64_t code =
            bitsAt(codes.data_ptr<std::int32_t>() + r * rowWords, 1, c * scheme.bits, scheme.bits);
        const std::int64_t origin = scheme.symmetric ? middle
                                                     : bitsAt(zero.data_ptr<std::int32_t>() + g,
                                                              groups, r * scheme.bits, scheme.bits);
        return static_cast<float>(code - origin) * scale.data_ptr<float>()[r * groups + g];
    });
}

at::Tensor FolderReader::integers(const std::string& module, std::int64_t out, std::int64_t in,
                                  const Scheme& scheme)
{
    const std::int64_t group = scheme.group > 0 ? scheme.group : in;
    const std::int64_t groups = in / group;
    const at::Tensor codes = m_files.take(module + ".weight", at::kChar, {out, in}).contiguous();
    const at::Tensor scale = scales(module + ".weight_scale", out, groups);
    at::Tensor zero;
    if (!scheme.symmetric) {
        zero = m_files.take(module + ".weight_zero_point", at::kChar, {out, groups}).contiguous();
    }
    return filled(out, in, [&](std::int64_t r, std::int64_t c) {
        const std::int64_t at = r * groups + c / group;
        const int origin = zero.defined() ? zero.data_ptr<std::int8_t>()[at] : 0;
        return static_cast<float>(codes.data_ptr<std::int8_t>()[r * in + c] - origin) *
               scale.data_ptr<float>()[at];
    });
}

at::Tensor FolderReader::gptq(const std::string& module, std::int64_t out, std::int64_t in,
                              const Scheme& scheme)
{
    const std::int64_t bits = scheme.bits;
    const std::int64_t groups = scheme.group > 0 ? in / scheme.group : 1;
    const std::int64_t zeroWords = wordsFor(out, bits);
    const at::Tensor codes =
        m_files.take(module + ".qweight", at::kInt, {wordsFor(in, bits), out}).contiguous();
    const at::Tensor zeros =
        m_files.take(module + ".qzeros", at::kInt, {groups, zeroWords}).contiguous();
    const at::Tensor scale = scales(module + ".scales", groups, out);
    const at::Tensor order = m_files.take(module + ".g_idx", at::kInt, {in}).contiguous();
    for (std::int64_t i = 0; i < in; ++i) {
        const std::int32_t g = order.data_ptr<std::int32_t>()[i];
        QW_REQUIRE(g >= 0 && g < groups, ErrorCode::BadFile, m_files.folder().string(),
                   ": tensor \"", module, ".g_idx\" names group ", g, " of ", groups);
    }
    return filled(out, in, [&](std::int64_t r, std::int64_t c) {
        const std::int64_t g = order.data_ptr<std::int32_t>()[c];
        const std::int64_t code = bitsAt(codes.data_ptr<std::int32_t>() + r, out, c * bits, bits);
        const std::int64_t zero =
            bitsAt(zeros.data_ptr<std::int32_t>() + g * zeroWords, 1, r * bits, bits) +
            scheme.zeroOffset;
        return static_cast<float>(code - zero) * scale.data_ptr<float>()[g * out + r];
    });
}

at::Tensor FolderReader::awq(const std::string& module, std::int64_t out, std::int64_t in,
                             const Scheme& scheme)
{
    // Column 8c + j of a row lies in nibble kPlace[j] of word c.
    constexpr std::array<std::int64_t, 8> kPlace{0, 4, 1, 5, 2, 6, 3, 7};
    const std::int64_t groups = scheme.group > 0 ? in / scheme.group : 1;
    const std::int64_t words = out / 8;
    const at::Tensor codes = m_files.take(module + ".qweight", at::kInt, {in, words}).contiguous();
    const at::Tensor zeros =
        m_files.take(module + ".qzeros", at::kInt, {groups, words}).contiguous();
    const at::Tensor scale = scales(module + ".scales", groups, out);
    const auto nibble = [&](const at::Tensor& from, std::int64_t row, std::int64_t column) {
        return bitsAt(from.data_ptr<std::int32_t>() + row * words + column / 8, 1,
                      4 * kPlace[static_cast<std::size_t>(column % 8)], 4);
    };
    return filled(out, in, [&](std::int64_t r, std::int64_t c) {
        const std::int64_t g = c * groups / in;
        return static_cast<float>(nibble(codes, c, r) - nibble(zeros, g, r)) *
               scale.data_ptr<float>()[g * out + r];
    });
}

at::Tensor FolderReader::linearWeight(const std::string& module, std::int64_t out, std::int64_t in)
{
    try {
        const Scheme scheme = schemeOf(module);
        switch (scheme.kind) {
        case Scheme::Kind::Packed:
            return packed(module, out, in, scheme);
        case Scheme::Kind::Integers:
            return integers(module, out, in, scheme);
        case Scheme::Kind::Gptq:
            return gptq(module, out, in, scheme);
        case Scheme::Kind::Awq:
            return awq(module, out, in, scheme);
        case Scheme::Kind::Plain:
            break;
        }
    } catch (const nlohmann::json::exception& problem) {
        throw Error(ErrorCode::BadFile, message((m_files.folder() / "config.json").string(),
                                                ": quantization_config: ", jsonProblem(problem)));
    }
    return plain(module, out, in);
}

class PeftReader : public AdapterReader
{
public:
    explicit PeftReader(const std::filesystem::path& folder)
        : m_files(folder, "adapter_model.safetensors")
    {
        const Json config = readJsonFile(folder / "adapter_config.json", 16 << 20);
        m_scale = config.value("lora_alpha", 0.0) / config.value("r", 1.0);
    }
    Factors factors(const std::string& module) override
    {
        const std::string name = "base_model.model." + module;
        if (!m_files.has(name + ".lora_A.weight")) {
            return {};
        }
        return {m_files.take(name + ".lora_A.weight").to(at::kFloat).t().contiguous(),
                m_files.take(name + ".lora_B.weight").to(at::kFloat).t().contiguous() * m_scale};
    }
    std::vector<std::string> unread() const override { return m_files.unread(); }

private:
    TensorFiles m_files;
    double m_scale = 1;
};
} // namespace

std::unique_ptr<ExportReader> readFolder(const std::filesystem::path& folder, bool storedInByOut)
{
    return std::make_unique<FolderReader>(folder, storedInByOut);
}

std::unique_ptr<AdapterReader> readPeft(const std::filesystem::path& folder)
{
    return std::make_unique<PeftReader>(folder);
}

} // namespace qw
