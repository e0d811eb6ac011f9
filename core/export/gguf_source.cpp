#include "export/gguf_source.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include "base/error.h"

namespace qw {

namespace {
constexpr std::uint64_t kMost = std::uint64_t{1} << 30; ///< of strings and arrays, as ggml has it
constexpr std::int64_t kMostElements = std::int64_t{1} << 40;
constexpr std::int64_t kLargestNumber = std::int64_t{1} << 31;

/// Types of the metadata; the others are whole numbers.
enum FieldType : std::uint32_t { kF32 = 6, kFlag = 7, kText = 8, kList = 9, kF64 = 12 };

bool isReal(std::uint32_t type)
{
    return type == kF32 || type == kF64;
}

bool isWhole(std::uint32_t type) // flags in lists too
{
    return type < kF32 || type == kFlag || type == 10 || type == 11;
}

/// Of a number.
std::uint64_t bytesOf(std::uint32_t type)
{
    constexpr std::array<std::uint64_t, 13> kBytes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return kBytes.at(type);
}

float halfAt(const std::uint8_t* at)
{
    const unsigned bits = at[0] | at[1] << 8;
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const auto fraction = static_cast<float>(bits & 1023);
    const float sign = (bits >> 15) != 0 ? -1.0F : 1.0F;
    if (exponent == 31) {
        return fraction == 0 ? sign * INFINITY : NAN;
    }
    return sign *
           (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}

struct BlockShape {
    std::int64_t elements, bytes;
    std::int64_t bits, group; ///< of codes and their scales; 0: plain numbers
};
const std::map<std::uint32_t, BlockShape> kBlocks{
    {0, {1, 4, 0, 0}},    {1, {1, 2, 0, 0}},    {30, {1, 2, 0, 0}},     {2, {32, 18, 4, 32}},
    {6, {32, 22, 5, 32}}, {8, {32, 34, 8, 32}}, {14, {256, 210, 6, 16}}};

float plainAt(std::uint32_t type, const std::uint8_t* at)
{
    if (type == 1) {
        return halfAt(at);
    }
    std::uint32_t bits = 0;
    if (type == 0) {
        std::memcpy(&bits, at, 4);
    } else { // bfloat16
        bits = static_cast<std::uint32_t>(at[0] | at[1] << 8) << 16;
    }
    float value = 0;
    std::memcpy(&value, &bits, 4);
    return value;
}

/// The unsigned code of element `i` of a block, as ggml's dequantize functions take it.
int codeAt(std::uint32_t type, const std::uint8_t* block, std::int64_t i)
{
    const auto nibble = [&](const std::uint8_t* bytes) {
        return i < 16 ? bytes[i] & 15 : bytes[i - 16] >> 4;
    };
    switch (type) {
    case 2: // Q4_0
        return nibble(block + 2);
    case 6: // Q5_0
        return nibble(block + 6) | (block[2 + i / 8] >> (i % 8) & 1) << 4;
    case 8: // Q8_0
        return static_cast<std::int8_t>(block[2 + i]) + 128;
    default: { // Q6_K
        const std::int64_t part = i % 128 / 32;
        const std::int64_t lane = i % 32;
        const std::uint8_t low = block[64 * (i / 128) + lane + (part % 2 == 1 ? 32 : 0)];
        const int high = block[128 + 32 * (i / 128) + lane] >> (2 * part) & 3;
        return (part < 2 ? low & 15 : low >> 4) | high << 4;
    }
    }
}

/// Of a group of elements of a block. Exact: 11 bits times 8.
float scaleAt(std::uint32_t type, const std::uint8_t* block, std::int64_t group)
{
    return type == 14 ? halfAt(block + 208) *
                            static_cast<float>(static_cast<std::int8_t>(block[192 + group]))
                      : halfAt(block);
}
} // namespace

/// Takes values from the file's bytes, never beyond their end.
class GgufSource::Cursor
{
public:
    Cursor(std::span<const std::byte> bytes, std::string file)
        : m_bytes(bytes), m_file(std::move(file))
    {
    }
    template <class Number>
    Number take()
    {
        Number value;
        std::memcpy(&value, skip(sizeof value), sizeof value);
        return value;
    }
    std::string text()
    {
        const auto length = take<std::uint64_t>();
        QW_REQUIRE(length <= kMost, ErrorCode::BadFile, m_file, ": a text of ", length, " bytes");
        const std::byte* at = skip(length);
        return {reinterpret_cast<const char*>(at), length};
    }
    double real(std::uint32_t type) { return type == kF32 ? take<float>() : take<double>(); }
    /// An unsigned one of 64 bits that does not fit becomes negative.
    std::int64_t whole(std::uint32_t type)
    {
        switch (type) {
        case 1:
            return take<std::int8_t>();
        case 2:
            return take<std::uint16_t>();
        case 3:
            return take<std::int16_t>();
        case 4:
            return take<std::uint32_t>();
        case 5:
            return take<std::int32_t>();
        case 10:
        case 11:
            return take<std::int64_t>();
        default:
            return take<std::uint8_t>();
        }
    }
    void require(std::uint64_t count) const
    {
        QW_REQUIRE(count <= m_bytes.size() - m_at, ErrorCode::BadFile, m_file,
                   ": ends in the middle of its header");
    }
    const std::byte* skip(std::uint64_t count)
    {
        require(count);
        const std::byte* at = m_bytes.data() + m_at;
        m_at += count;
        return at;
    }
    std::uint64_t position() const { return m_at; }

private:
    std::span<const std::byte> m_bytes;
    std::string m_file;
    std::uint64_t m_at = 0;
};

GgufSource::GgufSource(const std::filesystem::path& file) : m_map(file)
{
    readHeader();
}

GgufField GgufSource::readList(Cursor& in, const std::string& key) const
{
    const auto type = in.take<std::uint32_t>();
    const auto count = in.take<std::uint64_t>();
    const bool texts = type == kText;
    QW_REQUIRE((texts || isReal(type) || isWhole(type)) && count <= kMost, ErrorCode::BadFile,
               where(), ": \"", key, "\" is a list of ", count, " of type ", type);
    in.require(count * (texts ? 8 : bytesOf(type)));
    if (texts) {
        std::vector<std::string> list;
        for (std::uint64_t i = 0; i < count; ++i) {
            list.push_back(in.text());
        }
        return list;
    }
    if (isReal(type)) {
        std::vector<double> list;
        for (std::uint64_t i = 0; i < count; ++i) {
            list.push_back(in.real(type));
        }
        return list;
    }
    std::vector<std::int64_t> list;
    for (std::uint64_t i = 0; i < count; ++i) {
        list.push_back(in.whole(type));
    }
    return list;
}

GgufField GgufSource::readField(Cursor& in, const std::string& key) const
{
    const auto type = in.take<std::uint32_t>();
    switch (type) {
    case kFlag:
        return in.take<std::uint8_t>() != 0;
    case kText:
        return in.text();
    case kList:
        return readList(in, key);
    default:
        break;
    }
    if (isReal(type)) {
        return in.real(type);
    }
    QW_REQUIRE(isWhole(type), ErrorCode::BadFile, where(), ": \"", key, "\" is of type ", type);
    return in.whole(type);
}

void GgufSource::readTensor(Cursor& in)
{
    const std::string name = in.text();
    Info info;
    const auto dims = in.take<std::uint32_t>();
    QW_REQUIRE(dims >= 1 && dims <= 4, ErrorCode::BadFile, where(), ": tensor \"", name, "\" has ",
               dims, " dimensions");
    for (std::uint32_t d = 0; d < dims; ++d) {
        const auto dim = in.take<std::uint64_t>();
        QW_REQUIRE(dim > 0 && dim <= kMost, ErrorCode::BadFile, where(), ": tensor \"", name,
                   "\" has a dimension ", dim);
        info.dims.push_back(static_cast<std::int64_t>(dim));
    }
    info.type = in.take<std::uint32_t>();
    info.offset = in.take<std::uint64_t>();
    QW_REQUIRE(m_tensors.emplace(name, info).second, ErrorCode::BadFile, where(), ": tensor \"",
               name, "\" is there twice");
}

void GgufSource::readHeader()
{
    Cursor in(m_map.bytes(), where());
    QW_REQUIRE(std::memcmp(in.skip(4), "GGUF", 4) == 0, ErrorCode::BadFile, where(),
               ": is no GGUF file");
    const auto version = in.take<std::uint32_t>();
    QW_REQUIRE(version == 2 || version == 3, ErrorCode::Unsupported, where(), ": is GGUF version ",
               version, ", not 2 or 3");
    const auto tensors = in.take<std::uint64_t>();
    const auto keys = in.take<std::uint64_t>();
    for (std::uint64_t i = 0; i < keys; ++i) {
        const std::string key = in.text();
        QW_REQUIRE(m_fields.emplace(key, readField(in, key)).second, ErrorCode::BadFile, where(),
                   ": \"", key, "\" is there twice");
    }
    for (std::uint64_t i = 0; i < tensors; ++i) {
        readTensor(in);
    }
    const auto step = static_cast<std::uint64_t>(numberOr("general.alignment", 32));
    QW_REQUIRE(step > 0 && (step & (step - 1)) == 0, ErrorCode::BadFile, where(),
               ": an alignment of ", step);
    m_data = (in.position() + step - 1) / step * step;
}

std::string GgufSource::architecture() const
{
    const auto* found = find<std::string>("general.architecture");
    return found == nullptr ? "" : *found;
}

std::int64_t GgufSource::number(const std::string& key) const
{
    const auto* found = find<std::int64_t>(key);
    QW_REQUIRE(found != nullptr, ErrorCode::BadFile, where(), ": has no number \"", key, "\"");
    QW_REQUIRE(*found >= 0 && *found <= kLargestNumber, ErrorCode::BadFile, where(), ": \"", key,
               "\" is ", *found);
    return *found;
}

std::int64_t GgufSource::numberOr(const std::string& key, std::int64_t otherwise) const
{
    return m_fields.contains(key) ? number(key) : otherwise;
}

double GgufSource::real(const std::string& key) const
{
    const auto* found = find<double>(key);
    QW_REQUIRE(found != nullptr, ErrorCode::BadFile, where(), ": has no number \"", key, "\"");
    return *found;
}

double GgufSource::realOr(const std::string& key, double otherwise) const
{
    return m_fields.contains(key) ? real(key) : otherwise;
}

const GgufSource::Info& GgufSource::info(const std::string& name) const
{
    const auto found = m_tensors.find(name);
    QW_REQUIRE(found != m_tensors.end(), ErrorCode::NotFound, where(), ": tensor \"", name,
               "\" is missing");
    return found->second;
}

std::vector<std::int64_t> GgufSource::shape(const std::string& name) const
{
    const std::vector<std::int64_t>& dims = info(name).dims;
    return {dims.rbegin(), dims.rend()};
}

std::int64_t GgufSource::elementsOf(const std::string& name) const
{
    std::int64_t elements = 1;
    for (const std::int64_t dim : info(name).dims) {
        QW_REQUIRE(elements <= kMostElements / dim, ErrorCode::BadFile, where(), ": tensor \"",
                   name, "\" is too large");
        elements *= dim;
    }
    return elements;
}

std::int64_t GgufSource::elements() const
{
    std::int64_t sum = 0;
    for (const auto& [name, info] : m_tensors) {
        sum = std::min(sum + elementsOf(name), kMostElements);
    }
    return sum;
}

const std::uint8_t* GgufSource::data(const std::string& name)
{
    const Info& of = info(name);
    const auto block = kBlocks.find(of.type);
    QW_REQUIRE(block != kBlocks.end(), ErrorCode::Unsupported, where(), ": tensor \"", name,
               "\" is of type ", of.type,
               ", which is not supported; F32, F16, BF16, Q4_0, Q5_0, Q8_0 and Q6_K are");
    const std::int64_t elements = elementsOf(name);
    const BlockShape& shape = block->second;
    QW_REQUIRE(of.dims.front() % shape.elements == 0, ErrorCode::BadFile, where(), ": tensor \"",
               name, "\" has rows of ", of.dims.front(), ", not whole blocks of ", shape.elements);
    const auto size = static_cast<std::uint64_t>(elements / shape.elements * shape.bytes);
    const std::uint64_t all = m_map.bytes().size();
    QW_REQUIRE(m_data <= all && of.offset <= all - m_data && size <= all - m_data - of.offset,
               ErrorCode::BadFile, where(), ": tensor \"", name, "\" lies beyond the file's end");
    m_taken.insert(name);
    return reinterpret_cast<const std::uint8_t*>(m_map.bytes().data() + m_data + of.offset);
}

std::optional<StoredCodes> GgufSource::codes(const std::string& name)
{
    const std::uint8_t* block = data(name);
    const std::uint32_t type = info(name).type;
    const BlockShape& layout = kBlocks.at(type);
    const std::vector<std::int64_t> dims = shape(name);
    if (layout.bits == 0 || dims.size() != 2) {
        return std::nullopt;
    }
    StoredCodes stored;
    stored.bits = layout.bits;
    const std::int64_t groups = dims[1] / layout.group;
    stored.codes = at::empty(dims, at::kShort);
    stored.scale = at::empty({dims[0], groups}, at::kFloat);
    stored.zero = at::full({dims[0], groups}, std::int64_t{1} << (layout.bits - 1), at::kShort);
    stored.groupOf = at::arange(dims[1], at::kLong).floor_divide(layout.group).to(at::kInt);
    auto* code = stored.codes.data_ptr<std::int16_t>();
    auto* scale = stored.scale.data_ptr<float>();
    for (std::int64_t left = dims[0] * dims[1]; left > 0; left -= layout.elements) {
        for (std::int64_t i = 0; i < layout.elements; ++i) {
            *code++ = static_cast<std::int16_t>(codeAt(type, block, i));
        }
        for (std::int64_t g = 0; g < layout.elements / layout.group; ++g) {
            *scale++ = scaleAt(type, block, g);
        }
        block += layout.bytes;
    }
    return stored;
}

at::Tensor GgufSource::values(const std::string& name)
{
    if (const std::optional<StoredCodes> stored = codes(name)) {
        return valuesOf(*stored);
    }
    const std::uint8_t* at = data(name);
    const std::uint32_t type = info(name).type;
    const BlockShape& layout = kBlocks.at(type);
    QW_REQUIRE(layout.bits == 0, ErrorCode::Unsupported, where(), ": tensor \"", name,
               "\" is in blocks, but no matrix");
    const at::Tensor result = at::empty(shape(name), at::kFloat);
    auto* to = result.data_ptr<float>();
    for (std::int64_t i = 0; i < result.numel(); ++i) {
        to[i] = plainAt(type, at + i * layout.bytes);
    }
    return result;
}

std::vector<std::string> GgufSource::unread() const
{
    std::vector<std::string> names;
    for (const auto& [name, info] : m_tensors) {
        if (!m_taken.contains(name)) {
            names.push_back(name);
        }
    }
    return names;
}

} // namespace qw
