#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json_io.h"
#include "report/training_spec.h"

namespace qw {

/// Input columns per scale. Whole rows and whole tensors have names of their own in JSON.
constexpr std::int64_t kPerChannel = 0; ///< "channel": one scale per output row
constexpr std::int64_t kPerTensor = -1; ///< "tensor": one scale for all

/// How weights become codes.
struct WeightSpec {
    std::string format = "int"; ///< "int" | "mxint"
    std::int64_t bits = 4;      ///< 2..8; mxint: sign bit included
    std::int64_t groupSize =
        128;          ///< int: columns per scale, kPerChannel, kPerTensor; mxint: the block
    bool sym = false; ///< int only
    std::string scaleDtype = "f16"; ///< "f32" | "f16" | "bf16": scales are rounded before codes
    std::string range = "minmax";   ///< "minmax" | "lrq" | "lp" | "shrink"
    double rangeNorm = 2.4;         ///< p of the range search
    std::int64_t rangeSteps = 100;  ///< candidates of the range search
    std::int64_t exponentBits = 8;  ///< mxint: 4 | 8, width of the shared exponent
    std::string mxRule = "lqer";    ///< "lqer" | "qera"
    bool operator==(const WeightSpec&) const = default;
};

/// How the inputs of the quantized linears are quantized when the model runs.
struct ActivationSpec {
    std::string format = "none"; ///< "none" | "int" | "mxint"
    std::int64_t bits = 8;
    std::int64_t blockSize = 16; ///< mxint
    /// int: "rounded" | "float" (as the LR-QAT code does) | "none": symmetric (SmoothQuant's code)
    std::string zeroPoint = "rounded";
    /// int: "token": found for each token as the model runs | "tensor": one for all, from the
    /// calibration's least and largest input of the layer (experimental)
    std::string scale = "token";
    bool attention = false; ///< mxint: quantize the operands of QK^T and PV too (LQER, W4A8)
    /// "linear": the inputs of linears as above; "a8" | "a8kv4" | "a4": LR-QAT's places, int
    std::string points = "linear";
    bool operator==(const ActivationSpec&) const = default;
};

/// How keys (before RoPE) and values are quantized, each token over all its heads.
struct KvCacheSpec {
    std::string format = "none"; ///< "none" | "int": per token, dynamic, asymmetric
    std::int64_t bits = 8;
    bool operator==(const KvCacheSpec&) const = default;
};

/// The low-rank correction.
struct LowRankSpec {
    std::int64_t rank = 0;
    std::int64_t factorBits = 0; ///< 0: unquantized; else MXINT of this width
    std::int64_t factorBlock = 16;
    std::string statistic = "mean-abs"; ///< l2qer: "mean-abs" | "rms"
    std::string reduce = "max";         ///< l2qer: "max" | "mean" over batches
    std::string solver = "randomized";  ///< "randomized" | "full"
    /// "none" | "lqer" | "l2qer" | "qera-approx" | "qera-exact": added to the codes of a method
    /// that has no correction of its own
    std::string correction = "none";
    bool operator==(const LowRankSpec&) const = default;
};

/// How rounding is learned, block by block (LRQ, FlexRound).
struct ReconstructionSpec {
    std::int64_t iterations = 5000;
    double lr = 0;                 ///< at the start; 0: from the table of methods, or its rule
    std::string rank = "relative"; ///< of the divisor: "relative" | "full" | "official" | a number
    double rho = 0.4;              ///< relative: share of out * in / (out + in)
    std::int64_t batchSize = 2;    ///< windows an iteration
    std::string compute = "auto";  ///< "auto" (bf16 where the processor has it) | "f32" | "bf16"
    /// What is left out, to see what it does: "none" | "row" | "column" | "low-rank" | "scale"
    std::string without = "none";
    /// "exp": what is learned is the logarithm of the divisor's factors | "product": the factors
    /// themselves, less one (FlexRound's paper)
    std::string divisor = "exp";
    bool operator==(const ReconstructionSpec&) const = default;
};

/// How GPTQ goes through a layer's columns.
struct GptqSpec {
    bool actOrder = false;
    bool trueSequential = false;
    bool staticGroups = false;
    double dampPercent = 1; ///< of the mean of H's diagonal
    bool operator==(const GptqSpec&) const = default;
};

/// How AWQ looks for scales and bounds.
struct AwqSpec {
    std::int64_t ratios = 20;    ///< tried: 0, 1/20, ..., 19/20
    std::string clip = "search"; ///< "search" | "none": where weights are cut before rounding
    bool operator==(const AwqSpec&) const = default;
};

/// How SmoothQuant scales.
struct SmoothSpec {
    double alpha = 0; ///< 0: by the family of the model
    bool operator==(const SmoothSpec&) const = default;
};

/// Text windows a model is run on.
struct CalibrationSpec {
    std::string text; ///< file, or "demo:calibration"; empty where no data is needed
    std::int64_t nsamples = 32;
    std::int64_t seqlen = 0;        ///< 0: min(2048, the model's maximum)
    std::string windows = "random"; ///< "random" | "sequential"
    std::int64_t statBatch = 2;     ///< windows per batch of the statistic
    bool operator==(const CalibrationSpec&) const = default;
};

struct EvaluationSpec {
    std::string text;              ///< file, or "demo:evaluation"; empty: no evaluation
    std::int64_t seqlen = 0;       ///< 0: the protocol's default
    std::int64_t windows = 0;      ///< 0: all
    std::string protocol = "gptq"; ///< "gptq" | "llama.cpp"
    std::string compute = "f32";   ///< "f32" | "bf16"
    bool operator==(const EvaluationSpec&) const = default;
};

/// Settings for the layers whose Hugging Face module path matches; later entries win.
struct LayerOverride {
    std::string pattern; ///< ECMAScript regular expression, searched in the name
    std::optional<std::int64_t> bits;
    std::optional<std::int64_t> groupSize;
    std::optional<std::int64_t> rank;
    std::optional<bool> skip;
    bool operator==(const LayerOverride&) const = default;
};

/// Everything that decides a run's result. A plain value: JSON and back without loss.
struct RunSpec {
    std::string model;          ///< folder, or "demo"
    std::string method = "rtn"; ///< an id of builtinMethods()
    WeightSpec weight;
    LowRankSpec lowRank;
    ReconstructionSpec reconstruction;
    TrainingSpec training;
    GptqSpec gptq;
    AwqSpec awq;
    SmoothSpec smooth;
    ActivationSpec activation;
    KvCacheSpec kvCache;
    CalibrationSpec calibration;
    EvaluationSpec evaluation;
    std::vector<LayerOverride> overrides;
    std::int64_t seed = 0;
    bool adjust = false; ///< take the nearest group size that divides instead of refusing
    std::string artifacts = "keep"; ///< "keep" | "discard"
    std::string device = "cpu";     ///< "cpu" | "cuda" | "cuda:N"
    std::int64_t threads = 0;       ///< 0: all physical cores
    bool operator==(const RunSpec&) const = default;
};

/// Unknown keys are refused with the nearest known name; missing keys take the defaults above
/// (for mxint, group_size defaults to 16; weights of a method that trains begin at usualWeight()).
/// @throws Error::BadInput naming the key
RunSpec runSpecFromJson(const Json& json);
Json toJson(const RunSpec& spec);

/// What the weight format of a method is before anything is said of it: methods that train the
/// model have symmetric grids, their range searched with p = 4, as LR-QAT's code does.
WeightSpec usualWeight(const std::string& method);
/// The spec for another method: of methods that train the model on one side only, grids become
/// those of usualWeight(), and what only another one of them has takes its default.
RunSpec withMethod(RunSpec spec, const std::string& method);

/// Checks everything that can be checked without the model: ranges, names, combinations.
/// @throws Error::BadInput, one sentence naming the setting and what would be allowed
void validate(const RunSpec& spec);

/// "channel", "tensor" or the number, as users write it.
Json groupSizeToJson(std::int64_t groupSize);
/// @throws Error::BadInput
std::int64_t groupSizeFromText(const std::string& text);

/// The settings of one layer after all overrides; LayerRules is for many layers.
struct LayerSettings {
    WeightSpec weight;
    std::int64_t rank = 0;
    bool skip = false;
    bool operator==(const LayerSettings&) const = default;
};
LayerSettings settingsFor(const RunSpec& spec, const std::string& layer);

} // namespace qw
