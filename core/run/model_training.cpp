#include "run/model_training.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"
#include "methods/adam.h"
#include "methods/settings.h"
#include "methods/training_rules.h"
#include "run/block_calibration.h"
#include "run/trainable_model.h"
#include "run/training_state.h"

namespace qw {

namespace {
constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.95;
/// Times that the held-out windows are looked at.
constexpr std::int64_t kValidations = 10;

double secondsSince(std::chrono::steady_clock::time_point start)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Bytes in memory, with nothing on the heap that is free; the peak counts from here.
std::int64_t settledRss()
{
    returnFreedMemory();
    return restartPeakRss();
}

/// Layers as they were learned.
class LearnedLayers final : public LayerMethod
{
public:
    LearnedLayers(const ModelMethod& method, std::unique_ptr<Decoder> decoder,
                  std::unique_ptr<TrainableModel> model)
        : m_method(method), m_decoder(std::move(decoder)), m_model(std::move(model))
    {
    }
    const MethodInfo& info() const override { return m_method.info(); }
    StatisticsNeeds needs(const RunSpec& /*spec*/) const override { return {}; }
    LayerOutcome quantize(const LayerTask& task, const RunContext& /*run*/) const override
    {
        const TrainedWeight& weight = m_model->weight(task.name);
        LayerOutcome outcome;
        outcome.linear = weight.deployed(weightFormat(task.settings.weight));
        outcome.trainRank = weight.parts().left.defined() ? weight.parts().left.size(1) : 0;
        outcome.trainedParameters = weight.parameterCount();
        outcome.moved = weight.moved();
        return outcome;
    }

private:
    const ModelMethod& m_method;
    std::unique_ptr<Decoder> m_decoder; // what the model runs on
    std::unique_ptr<TrainableModel> m_model;
};

class Training
{
public:
    Training(const TrainingTask& task, const RunContext& run);
    TrainedLayers execute();

private:
    void begin();
    void step(std::int64_t number);
    at::Tensor batch(std::int64_t step, std::int64_t part);
    double tokensOfStep() const;
    double gradientNorm() const;
    [[noreturn]] void stopAt(std::int64_t number, const std::string& what,
                             const std::string& where);
    std::string overflowingGradient() const;
    void validateIfDue();
    double validationPerplexity();
    void save() const;
    void tell();
    std::string describeStep() const;

    const TrainingTask& m_task;
    const RunContext& m_run;
    const RunSpec& m_spec;
    const TrainingSpec& m_training;
    TrainingRules m_rules;
    std::unique_ptr<Decoder> m_decoder; // in the type of the training
    std::unique_ptr<TrainableModel> m_model;
    std::unique_ptr<Adam> m_adam;
    std::vector<TrainingStep> m_steps;
    std::size_t m_told = 0; ///< of them
};

Training::Training(const TrainingTask& task, const RunContext& run)
    : m_task(task), m_run(run), m_spec(task.group->factorSpec), m_training(m_spec.training),
      m_rules(trainingRules(m_spec, task.decoder->config())),
      m_decoder(std::make_unique<Decoder>(
          task.decoder->checkpoint(),
          DecoderOptions{trainsInBfloat16(m_training, m_spec.device) ? at::kBFloat16 : at::kFloat,
                         m_spec.device})),
      m_model(std::make_unique<TrainableModel>(*m_decoder, m_spec))
{
}

/// Makes every layer as it begins, a block of the full-precision model at a time.
void Training::begin()
{
    const StatisticsNeeds needs = m_task.method->needs(m_spec);
    std::optional<BlockCalibration> calibration;
    if (!(needs == StatisticsNeeds{})) {
        QW_REQUIRE(m_task.calibration != nullptr, ErrorCode::BadInput, "training.init ",
                   m_training.init, " looks at inputs: give a calibration text");
        calibration.emplace(*m_task.decoder, m_task.calibration->ids, m_spec.calibration.statBatch,
                            m_task.place, m_run);
    }
    std::vector<std::pair<std::string, at::Tensor>> learned;
    std::vector<LearnedTensor::Group> groups;
    for (std::int64_t index = 0; index < m_task.decoder->blockCount(); ++index) {
        m_run.checkpoint();
        BlockWeights block = m_task.decoder->loadBlock(index);
        BlockStatistics statistics;
        if (calibration) {
            statistics = calibration->advance(block, needs, m_run);
        }
        std::vector<std::unique_ptr<TrainedWeight>> weights;
        for (const LayerTask& layer : layerTasks(*m_task.group, block, statistics)) {
            m_run.checkpoint();
            weights.push_back(m_task.method->begin(layer, m_rules.rank, m_run));
            for (const LearnedTensor& tensor : weights.back()->learned()) {
                learned.emplace_back(layer.name + "." + tensor.name, tensor.value);
                groups.push_back(tensor.group);
            }
        }
        m_model->add(std::move(block), std::move(weights));
        m_task.decoder->checkpoint().releaseBlock(index);
    }
    m_adam = std::make_unique<Adam>(std::move(learned), AdamOptions{kBeta1, kBeta2, 1e-8});
    for (std::size_t i = 0; i < groups.size(); ++i) {
        const bool scale = groups[i] == LearnedTensor::Group::Scale;
        m_adam->entries()[i].rate = scale ? m_rules.lrScale : m_rules.lr;
        m_adam->entries()[i].decay = scale ? 0 : m_rules.weightDecay;
    }
}

double Training::tokensOfStep() const
{
    return static_cast<double>(m_training.batchSize * m_training.gradAccum *
                               m_task.tokens->seqlen());
}

at::Tensor Training::batch(std::int64_t step, std::int64_t part)
{
    const std::int64_t before = (step * m_training.gradAccum + part) * m_training.batchSize;
    return m_task.tokens->windows(before, m_training.batchSize).to(m_spec.device);
}

double Training::gradientNorm() const
{
    std::vector<at::Tensor> norms; // read together: each look at a GPU's numbers waits for it
    for (const Adam::Entry& entry : m_adam->entries()) {
        norms.push_back(entry.value.grad().norm());
    }
    if (norms.empty()) { // nothing is learned
        return 0;
    }
    return std::sqrt(at::stack(norms).to(at::kDouble).square().sum().item<double>());
}

/// Of the first learned tensor whose gradient is not finite.
std::string Training::overflowingGradient() const
{
    for (const Adam::Entry& entry : m_adam->entries()) {
        if (!at::isfinite(entry.value.grad()).all().item<bool>()) {
            return entry.name;
        }
    }
    return "the sum over all layers";
}

/// The state before the step is the last good one, unless an update has spoilt it.
void Training::stopAt(std::int64_t number, const std::string& what, const std::string& where)
{
    const auto finite = [](const Adam::Entry& entry) {
        return at::isfinite(entry.value.detach()).all().item<bool>();
    };
    if (std::all_of(m_adam->entries().begin(), m_adam->entries().end(), finite)) {
        save();
    }
    throw Error(ErrorCode::NonFinite,
                message("step ", number + 1, ": the ", what, " is not finite, beginning with ",
                        where, "; try a smaller learning rate than ",
                        m_spec.method == "peqa" ? m_rules.lrScale : m_rules.lr,
                        " or a longer warm-up",
                        std::filesystem::exists(m_task.stateFile)
                            ? "; the last good state is kept in " + m_task.stateFile.string()
                            : ""));
}

/// What an interruption left out is made good when the training goes on.
void Training::validateIfDue()
{
    const auto done = static_cast<std::int64_t>(m_steps.size());
    const std::int64_t every = std::max<std::int64_t>(1, m_training.steps / kValidations);
    if (done > 0 && (done % every == 0 || done == m_training.steps) &&
        std::isnan(m_steps.back().validationPerplexity)) {
        m_steps.back().validationPerplexity = validationPerplexity();
    }
}

double Training::validationPerplexity()
{
    const at::Tensor ids = m_task.tokens->validation();
    if (ids.size(0) == 0) {
        return kMissing;
    }
    double nll = 0;
    for (std::int64_t at = 0; at < ids.size(0); at += m_training.batchSize) {
        const std::int64_t count = std::min(m_training.batchSize, ids.size(0) - at);
        nll += m_model->nll(ids.narrow(0, at, count).to(m_spec.device), m_run);
    }
    return std::exp(nll / static_cast<double>(ids.size(0) * (ids.size(1) - 1)));
}

void Training::step(std::int64_t number)
{
    const auto start = std::chrono::steady_clock::now();
    const double predictions =
        tokensOfStep() - static_cast<double>(m_training.batchSize * m_training.gradAccum);
    double nll = 0;
    for (std::int64_t part = 0; part < m_training.gradAccum; ++part) {
        const at::Tensor ids = batch(number, part);
        nll += m_model->addGradients(ids, 1 / predictions, m_run);
        if (!std::isfinite(nll)) {
            stopAt(number, "loss", m_model->overflowingLayer(ids, m_run));
        }
    }
    TrainingStep done;
    done.loss = nll / predictions;
    done.gradientNorm = gradientNorm();
    if (!std::isfinite(done.gradientNorm)) {
        stopAt(number, "gradient", overflowingGradient());
    }
    if (m_training.clip > 0 && done.gradientNorm > m_training.clip) {
        for (Adam::Entry& entry : m_adam->entries()) {
            entry.value.mutable_grad().mul_(m_training.clip / done.gradientNorm);
        }
    }
    const double share = scheduledRate(1, number, m_rules.warmup, m_training.steps);
    m_adam->step(share);
    done.rate = share * (m_spec.method == "peqa" ? m_rules.lrScale : m_rules.lr);
    done.tokensPerSecond = tokensOfStep() / secondsSince(start);
    m_steps.push_back(done); // before anything may be cancelled: the update is made
}

void Training::tell()
{
    for (; m_told < m_steps.size(); ++m_told) {
        if (m_task.stepDone) {
            m_task.stepDone(m_steps[m_told]);
        }
    }
}

void Training::save() const
{
    saveTraining(m_task.stateFile, *m_model, *m_adam, m_steps);
}

std::string Training::describeStep() const
{
    const std::string where = message(m_steps.size(), " of ", m_training.steps, " steps");
    if (m_steps.empty()) {
        return where;
    }
    const TrainingStep& last = m_steps.back();
    return message(where, ", loss ", last.loss, ", gradient ", last.gradientNorm, ", ",
                   std::llround(last.tokensPerSecond), " tokens/s");
}

TrainedLayers Training::execute()
{
    const std::int64_t before = settledRss();
    begin();
    if (std::filesystem::exists(m_task.stateFile)) {
        m_steps = restoreTraining(m_task.stateFile, *m_model, *m_adam);
        m_run.goOn();
    }
    TrainedLayers trained;
    trained.startPeakRss = recentPeakRssBytes();
    settledRss(); // the search for ranges is not part of what a step takes
    try {
        for (;;) {
            validateIfDue();
            tell();
            const auto done = static_cast<std::int64_t>(m_steps.size());
            if (done > 0 && (done % m_training.saveEvery == 0 || done == m_training.steps)) {
                save();
            }
            if (done >= m_training.steps) {
                break;
            }
            m_run.checkpoint(done, describeStep());
            step(done);
        }
    } catch (const Cancelled&) {
        save(); // a step that was cut short changed nothing but gradients
        throw;
    }
    TrainingResult& result = trained.result;
    result.lr = m_spec.method == "peqa" ? kMissing : m_rules.lr;
    result.lrScale = m_rules.lrScale;
    result.weightDecay = m_rules.weightDecay;
    result.warmup = m_rules.warmup;
    result.rank = m_rules.rank;
    for (const TrainedWeight* weight : m_model->weights()) {
        result.trainedParameters += weight->parameterCount();
        result.frozenBytes += weight->frozenBytes();
    }
    if (m_spec.device == "cpu") {
        result.peakBytesAboveModel = recentPeakRssBytes() - before;
    }
    result.seconds = 0; // of all steps, those before an interruption included
    for (const TrainingStep& one : m_steps) {
        result.seconds += tokensOfStep() / one.tokensPerSecond;
    }
    result.steps = std::move(m_steps);
    trained.layers =
        std::make_unique<LearnedLayers>(*m_task.method, std::move(m_decoder), std::move(m_model));
    return trained;
}
} // namespace

TrainedLayers trainModel(const TrainingTask& task, const RunContext& run)
{
    const at::NoGradGuard noGrad;
    return Training(task, run).execute();
}

} // namespace qw
