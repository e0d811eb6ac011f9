// Speed of evaluation and generation on a Llama with random weights, beside the floor that its
// products set and, where a Python with transformers is given, beside transformers.
//
// usage: qw_bench_eval [--threads N] [--tokens N] [--python PATH]   (or QW_PYTHON=PATH)
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>

#include <unistd.h>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json_io.h"
#include "engine.h"
#include "eval/perplexity.h"
#include "model/decoder.h"
#include "model/generate.h"
#include "model/matrix_product.h"
#include "model/safetensors.h"

namespace {

using namespace qw;
namespace fs = std::filesystem;

constexpr std::int64_t kHidden = 1024;
constexpr std::int64_t kIntermediate = 2816;
constexpr std::int64_t kLayers = 8;
constexpr std::int64_t kHeads = 16;
constexpr std::int64_t kKvHeads = 4;
constexpr std::int64_t kHeadDim = kHidden / kHeads;
constexpr std::int64_t kVocab = 8192;
constexpr std::int64_t kPositions = 2048;
constexpr std::int64_t kKvWidth = kKvHeads * kHeadDim;

struct Options {
    std::int64_t threads = 0;
    std::int64_t tokens = 8192;
    std::string python;
};

/// A folder of its own, gone with the object.
struct ModelFolder {
    fs::path path = fs::temp_directory_path() / ("qw_bench_eval_" + std::to_string(::getpid()));
    ModelFolder() { fs::create_directories(path); }
    ~ModelFolder()
    {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    ModelFolder(const ModelFolder&) = delete;
    ModelFolder& operator=(const ModelFolder&) = delete;
};

void writeModel(const fs::path& folder)
{
    const Json config = {{"architectures", {"LlamaForCausalLM"}},
                         {"model_type", "llama"},
                         {"vocab_size", kVocab},
                         {"hidden_size", kHidden},
                         {"intermediate_size", kIntermediate},
                         {"num_hidden_layers", kLayers},
                         {"num_attention_heads", kHeads},
                         {"num_key_value_heads", kKvHeads},
                         {"max_position_embeddings", kPositions},
                         {"rms_norm_eps", 1e-5},
                         {"rope_theta", 10000.0},
                         {"hidden_act", "silu"},
                         {"tie_word_embeddings", false},
                         {"torch_dtype", "bfloat16"}};
    std::ofstream(folder / "config.json") << config.dump(2);
    at::Generator generator = at::detail::createCPUGenerator(1);
    std::map<std::string, at::Tensor> tensors;
    const auto matrix = [&](const std::string& name, std::int64_t out, std::int64_t in) {
        tensors[name] = at::randn({out, in}, generator, at::kFloat).mul_(0.02).to(at::kBFloat16);
    };
    const auto norm = [&](const std::string& name) {
        tensors[name] = at::ones({kHidden}, at::kBFloat16);
    };
    matrix("model.embed_tokens.weight", kVocab, kHidden);
    matrix("lm_head.weight", kVocab, kHidden);
    norm("model.norm.weight");
    for (std::int64_t i = 0; i < kLayers; ++i) {
        const std::string layer = "model.layers." + std::to_string(i) + ".";
        norm(layer + "input_layernorm.weight");
        norm(layer + "post_attention_layernorm.weight");
        matrix(layer + "self_attn.q_proj.weight", kHidden, kHidden);
        matrix(layer + "self_attn.k_proj.weight", kKvWidth, kHidden);
        matrix(layer + "self_attn.v_proj.weight", kKvWidth, kHidden);
        matrix(layer + "self_attn.o_proj.weight", kHidden, kHidden);
        matrix(layer + "mlp.gate_proj.weight", kIntermediate, kHidden);
        matrix(layer + "mlp.up_proj.weight", kIntermediate, kHidden);
        matrix(layer + "mlp.down_proj.weight", kHidden, kIntermediate);
    }
    writeSafetensors(folder / "model.safetensors", tensors, {});
}

double secondsOf(const std::function<void()>& work)
{
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Flops a second of a 2048^3 product of this type, best of several.
double productRate(at::ScalarType type)
{
    constexpr std::int64_t kWidth = 2048;
    const at::Tensor a = at::ones({kWidth, kWidth}, type);
    linearProduct(a, a, {});
    double best = 1e9;
    for (int i = 0; i < 6; ++i) {
        best = std::min(best, secondsOf([&] { linearProduct(a, a, {}); }));
    }
    return 2.0 * kWidth * kWidth * kWidth / best;
}

/// Flops of one window: the linears, causal attention (only pairs a query sees), logits scored.
double flopsOfWindow(std::int64_t seqlen)
{
    const auto tokens = static_cast<double>(seqlen);
    const double block = kHidden * (2.0 * kHidden + 2.0 * kKvWidth + 3.0 * kIntermediate);
    const double pairs = tokens * (tokens + 1) / 2;
    return kLayers * (2 * block * tokens + 4.0 * kHeadDim * kHeads * pairs) +
           2.0 * kVocab * kHidden * (tokens - 1);
}

/// Forgets the largest size of this process so far, where the system allows it.
void resetPeakMemory()
{
    std::ofstream("/proc/self/clear_refs") << "5";
}

/// Runs transformers on the same model and ids; tokens a second and nll, or zeros if it failed.
struct PeerScore {
    double tokensPerSecond = 0;
    double nll = 0;
};
PeerScore runPeer(const Options& options, const fs::path& model, const fs::path& ids,
                  const std::string& compute)
{
    const fs::path script = fs::path(QW_BENCH_DIR) / "peer_eval.py";
    const fs::path answer = model / "peer.json";
    const std::string command = "'" + options.python + "' '" + script.string() + "' '" +
                                model.string() + "' '" + ids.string() + "' " + compute + " " +
                                std::to_string(at::get_num_threads()) + " > '" + answer.string() +
                                "'";
    if (std::system(command.c_str()) != 0) {
        std::cout << "  (transformers did not run)\n";
        return {};
    }
    const Json json = readJsonFile(answer, 1 << 16);
    return {json.at("tokens_per_second").get<double>(), json.at("nll").get<double>()};
}

void benchEvaluation(const Options& options, const Checkpoint& checkpoint, const fs::path& folder,
                     const std::string& compute)
{
    const at::ScalarType type = compute == "bf16" ? at::kBFloat16 : at::kFloat;
    const Decoder decoder(checkpoint, {type, "cpu"});
    for (const std::int64_t seqlen : {std::int64_t{512}, std::int64_t{2048}}) {
        TextWindows windows;
        windows.ids =
            at::randint(kVocab, {std::max<std::int64_t>(1, options.tokens / seqlen), seqlen},
                        at::detail::createCPUGenerator(2), at::kLong);
        Json rows = Json::array();
        for (std::int64_t w = 0; w < windows.count(); ++w) {
            const auto* data = windows.ids.data_ptr<std::int64_t>() + w * seqlen;
            rows.push_back(std::vector<std::int64_t>(data, data + seqlen));
        }
        const fs::path idsFile = folder / "ids.json";
        std::ofstream(idsFile) << rows.dump();

        TextWindows warm = windows;
        warm.ids = windows.ids.narrow(0, 0, 1);
        scoreWindows(decoder, warm, {}, RunContext());
        resetPeakMemory();
        double rate = productRate(type);
        Scores scores;
        const double seconds =
            secondsOf([&] { scores = scoreWindows(decoder, windows, {}, RunContext()); });
        const double peak = static_cast<double>(recentPeakRssBytes()) / (1 << 20);
        rate = std::max(rate, productRate(type)); // the floor is the lower of the two
        const auto tokens = static_cast<double>(windows.count() * seqlen);
        const double floor = static_cast<double>(windows.count()) * flopsOfWindow(seqlen) / rate;
        std::printf("%-5s %6ld %10.0f %12.0f %7.0f %% %10.0f %8.0f MB", compute.c_str(),
                    static_cast<long>(seqlen), tokens / seconds, tokens / floor,
                    100 * floor / seconds, rate / 1e9, peak);
        std::fflush(stdout);
        if (!options.python.empty()) {
            const PeerScore peer = runPeer(options, folder, idsFile, compute);
            std::printf(" %12.0f %8.2f %12.5f", peer.tokensPerSecond,
                        tokens / seconds / peer.tokensPerSecond,
                        scores.fullPrecision.nll - peer.nll);
        }
        std::printf("\n");
    }
}

void benchGeneration(const Checkpoint& checkpoint, const std::string& compute)
{
    constexpr std::int64_t kNew = 48;
    const Decoder decoder(checkpoint, {compute == "bf16" ? at::kBFloat16 : at::kFloat, "cpu"});
    std::vector<BlockWeights> blocks;
    for (std::int64_t i = 0; i < decoder.blockCount(); ++i) {
        blocks.push_back(decoder.loadBlock(i));
    }
    for (const std::size_t prompt : {std::size_t{16}, std::size_t{1900}}) {
        const std::vector<std::int32_t> ids(prompt, 7);
        SamplingOptions sampling;
        sampling.maxTokens = 1;
        const auto generate = [&] {
            generateTokens(decoder, blocks, {}, ids, sampling, {}, RunContext());
        };
        generate();
        const double first = secondsOf(generate);
        sampling.maxTokens = 1 + kNew;
        const double all = secondsOf(generate);
        std::printf("%-5s after %4zu tokens: %8.1f tokens/s\n", compute.c_str(), prompt,
                    kNew / (all - first));
    }
}

Options parse(int argc, char** argv)
{
    Options options;
    if (const char* python = std::getenv("QW_PYTHON")) {
        options.python = python;
    }
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string key = argv[i];
        if (key == "--threads") {
            options.threads = std::stoll(argv[i + 1]);
        } else if (key == "--tokens") {
            options.tokens = std::stoll(argv[i + 1]);
        } else if (key == "--python") {
            options.python = argv[i + 1];
        } else {
            QW_REQUIRE(false, ErrorCode::BadInput, "unknown option ", key);
        }
    }
    return options;
}

void bench(const Options& options)
{
    const at::NoGradGuard noGrad;
    startEngine(options.threads);
    const EngineInfo info = engineInfo();
    std::cout << info.cpu << ", " << at::get_num_threads() << " threads, torch " << info.torch
              << ", " << info.blas << "\nLlama of hidden " << kHidden << ", intermediate "
              << kIntermediate << ", " << kLayers << " layers, " << kHeads << "/" << kKvHeads
              << " heads, vocabulary " << kVocab << "; random weights, logits scored\n\n";
    const ModelFolder folder;
    writeModel(folder.path);
    const Checkpoint checkpoint(folder.path);
    std::vector<std::string> computes = {"f32"};
    if (info.nativeBf16) {
        computes.push_back("bf16");
    }
    std::cout << "       window   tokens/s   floor tok/s   share  product GF/s     peak";
    std::cout << (options.python.empty() ? "\n" : "    transformers  ours/it    nll - its\n");
    for (const std::string& compute : computes) {
        benchEvaluation(options, checkpoint, folder.path, compute);
    }
    std::cout << "\nGreedy generation with the cache\n";
    for (const std::string& compute : computes) {
        benchGeneration(checkpoint, compute);
    }
    if (!info.nativeBf16) {
        std::cout << "No bf16 rows: this processor has no bfloat16 products, so they would only "
                     "measure conversions.\n";
    }
}

} // namespace

int main(int argc, char** argv)
{
    try {
        bench(parse(argc, argv));
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "qw_bench_eval: " << error.what() << '\n';
        return 1;
    }
}
