#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/param_spec.h"
#include "base/run_context.h"
#include "report/block_losses.h"
#include "report/plot_data.h"
#include "report/plot_reduce.h"
#include "report/run_result.h"
#include "report/run_spec.h"

/// The front door of the engine. Names no tensor: the command line and the window include only
/// this, base, report and store.
namespace qw {

class RunStore;

// --- the machine ---------------------------------------------------------------------------------

struct EngineInfo {
    std::string version;   ///< of this program
    std::string torch;     ///< of libtorch
    std::string blas;      ///< "OpenBLAS", "MKL", "BLIS", "ATLAS", "reference BLAS", "unknown BLAS"
    bool slowBlas = false; ///< the reference library, or an unknown one as slow
    std::string cpu;
    std::int64_t physicalCores = 0;
    bool nativeBf16 = false;
    bool cuda = false;
    std::int64_t cudaDevices = 0;
};

/// Call once, before anything else: thread count (0: all physical cores) for every library used.
void startEngine(std::int64_t threads);
/// Gives memory that finished work freed back to the system: for programs that stay open.
void returnFreedMemory();
EngineInfo engineInfo();
/// @throws Error::BadInput for a device that is not there, saying why
void requireDevice(const std::string& device);

// --- names ---------------------------------------------------------------------------------------

/// "demo" and folders. @throws Error::NotFound
std::filesystem::path resolveModel(const std::string& model);
/// "demo:calibration", "demo:evaluation" and files. @throws Error::NotFound
std::filesystem::path resolveText(const std::string& text);

struct MethodDescription {
    std::string id, title, source, summary;
    std::vector<ParamSpec> params;
    bool needsCalibration = false;
    bool lowRank = false;
    bool integerGridsOnly = false; ///< formats "int" with a scale per row or group
    bool findsRange = false;       ///< searches where to cut the weights: range "minmax" alone
};
std::vector<MethodDescription> describeMethods();

// --- looking at a model
// ----------------------------------------------------------------------------

struct LayerOverview {
    std::string name;
    std::int64_t rows = 0, cols = 0, parameters = 0;
    std::string dtype;
    double minimum = 0, maximum = 0, standardDeviation = 0;
    double outlierRatio = 0; ///< max |w| over the standard deviation
    bool operator==(const LayerOverview&) const = default;
};

struct ModelOverview {
    std::string folder, architecture;
    std::int64_t parameters = 0, bytes = 0;
    std::int64_t vocabSize = 0, hidden = 0, intermediate = 0, blocks = 0;
    std::int64_t heads = 0, kvHeads = 0, headDim = 0, maxPositions = 0;
    bool tiedEmbeddings = false;
    std::vector<std::string> remarks; ///< anything unusual, in plain words
    std::vector<LayerOverview> layers;
    bool operator==(const ModelOverview&) const = default;
};
/// @param withWeights  read all weights for the ranges (otherwise those fields are NaN)
ModelOverview inspectModel(const std::string& model, bool withWeights, const RunContext& run);

struct LayerSpectra {
    std::string layer;
    struct Curve {
        std::string kind; ///< "W" | "E" | "SE" | "RE"
        std::vector<double> values, normalized;
        double frobenius = 0;
        double weightNorm = 0; ///< ||W||, ||S W|| or ||R^1/2 W||: of W, measured as this is
    };
    std::vector<Curve> curves;
    double stableRank = 0, marchenkoPasturEdge = 0;
    std::int64_t aboveEdge = 0;
};
/// Exact spectra of one layer for a weight format; S·E and R^½·E need spec.calibration.text.
/// @param cache  full spectra are looked up and kept there, if given
LayerSpectra layerSpectra(const RunSpec& spec, const std::string& layer, RunStore* cache,
                          const RunContext& run);

// --- texts
// -----------------------------------------------------------------------------------------

/// Ids of one document. @throws Error
std::vector<std::int32_t> tokenizeText(const std::string& model, const std::string& text,
                                       bool special);

struct GenerateOptions {
    std::string prompt;
    std::int64_t maxTokens = 64;
    double temperature = 0; ///< 0: greedy
    std::int64_t topK = 0;  ///< 0: all
    double topP = 1;
    std::int64_t seed = 0; ///< of the first sample; each next one takes one more
    bool stopAtEos = true;
    std::int64_t samples = 1;
    std::int64_t batchSize = 32; ///< samples in memory at once
    std::string compute = "f32"; ///< "f32" | "bf16": products
};
struct GeneratedText {
    std::int64_t seed = 0;
    std::string text;        ///< what was added to the prompt
    std::int64_t tokens = 0; ///< of it
    bool ended = false;      ///< by the model
};
/// Continues a prompt, once or several times.
/// @param run  a stored run to generate with, or null: full precision
/// @param onText  called with each piece of the first sample as it comes; may be empty
std::vector<GeneratedText> generateTexts(const std::string& model, const RunResult* run,
                                         const GenerateOptions& options, const std::string& device,
                                         const std::function<void(const std::string&)>& onText,
                                         const RunContext& context);

// --- measuring
// -------------------------------------------------------------------------------------

struct EvaluationResult {
    TextScore score;
    Comparison comparison; ///< filled if a run was evaluated
    double tokensPerSecond = 0;
    std::int64_t peakRssBytes = 0;
};
/// @param quantized  a stored run whose artifact was kept, or nullptr: the full-precision model
EvaluationResult evaluateModel(const std::string& model, const RunResult* quantized,
                               const EvaluationSpec& spec, const std::string& device,
                               const RunContext& run);

struct ChoiceScore {
    std::int64_t questions = 0;
    double accuracy = 0, accuracyNormalized = 0; ///< by sum, and by sum over length
    double stderrAccuracy = 0, stderrNormalized = 0;
    double seconds = 0;
};
/// Multiple choice by log-likelihood; the file format is in docs/choices.md.
ChoiceScore evaluateChoices(const std::string& model, const RunResult* quantized,
                            const std::filesystem::path& file, const std::string& device,
                            const RunContext& run);

// --- running
// -----------------------------------------------------------------------------------------

Estimate estimateRun(const RunSpec& spec);

struct RunOptions {
    std::filesystem::path workFolder; ///< artifacts and checkpoints, a subfolder per run id
    /// Calibration states beyond this many bytes go to a file in the run's folder. Same bits.
    std::int64_t hiddenBudgetBytes = std::int64_t{2} << 30;
    std::string sweep;                             ///< id to record with the run
    std::function<void(const RunResult&)> started; ///< once the id is known
    std::function<void(const LayerResult&)> layerDone;
    std::function<void(const LayerResult&)> layerKept; ///< of a run that goes on: done before
    /// Of a method that trains the model; those done before too.
    std::function<void(const TrainingStep&)> stepDone;
    /// Of a method that learns block by block, a few times a second; those of a block that goes on
    /// come again from its first iteration.
    std::function<void(const BlockLosses&)> lossesCame;
    /// Of a method that goes block by block, after the block's layers; those done before too.
    std::function<void(const BlockResult&)> blockDone;
};

/// Quantizes, measures and stores. Checkpoints after each block in the run's folder; a run that was
/// killed continues to the same bits with resumeRuns().
/// @throws Error, Cancelled; the store then says failed or cancelled
RunResult runQuantization(const RunSpec& spec, RunStore& store, const RunOptions& options,
                          const RunContext& run);

/// Repeats a stored run as it was made: one that was sliced from factors of a larger rank is again.
/// @return the new run. @throws as runQuantization() does
RunResult repeatRun(const RunResult& stored, RunStore& store, const RunOptions& options,
                    const RunContext& run);

/// Runs that differ only in rank share calibration and factorization, done once at the largest.
/// All runs are in the store from the start, those not begun as "queued". Runs that fail do not
/// keep the others from being done.
/// @return one result per spec, in order; those that failed say so in status and problem
/// @throws Error for wrong input, before anything is stored; Cancelled
std::vector<RunResult> runSweep(const std::vector<RunSpec>& specs, RunStore& store,
                                const RunOptions& options, const RunContext& run);

/// The first run that resuming @p id (a run, of a sweep or not, or a sweep) would continue: its
/// provenance says with how many threads. @throws Error::NotFound, BadInput if all are finished
RunResult firstUnfinished(const std::string& id, const RunStore& store);

/// Continues a run that was stopped, or all unfinished runs of a sweep, to the bits they would have
/// had. @return all runs of it, as they are now
/// @throws Error::Mismatch if model, texts, settings, program or threads are not the same any more,
/// BadInput if another process is at work on it, and what runs throw. In a sweep such runs stay as
/// they are and the others are done.
std::vector<RunResult> resumeRuns(const std::string& id, RunStore& store, const RunOptions& options,
                                  const RunContext& run);

struct VerifyReport {
    bool same = false;
    std::string storedHash, newHash;
    std::vector<std::string> differences;
};
/// Repeats a stored run in a scratch folder and compares the tensors.
VerifyReport verifyRun(const RunResult& stored, const RunContext& run);

// --- one layer in detail
// -------------------------------------------------------------------------

/// What needs all weights of a layer.
struct WeightStatistics {
    LayerOverview overview;       ///< with range, deviation and outlier ratio
    double stableRank = kMissing; ///< ||W||_F^2 / ||W||_2^2
};
/// All layers, in the order of the model, one at a time in memory. The largest singular value comes
/// from block power iterations: a relative error below 1e-3, against minutes for an exact one.
/// @param layerDone  called on this thread after each layer
void weightStatistics(const std::string& model,
                      const std::function<void(const WeightStatistics&)>& layerDone,
                      const RunContext& run);

/// What the input channels of some layers see: mean |x| over tokens, the maximum over batches.
struct ChannelStatistics {
    std::vector<std::string> layers; ///< that read the same input
    std::vector<double> meanAbs;     ///< [in], of the batch of calibration where it is largest
};
/// One pass of spec.calibration through the full-precision model.
/// @param groupDone  called on this thread, block by block
/// @throws Error::BadInput without a calibration text
void channelStatistics(const RunSpec& spec,
                       const std::function<void(const ChannelStatistics&)>& groupDone,
                       const RunContext& run);

struct LayerViewRequest {
    enum class Map {
        Weight,      ///< W
        Error,       ///< W - W^
        ScaledError, ///< the same times inputScale, column by column: what outputs feel
    };
    std::string layer;
    std::int64_t bins = 128; ///< of the histogram
    Map map = Map::Weight;
    std::int64_t firstRow = 0, firstCol = 0;   ///< part of the matrix the map shows
    std::int64_t rows = 0, cols = 0;           ///< 0: to the end
    std::int64_t maxRows = 256, maxCols = 256; ///< cells; more are thinned, keeping extremes
    std::vector<double> inputScale;            ///< [in], for ScaledError
};

struct LayerView {
    std::int64_t rows = 0, cols = 0;
    Histogram weights;                  ///< of W
    std::vector<std::int64_t> deployed; ///< W^ of the codes, counted in the same bins
    std::vector<double> gridPoints;     ///< of the group whose grid has the median width
    std::int64_t codeBits = 0;          ///< codes, scales and zero points as stored, no factors
    double relativeError = kMissing;    ///< ||W - W^|| / ||W||
    bool fromRun = false;               ///< W^ is a stored run's, else made from the spec
    bool skipped = false;               ///< an override keeps the layer as it is: W^ is W
    Heatmap map;                        ///< of the part asked for
    std::int64_t firstRow = 0, firstCol = 0, mapRows = 0, mapCols = 0; ///< that part
};
/// Histogram, grid and map of one layer. W^ is that of the stored run's artifact, A·B included,
/// if one is given and was kept, and W is then what its codes stand for: with the scales that the
/// run folded in; else W rounded to nearest in the spec's format. A layer that the run's overrides,
/// or without a run the spec's, skip is shown as it stays: no grid, no error, its own dtype's bits.
LayerView layerView(const RunSpec& spec, const RunResult* stored, const LayerViewRequest& request,
                    const RunContext& run);

} // namespace qw
