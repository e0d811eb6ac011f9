// Speed and memory of one training step of LR-QAT on a whole Llama, beside the floor that its
// products set and beside plain operations of autograd: ./workbench bench lrqat
//
// All ways share the next-token loss, its gradient and AdamW. Memory is what a step takes beside
// the model: embeddings and head, the frozen part of the weights, learned tensors and Adam's
// moments.
//
// usage: qw_bench_lrqat [--threads N] [--hidden N] [--phi NAME] [--compute f32|bf16]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <malloc.h>
#include <unistd.h>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include "base/files.h"
#include "engine.h"
#include "eval/next_token_loss.h"
#include "methods/adam.h"
#include "methods/trained_weight.h"
#include "model/block_forward.h"
#include "model/custom_gradient.h"
#include "model/matrix_product.h"
#include "random_model.h"

namespace qw {
namespace {
constexpr std::int64_t kWindows = 4;
constexpr std::int64_t kLength = 512;
constexpr std::int64_t kTokens = kWindows * kLength;
constexpr std::int64_t kLayers = 4;
constexpr std::int64_t kRank = 32;
constexpr std::int64_t kVocabulary = 8192;
constexpr int kSteps = 2;

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Flops a second of a product of the model's shape: x [tokens, hidden] times w [inter, hidden].
double productRate(std::int64_t hidden, std::int64_t intermediate, at::ScalarType type)
{
    const at::Tensor x = at::randn({kTokens, hidden}).to(type);
    const at::Tensor w = at::randn({intermediate, hidden}).to(type);
    double best = 1e9;
    for (int i = 0; i < 5; ++i) {
        const auto start = Clock::now();
        linearProduct(x, w, {});
        best = std::min(best, secondsSince(start));
    }
    return 2.0 * static_cast<double>(kTokens * hidden * intermediate) / best;
}

/// Gives freed memory back, and has the next recentPeakRssBytes() count from here.
std::int64_t settledRss()
{
    ::malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << 5;
    return recentPeakRssBytes();
}

/// What is done again for the gradient instead of kept.
enum class Recompute { Nothing, Linears, Blocks };

struct Way {
    const char* name;
    bool fused;
    Recompute recompute;
};
constexpr Way kWays[] = {
    {"plain operations", false, Recompute::Nothing},
    {"plain, linears done again", false, Recompute::Linears},
    {"plain, blocks done again", false, Recompute::Blocks},
    {"fused", true, Recompute::Linears},
    {"fused, blocks done again", true, Recompute::Blocks},
};

/// The blocks of a model under training, without full-precision copies of their weights.
class Model
{
public:
    Model(const Checkpoint& checkpoint, at::ScalarType compute, const std::string& phi)
        : m_compute(compute), m_decoder(checkpoint, DecoderOptions{compute, "cpu"}),
          m_rotary(m_decoder.config(), "cpu")
    {
        // Logits and their gradient; the head itself stays.
        m_flops = 4.0 * static_cast<double>(kTokens * kVocabulary * m_decoder.config().hidden);
        TrainedWeightOptions options;
        options.grid.sym = true;
        options.compute = compute;
        options.phi = phi;
        options.rank = kRank;
        std::vector<std::pair<std::string, at::Tensor>> learned;
        for (std::int64_t i = 0; i < m_decoder.blockCount(); ++i) {
            m_blocks.push_back(m_decoder.loadBlock(i));
            for (LinearWeights& linear : m_blocks.back().linears) {
                const std::string& name = linear.info.name;
                m_flops += 6.0 * static_cast<double>(linear.weight.numel() * (kTokens + kRank));
                if (i == 0 && linear.info.inputGroup == m_blocks[0].linears[0].info.inputGroup) {
                    m_flops -= 2.0 * static_cast<double>(linear.weight.numel() * kTokens);
                }
                const TrainedWeight& weight =
                    m_weights
                        .try_emplace(name, name, linear.weight, options, nullptr, 1, RunContext{})
                        .first->second;
                linear.weight.reset();
                m_bytes += weight.frozenBytes() + 12 * weight.parameterCount();
                for (const LearnedTensor& tensor : weight.learned()) {
                    learned.emplace_back(name + "." + tensor.name, tensor.value);
                }
            }
        }
        m_adam = std::make_unique<Adam>(std::move(learned), AdamOptions{0.9, 0.95});
        for (const Adam::Entry& entry : m_adam->entries()) {
            m_start.push_back(entry.value.detach().clone());
        }
    }
    /// Back to where training began.
    void restart()
    {
        for (std::size_t i = 0; i < m_start.size(); ++i) {
            m_adam->entries()[i].value.detach().copy_(m_start[i]);
        }
    }
    double flops() const { return m_flops; } ///< of a step's products
    std::int64_t bytes() const { return m_bytes; }

    /// One step on windows [B, T]; the mean loss before it.
    double step(const Way& way, const at::Tensor& ids)
    {
        const at::AutoGradMode withGradients(true);
        at::Tensor x = m_decoder.embed(ids);
        for (const BlockWeights& block : m_blocks) {
            if (way.recompute == Recompute::Blocks) {
                // A node is only made of what requires a gradient.
                x = recomputed({x.requires_grad() ? x : x.detach().set_requires_grad(true)},
                               [&](const std::vector<at::Tensor>& inputs) {
                                   return run(way, block, inputs.front());
                               });
            } else {
                x = run(way, block, x);
            }
        }
        const auto predictions = static_cast<double>(ids.size(0) * (ids.size(1) - 1));
        const NextTokenLoss loss = nextTokenLoss(m_decoder, x.detach(), ids, 1 / predictions, {});
        x.backward(loss.gradient);
        m_adam->step(1e-4);
        return loss.nll / predictions;
    }

private:
    at::Tensor run(const Way& way, const BlockWeights& block, const at::Tensor& x)
    {
        BlockHooks hooks;
        hooks.linear = [&](const LinearWeights& linear, const at::Tensor& rows) {
            const TrainedWeight& weight = m_weights.at(linear.info.name);
            if (way.fused) { // done again, a block's last layer is not asked for its values
                const bool again = way.recompute == Recompute::Blocks && at::GradMode::is_enabled();
                return weight.linear(rows, again && linear.info.role == LinearRole::Down
                                               ? Wanted::Gradient
                                               : Wanted::Values);
            }
            return way.recompute == Recompute::Linears
                       ? plainFakeQuantLinear(rows, weight.parts())
                       : at::linear(rows, plainFakeQuant(weight.parts()));
        };
        return way.fused ? m_decoder.differentiateBlock(block, x, hooks)
                         : BlockForward(m_decoder.config(), m_compute, block, hooks, nullptr,
                                        m_rotary, plainDifferentiableOps())
                               .run(x);
    }

    at::ScalarType m_compute;
    Decoder m_decoder;
    RotaryTables m_rotary;
    std::vector<BlockWeights> m_blocks;
    std::map<std::string, TrainedWeight> m_weights;
    std::unique_ptr<Adam> m_adam;
    std::vector<at::Tensor> m_start;
    double m_flops = 0;
    std::int64_t m_bytes = 0;
};

void benchmark(Model& model, const char* precision, double rate)
{
    const at::Tensor ids = at::randint(0, kVocabulary, {kWindows, kLength}, at::kLong);
    const double floor = model.flops() / rate;
    std::printf("%s: frozen part, pairs, scales and moments %.0f MB; products %.0f GFlop a step, "
                "%.3f s at their rate\n",
                precision, static_cast<double>(model.bytes()) / 1e6, model.flops() / 1e9, floor);
    for (const Way& way : kWays) {
        model.restart();
        const std::int64_t before = settledRss();
        const double loss = model.step(way, ids);
        const auto start = Clock::now();
        for (int i = 0; i < kSteps; ++i) {
            model.step(way, ids);
        }
        const double seconds = secondsSince(start) / kSteps;
        std::printf("  %-26s %6.0f tokens/s  %6.3f s/step  %4.0f %% of the floor  peak %5.0f MB  "
                    "(first loss %.4f)\n",
                    way.name, static_cast<double>(kTokens) / seconds, seconds,
                    100 * floor / seconds, static_cast<double>(recentPeakRssBytes() - before) / 1e6,
                    loss);
        std::fflush(stdout);
    }
}

void benchmark(std::int64_t hidden, const std::string& phi, const std::string& computes,
               const std::filesystem::path& folder)
{
    RandomModelSpec shape;
    shape.hidden = hidden;
    shape.intermediate = hidden * 11 / 4;
    shape.layers = kLayers;
    shape.heads = hidden / 64;
    shape.kvHeads = std::max<std::int64_t>(1, hidden / 256);
    shape.vocabulary = kVocabulary;
    writeRandomModel(folder, shape);
    const Checkpoint checkpoint(folder);
    std::printf("hidden %lld, intermediate %lld, %lld layers, %lld x %lld tokens, rank %lld, phi "
                "%s\n",
                static_cast<long long>(hidden), static_cast<long long>(shape.intermediate),
                static_cast<long long>(kLayers), static_cast<long long>(kWindows),
                static_cast<long long>(kLength), static_cast<long long>(kRank), phi.c_str());
    const auto with = [&](at::ScalarType compute, const char* precision) {
        Model model(checkpoint, compute, phi);
        benchmark(model, precision, productRate(hidden, shape.intermediate, compute));
    };
    if (computes != "bf16") {
        with(at::kFloat, "float32");
    }
    if (computes == "bf16" || (computes.empty() && engineInfo().nativeBf16)) {
        with(at::kBFloat16, "bfloat16 products");
    }
}
} // namespace
} // namespace qw

int main(int argc, char** argv)
{
    std::int64_t threads = 0;
    std::int64_t hidden = 1024;
    std::string phi = "fixed8";
    std::string computes; // both, if the processor has them
    for (int i = 1; i < argc; i += 2) {
        const bool hasValue = i + 1 < argc;
        if (hasValue && std::strcmp(argv[i], "--threads") == 0) {
            threads = std::atoll(argv[i + 1]);
        } else if (hasValue && std::strcmp(argv[i], "--hidden") == 0) {
            hidden = std::atoll(argv[i + 1]);
        } else if (hasValue && std::strcmp(argv[i], "--phi") == 0) {
            phi = argv[i + 1];
        } else if (hasValue && std::strcmp(argv[i], "--compute") == 0 &&
                   (std::strcmp(argv[i + 1], "f32") == 0 ||
                    std::strcmp(argv[i + 1], "bf16") == 0)) {
            computes = argv[i + 1];
        } else {
            std::fprintf(stderr, "usage: qw_bench_lrqat [--threads N] [--hidden N] [--phi NAME] "
                                 "[--compute f32|bf16]\n");
            return 2;
        }
    }
    qw::startEngine(threads);
    const at::NoGradGuard noGrad;
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("qw_bench_lrqat_" + std::to_string(::getpid()));
    qw::benchmark(hidden, phi, computes, folder);
    std::filesystem::remove_all(folder);
}
