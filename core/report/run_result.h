#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json_io.h"
#include "report/run_spec.h"
#include "report/training_result.h"

namespace qw {

/// A missing number is NaN; JSON writes it as null.
constexpr double kMissing = __builtin_nan("");

/// In a run's artifact folder: locked by the process at work on the run.
constexpr const char* kArtifactLock = "lock";

/// What quantization did to one linear layer.
struct LayerResult {
    std::string name;      ///< Hugging Face module path
    std::int64_t rows = 0; ///< out features
    std::int64_t cols = 0; ///< in features
    std::int64_t rank = 0;
    double weightError = kMissing; ///< ||W - W^|| / ||W||, W^ with A·B
    double outputError = kMissing; ///< ||X (W - W^)^T|| / ||X W^T|| on full-precision inputs
    double sqnrDb = kMissing;      ///< -20 log10(outputError)
    double bitsPerWeight = kMissing;
    std::int64_t bytes = 0;
    double seconds = kMissing;
    std::vector<double>
        singularValues; ///< of the minimised matrix, largest first, up to the rank computed
    double errorNorm = kMissing; ///< Frobenius norm of that matrix: gives the error at each rank
    std::int64_t trainRank = 0;  ///< of the learned divisor; 0: none was, or a full one
    std::int64_t trainedParameters = 0;
    /// Shares of the weights whose code lies 0, 1, or 2 and more steps from round to nearest's on
    /// the grid the method began with.
    double moved0 = kMissing;
    double moved1 = kMissing;
    double moved2plus = kMissing;
    bool operator==(const LayerResult&) const;
};

/// What a method that learns trained, over the layers of a run.
struct TrainedTotals {
    std::int64_t rank = 0;       ///< the largest of learned divisors; of lr-qat's A and B
    std::int64_t parameters = 0; ///< the sum
    bool operator==(const TrainedTotals&) const = default;
};

/// What a block-wise method did to one block.
struct BlockResult {
    std::int64_t block = 0;
    double lr = kMissing;          ///< at the start
    std::vector<double> losses;    ///< of each iteration
    double errorBefore = kMissing; ///< loss over all windows, as rounded to nearest
    double errorAfter = kMissing;  ///< the same as deployed
    std::int64_t trainedParameters = 0;
    double seconds = kMissing;
    std::int64_t peakRssBytes = 0; ///< the most resident while the block was made
    /// AWQ: by name of the layer, the power of its inputs' mean size that scales them. Layers whose
    /// inputs are not scaled are missing.
    std::map<std::string, double> awqRatios;
    bool operator==(const BlockResult&) const;
};

/// How a text was scored. Runs are compared only where all of this is equal.
struct TextScore {
    std::string protocol; ///< "gptq" | "llama.cpp"
    std::string textHash;
    std::string tokenizerHash;
    std::int64_t seqlen = 0;
    std::int64_t windows = 0;
    std::int64_t tokens = 0; ///< scored predictions
    std::string compute;     ///< "f32" | "bf16"
    double nll = kMissing;   ///< mean nats over tokens
    double nllStderr = kMissing;
    double perplexity = kMissing; ///< exp(nll)
    double seconds = 0;
    std::vector<double> windowNll; ///< mean nats of each window, for paired differences
    bool operator==(const TextScore&) const;
};

/// The quantized model beside the full-precision one on the same windows.
struct Comparison {
    double fpNll = kMissing;
    double fpPerplexity = kMissing;
    double deltaNll = kMissing;       ///< quantized minus full precision
    double deltaNllStderr = kMissing; ///< paired
    double klMean = kMissing;         ///< KL(fp || quantized), nats
    double klMedian = kMissing;
    double klP90 = kMissing;
    double klP99 = kMissing;
    double top1Agreement = kMissing; ///< 0..1
    bool operator==(const Comparison&) const;
};

struct PhaseTime {
    std::string phase;
    double seconds = 0;
    bool operator==(const PhaseTime&) const = default;
};

/// Predicted before a run, to be held against what happened.
struct Estimate {
    std::int64_t bytes = 0;   ///< exact size of the artifact
    double bitsPerWeight = 0; ///< exact
    std::int64_t peakRssBytes = 0;
    double seconds = 0;
    bool operator==(const Estimate&) const = default;
};

/// What is needed to repeat the run, beside the spec.
struct Provenance {
    std::string program;   ///< version of this program
    std::string torch;     ///< version
    std::string modelHash; ///< of config and all weights
    std::string tokenizerHash;
    std::string calibrationHash; ///< empty if unused
    std::string evaluationHash;
    std::int64_t threads = 0; ///< really used
    std::string device;
    std::string cpu;
    std::int64_t factorRank = 0; ///< at which factors were computed: a sweep slices its largest
    std::string trainingHash;    ///< empty if unused
    bool operator==(const Provenance&) const = default;
};

/// One export of the run to another program's files, as it was verified.
struct ExportRecord {
    std::string target; ///< "gguf", "gptq", ...
    std::string path;
    std::string made; ///< UTC, ISO 8601
    std::int64_t bytes = 0;
    bool lossless = false;
    double maxAbsDifference = kMissing; ///< of a weight, read back, from the run's
    std::string verdict;
    bool operator==(const ExportRecord&) const;
};

struct RunResult {
    std::string id;
    RunSpec spec;
    Provenance provenance;
    /// "queued" | "running" | "finished" | "failed" | "cancelled"; in lists also "unreadable"
    std::string status;
    std::string problem;   ///< the sentence, if failed or unreadable
    std::string started;   ///< UTC, ISO 8601
    std::int64_t rank = 0; ///< deployed
    double bitsPerWeight = kMissing;
    std::int64_t bytes = 0; ///< of the whole artifact
    std::int64_t bytesOriginal = 0;
    TextScore score;
    Comparison comparison;
    double seconds = 0;
    std::int64_t peakRssBytes = 0;
    std::vector<PhaseTime> phases;
    Estimate estimate;
    std::vector<std::string> substitutions; ///< what was done differently from what was asked
    std::string artifactHash;               ///< over all tensors of the artifact, in order of name
    std::string artifactFolder;             ///< empty if discarded
    std::string sweep;                      ///< id of the sweep it belongs to, or empty
    std::vector<ExportRecord> exports;      ///< oldest first
    std::vector<LayerResult> layers;
    std::vector<BlockResult> blocks;         ///< of block-wise methods
    TrainingResult training;                 ///< of methods that train the whole model
    TrainedTotals listedTotals;              ///< of a run from a list, which comes without layers
    bool operator==(const RunResult&) const; ///< listedTotals apart, which say no more than layers
};

/// Of its layers, or as the list said that the run is from.
TrainedTotals trainedTotals(const RunResult& run);

/// An array of objects, the same for the store and for people's scripts.
Json exportsToJson(const std::vector<ExportRecord>& exports);

/// All fields, for the store; lossless.
Json toJson(const RunResult& result);
RunResult runResultFromJson(const Json& json);

/// The object others script against (`qw run --json`): flat, fixed names, layers on request.
Json toPublicJson(const RunResult& result, bool withLayers);

/// Why these two must not be compared, or empty if they may.
std::string incomparableReason(const RunResult& a, const RunResult& b);

} // namespace qw
