#include "run/group_run.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "base/hash.h"
#include "methods/training_rules.h"
#include "model/block_title.h"
#include "run/activation_points.h"
#include "run/cost_model.h"
#include "run/recipe.h"
#include "store/run_store.h"

namespace qw {

namespace {
/// More than this share of the evaluation text standing in the calibration text is worth a warning.
constexpr double kOverlapWarning = 0.01;
/// What a sweep collects for all its methods: beside the autocorrelation the others cost nothing.
constexpr StatisticsNeeds kAllStatistics = {true, true, true, true};
} // namespace

std::string firstLine(const std::exception& problem)
{
    const std::string text = problem.what();
    return text.substr(0, text.find('\n'));
}

GroupRun::GroupRun(std::vector<RunResult> runs, bool inStore, bool resume, RunStore& store,
                   const RunOptions& options, const RunContext& run, SharedWork* shared)
    : m_runs(std::move(runs)), m_inStore(inStore), m_resume(resume), m_store(store),
      m_options(options), m_run(run), m_shared(shared)
{
    for (const RunResult& before : m_runs) {
        m_secondsBefore.push_back(m_resume ? before.seconds : 0);
    }
}

std::vector<RunResult> GroupRun::execute()
{
    const at::NoGradGuard noGrad;
    returnFreedMemory(); // what ran before in this process is no part of it
    restartPeakRss();
    try {
        prepare();
        if (m_resume) {
            openFolder(); // before anything is said in the store: it may be refused
        }
    } catch (const std::exception& problem) {
        if (m_inStore && !m_resume) {
            closeAs(dynamic_cast<const Cancelled*>(&problem) != nullptr ? "cancelled" : "failed",
                    firstLine(problem));
        }
        throw;
    }
    describeRuns();
    storeAll();
    try {
        if (!m_resume) {
            openFolder();
        }
        quantizeBlocks();
        writeModel();
        collect();
        evaluate();
        finish();
    } catch (const Cancelled&) {
        closeAs("cancelled", "cancelled; finished blocks are kept, qw resume continues");
        throw;
    } catch (const std::exception& problem) {
        closeAs("failed", firstLine(problem));
        throw;
    }
    return m_runs;
}

void GroupRun::prepare()
{
    m_watch.begin("prepare");
    requireTexts(common());
    m_checkpoint.emplace(resolveModel(common().model));
    std::vector<RunSpec> specs;
    std::int64_t factorRank = 0;
    for (const RunResult& one : m_runs) {
        specs.push_back(one.spec);
        factorRank = std::max(factorRank, one.provenance.factorRank);
    }
    m_group = planGroup(std::move(specs), *m_checkpoint, factorRank);
    if (!m_inStore) { // of a sweep it was said for all of it
        for (const std::string& sentence : unusedOverrides(common(), *m_checkpoint)) {
            m_run.log("warning: " + sentence);
        }
    }
    m_run.beginPhase("prepare"); // what is wrong in the specs is said by now
    m_tokenizer.emplace(Tokenizer::fromFolder(m_checkpoint->folder()));
    m_decoder.emplace(*m_checkpoint, DecoderOptions{at::kFloat, common().device});
    readTexts();
    warnOfOverlap();
    noteRoundedStates();
    m_run.checkpoint();
    m_artifact.emplace(artifactPlace(), fingerprint());
    m_run.checkpoint();
}

/// Beside the store; for a resumed run where its blocks are, if the store was moved or merged.
std::filesystem::path GroupRun::artifactPlace() const
{
    const std::string& id = m_runs.front().id;
    const std::filesystem::path beside = m_options.workFolder / id;
    const std::filesystem::path stored = m_runs.front().artifactFolder;
    if (!m_resume || stored.empty() || ArtifactFolder::begun(beside)) {
        return beside;
    }
    if (ArtifactFolder::begun(stored)) {
        return stored;
    }
    m_run.log(message("run ", id, ": its finished blocks are neither in ", beside.string(),
                      " nor in ", stored.string(), "; it begins again"));
    return beside;
}

void GroupRun::readTexts()
{
    m_texts = qw::readTexts(common(), m_checkpoint->config(), *m_tokenizer, m_run);
    for (const std::optional<TextWindows>* windows : {&m_texts.calibration, &m_texts.evaluation}) {
        if (*windows) {
            const std::vector<std::string>& said = (*windows)->substitutions;
            m_said.insert(m_said.end(), said.begin(), said.end());
        }
    }
    if (m_texts.training) {
        for (const std::vector<std::string>& said :
             {trainingRules(common(), m_checkpoint->config()).said,
              m_texts.training->substitutions}) {
            m_said.insert(m_said.end(), said.begin(), said.end());
        }
    }
    const std::vector<std::string> differences = recipeDifferences(common(), m_texts);
    m_said.insert(m_said.end(), differences.begin(), differences.end());
}

void GroupRun::warnOfOverlap()
{
    if (!m_texts.evaluation) {
        return;
    }
    const auto warn = [this](const std::string& text, const char* kind) {
        const double overlap = textOverlap(m_texts.evaluation->text, text);
        if (overlap > kOverlapWarning) {
            m_said.push_back(message("warning: ", std::round(overlap * 100),
                                     " % of the evaluation text stands in the ", kind,
                                     " text; its perplexity is not a fair measure"));
        }
    };
    if (m_texts.calibration) {
        warn(m_texts.calibration->text, "calibration");
    }
    if (m_texts.training) {
        warn(m_texts.training->text, "training");
        m_texts.training->text.clear();
    }
}

/// Methods that look at hidden states twice and more keep those past the budget in bfloat16.
bool GroupRun::roundsStates() const
{
    return m_texts.calibration &&
           m_texts.calibration->ids.numel() * m_checkpoint->config().hidden * std::int64_t{4} >
               m_options.hiddenBudgetBytes &&
           dynamic_cast<const BlockMethod*>(&findMethod(common().method)) != nullptr;
}

void GroupRun::noteRoundedStates()
{
    if (roundsStates()) {
        m_said.push_back(message("hidden states of the calibration windows are kept in a file, "
                                 "rounded to bfloat16: they take more than ",
                                 m_options.hiddenBudgetBytes >> 20, " MiB"));
    }
}

std::string GroupRun::fingerprint() const
{
    Json all = Json::array();
    for (RunSpec spec : m_group.specs) {
        spec.evaluation = {}; // measured after the bits are fixed
        spec.artifacts = {};
        all.push_back(toJson(spec));
    }
    return hashOf(message(
        all.dump(), m_group.factorSpec.lowRank.rank, " ", m_checkpoint->hash(m_run),
        m_tokenizer->hash(), m_texts.calibration ? m_texts.calibration->textHash : "",
        m_texts.training ? m_texts.training->textHash : "", roundsStates() ? "bf16 states" : "",
        engineInfo().torch, engineInfo().cpu, QW_VERSION, at::get_num_threads()));
}

void GroupRun::describeRuns()
{
    const EngineInfo info = engineInfo();
    const Estimate estimate =
        estimateGroup(m_group, *m_checkpoint, workloadOf(m_texts), m_options.hiddenBudgetBytes);
    for (std::size_t i = 0; i < m_runs.size(); ++i) {
        RunResult& result = m_runs[i];
        const RunPlan& plan = m_group.plans[i];
        result.status = "running";
        result.problem.clear();
        result.provenance = {info.version,
                             info.torch,
                             m_checkpoint->hash(),
                             m_tokenizer->hash(),
                             m_texts.calibration ? m_texts.calibration->textHash : "",
                             m_texts.evaluation ? m_texts.evaluation->textHash : "",
                             at::get_num_threads(),
                             result.spec.device,
                             info.cpu,
                             m_group.factorSpec.lowRank.rank,
                             m_texts.training ? m_texts.training->textHash : ""};
        result.rank = plan.maxRank;
        result.bytesOriginal = plan.bytesOriginal;
        result.estimate = estimate;
        result.estimate.bytes = plan.bytes;
        result.estimate.bitsPerWeight = plan.bitsPerWeight();
        result.substitutions = plan.substitutions;
        result.substitutions.insert(result.substitutions.end(), m_said.begin(), m_said.end());
        result.layers.clear();
        result.blocks.clear();
        result.training = {};
        result.artifactFolder = m_artifact->folder().string();
    }
}

/// Has the peak of a part of the run, a block or the training, count from here.
void GroupRun::beginMemoryPart()
{
    m_peakRss = std::max(m_peakRss, recentPeakRssBytes());
    restartPeakRss();
}

void GroupRun::storeAll()
{
    for (const RunResult& result : m_runs) {
        m_store.save(result);
        if (m_options.started) {
            m_options.started(result);
        }
    }
    m_inStore = true;
}

void GroupRun::openFolder()
{
    m_artifact->makeFolder();
    m_lock.emplace(m_artifact->lockFile()); // before anything of a process at work is swept up
    m_artifact->create(m_resume);
}

void GroupRun::tell(const BlockArtifact& block,
                    const std::function<void(const LayerResult&)>& to) const
{
    for (const LayerResult& layer : block.results[m_group.largest]) {
        if (to) {
            to(layer);
        }
    }
    if (block.result && m_options.blockDone) {
        m_options.blockDone(*block.result);
    }
}

void GroupRun::quantizeBlocks()
{
    const std::int64_t blocks = m_decoder->blockCount();
    const QuantMethod& method = findMethod(common().method);
    const auto* blockMethod = dynamic_cast<const BlockMethod*>(&method);
    const std::int64_t steps = blockMethod != nullptr ? blockMethod->steps(common()) : 1;
    std::int64_t lastMissing = -1;
    for (std::int64_t index = 0; index < blocks; ++index) {
        if (!m_artifact->hasBlock(index)) {
            lastMissing = index;
            continue;
        }
        m_keptBlocks.insert(index);
        std::filesystem::remove(m_artifact->stateFile(index)); // killed between the two, both stay
        if (m_options.layerKept || m_options.blockDone) {
            m_run.checkpoint();
            tell(readBlock(index), m_options.layerKept);
        }
    }
    const std::unique_ptr<LayerMethod> trained = trainLayers(method, lastMissing >= 0);
    const bool shares = m_shared != nullptr && m_texts.calibration;
    if (shares) {
        m_shared->beginCalibration({m_checkpoint->hash(), common().device, m_texts.calibration->ids,
                                    roundsStates() ? at::kBFloat16 : at::kFloat,
                                    common().calibration.statBatch});
    }
    const auto wants = [&](std::int64_t index) { // that statistics be collected
        return !m_artifact->hasBlock(index) && !(shares && m_shared->knows(index));
    };
    bool needsPath = blockMethod != nullptr;
    for (std::int64_t index = 0; index <= lastMissing; ++index) {
        needsPath = needsPath || wants(index);
    }
    m_run.beginPhase("quantize", blocks * steps);
    // The full-precision model, and beside it, for block methods, what the block begins with: the
    // quantized model's states, or the full-precision model's before it moves on.
    std::optional<BlockCalibration> full;
    std::optional<BlockCalibration> quantized;
    const HiddenStatesPlace place{m_options.hiddenBudgetBytes, m_artifact->folder(),
                                  roundsStates() ? at::kBFloat16 : at::kFloat};
    if (m_texts.calibration && lastMissing >= 0 && needsPath) {
        m_watch.begin("calibrate");
        const auto begin = [&](std::optional<BlockCalibration>& path) {
            path.emplace(*m_decoder, m_texts.calibration->ids, common().calibration.statBatch,
                         place, m_run);
        };
        begin(full);
        if (blockMethod != nullptr) {
            begin(quantized);
        }
    }
    bool goesOn = false; // past blocks that an earlier start finished
    for (std::int64_t index = 0; index <= lastMissing; ++index) {
        const bool missing = !m_artifact->hasBlock(index);
        if (!missing || goesOn) { // the time of blocks that are there is no measure of the others
            m_run.goOn();
        }
        goesOn = !missing;
        m_run.checkpoint(index * steps, blockTitle(*m_checkpoint, index) +
                                            (missing ? "" : ", done before: only run through"));
        beginMemoryPart();
        m_watch.begin("calibrate");
        BlockWeights block = m_decoder->loadBlock(index);
        BlockStatistics statistics;
        if (quantized && missing && !blockMethod->quantizedInputs()) {
            quantized->follow(*full, m_run);
        }
        const StatisticsNeeds needs = !wants(index) ? StatisticsNeeds{}
                                      : shares      ? kAllStatistics
                                                    : statisticsNeeds(m_group);
        if (full) { // where nothing is to be collected, only the hidden states move on
            statistics = full->advance(block, needs, m_run);
        }
        if (missing && shares) {
            if (wants(index)) {
                m_shared->keep(index, statistics);
            } else {
                statistics = m_shared->statistics(index);
            }
        }
        if (missing) {
            m_watch.begin("quantize");
            const BlockArtifact artifact =
                quantized
                    ? quantizeBlock(m_group, *blockMethod, block, std::move(statistics),
                                    {&*m_decoder, &*quantized, &full->states(),
                                     m_artifact->stateFile(index), place, m_options.lossesCame},
                                    m_run)
                    : quantizeBlock(m_group,
                                    trained ? *trained : dynamic_cast<const LayerMethod&>(method),
                                    std::move(block), std::move(statistics), m_run);
            m_artifact->writeBlock(artifact);
            std::filesystem::remove(m_artifact->stateFile(index));
            tell(artifact, m_options.layerDone);
        } else if (quantized && blockMethod->quantizedInputs()) {
            m_watch.begin("calibrate");
            quantized->advance(block, {}, m_run,
                               pathHooks(m_artifact->readBlock(index), block, *m_decoder));
        }
        m_checkpoint->releaseBlock(index);
        returnFreedMemory(); // or what is left between tensors grows from block to block
    }
    std::filesystem::remove(m_artifact->trainingFile());
    m_run.checkpoint(blocks * steps);
}

/// @throws Error::BadFile also if it has not the results of each of these runs
BlockArtifact GroupRun::readBlock(std::int64_t index) const
{
    BlockArtifact block = m_artifact->readBlock(index);
    QW_REQUIRE(block.results.size() == m_runs.size(), ErrorCode::BadFile,
               m_artifact->folder().string(), ": block ", index, " has the results of ",
               block.results.size(), " runs, not of ", m_runs.size());
    return block;
}

void GroupRun::writeModel()
{
    ModelArtifact model = modelQuantizers(common());
    model.training = m_training;
    m_artifact->writeModel(model);
}

void GroupRun::finish()
{
    m_watch.end();
    m_peakRss = std::max(m_peakRss, recentPeakRssBytes());
    for (std::size_t i = 0; i < m_runs.size(); ++i) {
        RunResult& result = m_runs[i];
        result.status = "finished";
        result.phases = m_watch.phases();
        result.seconds = m_secondsBefore[i] + m_watch.total();
        result.peakRssBytes = m_peakRss;
    }
    if (common().artifacts == "discard") {
        m_artifact->remove();
        for (RunResult& result : m_runs) {
            result.artifactFolder.clear();
        }
    } else {
        Json runs = Json::array();
        for (const RunResult& result : m_runs) {
            runs.push_back(toPublicJson(result, false));
        }
        m_artifact->finish({{"format", "quant-workbench artifact 1"},
                            {"spec", toJson(m_group.specs[m_group.largest])},
                            {"runs", runs}});
    }
    for (const RunResult& result : m_runs) {
        m_store.save(result);
    }
}

void GroupRun::closeAs(const std::string& status, const std::string& problem)
{
    try {
        for (std::size_t i = 0; i < m_runs.size(); ++i) {
            m_runs[i].status = status;
            m_runs[i].problem = problem;
            m_runs[i].seconds = m_secondsBefore[i] + m_watch.total();
            m_store.save(m_runs[i]);
        }
    } catch (const Error& second) { // the disk may be full for the store too: tell the first cause
        m_run.log(second.what());
    }
}

} // namespace qw
