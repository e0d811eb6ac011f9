#include "training.h"

#include "model/safetensors.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <stdexcept>

namespace qw::demo {
namespace fs = std::filesystem;
namespace {

constexpr char kMagic[8] = {'q', 'w', 'd', 'e', 'm', 'o', '0', '1'};
constexpr double kPi = 3.14159265358979323846;

std::ofstream openForWriting(const fs::path& file)
{
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    if (!out)
        throw std::runtime_error("cannot write " + file.string());
    return out;
}

void finish(std::ofstream& out, const fs::path& partial, const fs::path& file)
{
    out.close();
    if (!out)
        throw std::runtime_error("writing " + partial.string() + " failed (disk full?)");
    fs::rename(partial, file);
}

void writeText(const fs::path& file, const std::string& text)
{
    std::ofstream out = openForWriting(file);
    out << text;
    out.close();
    if (!out)
        throw std::runtime_error("writing " + file.string() + " failed");
}

// The weights by their Hugging Face names, in bfloat16, the joined matrices split again.
std::map<std::string, at::Tensor> namedTensors(const DemoModel& model)
{
    const ModelShape& s = model.shape();
    const auto& p = model.parameters();
    const int64_t queries = s.heads * s.headWidth, keys = s.kvHeads * s.headWidth;
    std::map<std::string, at::Tensor> all;
    const auto add = [&](const std::string& name, const at::Tensor& value) {
        all[name] = value.to(at::kBFloat16).contiguous();
    };
    add("model.embed_tokens.weight", p.front().value);
    for (int64_t i = 0; i < s.layers; ++i) {
        const std::string layer = "model.layers." + std::to_string(i) + ".";
        const size_t first = size_t(1 + 6 * i);
        const at::Tensor qkv = p[first + 1].value, gateUp = p[first + 4].value;
        add(layer + "input_layernorm.weight", p[first].value);
        add(layer + "self_attn.q_proj.weight", qkv.narrow(0, 0, queries));
        add(layer + "self_attn.k_proj.weight", qkv.narrow(0, queries, keys));
        add(layer + "self_attn.v_proj.weight", qkv.narrow(0, queries + keys, keys));
        add(layer + "self_attn.o_proj.weight", p[first + 2].value);
        add(layer + "post_attention_layernorm.weight", p[first + 3].value);
        add(layer + "mlp.gate_proj.weight", gateUp.narrow(0, 0, s.intermediate));
        add(layer + "mlp.up_proj.weight", gateUp.narrow(0, s.intermediate, s.intermediate));
        add(layer + "mlp.down_proj.weight", p[first + 5].value);
    }
    add("model.norm.weight", p.back().value);
    return all;
}

} // namespace

std::vector<uint16_t> readTokens(const fs::path& file)
{
    std::ifstream in(file, std::ios::binary | std::ios::ate);
    if (!in)
        throw std::runtime_error("cannot read " + file.string());
    std::vector<uint16_t> ids(size_t(in.tellg()) / sizeof(uint16_t));
    in.seekg(0);
    in.read(reinterpret_cast<char*>(ids.data()), std::streamsize(ids.size() * sizeof(uint16_t)));
    if (!in)
        throw std::runtime_error("cannot read " + file.string());
    return ids;
}

std::vector<Segment> readSegments(const fs::path& file)
{
    std::ifstream in(file);
    std::vector<Segment> segments;
    for (Segment s; in >> s.name >> s.begin >> s.count >> s.weight;)
        segments.push_back(s);
    if (segments.empty())
        throw std::runtime_error("no works in " + file.string());
    return segments;
}

std::vector<int64_t> windowsOfPass(const std::vector<Segment>& segments, int64_t window,
                                   uint64_t seed, int64_t epoch)
{
    std::seed_seq sequence{uint32_t(seed), uint32_t(seed >> 32), uint32_t(epoch)};
    std::mt19937_64 random(sequence);
    // Own draws: the standard distributions and std::shuffle differ between libraries.
    const auto below = [&](uint64_t n) { return int64_t(random() % n); };
    const auto uniform = [&] { return double(random() >> 11) * 0x1.0p-53; };
    std::vector<int64_t> begins;
    for (const Segment& s : segments) {
        const int64_t end = s.begin + s.count;
        for (int64_t at = s.begin + below(uint64_t(window)); at + window + 1 <= end; at += window) {
            const double whole = std::floor(s.weight);
            const int copies = int(whole) + (uniform() < s.weight - whole ? 1 : 0);
            begins.insert(begins.end(), size_t(copies), at);
        }
    }
    for (size_t i = begins.size(); i > 1; --i)
        std::swap(begins[i - 1], begins[size_t(below(i))]);
    return begins;
}

at::Tensor gatherWindows(const std::vector<uint16_t>& tokens, const std::vector<int64_t>& begins,
                         int64_t window)
{
    at::Tensor ids = at::empty({int64_t(begins.size()), window + 1}, at::kLong);
    int64_t* to = ids.data_ptr<int64_t>();
    for (const int64_t begin : begins)
        for (int64_t i = 0; i <= window; ++i)
            *to++ = tokens[size_t(begin + i)];
    return ids;
}

double rateAt(const TrainingOptions& o, int64_t step)
{
    if (step < o.warmUp)
        return o.rate * double(step + 1) / double(o.warmUp);
    const double progress =
        double(step - o.warmUp) / double(std::max<int64_t>(1, o.steps - o.warmUp));
    return o.rate * (o.finalShare + (1.0 - o.finalShare) * 0.5 * (1.0 + std::cos(kPi * progress)));
}

void saveCheckpoint(const fs::path& file, const DemoModel& model, const Cursor& cursor)
{
    const fs::path partial = file.string() + ".partial";
    std::ofstream out = openForWriting(partial);
    out.write(kMagic, sizeof kMagic);
    out.write(reinterpret_cast<const char*>(&cursor), sizeof cursor);
    for (const Parameter& p : model.parameters())
        for (const at::Tensor& t : {p.value, p.first, p.second}) {
            const int64_t count = t.numel();
            out.write(reinterpret_cast<const char*>(&count), sizeof count);
            out.write(static_cast<const char*>(t.data_ptr()), std::streamsize(4 * count));
        }
    finish(out, partial, file);
}

Cursor loadCheckpoint(const fs::path& file, DemoModel& model)
{
    std::ifstream in(file, std::ios::binary);
    char magic[sizeof kMagic] = {};
    Cursor cursor;
    in.read(magic, sizeof magic);
    in.read(reinterpret_cast<char*>(&cursor), sizeof cursor);
    if (!in || std::memcmp(magic, kMagic, sizeof magic) != 0)
        throw std::runtime_error(file.string() + " is not a checkpoint of this program");
    for (Parameter& p : model.parameters())
        for (const at::Tensor& t : {p.value, p.first, p.second}) {
            int64_t count = 0;
            in.read(reinterpret_cast<char*>(&count), sizeof count);
            if (!in || count != t.numel())
                throw std::runtime_error(file.string() + ": " + p.name + " has " +
                                         std::to_string(count) + " values, expected " +
                                         std::to_string(t.numel()));
            in.read(static_cast<char*>(t.data_ptr()), std::streamsize(4 * count));
        }
    if (!in)
        throw std::runtime_error(file.string() + " is cut off");
    return cursor;
}

void exportFolder(const fs::path& folder, const fs::path& data, const DemoModel& model)
{
    const ModelShape& s = model.shape();
    fs::create_directories(folder);
    const int64_t bos = s.vocabulary - 2, eos = s.vocabulary - 1;
    std::ostringstream config;
    config
        << "{\n  \"architectures\": [\"LlamaForCausalLM\"],\n  \"attention_bias\": false,\n"
        << "  \"attention_dropout\": 0.0,\n  \"bos_token_id\": " << bos
        << ",\n  \"eos_token_id\": " << eos << ",\n  \"head_dim\": " << s.headWidth
        << ",\n  \"hidden_act\": \"silu\",\n  \"hidden_size\": " << s.hidden
        << ",\n  \"initializer_range\": 0.02,\n  \"intermediate_size\": " << s.intermediate
        << ",\n  \"max_position_embeddings\": " << s.maxPositions
        << ",\n  \"mlp_bias\": false,\n  \"model_type\": \"llama\",\n"
        << "  \"num_attention_heads\": " << s.heads << ",\n  \"num_hidden_layers\": " << s.layers
        << ",\n  \"num_key_value_heads\": " << s.kvHeads
        << ",\n  \"rms_norm_eps\": 1e-05,\n  \"rope_scaling\": null,\n  \"rope_theta\": 10000.0,\n"
        << "  \"tie_word_embeddings\": true,\n  \"torch_dtype\": \"bfloat16\",\n"
        << "  \"use_cache\": true,\n  \"vocab_size\": " << s.vocabulary << "\n}\n";
    writeText(folder / "config.json", config.str());
    writeText(folder / "generation_config.json",
              "{\n  \"bos_token_id\": " + std::to_string(bos) +
                  ",\n  \"eos_token_id\": " + std::to_string(eos) +
                  ",\n  \"do_sample\": true,\n  \"temperature\": 0.8,\n"
                  "  \"top_k\": 50\n}\n");
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
        fs::copy_file(data / name, folder / name, fs::copy_options::overwrite_existing);
    qw::writeSafetensors(folder / "model.safetensors", namedTensors(model));
}

} // namespace qw::demo
