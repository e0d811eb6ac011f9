#include <ATen/ops/empty_like.h>

#include "base/error.h"
#include "export/gguf_folder.h"
#include "export/gguf_source.h"

namespace qw {

namespace {
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

void requireRows(const at::Tensor& stored, const std::string& tensor, std::int64_t parts)
{
    QW_REQUIRE(stored.size(0) % parts == 0, ErrorCode::BadFile, tensor, ": has ", stored.size(0),
               " rows, which its heads do not divide");
}

/// Rows of a tensor of the file in the order of the model.
at::Tensor rowsOfModel(const at::Tensor& stored, const std::string& tensor, const Heads& heads)
{
    const bool key = tensor.find("k_proj") != std::string::npos;
    const bool query = tensor.find("q_proj") != std::string::npos;
    const bool fused = tensor.find("query_key_value") != std::string::npos;
    const std::int64_t count = key ? heads.keys : heads.queries;
    at::Tensor result = at::empty_like(stored);
    if (heads.architecture == "llama" && (key || query)) {
        requireRows(stored, tensor, 2 * count);
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
        requireRows(stored, tensor, 3 * count);
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
        const std::string heads = arch + ".attention.head_count";
        m_heads = {arch, m_file.number(heads),
                   m_file.numberOr(heads + "_kv", m_file.number(heads))};
        QW_REQUIRE(m_heads.queries > 0 && m_heads.keys > 0, ErrorCode::BadFile, m_file.where(),
                   ": \"", heads, "\" is 0");
    }
    bool has(const std::string& tensor) const override { return m_file.has(nameIn(tensor)); }
    std::optional<StoredCodes> codes(const std::string& module, std::int64_t out,
                                     std::int64_t in) override
    {
        const std::string name = module + ".weight";
        requireShape(name, out, in);
        std::optional<StoredCodes> stored = m_file.codes(nameIn(name));
        if (stored) {
            stored->codes = rowsOfModel(stored->codes, name, m_heads);
            stored->scale = rowsOfModel(stored->scale, name, m_heads);
        }
        return stored;
    }
    at::Tensor plainWeight(const std::string& module, std::int64_t out, std::int64_t in) override
    {
        requireShape(module + ".weight", out, in);
        return tensor(module + ".weight");
    }
    at::Tensor tensor(const std::string& name) override
    {
        return rowsOfModel(m_file.values(nameIn(name)), name, m_heads);
    }
    std::vector<std::string> unread() const override { return m_file.unread(); }

private:
    void requireShape(const std::string& name, std::int64_t out, std::int64_t in) const
    {
        const std::vector<std::int64_t> shape = m_file.shape(nameIn(name));
        QW_REQUIRE((shape == std::vector{out, in}), ErrorCode::BadFile, m_file.where(),
                   ": tensor \"", nameIn(name), "\" is ", at::IntArrayRef(shape), ", not [", out,
                   ", ", in, "]");
    }

    GgufSource m_file;
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
        const at::Tensor a = m_file.values(name + ".lora_a");
        const at::Tensor b = rowsOfModel(m_file.values(name + ".lora_b"), module, m_heads);
        QW_REQUIRE(a.dim() == 2 && b.dim() == 2, ErrorCode::BadFile, m_file.where(),
                   ": the factors of ", name, " are no matrices");
        const double alpha = m_file.realOr("adapter.lora.alpha", 0);
        const double scale = alpha == 0 ? 1 : alpha / static_cast<double>(b.size(1));
        return {a.t().contiguous(), b.t().contiguous() * scale};
    }
    std::vector<std::string> unread() const override { return m_file.unread(); }

private:
    GgufSource m_file;
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
