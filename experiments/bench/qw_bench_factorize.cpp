// How fast and how close the low-rank factorization is: ./workbench bench factorize
// Without arguments everything; or some of: spectra, model, exact.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include "base/run_context.h"
#include "engine.h"
#include "eval/text_windows.h"
#include "methods/low_rank.h"
#include "methods/settings.h"
#include "methods/spectra.h"
#include "model/decoder.h"
#include "model/tokenizer.h"
#include "run/block_calibration.h"

namespace qw {
namespace {
constexpr std::int64_t kSize = 4096;
constexpr std::int64_t kExactSize = 2048;
constexpr std::int64_t kRank = 32;

double seconds(const std::function<void()>& work)
{
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The least of three: the machine's other work only adds.
double bestSeconds(const std::function<void()>& work)
{
    return std::min({seconds(work), seconds(work), seconds(work)});
}

/// GFlop/s of a product of this kind, measured now.
double productRate(std::int64_t rows, std::int64_t cols, std::int64_t width, at::ScalarType type)
{
    const at::Tensor a = at::randn({rows, cols}, type);
    const at::Tensor b = at::randn({width, rows}, type);
    at::matmul(b, a);
    return 2e-9 * static_cast<double>(rows * cols * width) / bestSeconds([&] { at::matmul(b, a); });
}

/// x times a random orthogonal matrix [n, n], n a power of four: Hadamard matrices and random
/// signs.
at::Tensor rotated(at::Tensor x, at::Generator generator)
{
    const std::int64_t n = x.size(1);
    const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(n))));
    at::Tensor hadamard = at::ones({1, 1}, at::kDouble);
    while (hadamard.size(0) < side) {
        hadamard = at::cat({at::cat({hadamard, hadamard}, 1), at::cat({hadamard, -hadamard}, 1)}) /
                   std::sqrt(2.0);
    }
    for (int round = 0; round < 2; ++round) {
        const at::Tensor signs = at::randint(0, 2, {n}, generator, at::kDouble) * 2 - 1;
        x = (x * signs).view({-1, side, side});
        x = at::matmul(at::matmul(hadamard, x), hadamard).reshape({-1, n});
    }
    return x;
}

/// E with the singular values given, exactly up to float32 rounding.
at::Tensor withSpectrum(const at::Tensor& values)
{
    at::Generator generator = at::detail::createCPUGenerator(7);
    const at::Tensor left = rotated(values.diag(), generator);
    return rotated(left.t().contiguous(), generator).to(at::kFloat).contiguous();
}

double energy(const std::vector<double>& values, std::int64_t count)
{
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        sum += values[static_cast<std::size_t>(i)] * values[static_cast<std::size_t>(i)];
    }
    return sum;
}

/// What the pair really removes: tr(E R E^T) - tr(D R D^T), in float64.
double removed(const at::Tensor& error, const ErrorNorm& norm, const LowRankPair& pair)
{
    const auto power = [&](const at::Tensor& e) {
        const at::Tensor r = norm.dense.defined()      ? at::matmul(e, norm.dense)
                             : norm.diagonal.defined() ? e * norm.diagonal
                                                       : e;
        return (r * e).sum().item<double>();
    };
    const at::Tensor e = error.to(at::kDouble);
    return power(e) - power(e - at::matmul(pair.b.t().to(at::kDouble), pair.a.t().to(at::kDouble)));
}

FactorizeOptions options(std::int64_t rank)
{
    FactorizeOptions result;
    result.rank = rank;
    result.seed = 1;
    return result;
}

void spectra(const RunContext& run)
{
    std::printf("\nrank %lld of %lld x %lld, float32\n", static_cast<long long>(kRank),
                static_cast<long long>(kSize), static_cast<long long>(kSize));
    const double rate = productRate(kSize, kSize, kRank, at::kFloat);
    std::printf("thin product [%lld, n] x [n, n]: %.0f GFlop/s\n", static_cast<long long>(kRank),
                rate);
    std::printf("%-22s %9s %9s %7s %8s %9s\n", "spectrum", "ours s", "SVD s", "ratio", "energy",
                "of floor");
    const at::Tensor index = at::arange(1, kSize + 1, at::kDouble);
    at::Generator generator = at::detail::createCPUGenerator(11);
    const std::vector<std::pair<const char*, at::Tensor>> kinds = {
        {"fast (i^-2)", index.pow(-2)},
        {"exponential (e^-i/20)", (-index / 20).exp()},
        {"slow (i^-1/2)", index.pow(-0.5)},
        {"flat (Gaussian)", {}},
    };
    for (const auto& [name, values] : kinds) {
        const at::Tensor error =
            values.defined() ? withSpectrum(values) : at::randn({kSize, kSize}, generator);
        std::vector<double> exact;
        if (values.defined()) {
            exact.assign(values.data_ptr<double>(), values.data_ptr<double>() + kSize);
        } else {
            exact = singularValues(error, {}, run);
        }
        LowRankPair pair;
        const double ours =
            bestSeconds([&] { pair = lowRankPair(error, {}, options(kRank), run); });
        const double full = seconds([&] { at::linalg_svd(error, false); });
        // The floor: one product with E for the basis, one with E^T for what it captures.
        const double floor = 4e-9 * kSize * kSize * kRank / rate;
        std::printf("%-22s %9.3f %9.2f %6.0fx %7.2f%% %8.0f%%\n", name, ours, full, full / ours,
                    100 * removed(error, {}, pair) / energy(exact, kRank), 100 * floor / ours);
        std::fflush(stdout);
    }
}

/// Real errors and statistics: every linear of the bundled model at 3 bits.
void bundledModel(const RunContext& run)
{
    RunSpec spec;
    spec.model = "demo";
    spec.weight.bits = 3;
    spec.calibration.text = "demo:calibration";
    spec.calibration.nsamples = 16;
    const Checkpoint checkpoint(resolveModel(spec.model));
    const Tokenizer tokenizer = Tokenizer::fromFolder(checkpoint.folder());
    const Decoder decoder(checkpoint, {at::kFloat, "cpu"});
    const TextWindows windows =
        calibrationWindows(spec.calibration, resolveText(spec.calibration.text).string(),
                           checkpoint.config(), tokenizer, 0);
    BlockCalibration calibration(decoder, windows.ids, spec.calibration.statBatch, {}, run);
    std::printf("\nbundled model, int3: least share of the optimal energy over all linears\n");
    std::printf("%6s %10s %10s %10s %12s\n", "rank", "E", "S E", "R^1/2 E", "ms a layer");
    const std::vector<std::int64_t> ranks = {4, 16, 32, 64};
    std::vector<std::array<double, 3>> least(ranks.size(), {1, 1, 1});
    std::vector<double> time(ranks.size());
    double count = 0;
    for (std::int64_t index = 0; index < decoder.blockCount(); ++index) {
        const BlockWeights block = decoder.loadBlock(index);
        StatisticsNeeds needs = l2qerNeeds(spec.lowRank);
        needs.autocorrelation = true;
        const auto statistics = calibration.advance(block, needs, run);
        for (const LinearWeights& linear : block.linears) {
            const at::Tensor error =
                linear.weight - roundToNearest(linear.info.name, linear.weight,
                                               weightFormat(spec.weight), gridOptions(spec.weight))
                                    .dequantizedCodes();
            const InputStatistics& inputs = *statistics.at(linear.info.inputGroup);
            const std::array<ErrorNorm, 3> norms = {ErrorNorm{}, l2qerNorm(spec.lowRank, inputs),
                                                    ErrorNorm{{}, inputs.autocorrelation()}};
            for (std::size_t n = 0; n < norms.size(); ++n) {
                const std::vector<double> exact = singularValues(error, norms[n], run);
                for (std::size_t r = 0; r < ranks.size(); ++r) {
                    LowRankPair pair;
                    time[r] += seconds(
                        [&] { pair = lowRankPair(error, norms[n], options(ranks[r]), run); });
                    least[r][n] = std::min(least[r][n], removed(error, norms[n], pair) /
                                                            energy(exact, ranks[r]));
                }
                ++count;
            }
        }
    }
    for (std::size_t r = 0; r < ranks.size(); ++r) {
        std::printf("%6lld %9.2f%% %9.2f%% %9.2f%% %12.1f\n", static_cast<long long>(ranks[r]),
                    100 * least[r][0], 100 * least[r][1], 100 * least[r][2],
                    1000 * time[r] / count);
    }
}

/// Inputs with correlated channels and a few that are much larger, as language models have them.
at::Tensor someAutocorrelation(std::int64_t in, at::Generator generator)
{
    const at::Tensor index = at::arange(1, in + 1, at::kDouble);
    at::Tensor size = at::ones({in}, at::kDouble);
    size.narrow(0, 0, 8).fill_(30);
    const at::Tensor mixed = at::matmul(
        at::randn({2 * in, in}, generator, at::kDouble) * index.pow(-0.4),
        at::randn({in, in}, generator, at::kDouble) / std::sqrt(static_cast<double>(in)));
    const at::Tensor x = (mixed + 0.1 * at::randn({2 * in, in}, generator, at::kDouble)) * size;
    return at::matmul(x.t(), x) / static_cast<double>(2 * in);
}

void exact(const RunContext& run)
{
    at::Generator generator = at::detail::createCPUGenerator(13);
    const at::Tensor error = at::randn({kExactSize, kExactSize}, generator);
    const ErrorNorm norm{{}, someAutocorrelation(kExactSize, generator)};
    LowRankPair pair;
    const double ours = bestSeconds([&] { pair = lowRankPair(error, norm, options(kRank), run); });
    double best = 0;
    const double route = seconds([&] {
        const auto [values, vectors] = at::linalg_eigh(norm.dense);
        const at::Tensor root = at::matmul(vectors * values.clamp_min(0).sqrt(), vectors.t());
        const at::Tensor s = std::get<1>(
            at::linalg_svd(at::matmul(error, root.to(at::kFloat)), /*full_matrices=*/false));
        best = s.narrow(0, 0, kRank).to(at::kDouble).square().sum().item<double>();
    });
    std::printf("\nQERA-exact, rank %lld of %lld x %lld\n", static_cast<long long>(kRank),
                static_cast<long long>(kExactSize), static_cast<long long>(kExactSize));
    std::printf("ours %.3f s; eigen square root (float64), SVD (float32) %.2f s: %.0fx; %.2f %% of "
                "the optimal energy\n",
                ours, route, route / ours, 100 * removed(error, norm, pair) / best);
    const double wide = productRate(kExactSize, kExactSize, kRank, at::kDouble);
    const double narrow = productRate(kExactSize, kExactSize, kRank, at::kFloat);
    const double flops = 2e-9 * kExactSize * kExactSize * kRank;
    const double floor = flops * (1 / wide + 2 / narrow);
    std::printf("floor (one product each with E^T, R, E; %.0f and %.0f GFlop/s) %.4f s: %.0f %%\n",
                narrow, wide, floor, 100 * floor / ours);
}
} // namespace
} // namespace qw

int main(int argc, char** argv)
{
    const at::NoGradGuard noGrad;
    qw::startEngine(0);
    const qw::EngineInfo info = qw::engineInfo();
    std::printf("%s, %d threads, torch %s, %s\n", info.cpu.c_str(), at::get_num_threads(),
                info.torch.c_str(), info.blas.c_str());
    const qw::RunContext run;
    const auto wanted = [&](const char* part) {
        return argc == 1 || std::any_of(argv + 1, argv + argc, [&](const char* argument) {
                   return std::strcmp(argument, part) == 0;
               });
    };
    if (wanted("spectra")) {
        qw::spectra(run);
    }
    if (wanted("exact")) {
        qw::exact(run);
    }
    if (wanted("model")) {
        qw::bundledModel(run);
    }
}
