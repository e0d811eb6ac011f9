// Speed and memory of one iteration of LRQ on one Llama block, beside the floor that its products
// set and beside the formulation of the official code in plain operations, and, where a Python with
// torch and transformers is given, in these: ./workbench bench lrq
//
// The floor is the flops of an iteration's products over the rate of one, x W^T of the gate's
// shape, that is timed after each iteration. Attention, norms, the rounding and Adam
// count as nothing in it. The ways take turns, since processors do not keep their speed; times are
// medians over all turns.
//
// usage: qw_bench_lrq [--threads N] [--hidden N] [--python PATH]   (or QW_PYTHON=PATH)
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include <unistd.h>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/round.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json_io.h"
#include "engine.h"
#include "methods/method.h"
#include "model/block_forward.h"
#include "model/matrix_product.h"
#include "random_model.h"

namespace qw {
namespace {
constexpr std::int64_t kTokens = 1024;
constexpr int kRounds = 4;
constexpr int kIterations = 5; // of a way in a round, ours twice
constexpr int kWarmUp = 2;

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The next recentPeakRssBytes() counts from here.
void forgetPeak()
{
    returnFreedMemory();
    std::ofstream("/proc/self/clear_refs") << 5;
}

double median(std::vector<double> values)
{
    std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
    return values[values.size() / 2];
}

/// Seconds of one product of the block's shape, x [tokens, hidden] times w [inter, hidden], taken
/// between iterations: what else the machine does slows both alike.
class Product
{
public:
    Product(std::int64_t hidden, std::int64_t intermediate, at::ScalarType type)
        : m_x(at::randn({kTokens, hidden}).to(type)),
          m_w(at::randn({intermediate, hidden}).to(type)),
          m_flops(2.0 * static_cast<double>(kTokens * hidden * intermediate))
    {
        linearProduct(m_x, m_w, {}); // the first makes what the library keeps
    }
    double flops() const { return m_flops; }
    double seconds() const
    {
        const auto start = Clock::now();
        linearProduct(m_x, m_w, {});
        return secondsSince(start);
    }

private:
    at::Tensor m_x, m_w;
    double m_flops;
};

/// One way of doing iterations, over all rounds.
class Measured
{
public:
    explicit Measured(const Product& product) : m_product(product) {}
    void addProduct() { m_productSeconds.push_back(m_product.seconds()); }
    void add(double seconds)
    {
        m_seconds.push_back(seconds);
        addProduct();
    }
    void addPeak(std::int64_t bytes) { m_peak = std::max(m_peak, bytes); }

    bool ran() const { return !m_seconds.empty(); }
    double seconds() const { return median(m_seconds); } ///< of an iteration
    double rate() const { return m_product.flops() / median(m_productSeconds); } ///< flops a second
    std::int64_t peak() const { return m_peak; }

private:
    const Product& m_product;
    std::vector<double> m_seconds;
    std::vector<double> m_productSeconds;
    std::int64_t m_peak = 0;
};

/// Of one iteration: products and their gradients, those of L2 U2 included; the first linears need
/// no gradient of their input.
double flops(const BlockWeights& block, std::int64_t rank)
{
    double sum = 0;
    for (const LinearWeights& linear : block.linears) {
        const auto weights = static_cast<double>(linear.weight.numel());
        sum += (linear.info.inputGroup == block.linears.front().info.inputGroup ? 4 : 6) * weights *
               kTokens;
        sum += 6 * weights * static_cast<double>(rank);
    }
    return sum;
}

/// The weight while its rounding is learned, as the official code writes it.
struct PlainLayer {
    at::Tensor weight, low, high;
    std::vector<at::Tensor> values, first, second; // l1, L2, U2, r2, c2 and Adam's moments

    PlainLayer(const at::Tensor& w, std::int64_t rank) : weight(w)
    {
        const at::Tensor least = w.amin(1, true).clamp_max(0);
        const at::Tensor scale = (w.amax(1, true).clamp_min(0) - least) / 15;
        low = -at::round(-least / scale);
        high = 15 + low;
        values = {scale.log(), at::zeros({w.size(0), rank}),
                  at::randn({rank, w.size(1)}) / std::sqrt(static_cast<double>(w.size(1))),
                  at::zeros({w.size(0), 1}), at::zeros({1, w.size(1)})};
        for (at::Tensor& value : values) {
            first.push_back(at::zeros_like(value));
            second.push_back(at::zeros_like(value));
            value.set_requires_grad(true);
        }
    }
    at::Tensor quantized() const
    {
        const auto through = [](const at::Tensor& result, const at::Tensor& x) {
            return (result - x).detach() + x;
        };
        const at::Tensor divisor =
            (values[0] + at::matmul(values[1], values[2]) + values[3] + values[4]).exp();
        const at::Tensor ratio = weight / divisor;
        const at::Tensor code = through(at::round(ratio), ratio);
        return values[0].exp() * at::minimum(at::maximum(code, low), high);
    }
    void step(double rate, int t)
    {
        const at::NoGradGuard noGrad;
        for (std::size_t i = 0; i < values.size(); ++i) {
            const at::Tensor g = values[i].grad();
            first[i].mul_(0.9).add_(g, 0.1);
            second[i].mul_(0.999).addcmul_(g, g, 0.001);
            values[i].addcdiv_(first[i],
                               (second[i].sqrt() / std::sqrt(1 - std::pow(0.999, t))).add_(1e-8),
                               -rate / (1 - std::pow(0.9, t)));
            values[i].mutable_grad().reset();
        }
    }
};

void measurePlain(const Decoder& decoder, const BlockTask& task, std::int64_t rank,
                  Measured& measured)
{
    forgetPeak();
    std::vector<PlainLayer> layers;
    for (const LinearWeights& linear : task.block->linears) {
        layers.emplace_back(linear.weight, rank);
    }
    RotaryTables rotary(decoder.config(), "cpu");
    const at::Tensor input = task.inputs->load(0, 1);
    const at::Tensor target = task.targets->load(0, 1);
    const at::AutoGradMode withGradients(true);
    for (int i = 0; i < kWarmUp + kIterations; ++i) {
        const auto start = Clock::now();
        std::size_t next = 0;
        BlockHooks hooks;
        hooks.linear = [&](const LinearWeights& linear, const at::Tensor& x) {
            return at::linear(x, layers[next++].quantized(), linear.bias);
        };
        const at::Tensor output = BlockForward(decoder.config(), at::kFloat, *task.block, hooks,
                                               nullptr, rotary, plainDifferentiableOps())
                                      .run(input);
        (output - target).square().sum(1).mean().backward();
        for (PlainLayer& layer : layers) {
            layer.step(1e-3, i + 1);
        }
        if (i >= kWarmUp) {
            measured.add(secondsSince(start));
        }
    }
    measured.addPeak(recentPeakRssBytes());
}

/// The program's own way, timed by its reports.
void measureOurs(BlockTask task, RunSpec spec, const char* compute, Measured& measured)
{
    forgetPeak();
    spec.reconstruction.compute = compute;
    spec.reconstruction.iterations = kWarmUp + 2 * kIterations;
    task.spec = &spec;
    for (LayerTask& layer : task.layers) {
        layer.spec = &spec;
    }
    Clock::time_point last;
    std::int64_t lastDone = 0;
    const RunContext run(
        {},
        [&](const Progress& progress) {
            if (lastDone >= kWarmUp) {
                measured.add(secondsSince(last) / static_cast<double>(progress.done - lastDone));
            }
            lastDone = progress.done;
            last = Clock::now();
        },
        {}, std::chrono::milliseconds(0));
    run.beginPhase("quantize", spec.reconstruction.iterations);
    dynamic_cast<const BlockMethod&>(findMethod("lrq")).quantize(task, run);
    measured.addPeak(recentPeakRssBytes());
}

/// The official formulation in the Python that was given.
void measurePeer(const std::string& python, const RandomModelSpec& shape, std::int64_t rank,
                 const char* compute, const std::filesystem::path& folder, Measured& measured)
{
    const std::filesystem::path script = std::filesystem::path(QW_BENCH_DIR) / "peer_lrq.py";
    const std::filesystem::path answer = folder / "peer.json";
    const std::string command = message(
        "'", python, "' '", script.string(), "' ", shape.hidden, " ", shape.intermediate, " ", rank,
        " ", kTokens, " ", compute, " ", at::get_num_threads(), " > '", answer.string(), "'");
    const auto sampleSome = [&] { // nothing comes between the iterations of another program
        for (int i = 0; i < kIterations; ++i) {
            measured.addProduct();
        }
    };
    sampleSome();
    if (std::system(command.c_str()) != 0) {
        std::printf("  (the official formulation did not run)\n");
        return;
    }
    sampleSome();
    const Json json = readJsonFile(answer, 1 << 16);
    measured.add(json.at("seconds").get<double>());
    measured.addPeak(json.at("peak_bytes").get<std::int64_t>());
}

void print(const char* name, const Measured& measured, double work)
{
    if (!measured.ran()) {
        return;
    }
    const double floor = work / measured.rate();
    std::printf("  %-28s %7.3f s/iteration  %6.2f it/s  products %4.0f GF/s: %5.1f %% of the floor "
                "(%.3f s)  peak %4.0f MB\n",
                name, measured.seconds(), 1 / measured.seconds(), measured.rate() / 1e9,
                100 * floor / measured.seconds(), floor,
                static_cast<double>(measured.peak()) / 1e6);
}

void benchmark(std::int64_t hidden, const std::filesystem::path& folder, const std::string& python)
{
    RandomModelSpec shape;
    shape.hidden = hidden;
    shape.intermediate = hidden * 11 / 4;
    shape.layers = 1;
    shape.heads = hidden / 64;
    shape.kvHeads = hidden / 256;
    writeRandomModel(folder, shape);
    const Checkpoint checkpoint(folder);
    const Decoder decoder(checkpoint);
    const BlockWeights block = decoder.loadBlock(0);
    HiddenStates inputs(1, kTokens, hidden, "cpu", {});
    HiddenStates targets(1, kTokens, hidden, "cpu", {});
    inputs.store(0, decoder.embed(at::randint(0, 512, {1, kTokens}, at::kLong)));
    targets.store(0, decoder.forwardBlock(block, inputs.load(0, 1)));

    const std::int64_t rank = hidden / 4;
    RunSpec spec;
    spec.method = "lrq";
    spec.weight.groupSize = kPerChannel;
    spec.reconstruction.rank = std::to_string(rank);
    spec.reconstruction.batchSize = 1;
    spec.reconstruction.lr = 1e-3;
    BlockTask task;
    task.decoder = &decoder;
    task.block = &block;
    task.inputs = &inputs;
    task.targets = &targets;
    for (const LinearWeights& linear : block.linears) {
        LayerTask& layer = task.layers.emplace_back();
        layer.name = linear.info.name;
        layer.weight = linear.weight;
        layer.settings = settingsFor(spec, layer.name);
    }
    const double work = flops(block, rank);
    std::printf("hidden %lld, intermediate %lld, %lld tokens, rank %lld: %.1f GFlop an iteration\n",
                static_cast<long long>(hidden), static_cast<long long>(shape.intermediate),
                static_cast<long long>(kTokens), static_cast<long long>(rank), work / 1e9);
    const Product wide(hidden, shape.intermediate, at::kFloat);
    const Product narrow(hidden, shape.intermediate, at::kBFloat16);
    const bool mixes = engineInfo().nativeBf16;
    Measured plain(wide);
    Measured fused(wide);
    Measured official(wide);
    Measured mixed(narrow);
    Measured autocast(narrow);
    for (int round = 0; round < kRounds; ++round) {
        measurePlain(decoder, task, rank, plain);
        measureOurs(task, spec, "f32", fused);
        if (mixes) {
            measureOurs(task, spec, "bf16", mixed);
        }
        if (!python.empty()) {
            measurePeer(python, shape, rank, "f32", folder, official);
            if (mixes) {
                measurePeer(python, shape, rank, "bf16", folder, autocast);
            }
        }
    }
    const auto compare = [](const Measured& other, const Measured& own) {
        if (other.ran() && own.ran()) {
            std::printf("    %.2f times as long as ours\n", other.seconds() / own.seconds());
        }
    };
    print("plain operations, float32", plain, work);
    print("fused, float32", fused, work);
    print("official on PyTorch, float32", official, work);
    compare(official, fused);
    print("fused, mixed", mixed, work);
    print("official, autocast bf16", autocast, work);
    compare(autocast, mixed);
    if (mixed.ran() && fused.ran()) {
        std::printf("  plain operations take %.2f times as long as mixed, and %.2f times the mixed "
                    "floor;\n  bfloat16 products are %.2f times as fast as float32 ones\n",
                    plain.seconds() / mixed.seconds(), plain.seconds() * mixed.rate() / work,
                    mixed.rate() / fused.rate());
    }
}
} // namespace
} // namespace qw

int main(int argc, char** argv)
{
    std::int64_t threads = 0;
    std::vector<std::int64_t> widths = {512, 1024};
    const char* given = std::getenv("QW_PYTHON");
    std::string python = given != nullptr ? given : "";
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--threads") == 0) {
            threads = std::atoll(argv[i + 1]);
        } else if (std::strcmp(argv[i], "--hidden") == 0) {
            widths = {std::atoll(argv[i + 1])};
        } else if (std::strcmp(argv[i], "--python") == 0) {
            python = argv[i + 1];
        } else {
            std::fprintf(stderr,
                         "usage: qw_bench_lrq [--threads N] [--hidden N] [--python PATH]\n");
            return 2;
        }
    }
    qw::startEngine(threads);
    const at::NoGradGuard noGrad;
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("qw_bench_lrq_" + std::to_string(::getpid()));
    for (const std::int64_t hidden : widths) {
        qw::benchmark(hidden, folder, python);
        std::filesystem::remove_all(folder);
    }
}
