#include "run/cost_model.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>

#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>

#include "methods/awq_search.h"
#include "methods/gptq.h"
#include "methods/reconstruction_rules.h"
#include "methods/training_rules.h"
#include "model/simd.h"

namespace qw {

namespace {
/// What libraries and the program itself take.
constexpr double kBaseBytes = 200e6;
/// Bytes a second that chains of elementwise operations read and write.
constexpr double kElementwiseRate = 4e9;
/// Float64 products run at half the speed of float32 ones, thin ones at about that too.
constexpr double kSlowProducts = 0.5;
/// Passes over a weight that rounding, dequantizing and measuring it make.
constexpr double kWeightPasses = 40;
/// Passes over a weight that rounding it makes.
constexpr double kRoundingPasses = 10;
constexpr double kSubspaceProducts = 12; ///< both ways, all iterations
constexpr double kTokensPerForward = 2048;
/// Learned rounding: products in bfloat16 against float32, the share of their rate that training
/// reaches, and bytes that one weight and one learned number move in an iteration.
constexpr double kNarrowSpeed = 4;
constexpr double kLearningShare = 0.7;
constexpr double kRoundingBytes = 24;
constexpr double kAdamBytes = 28;
/// Chunks of logits and of what becomes of them.
constexpr double kLogitBytes = 64e6;
/// A busy machine makes single products slow: the best of those that fit in this time.
constexpr double kProbeSeconds = 0.05;
constexpr int kLeastTries = 3;

/// Bytes in memory of a weight that training leaves alone.
double frozenBytes(const RunSpec& spec, std::int64_t bits)
{
    if (spec.method == "lsq") {
        return 0; // it is learned
    }
    const std::string phi = spec.method == "peqa" ? "int" : phiFor(spec.training, bits);
    return phi == "fp32"     ? 4
           : phi == "fixed8" ? 1
           : phi == "int"    ? static_cast<double>(bits) / 8
                             : 2;
}

/// Float32 multiply-adds a second times two, at a shape like the model's.
double productRate(const ModelConfig& config)
{
    const std::int64_t in = std::min<std::int64_t>(config.hidden, 2048);
    const std::int64_t out = std::min<std::int64_t>(config.intermediate, 2048);
    constexpr std::int64_t kRows = 512;
    const at::Tensor x = at::ones({kRows, in});
    const at::Tensor w = at::ones({out, in});
    double best = std::numeric_limits<double>::infinity();
    double spent = 0;
    for (int i = 0; i < kLeastTries || spent < kProbeSeconds; ++i) {
        const auto start = std::chrono::steady_clock::now();
        at::matmul(x, w.t());
        const std::chrono::duration<double> once = std::chrono::steady_clock::now() - start;
        best = std::min(best, once.count());
        spent += once.count();
    }
    return 2.0 * static_cast<double>(kRows * in * out) / std::max(best, 1e-7);
}

/// Sums over the model's linears, quantized or not.
struct Shapes {
    double linearWeights = 0;     ///< of all blocks
    double widestBlock = 0;       ///< weights of the largest block
    double widestLayer = 0;       ///< weights of the largest linear
    double statisticProducts = 0; ///< sum of in^2 over input groups
    double widestStatistics = 0;  ///< the same, of one block
    double widestInput = 0;       ///< in
    double inputGroups = 0;       ///< of a block, at most
};

Shapes shapesOf(const Checkpoint& checkpoint)
{
    Shapes shapes;
    std::map<std::int64_t, double> blocks;
    std::map<std::int64_t, std::map<std::int64_t, double>> groups;
    for (const LinearInfo& linear : checkpoint.linears()) {
        const auto in = static_cast<double>(linear.in);
        const double weights = in * static_cast<double>(linear.out);
        shapes.linearWeights += weights;
        shapes.widestLayer = std::max(shapes.widestLayer, weights);
        shapes.widestInput = std::max(shapes.widestInput, in);
        shapes.widestBlock = std::max(shapes.widestBlock, blocks[linear.block] += weights);
        groups[linear.block][linear.inputGroup] = in * in;
    }
    for (const auto& [block, squares] : groups) {
        double sum = 0;
        for (const auto& [group, square] : squares) {
            sum += square;
        }
        shapes.inputGroups = std::max(shapes.inputGroups, static_cast<double>(squares.size()));
        shapes.statisticProducts += sum;
        shapes.widestStatistics = std::max(shapes.widestStatistics, sum);
    }
    return shapes;
}

/// Seconds of windows through all blocks, and of the head.
struct ForwardCost {
    double blocks = 0;
    double head = 0;
};

ForwardCost forwardCost(const ModelConfig& c, const Shapes& shapes, double rate, double tokens,
                        double seqlen)
{
    const auto layers = static_cast<double>(c.layers);
    const auto width = static_cast<double>(c.heads * c.headDim);
    // Scores and mixing of the lower triangle, at the speed of small products.
    const double attention = 2 * tokens * seqlen * width * layers / (rate * kSlowProducts);
    const double touched =
        tokens * layers * 4 *
        (20 * static_cast<double>(c.hidden) + 8 * width + 8 * static_cast<double>(c.intermediate) +
         3 * seqlen * static_cast<double>(c.heads));
    ForwardCost cost;
    cost.blocks = 2 * tokens * shapes.linearWeights / rate + attention + touched / kElementwiseRate;
    const auto vocabulary = static_cast<double>(c.vocabSize);
    cost.head =
        tokens * vocabulary * (2 * static_cast<double>(c.hidden) / rate + 6 * 4 / kElementwiseRate);
    return cost;
}

/// Seconds of rounding, factorizing and measuring all layers.
double quantizeSeconds(const RunGroup& group, double rate, bool calibrated)
{
    double seconds = 0;
    for (const LayerPlan& layer : group.factorPlan.layers) {
        const auto in = static_cast<double>(layer.info.in);
        const double weights = in * static_cast<double>(layer.info.out);
        seconds += weights * 4 * kWeightPasses / kElementwiseRate;
        if (calibrated) { // E R and W R
            seconds += 4 * weights * in / (rate * kSlowProducts);
        }
        if (layer.settings.rank > 0) {
            const auto width = static_cast<double>(layer.settings.rank + 16);
            const bool exact = group.factorSpec.method == "qera-exact";
            const double once = 2 * width * (weights + (exact ? weights + in * in : 0));
            seconds += kSubspaceProducts * once / (rate * kSlowProducts);
        }
    }
    return seconds;
}

bool goesByBlocks(const RunSpec& spec)
{
    return dynamic_cast<const BlockMethod*>(&findMethod(spec.method)) != nullptr;
}

/// What methods that go block by block do on top of that.
/// @param pass  seconds of the calibration windows through all blocks; @param tokens  theirs
double blockwiseSeconds(const RunGroup& group, const Shapes& shapes, double rate, double pass,
                        double tokens)
{
    const RunSpec& spec = group.factorSpec;
    if (!goesByBlocks(spec)) {
        return 0;
    }
    // The error of each block before and after, and the inputs that it makes for the next one.
    double seconds = 3 * pass;
    if (spec.method == "gptq") { // inputs of layers on that way, seen again where layers wait
        const double passes = spec.gptq.trueSequential ? shapes.inputGroups : 1;
        seconds += passes * pass + 1.5 * tokens * shapes.statisticProducts / rate;
    } else if (spec.method == "awq") { // attention and MLP again at each ratio
        seconds += (static_cast<double>(spec.awq.ratios) + 1) * pass;
    }
    for (const LayerPlan& layer : group.factorPlan.layers) {
        const auto in = static_cast<double>(layer.info.in);
        const double weights = in * static_cast<double>(layer.info.out);
        const double rounding = weights * 4 * kRoundingPasses / kElementwiseRate;
        if (spec.method == "gptq") {
            // Two Cholesky factors and an inverse in float64; products move errors onto later
            // columns, half of all on average.
            seconds += (in * in * in * 4 / 3 + weights * kGptqBlock) / (rate * kSlowProducts) +
                       weights * in / rate;
        } else if (spec.method == "awq") {
            seconds += static_cast<double>(spec.awq.ratios) * rounding;
            if (spec.awq.clip == "search") {
                seconds += kAwqClipSteps * (rounding + 2 * weights * kAwqClipTokens / rate);
            }
        }
    }
    return seconds;
}

/// Learning the rounding of all blocks.
struct LearningCost {
    double seconds = 0;
    double bytes = 0; ///< of the widest block
};

LearningCost learningCost(const RunGroup& group, double rate, const Workload& work)
{
    const RunSpec& spec = group.factorSpec;
    LearningCost cost;
    if (spec.method != "lrq" && spec.method != "flexround") {
        return cost;
    }
    const ReconstructionSpec& learning = spec.reconstruction;
    const bool narrow = learning.compute == "bf16" ||
                        (learning.compute == "auto" && bestSimd() >= Simd::Avx512Bf16);
    const double products = rate * (narrow ? kNarrowSpeed : 1) * kLearningShare;
    const auto windows = static_cast<double>(
        std::min(learning.batchSize, std::max<std::int64_t>(1, work.calibrationWindows)));
    const double tokens = windows * static_cast<double>(work.calibrationSeqlen);
    std::map<std::int64_t, double> blocks;
    double once = 0;
    for (const LayerPlan& layer : group.factorPlan.layers) {
        const auto out = static_cast<double>(layer.info.out);
        const auto in = static_cast<double>(layer.info.in);
        const auto rank =
            spec.method == "flexround"
                ? 0.0
                : static_cast<double>(divisorRank(learning, layer.info.out, layer.info.in));
        const double learned = rank > 0 ? rank * (out + in) : out * in;
        once += 6 * out * in * (tokens + rank) / products +
                (out * in * kRoundingBytes + learned * kAdamBytes) / kElementwiseRate;
        // Value, gradient and two moments; the divisor, the weight and their gradients.
        blocks[layer.info.block] += 16 * learned + 16 * out * in + tokens * (out + in) * 8;
    }
    cost.seconds = once * static_cast<double>(learning.iterations);
    for (const auto& [block, bytes] : blocks) {
        cost.bytes = std::max(cost.bytes, bytes);
    }
    return cost;
}

/// Training the whole model, at the rates of learning the rounding.
LearningCost trainingCost(const RunGroup& group, const ModelConfig& c, double rate,
                          const Workload& work)
{
    const RunSpec& spec = group.factorSpec;
    LearningCost cost;
    if (!trainsModel(spec.method)) {
        return cost;
    }
    const TrainingSpec& training = spec.training;
    const TrainingRules rules = trainingRules(spec, c);
    const double products =
        rate * (trainsInBfloat16(training, spec.device) ? kNarrowSpeed : 1) * kLearningShare;
    const auto seqlen = static_cast<double>(work.trainingSeqlen);
    const double tokens = seqlen * static_cast<double>(training.batchSize);
    const auto hidden = static_cast<double>(c.hidden);
    const auto layers = static_cast<double>(c.layers);
    const double vocabulary = static_cast<double>(c.vocabSize);
    const double width = static_cast<double>(c.heads * c.headDim);
    const double forwards = training.recompute ? 2 : 1;
    double once = 0; // of one batch
    double learnedAll = 0;
    double widest = 0;
    for (const LayerPlan& layer : group.factorPlan.layers) {
        const auto out = static_cast<double>(layer.info.out);
        const auto in = static_cast<double>(layer.info.in);
        const double rank =
            std::min({static_cast<double>(rules.rank), out, in}); // 0 but for lr-qat
        const auto columns = static_cast<double>(layer.settings.weight.groupSize);
        const double scales = columns > 0 ? out * in / columns : out;
        const double learned = spec.method == "lsq" ? out * in : rank * (out + in);
        // Products with x, of the pair each time W^ is made, and the gradients of both.
        once += (2 * (forwards + 2) * out * in * tokens + 2 * (forwards + 3) * out * in * rank) /
                    products +
                (forwards + 1) * out * in * kRoundingBytes / kElementwiseRate;
        learnedAll += learned + scales;
        cost.bytes += out * in * frozenBytes(spec, layer.settings.weight.bits);
        widest = std::max(widest, out * in);
    }
    once += 4 * tokens * vocabulary * hidden / products +
            layers * (forwards + 2.5) * 2 * tokens * seqlen * width / (rate * kSlowProducts) +
            tokens * layers * 4 * (forwards + 2) *
                (20 * hidden + 8 * width + 8 * static_cast<double>(c.intermediate)) /
                kElementwiseRate;
    cost.seconds =
        static_cast<double>(training.steps) * (once * static_cast<double>(training.gradAccum) +
                                               learnedAll * kAdamBytes / kElementwiseRate);
    // Value, gradient and two moments; W^ and its gradient; inputs of blocks, what one block keeps
    // for its gradient (all of them where none is run again), logits, the head.
    const double graph =
        tokens * 4 * (10 * hidden + 4 * width + 6 * static_cast<double>(c.intermediate));
    cost.bytes += 16 * learnedAll + 12 * widest + tokens * hidden * 4 * (layers + 4) +
                  (training.recompute ? 1 : layers) * graph + vocabulary * hidden * 4 + kLogitBytes;
    return cost;
}
} // namespace

Workload workloadOf(const RunTexts& texts)
{
    Workload work;
    if (texts.calibration) {
        work.calibrationWindows = texts.calibration->count();
        work.calibrationSeqlen = texts.calibration->seqlen();
    }
    if (texts.evaluation) {
        work.evaluationWindows = texts.evaluation->count();
        work.evaluationSeqlen = texts.evaluation->seqlen();
    }
    if (texts.training) {
        work.trainingSeqlen = texts.training->tokens.seqlen();
    }
    return work;
}

Estimate estimateGroup(const RunGroup& group, const Checkpoint& checkpoint, const Workload& work,
                       std::int64_t hiddenBudgetBytes)
{
    return estimateGroup(group, checkpoint, work, hiddenBudgetBytes,
                         productRate(checkpoint.config()));
}

Estimate estimateGroup(const RunGroup& group, const Checkpoint& checkpoint, const Workload& work,
                       std::int64_t hiddenBudgetBytes, double rate)
{
    const ModelConfig& c = checkpoint.config();
    const Shapes shapes = shapesOf(checkpoint);
    const auto hidden = static_cast<double>(c.hidden);
    const auto models = static_cast<double>(group.specs.size() + 1);
    const auto calibrationSeqlen = static_cast<double>(work.calibrationSeqlen);
    const auto evaluationSeqlen = static_cast<double>(work.evaluationSeqlen);
    const double calibrationTokens =
        static_cast<double>(work.calibrationWindows) * calibrationSeqlen;
    const double evaluationTokens = static_cast<double>(work.evaluationWindows) * evaluationSeqlen;
    const bool calibrated = calibrationTokens > 0;

    Estimate estimate;
    estimate.bytes = group.plans[group.largest].bytes;
    estimate.bitsPerWeight = group.plans[group.largest].bitsPerWeight();

    const ForwardCost calibration =
        forwardCost(c, shapes, rate, calibrationTokens, calibrationSeqlen);
    const ForwardCost evaluation = forwardCost(c, shapes, rate, evaluationTokens, evaluationSeqlen);
    estimate.seconds =
        calibration.blocks + 1.5 * calibrationTokens * shapes.statisticProducts / rate +
        quantizeSeconds(group, rate, calibrated) + models * (evaluation.blocks + evaluation.head) +
        static_cast<double>(checkpoint.bytes()) * models / kElementwiseRate;

    const LearningCost learning = learningCost(group, rate, work);
    const LearningCost training = trainingCost(group, c, rate, work);
    estimate.seconds +=
        learning.seconds + training.seconds +
        blockwiseSeconds(group, shapes, rate, calibration.blocks, calibrationTokens);

    // Of the three phases the largest counts; each holds one block in float32.
    const double block = shapes.widestBlock * 4;
    const double statistics = calibrated ? shapes.widestStatistics * 8 : 0;
    const double copies = group.factorSpec.method == "awq" ? 4
                          : goesByBlocks(group.factorSpec) ? 2
                                                           : 1;
    const double cached =
        std::min(calibrationTokens * hidden * 4, static_cast<double>(hiddenBudgetBytes)) * copies;
    const auto forward = [&](double seqlen) {
        return std::max(kTokensPerForward, seqlen) * 4 *
               (3 * static_cast<double>(c.intermediate) + 8 * hidden);
    };
    const double calibrating = calibrated
                                   ? cached + block + statistics + forward(calibrationSeqlen) +
                                         512 * shapes.widestInput * 12
                                   : 0;
    const double quantizing =
        cached + block + statistics +
        std::max(6 * 4 * shapes.widestLayer + shapes.widestBlock, learning.bytes);
    const double vocabulary = static_cast<double>(c.vocabSize);
    const double evaluating =
        evaluationTokens > 0 ? std::max(2 * block + shapes.widestBlock + forward(evaluationSeqlen),
                                        vocabulary * hidden * 4 + 4 * (std::int64_t{8} << 20) * 4) +
                                   std::min(models * evaluationTokens * hidden * 4, 1.1e9)
                             : 0;
    estimate.peakRssBytes = static_cast<std::int64_t>(
        kBaseBytes + std::max({calibrating, quantizing, evaluating, training.bytes + block}));
    return estimate;
}

} // namespace qw
