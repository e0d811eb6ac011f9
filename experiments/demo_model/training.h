// Data order, checkpoints and export of the demo trainer.
#pragma once

#include "model.h"

#include <filesystem>
#include <string>
#include <vector>

namespace qw::demo {

/// A stretch of the training tokens that belongs to one work.
struct Segment {
    std::string name;
    int64_t begin = 0, count = 0;
    double weight = 1.0;
};

/// Everything that decides the trained weights; the command line fills it.
struct TrainingOptions {
    std::filesystem::path data, out;
    int64_t steps = 3000, warmUp = 200, longFrom = 2400; // longFrom: first step of long windows
    int64_t tokensPerStep = 4096, window = 256, longWindow = 512;
    double rate = 2.5e-3, finalShare = 0.1, decay = 0.1, clip = 1.0, dropout = 0.1;
    uint64_t seed = 0;
    int64_t evaluateEvery = 100, checkpointEvery = 100, threads = 2;
    bool bf16 = false; // matrix products in bfloat16
};

/// Where the data order stands; stored in checkpoints.
struct Cursor {
    int64_t step = 0;   // finished steps
    int64_t epoch = 0;  // passes begun
    int64_t index = 0;  // windows of the pass already used
    int64_t window = 0; // window length of the pass
    int64_t tokens = 0; // tokens trained on
    double seconds = 0; // time spent, evaluations included
};

/// Reads little-endian uint16 ids; throws std::runtime_error naming the file.
std::vector<uint16_t> readTokens(const std::filesystem::path& file);

/// Reads segments.txt; throws std::runtime_error naming the file.
std::vector<Segment> readSegments(const std::filesystem::path& file);

/// First tokens of the windows of one pass, shuffled: each work cut into windows from a random
/// offset on, each window taken floor(weight) times plus once more with the remaining probability.
std::vector<int64_t> windowsOfPass(const std::vector<Segment>& segments, int64_t window,
                                   uint64_t seed, int64_t epoch);

/// [count, window + 1] int64 ids of the windows that begin at `begins`.
at::Tensor gatherWindows(const std::vector<uint16_t>& tokens, const std::vector<int64_t>& begins,
                         int64_t window);

/// Learning rate of a step: linear warm-up, then a cosine down to rate * finalShare.
double rateAt(const TrainingOptions& options, int64_t step);

/// Writes weights, moments and cursor; the file appears under its name only when complete.
void saveCheckpoint(const std::filesystem::path& file, const DemoModel& model,
                    const Cursor& cursor);

/// Restores what saveCheckpoint wrote; throws std::runtime_error when the shape differs.
Cursor loadCheckpoint(const std::filesystem::path& file, DemoModel& model);

/// Writes a Hugging Face folder: config.json, generation_config.json and model.safetensors in
/// bfloat16; copies tokenizer.json and tokenizer_config.json from `data`.
void exportFolder(const std::filesystem::path& folder, const std::filesystem::path& data,
                  const DemoModel& model);

} // namespace qw::demo
