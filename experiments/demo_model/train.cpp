// qw_demo_train: trains the bundled demo model. See README.md in this folder.
#include "kernels.h"
#include "training.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <stdexcept>

namespace {

using namespace qw::demo;
namespace fs = std::filesystem;

constexpr const char* kUsage =
    "qw_demo_train --data DIR --out DIR [options]      train, or go on from DIR/checkpoint.bin\n"
    "qw_demo_train --data DIR --out DIR --export DIR   write the checkpoint as a model folder\n"
    "qw_demo_train --check                             compare the gradient with differences\n"
    "Options: --steps N --warmup N --long-from N --tokens-per-step N --window N --long-window N\n"
    "  --rate X --final-share X --decay X --clip X --dropout X --seed N --evaluate-every N\n"
    "  --checkpoint-every N --threads N --layers N --stop-after N --bf16\n";

double secondsSince(std::chrono::steady_clock::time_point start)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Mean loss in nats over non-overlapping windows of the held-out tokens.
double validationLoss(DemoModel& model, const std::vector<uint16_t>& tokens, int64_t window)
{
    std::vector<int64_t> begins;
    double total = 0;
    int64_t predictions = 0;
    for (int64_t at = 0; at + window + 1 <= int64_t(tokens.size()); at += window) {
        begins.push_back(at);
        if (begins.size() < 8 && at + 2 * window + 1 <= int64_t(tokens.size()))
            continue;
        total += model.evaluate(gatherWindows(tokens, begins, window));
        predictions += int64_t(begins.size()) * window;
        begins.clear();
    }
    return total / double(predictions);
}

// Drops the rows of the loss curve that a resumed run will write again.
void cutCurve(const fs::path& file, int64_t lastStep)
{
    std::ifstream in(file);
    std::string kept, line;
    while (std::getline(in, line))
        if (line.empty() || !std::isdigit(static_cast<unsigned char>(line[0])) ||
            std::stoll(line) <= lastStep)
            kept += line + '\n';
    in.close();
    std::ofstream(file) << (kept.empty() ? "step,train_loss,validation_loss,tokens,seconds,rate\n"
                                         : kept);
}

void update(DemoModel& model, const TrainingOptions& o, int64_t step, double& norm)
{
    double squares = 0;
    for (Parameter& p : model.parameters())
        squares += sumOfSquares(p.gradient.data_ptr<float>(), p.gradient.numel());
    norm = std::sqrt(squares);
    constexpr double kBeta1 = 0.9, kBeta2 = 0.95;
    AdamStep s{};
    s.rate = float(rateAt(o, step));
    s.beta1 = float(kBeta1);
    s.beta2 = float(kBeta2);
    s.eps = 1e-8f;
    s.gradientScale = float(norm > o.clip ? o.clip / norm : 1.0);
    s.correction1 = float(1.0 / (1.0 - std::pow(kBeta1, double(step + 1))));
    s.correction2 = float(1.0 / (1.0 - std::pow(kBeta2, double(step + 1))));
    for (Parameter& p : model.parameters()) {
        s.decay = p.decays ? float(o.decay) : 0.0f;
        adamW(p.value.data_ptr<float>(), p.first.data_ptr<float>(), p.second.data_ptr<float>(),
              p.gradient.data_ptr<float>(), p.value.numel(), s);
    }
}

void train(const TrainingOptions& o, const ModelShape& shape, int64_t stopAfter)
{
    const std::vector<uint16_t> tokens = readTokens(o.data / "train.bin");
    const std::vector<uint16_t> held = readTokens(o.data / "validation.bin");
    const std::vector<Segment> segments = readSegments(o.data / "segments.txt");
    DemoModel model(shape, o.seed, o.bf16 ? at::kBFloat16 : at::kFloat);
    fs::create_directories(o.out);
    const fs::path checkpoint = o.out / "checkpoint.bin", curve = o.out / "curve.csv";
    Cursor cursor;
    if (fs::exists(checkpoint))
        cursor = loadCheckpoint(checkpoint, model);
    cutCurve(curve, cursor.step);
    std::ofstream csv(curve, std::ios::app);

    std::vector<int64_t> pass;
    const auto newPass = [&](int64_t window) {
        pass = windowsOfPass(segments, window, o.seed, cursor.epoch);
        cursor.window = window;
    };
    if (cursor.step > 0) {
        newPass(cursor.window);
    } else {
        newPass(o.window);
    }
    const auto start = std::chrono::steady_clock::now();
    const double before = cursor.seconds;
    double lossSum = 0, norm = 0;
    int64_t lossCount = 0;
    while (cursor.step < o.steps) {
        const int64_t window = cursor.step >= o.longFrom ? o.longWindow : o.window;
        const int64_t batch = std::max<int64_t>(1, o.tokensPerStep / window);
        if (window != cursor.window || cursor.index + batch > int64_t(pass.size())) {
            ++cursor.epoch;
            cursor.index = 0;
            newPass(window);
        }
        const std::vector<int64_t> begins(pass.begin() + cursor.index,
                                          pass.begin() + cursor.index + batch);
        model.clearGradients();
        const double loss = model.step(gatherWindows(tokens, begins, window), o.dropout,
                                       o.seed * 0x9E3779B97F4A7C15ULL + uint64_t(cursor.step) + 1);
        if (!std::isfinite(loss))
            throw std::runtime_error("the loss is not finite");
        update(model, o, cursor.step, norm);
        lossSum += loss;
        ++lossCount;
        cursor.index += batch;
        cursor.tokens += batch * window;
        ++cursor.step;
        cursor.seconds = before + secondsSince(start);
        const bool last = cursor.step == o.steps || cursor.step == stopAfter;
        if (cursor.step % o.evaluateEvery == 0 || last) {
            const double validation = validationLoss(model, held, window);
            cursor.seconds = before + secondsSince(start);
            csv << cursor.step << ',' << lossSum / double(lossCount) << ',' << validation << ','
                << cursor.tokens << ',' << cursor.seconds << ',' << rateAt(o, cursor.step - 1)
                << std::endl;
            std::cout << "step " << cursor.step << '/' << o.steps << "  train "
                      << lossSum / double(lossCount) << "  validation " << validation
                      << "  gradient " << norm << "  pass " << cursor.epoch << "  tokens/s "
                      << double(cursor.tokens) / cursor.seconds << std::endl;
            lossSum = 0;
            lossCount = 0;
        }
        if (cursor.step % o.checkpointEvery == 0 || last)
            saveCheckpoint(checkpoint, model, cursor);
        if (last)
            break;
    }
    if (cursor.step == o.steps)
        exportFolder(o.out / "model", o.data, model);
}

// Compares the gradient along random directions with central differences.
int checkGradient()
{
    ModelShape shape;
    shape.vocabulary = 64;
    shape.hidden = 32;
    shape.intermediate = 48;
    shape.layers = 2;
    shape.heads = 4;
    shape.kvHeads = 2;
    shape.headWidth = 8;
    shape.maxPositions = 16;
    DemoModel model(shape, 1);
    std::mt19937_64 random(7);
    at::Tensor windows = at::empty({3, 13}, at::kLong);
    for (int64_t i = 0; i < windows.numel(); ++i)
        windows.data_ptr<int64_t>()[i] = int64_t(random() % 64);
    for (Parameter& p : model.parameters()) { // far from the flat start, norms not all one
        float* w = p.value.data_ptr<float>();
        for (int64_t i = 0; i < p.value.numel(); ++i)
            w[i] = float((p.decays ? 8.0 * w[i] : w[i]) +
                         0.1 * (double(random() >> 11) * 0x1p-53 - 0.5));
    }
    constexpr double kDropout = 0.2, kTolerance = 2e-2;
    model.clearGradients();
    model.step(windows, kDropout, 5);
    std::vector<at::Tensor> gradients;
    for (Parameter& p : model.parameters())
        gradients.push_back(p.gradient.clone());
    int bad = 0;
    for (size_t i = 0; i < model.parameters().size(); ++i) {
        Parameter& p = model.parameters()[i];
        // Along the gradient itself, so that the difference is large against rounding.
        const at::Tensor direction = gradients[i] / gradients[i].norm();
        const at::Tensor keep = p.value.clone();
        const double h = 1e-2;
        p.value.copy_(keep + h * direction);
        const double up = model.step(windows, kDropout, 5);
        p.value.copy_(keep - h * direction);
        const double down = model.step(windows, kDropout, 5);
        p.value.copy_(keep);
        const double measured = (up - down) / (2 * h);
        const double expected = gradients[i].norm().item<double>();
        const bool wrong = std::abs(measured - expected) > kTolerance * expected + 1e-5;
        bad += wrong;
        std::printf("%-18s |gradient| %.6f  difference %.6f%s\n", p.name.c_str(), expected,
                    measured, wrong ? "  WRONG" : "");
    }
    return bad == 0 ? 0 : 1;
}

int run(int argc, char** argv)
{
    TrainingOptions o;
    ModelShape shape;
    int64_t stopAfter = -1;
    fs::path exportTo;
    bool check = false;
    const auto integer = [](int64_t& to) {
        return [&to](const std::string& text) { to = std::stoll(text); };
    };
    const auto real = [](double& to) {
        return [&to](const std::string& text) { to = std::stod(text); };
    };
    const std::map<std::string, std::function<void(const std::string&)>> known{
        {"--data", [&](const std::string& t) { o.data = t; }},
        {"--out", [&](const std::string& t) { o.out = t; }},
        {"--export", [&](const std::string& t) { exportTo = t; }},
        {"--seed", [&](const std::string& t) { o.seed = std::stoull(t); }},
        {"--steps", integer(o.steps)},
        {"--warmup", integer(o.warmUp)},
        {"--long-from", integer(o.longFrom)},
        {"--tokens-per-step", integer(o.tokensPerStep)},
        {"--window", integer(o.window)},
        {"--long-window", integer(o.longWindow)},
        {"--rate", real(o.rate)},
        {"--final-share", real(o.finalShare)},
        {"--decay", real(o.decay)},
        {"--clip", real(o.clip)},
        {"--dropout", real(o.dropout)},
        {"--evaluate-every", integer(o.evaluateEvery)},
        {"--checkpoint-every", integer(o.checkpointEvery)},
        {"--threads", integer(o.threads)},
        {"--layers", integer(shape.layers)},
        {"--stop-after", integer(stopAfter)},
    };
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--check") {
            check = true;
            continue;
        }
        if (name == "--bf16") {
            o.bf16 = true;
            continue;
        }
        const auto found = known.find(name);
        if (found == known.end() || i + 1 == argc) {
            std::cerr << kUsage;
            return 2;
        }
        found->second(argv[++i]);
    }
    at::set_num_threads(int(o.threads));
    if (check)
        return checkGradient();
    if (o.data.empty() || o.out.empty()) {
        std::cerr << kUsage;
        return 2;
    }
    if (exportTo.empty()) {
        train(o, shape, stopAfter);
    } else {
        DemoModel model(shape, o.seed);
        loadCheckpoint(o.out / "checkpoint.bin", model);
        exportFolder(exportTo, o.data, model);
    }
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    c10::NoGradGuard guard;
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "qw_demo_train: " << error.what() << '\n';
        return 1;
    }
}
