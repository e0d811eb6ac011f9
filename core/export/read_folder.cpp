#include <algorithm>
#include <array>
#include <cstdint>
#include <set>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include "base/error.h"
#include "base/json_io.h"
#include "export/folder_reader.h"

namespace qw {

namespace {
using Kind = LayerScheme::Kind;
constexpr std::int64_t kMostConfigBytes = 64 << 20;
constexpr std::int64_t kMostSide = std::int64_t{1} << 31; ///< of a matrix

/// Endings of the tensors that stand for a coded layer; the first is always there.
const std::vector<std::string>& endingsOf(const std::string& method)
{
    static const std::vector<std::string> kCompressed{
        ".weight_scale", ".weight_packed", ".weight_shape", ".weight_zero_point", ".weight_g_idx"};
    static const std::vector<std::string> kOthers{".qweight", ".scales", ".qzeros", ".g_idx"};
    return method == "compressed-tensors" ? kCompressed : kOthers;
}

/// `width` bits from bit `position` of words that follow each other `stride` words apart.
std::int16_t bitsAt(const std::int32_t* words, std::int64_t stride, std::int64_t position,
                    std::int64_t width)
{
    const std::int64_t low = position % 32;
    const std::int32_t* at = words + position / 32 * stride;
    std::uint64_t bits = static_cast<std::uint32_t>(*at);
    if (low + width > 32) { // the rest lies in the next word
        bits |= static_cast<std::uint64_t>(static_cast<std::uint32_t>(at[stride])) << 32;
    }
    return static_cast<std::int16_t>((bits >> low) & ((std::uint64_t{1} << width) - 1));
}

std::int64_t wordsFor(std::int64_t count, std::int64_t bits)
{
    return (count * bits + 31) / 32;
}

/// How codes of compressed-tensors follow each other in words of 32 bits: up to version 0.17 of the
/// library none goes on in the next word, since then they are a dense stream. That is the same for
/// 2, 4 and 8 bits.
struct Packing {
    std::int64_t bits = 0;
    bool dense = true;
    std::int64_t inWord() const { return 32 / bits; }
    std::int64_t words(std::int64_t count) const
    {
        return dense ? wordsFor(count, bits) : (count + inWord() - 1) / inWord();
    }
    /// The bit at which a code begins.
    std::int64_t position(std::int64_t index) const
    {
        return dense ? index * bits : index / inWord() * 32 + index % inWord() * bits;
    }
};

/// Files do not say which it is, but rows of `count` codes take fewer words one way than the other.
Packing packingOf(std::int64_t bits, std::int64_t count, std::int64_t words,
                  const std::string& tensor)
{
    const Packing dense{bits, true};
    const Packing padded{bits, false};
    const bool alike = 32 % bits == 0 || count <= dense.inWord();
    QW_REQUIRE(alike || dense.words(count) != padded.words(count), ErrorCode::Unsupported, tensor,
               ": rows of ", count, " codes of ", bits,
               " bits look the same in both layouts that compressed-tensors has had");
    return words == dense.words(count) ? dense : padded;
}

/// Fills a matrix element by element. @param value  of row and column
template <class Value>
at::Tensor filled(std::int64_t rows, std::int64_t cols, Value&& value)
{
    at::Tensor result = at::empty({rows, cols}, at::kShort);
    auto* at = result.data_ptr<std::int16_t>();
    for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < cols; ++c) {
            *at++ = value(r, c);
        }
    }
    return result;
}

std::int64_t groupsOf(const std::string& module, std::int64_t in, const LayerScheme& scheme)
{
    if (scheme.group < 0) {
        return 1;
    }
    QW_REQUIRE(in % scheme.group == 0, ErrorCode::BadFile, module, ": groups of ", scheme.group,
               " do not divide its ", in, " columns");
    return in / scheme.group;
}

const std::int32_t* words(const at::Tensor& tensor)
{
    return tensor.data_ptr<std::int32_t>();
}
} // namespace

FolderReader::FolderReader(const std::filesystem::path& folder, bool storedInByOut)
    : m_files(folder), m_storedInByOut(storedInByOut)
{
    const Json config = readJsonFile(folder / "config.json", kMostConfigBytes);
    QW_REQUIRE(config.is_object(), ErrorCode::BadFile, (folder / "config.json").string(),
               ": is not a JSON object");
    Json quantization = config.value("quantization_config", Json());
    const auto old = folder / "quantize_config.json"; // AutoGPTQ's, before transformers knew it
    if (quantization.is_null() && std::filesystem::exists(old)) {
        quantization = readJsonFile(old, kMostConfigBytes);
        QW_REQUIRE(quantization.is_object(), ErrorCode::BadFile, old.string(),
                   ": is not a JSON object");
        quantization["quant_method"] = "gptq";
    }
    m_scheme = QuantizationScheme(quantization, (folder / "config.json").string());
}

std::pair<std::int64_t, std::int64_t> FolderReader::packedShape(const std::string& module)
{
    const std::string name = module + ".weight_shape";
    const at::Tensor shape = m_files.take(name, at::kLong, {2}).contiguous();
    const auto* sides = shape.data_ptr<std::int64_t>();
    QW_REQUIRE(sides[0] > 0 && sides[0] <= kMostSide && sides[1] > 0 && sides[1] <= kMostSide,
               ErrorCode::BadFile, where(), ": tensor \"", name, "\" is [", sides[0], ", ",
               sides[1], "], no shape of a layer");
    return {sides[0], sides[1]};
}

FolderReader::CodedLayer FolderReader::codedLayer(const std::string& module)
{
    const LayerScheme scheme = m_scheme.ofCoded(module);
    if (scheme.kind == Kind::Packed) {
        const auto [out, in] = packedShape(module);
        return {module, out, in};
    }
    const auto shape =
        m_files.shape(module + (scheme.kind == Kind::Integers ? ".weight" : ".qweight"));
    const bool matrix = shape.size() == 2 && std::all_of(shape.begin(), shape.end(), [](auto side) {
                            return side > 0 && side <= kMostSide;
                        });
    QW_REQUIRE(matrix, ErrorCode::BadFile, where(), ": the codes of ", module,
               " are no matrix, or of a size that no layer has");
    switch (scheme.kind) {
    case Kind::Gptq:
        return {module, shape[1], shape[0] * 32 / scheme.bits};
    case Kind::Awq:
        return {module, shape[1] * 32 / scheme.bits, shape[0]};
    default:
        return {module, shape[0], shape[1]};
    }
}

std::vector<FolderReader::CodedLayer> FolderReader::codedLayers()
{
    std::vector<CodedLayer> layers;
    const std::string ending = endingsOf(m_scheme.method()).front();
    for (const std::string& name : m_files.names()) {
        if (name.ends_with(ending)) {
            layers.push_back(codedLayer(name.substr(0, name.size() - ending.size())));
        }
    }
    return layers;
}

std::vector<std::string> FolderReader::plainTensors()
{
    std::set<std::string> coded;
    for (const CodedLayer& layer : codedLayers()) {
        coded.insert(layer.module);
    }
    std::vector<std::string> plain;
    for (const std::string& name : m_files.names()) {
        const std::size_t dot = name.rfind('.');
        const std::string module = name.substr(0, dot);
        if (dot == std::string::npos || !coded.contains(module) || name.ends_with(".bias")) {
            plain.push_back(name);
        }
    }
    return plain;
}

std::optional<StoredCodes> FolderReader::codes(const std::string& module, std::int64_t out,
                                               std::int64_t in)
{
    if (!m_files.has(module + endingsOf(m_scheme.method()).front())) {
        return std::nullopt;
    }
    const LayerScheme scheme = m_scheme.ofCoded(module);
    switch (scheme.kind) {
    case Kind::Packed:
        return packed(module, out, in, scheme);
    case Kind::Integers:
        return integers(module, out, in, scheme);
    case Kind::Gptq:
        return gptq(module, out, in, scheme);
    case Kind::Awq:
        break;
    }
    return awq(module, out, in, scheme);
}

at::Tensor FolderReader::plainWeight(const std::string& module, std::int64_t out, std::int64_t in)
{
    const at::Tensor stored = m_files.take(module + ".weight");
    QW_REQUIRE(stored.is_floating_point() && stored.dim() == 2, ErrorCode::BadFile, where(),
               ": tensor \"", module, ".weight\" is no matrix of floating-point numbers");
    const at::Tensor weight = m_storedInByOut ? stored.t() : stored;
    QW_REQUIRE(weight.sizes() == at::IntArrayRef({out, in}), ErrorCode::BadFile, where(),
               ": tensor \"", module, ".weight\" is ", stored.sizes());
    return weight.to(at::kFloat).contiguous();
}

void FolderReader::takeScales(StoredCodes& stored, const std::string& name, std::int64_t rows,
                              std::int64_t cols)
{
    const at::Tensor scale = m_files.take(name);
    QW_REQUIRE(scale.is_floating_point() && scale.sizes() == at::IntArrayRef({rows, cols}),
               ErrorCode::BadFile, where(), ": tensor \"", name, "\" is ", scale.scalar_type(), " ",
               scale.sizes(), ", not scales [", rows, ", ", cols, "]");
    stored.scale = scale.to(at::kFloat).contiguous();
}

void FolderReader::takeGroups(StoredCodes& stored, const std::string& name, std::int64_t in,
                              std::int64_t groups)
{
    stored.groupOf = at::arange(in, at::kLong).floor_divide(in / groups).to(at::kInt);
    if (!m_files.has(name)) {
        return;
    }
    const at::Tensor order = m_files.take(name, at::kInt, {in}).contiguous();
    for (std::int64_t i = 0; i < in; ++i) {
        const std::int32_t g = words(order)[i];
        QW_REQUIRE(g >= 0 && g < groups, ErrorCode::BadFile, where(), ": tensor \"", name,
                   "\" names group ", g, " of ", groups);
    }
    stored.groupOf = order.clone();
}

StoredCodes FolderReader::packed(const std::string& module, std::int64_t out, std::int64_t in,
                                 const LayerScheme& scheme)
{
    const std::int64_t bits = scheme.bits;
    const std::int64_t groups = groupsOf(module, in, scheme);
    const std::string name = module + ".weight_packed";
    QW_REQUIRE(packedShape(module) == std::pair(out, in), ErrorCode::BadFile, where(),
               ": tensor \"", module, ".weight_shape\" is not [", out, ", ", in, "]");
    const auto sides = m_files.shape(name);
    const Packing packing = packingOf(bits, in, sides.size() == 2 ? sides[1] : 0, name);
    const std::int64_t rowWords = packing.words(in);
    const at::Tensor codes = m_files.take(name, at::kInt, {out, rowWords}).contiguous();
    StoredCodes stored;
    stored.bits = bits;
    takeScales(stored, module + ".weight_scale", out, groups);
    takeGroups(stored, module + ".weight_g_idx", in, groups);
    stored.codes = filled(out, in, [&](std::int64_t r, std::int64_t c) {
        return bitsAt(words(codes) + r * rowWords, 1, packing.position(c), bits);
    });
    if (scheme.symmetric) {
        stored.zero = at::full({out, groups}, std::int64_t{1} << (bits - 1), at::kShort);
        return stored;
    }
    const at::Tensor zero =
        m_files.take(module + ".weight_zero_point", at::kInt, {packing.words(out), groups})
            .contiguous();
    stored.zero = filled(out, groups, [&](std::int64_t r, std::int64_t g) {
        return bitsAt(words(zero) + g, groups, packing.position(r), bits);
    });
    return stored;
}

StoredCodes FolderReader::integers(const std::string& module, std::int64_t out, std::int64_t in,
                                   const LayerScheme& scheme)
{
    const std::int64_t groups = groupsOf(module, in, scheme);
    StoredCodes stored;
    stored.bits = scheme.bits;
    takeScales(stored, module + ".weight_scale", out, groups);
    takeGroups(stored, module + ".weight_g_idx", in, groups);
    const std::int64_t middle = std::int64_t{1} << (scheme.bits - 1);
    const auto unsignedOnes = [&](const std::string& name, std::int64_t cols) {
        const at::Tensor codes = m_files.take(name, at::kChar, {out, cols}).to(at::kShort) + middle;
        const bool fits = codes.ge(0).logical_and(codes.lt(2 * middle)).all().item<bool>();
        QW_REQUIRE(fits, ErrorCode::BadFile, where(), ": tensor \"", name,
                   "\" holds numbers of more than ", scheme.bits, " bits");
        return codes.contiguous();
    };
    stored.codes = unsignedOnes(module + ".weight", in);
    stored.zero = scheme.symmetric ? at::full({out, groups}, middle, at::kShort)
                                   : unsignedOnes(module + ".weight_zero_point", groups);
    return stored;
}

StoredCodes FolderReader::gptq(const std::string& module, std::int64_t out, std::int64_t in,
                               const LayerScheme& scheme)
{
    const std::int64_t bits = scheme.bits;
    const std::int64_t groups = groupsOf(module, in, scheme);
    const std::int64_t zeroWords = wordsFor(out, bits);
    const at::Tensor codes =
        m_files.take(module + ".qweight", at::kInt, {wordsFor(in, bits), out}).contiguous();
    const at::Tensor zeros =
        m_files.take(module + ".qzeros", at::kInt, {groups, zeroWords}).contiguous();
    StoredCodes stored;
    stored.bits = bits;
    takeScales(stored, module + ".scales", groups, out);
    stored.scale = stored.scale.t().contiguous();
    takeGroups(stored, module + ".g_idx", in, groups);
    stored.codes = filled(out, in, [&](std::int64_t r, std::int64_t c) {
        return bitsAt(words(codes) + r, out, c * bits, bits);
    });
    stored.zero = filled(out, groups, [&](std::int64_t r, std::int64_t g) {
        return bitsAt(words(zeros) + g * zeroWords, 1, r * bits, bits);
    });
    const std::int64_t middle = std::int64_t{1} << (bits - 1);
    if (scheme.zeroOffset == 1 && scheme.declaredSymmetric &&
        stored.zero.eq(middle).all().item<bool>()) {
        m_zerosOfVersion2 = true;
        return stored;
    }
    // What version 1 stores for 0, one less, wraps around.
    stored.zero = (stored.zero + scheme.zeroOffset).bitwise_and(2 * middle - 1).contiguous();
    return stored;
}

StoredCodes FolderReader::awq(const std::string& module, std::int64_t out, std::int64_t in,
                              const LayerScheme& scheme)
{
    // Column 8c + j of a row lies in nibble kPlace[j] of word c.
    constexpr std::array<std::int64_t, 8> kPlace{0, 4, 1, 5, 2, 6, 3, 7};
    const std::int64_t groups = groupsOf(module, in, scheme);
    QW_REQUIRE(out % 8 == 0, ErrorCode::BadFile, module, ": AWQ cannot hold ", out, " rows");
    const std::int64_t rowWords = out / 8;
    const at::Tensor codes =
        m_files.take(module + ".qweight", at::kInt, {in, rowWords}).contiguous();
    const at::Tensor zeros =
        m_files.take(module + ".qzeros", at::kInt, {groups, rowWords}).contiguous();
    StoredCodes stored;
    stored.bits = scheme.bits;
    takeScales(stored, module + ".scales", groups, out);
    stored.scale = stored.scale.t().contiguous();
    takeGroups(stored, module + ".g_idx", in, groups);
    const auto nibble = [&](const at::Tensor& from, std::int64_t row, std::int64_t column) {
        return bitsAt(words(from) + row * rowWords + column / 8, 1,
                      4 * kPlace[static_cast<std::size_t>(column % 8)], 4);
    };
    stored.codes =
        filled(out, in, [&](std::int64_t r, std::int64_t c) { return nibble(codes, c, r); });
    stored.zero =
        filled(out, groups, [&](std::int64_t r, std::int64_t g) { return nibble(zeros, g, r); });
    return stored;
}

std::vector<std::string> FolderReader::remarks() const
{
    if (!m_zerosOfVersion2) {
        return {};
    }
    return {
        "zero points are those of version 2 of GPTQ under the name of version 1, as transformers "
        "saves a model that it loaded: they are read as meant, clients read one more"};
}

std::unique_ptr<ExportReader> readFolder(const std::filesystem::path& folder, bool storedInByOut)
{
    return std::make_unique<FolderReader>(folder, storedInByOut);
}

} // namespace qw
