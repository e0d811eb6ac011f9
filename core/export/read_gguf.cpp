#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include "base/error.h"
#include "base/files.h"
#include "export/gguf_folder.h"

namespace qw {

namespace {
constexpr std::uint64_t kMost = std::uint64_t{1} << 30; ///< of strings and arrays, as ggml has it

/// Takes values from the file's bytes, never beyond their end.
class Cursor
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
    const std::byte* skip(std::uint64_t count)
    {
        QW_REQUIRE(count <= m_bytes.size() - m_at, ErrorCode::BadFile, m_file,
                   ": ends in the middle of its header");
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

struct Info {
    std::vector<std::int64_t> dims; ///< fastest first
    std::uint32_t type = 0;
    std::uint64_t offset = 0;
};

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

/// Element `i` of a block, as ggml's dequantize functions give it.
float elementAt(std::uint32_t type, const std::uint8_t* block, std::int64_t i)
{
    const auto nibble = [&](const std::uint8_t* bytes) {
        return i < 16 ? bytes[i] & 15 : bytes[i - 16] >> 4;
    };
    switch (type) {
    case 0: {
        float value = 0;
        std::memcpy(&value, block, 4);
        return value;
    }
    case 1:
        return halfAt(block);
    case 30: {
        const std::uint32_t bits = static_cast<std::uint32_t>(block[0] | block[1] << 8) << 16;
        float value = 0;
        std::memcpy(&value, &bits, 4);
        return value;
    }
    case 2:
        return static_cast<float>(nibble(block + 2) - 8) * halfAt(block);
    case 6: {
        const int fifth = block[2 + i / 8] >> (i % 8) & 1;
        return static_cast<float>((nibble(block + 6) | fifth << 4) - 16) * halfAt(block);
    }
    case 8:
        return static_cast<float>(static_cast<std::int8_t>(block[2 + i])) * halfAt(block);
    default: { // Q6_K
        const std::int64_t part = i % 128 / 32;
        const std::int64_t lane = i % 32;
        const std::uint8_t low = block[64 * (i / 128) + lane + (part % 2 == 1 ? 32 : 0)];
        const int high = block[128 + 32 * (i / 128) + lane] >> (2 * part) & 3;
        const int code = (part < 2 ? low & 15 : low >> 4) | high << 4;
        const auto step = static_cast<std::int8_t>(block[192 + i / 16]);
        return halfAt(block + 208) * static_cast<float>(step) * static_cast<float>(code - 32);
    }
    }
}

struct BlockShape {
    std::int64_t elements, bytes;
};
const std::map<std::uint32_t, BlockShape> kBlocks{{0, {1, 4}},     {1, {1, 2}},   {30, {1, 2}},
                                                  {2, {32, 18}},   {6, {32, 22}}, {8, {32, 34}},
                                                  {14, {256, 210}}};

/// Header and data of a file.
class File
{
public:
    explicit File(const std::filesystem::path& path) : m_map(path) { readHeader(); }
    bool has(const std::string& name) const { return m_tensors.contains(name); }
    /// @return float32, rows first
    at::Tensor take(const std::string& name);
    std::vector<std::string> unread() const;
    std::uint32_t number(const std::string& key) const;
    const std::string& architecture() const { return m_architecture; }
    float alpha() const { return m_alpha; }

private:
    void readHeader();
    void readValue(Cursor& in, const std::string& key, std::uint32_t type);
    std::string where() const { return m_map.path().string(); }

    MappedFile m_map;
    std::map<std::string, Info> m_tensors;
    std::map<std::string, std::uint32_t> m_numbers;
    std::string m_architecture;
    float m_alpha = 0;
    std::uint64_t m_data = 0;
    std::set<std::string> m_taken;
};

void File::readValue(Cursor& in, const std::string& key, std::uint32_t type)
{
    constexpr std::array<std::uint64_t, 13> kBytes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    QW_REQUIRE(type < kBytes.size(), ErrorCode::BadFile, where(), ": \"", key, "\" is of type ",
               type);
    if (type == 8) {
        const std::string text = in.text();
        m_architecture = key == "general.architecture" ? text : m_architecture;
    } else if (type == 4) {
        m_numbers[key] = in.take<std::uint32_t>();
    } else if (type == 6) {
        const auto value = in.take<float>();
        m_alpha = key == "adapter.lora.alpha" ? value : m_alpha;
    } else if (type == 9) {
        const auto inner = in.take<std::uint32_t>();
        const auto count = in.take<std::uint64_t>();
        QW_REQUIRE(inner < kBytes.size() && inner != 9 && count <= kMost, ErrorCode::BadFile,
                   where(), ": \"", key, "\" is a list of ", count, " of type ", inner);
        for (std::uint64_t i = 0; inner == 8 && i < count; ++i) {
            in.text();
        }
        in.skip(count * kBytes[inner]);
    } else {
        in.skip(kBytes[type]);
    }
}

void File::readHeader()
{
    Cursor in(m_map.bytes(), where());
    QW_REQUIRE(std::memcmp(in.skip(4), "GGUF", 4) == 0, ErrorCode::BadFile, where(),
               ": is no GGUF file");
    const auto version = in.take<std::uint32_t>();
    QW_REQUIRE(version == 2 || version == 3, ErrorCode::Unsupported, where(), ": is GGUF version ",
               version);
    const auto tensors = in.take<std::uint64_t>();
    const auto keys = in.take<std::uint64_t>();
    for (std::uint64_t i = 0; i < keys; ++i) {
        const std::string key = in.text();
        readValue(in, key, in.take<std::uint32_t>());
    }
    for (std::uint64_t i = 0; i < tensors; ++i) {
        const std::string name = in.text();
        Info info;
        const auto dims = in.take<std::uint32_t>();
        QW_REQUIRE(dims >= 1 && dims <= 4, ErrorCode::BadFile, where(), ": tensor \"", name,
                   "\" has ", dims, " dimensions");
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
    const auto alignment = m_numbers.find("general.alignment");
    const std::uint64_t step = alignment == m_numbers.end() ? 32 : alignment->second;
    QW_REQUIRE(step > 0 && (step & (step - 1)) == 0, ErrorCode::BadFile, where(),
               ": an alignment of ", step);
    m_data = (in.position() + step - 1) / step * step;
}

std::uint32_t File::number(const std::string& key) const
{
    const auto found = m_numbers.find(key);
    QW_REQUIRE(found != m_numbers.end(), ErrorCode::BadFile, where(), ": has no \"", key, "\"");
    return found->second;
}

at::Tensor File::take(const std::string& name)
{
    const auto found = m_tensors.find(name);
    QW_REQUIRE(found != m_tensors.end(), ErrorCode::NotFound, where(), ": tensor \"", name,
               "\" is missing");
    const Info& info = found->second;
    const auto block = kBlocks.find(info.type);
    QW_REQUIRE(block != kBlocks.end(), ErrorCode::Unsupported, where(), ": tensor \"", name,
               "\" is of type ", info.type, ", which is not supported");
    std::int64_t elements = 1;
    for (const std::int64_t dim : info.dims) {
        QW_REQUIRE(elements <= (std::int64_t{1} << 40) / dim, ErrorCode::BadFile, where(),
                   ": tensor \"", name, "\" is too large");
        elements *= dim;
    }
    const auto [width, bytes] = block->second;
    const std::uint64_t size = static_cast<std::uint64_t>(elements / width * bytes);
    QW_REQUIRE(info.dims.front() % width == 0 && m_data <= m_map.bytes().size() &&
                   info.offset <= m_map.bytes().size() - m_data &&
                   size <= m_map.bytes().size() - m_data - info.offset,
               ErrorCode::BadFile, where(), ": tensor \"", name, "\" lies beyond the file's end");
    m_taken.insert(name);
    const std::vector<std::int64_t> shape(info.dims.rbegin(), info.dims.rend());
    const at::Tensor result = at::empty(shape, at::kFloat);
    const auto* data =
        reinterpret_cast<const std::uint8_t*>(m_map.bytes().data() + m_data + info.offset);
    auto* to = result.data_ptr<float>();
    for (std::int64_t i = 0; i < elements; ++i) {
        to[i] = elementAt(info.type, data + i / width * bytes, i % width);
    }
    return result;
}

std::vector<std::string> File::unread() const
{
    std::vector<std::string> names;
    for (const auto& [name, info] : m_tensors) {
        if (!m_taken.contains(name)) {
            names.push_back(name);
        }
    }
    return names;
}

/// The other way round than the writer: which rows of the file are those of the model.
std::string nameIn(const std::string& tensor)
{
    static const std::vector<std::pair<const char*, const char*>> kEndings{
        {"embed_tokens.weight", "token_embd.weight"}, {"wte.weight", "token_embd.weight"},
        {"embed_in.weight", "token_embd.weight"},     {"wpe.weight", "position_embd.weight"},
        {"lm_head.weight", "output.weight"},          {"embed_out.weight", "output.weight"}};
    static const std::vector<std::pair<const char*, const char*>> kParts{
        {".input_layernorm.", "attn_norm."},
        {".ln_1.", "attn_norm."},
        {".self_attn.q_proj.", "attn_q."},
        {".self_attn.k_proj.", "attn_k."},
        {".self_attn.v_proj.", "attn_v."},
        {".attn.c_attn.", "attn_qkv."},
        {".attention.query_key_value.", "attn_qkv."},
        {".self_attn.o_proj.", "attn_output."},
        {".attn.c_proj.", "attn_output."},
        {".attention.dense.", "attn_output."},
        {".self_attn.q_norm.", "attn_q_norm."},
        {".self_attn.k_norm.", "attn_k_norm."},
        {".post_attention_layernorm.", "ffn_norm."},
        {".ln_2.", "ffn_norm."},
        {".mlp.gate_proj.", "ffn_gate."},
        {".mlp.up_proj.", "ffn_up."},
        {".mlp.c_fc.", "ffn_up."},
        {".mlp.dense_h_to_4h.", "ffn_up."},
        {".mlp.down_proj.", "ffn_down."},
        {".mlp.c_proj.", "ffn_down."},
        {".mlp.dense_4h_to_h.", "ffn_down."}};
    for (const auto& [ending, name] : kEndings) {
        if (tensor.ends_with(ending)) {
            return name;
        }
    }
    const std::string kind = tensor.substr(tensor.rfind('.') + 1);
    for (const auto& [part, name] : kParts) {
        const std::size_t at = tensor.find(part);
        if (at != std::string::npos) {
            const std::size_t digits = tensor.rfind('.', at - 1) + 1;
            return "blk." + tensor.substr(digits, at - digits) + "." + name + kind;
        }
    }
    return "output_norm." + kind; // the one name left
}

struct Heads {
    std::string architecture;
    std::int64_t queries = 0;
    std::int64_t keys = 0;
};

/// Rows of a tensor of the file in the order of the model.
at::Tensor rowsOfModel(const at::Tensor& stored, const std::string& tensor, const Heads& heads)
{
    const bool key = tensor.find("k_proj") != std::string::npos;
    const bool query = tensor.find("q_proj") != std::string::npos;
    const bool fused = tensor.find("query_key_value") != std::string::npos;
    const std::int64_t count = key ? heads.keys : heads.queries;
    at::Tensor result = at::empty_like(stored);
    if (heads.architecture == "llama" && (key || query)) {
        const std::int64_t width = stored.size(0) / count;
        for (std::int64_t row = 0; row < stored.size(0); ++row) {
            const std::int64_t within = row % width;
            // Halves of the model are even and odd rows of the file.
            const std::int64_t from =
                within < width / 2 ? 2 * within : 2 * (within - width / 2) + 1;
            result[row].copy_(stored[row - within + from]);
        }
        return result;
    }
    if (heads.architecture == "gptneox" && fused) {
        const std::int64_t width = stored.size(0) / (3 * count);
        for (std::int64_t row = 0; row < stored.size(0); ++row) {
            const std::int64_t head = row / (3 * width);
            const std::int64_t which = row / width % 3;
            result[row].copy_(stored[(which * count + head) * width + row % width]);
        }
        return result;
    }
    return stored;
}

class GgufReader : public ExportReader
{
public:
    explicit GgufReader(const std::filesystem::path& path) : m_file(path)
    {
        const std::string arch = m_file.architecture();
        m_heads = {arch, m_file.number(arch + ".attention.head_count"),
                   m_file.number(arch + ".attention.head_count_kv")};
    }
    at::Tensor linearWeight(const std::string& module, std::int64_t out, std::int64_t in) override
    {
        const at::Tensor weight = tensor(module + ".weight");
        QW_REQUIRE(weight.sizes() == at::IntArrayRef({out, in}), ErrorCode::BadFile, module,
                   ": is ", weight.sizes(), " in the file");
        return weight;
    }
    at::Tensor tensor(const std::string& name) override
    {
        return rowsOfModel(m_file.take(nameIn(name)), name, m_heads);
    }
    std::vector<std::string> unread() const override { return m_file.unread(); }

private:
    File m_file;
    Heads m_heads;
};

class GgufAdapterReader : public AdapterReader
{
public:
    GgufAdapterReader(const std::filesystem::path& path, std::int64_t heads, std::int64_t kvHeads)
        : m_file(path), m_heads{m_file.architecture(), heads, kvHeads}
    {
    }
    Factors factors(const std::string& module) override
    {
        const std::string name = nameIn(module + ".weight");
        if (!m_file.has(name + ".lora_a")) {
            return {};
        }
        const at::Tensor a = m_file.take(name + ".lora_a");
        const at::Tensor b = rowsOfModel(m_file.take(name + ".lora_b"), module, m_heads);
        const double scale =
            m_file.alpha() == 0 ? 1 : m_file.alpha() / static_cast<double>(b.size(1));
        return {a.t().contiguous(), b.t().contiguous() * scale};
    }
    std::vector<std::string> unread() const override { return m_file.unread(); }

private:
    File m_file;
    Heads m_heads;
};
} // namespace

std::unique_ptr<ExportReader> readGguf(const std::filesystem::path& file)
{
    return std::make_unique<GgufReader>(file);
}

std::unique_ptr<AdapterReader> readGgufAdapter(const std::filesystem::path& file,
                                               std::int64_t heads, std::int64_t kvHeads)
{
    return std::make_unique<GgufAdapterReader>(file, heads, kvHeads);
}

} // namespace qw
