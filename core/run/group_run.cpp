#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <optional>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "engine.h"
#include "eval/perplexity.h"
#include "eval/text_windows.h"
#include "methods/method.h"
#include "model/decoder.h"
#include "model/tokenizer.h"
#include "run/artifact.h"
#include "run/block_calibration.h"
#include "run/layer_measure.h"
#include "run/quantized_variant.h"
#include "run/run_plan.h"
#include "store/run_store.h"

namespace qw {

namespace {
/// More than this share of the evaluation text standing in the calibration text is worth a warning.
constexpr double kOverlapWarning = 0.01;

std::string utcNow()
{
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

/// Seconds by phase, for the result.
class Stopwatch
{
public:
    void begin(const std::string& phase)
    {
        end();
        m_phase = phase;
        m_began = Clock::now();
    }
    void end()
    {
        if (!m_phase.empty()) {
            add(m_phase, std::chrono::duration<double>(Clock::now() - m_began).count());
            m_phase.clear();
        }
    }
    std::vector<PhaseTime> phases() const { return m_phases; }
    double total() const { return std::chrono::duration<double>(Clock::now() - m_start).count(); }

private:
    using Clock = std::chrono::steady_clock;
    void add(const std::string& phase, double seconds)
    {
        const auto found = std::find_if(m_phases.begin(), m_phases.end(),
                                        [&](const PhaseTime& p) { return p.phase == phase; });
        if (found == m_phases.end()) {
            m_phases.push_back({phase, seconds});
        } else {
            found->seconds += seconds;
        }
    }
    Clock::time_point m_start = Clock::now();
    Clock::time_point m_began = m_start;
    std::string m_phase;
    std::vector<PhaseTime> m_phases;
};

std::uint64_t layerSeed(std::int64_t seed, const std::string& layer)
{
    return std::stoull(hashOf(message(seed, "/", layer)).substr(0, 16), nullptr, 16);
}

/// Specs that differ in nothing but the rank of the correction: one calibration, one factorization.
bool shareFactors(const RunSpec& a, RunSpec b)
{
    b.lowRank.rank = a.lowRank.rank;
    return a == b;
}

/// The run of one or several specs that share factors; the first one's id names the folder.
class GroupRun
{
public:
    GroupRun(const std::vector<RunSpec>& specs, RunStore& store, const RunOptions& options,
             const RunContext& run);
    std::vector<RunResult> execute();

private:
    void prepare();
    void openResults();
    void quantizeBlocks();
    void quantizeBlock(const BlockWeights& block, BlockCalibration* calibration);
    void collect();
    void evaluate();
    void finish();
    std::string fingerprint() const;
    void closeAs(const std::string& status, const std::string& problem);

    const std::vector<RunSpec>& m_specs;
    RunStore& m_store;
    const RunOptions& m_options;
    const RunContext& m_run;
    std::size_t m_largest = 0; // the spec whose rank all others slice
    Checkpoint m_checkpoint;
    Tokenizer m_tokenizer;
    Decoder m_decoder;
    const LayerMethod& m_method;
    std::vector<RunPlan> m_plans;
    std::optional<TextWindows> m_calibration;
    std::optional<TextWindows> m_evaluation;
    std::optional<ArtifactFolder> m_artifact;
    std::vector<RunResult> m_results;
    std::vector<std::string> m_said;
    Stopwatch m_watch;
};

DecoderOptions decoderOptions(const RunSpec& spec)
{
    return {at::kFloat, spec.device};
}

GroupRun::GroupRun(const std::vector<RunSpec>& specs, RunStore& store, const RunOptions& options,
                   const RunContext& run)
    : m_specs(specs), m_store(store), m_options(options), m_run(run),
      m_checkpoint(resolveModel(specs.front().model)),
      m_tokenizer(Tokenizer::fromFolder(m_checkpoint.folder())),
      m_decoder(m_checkpoint, decoderOptions(specs.front())),
      m_method(findMethod(specs.front().method))
{
}

std::vector<RunResult> GroupRun::execute()
{
    const at::NoGradGuard noGrad;
    prepare();
    openResults();
    try {
        m_artifact->create(!m_options.resumeId.empty());
        quantizeBlocks();
        collect();
        evaluate();
        finish();
    } catch (const Cancelled&) {
        closeAs("cancelled", "cancelled; finished blocks are kept, qw resume continues");
        throw;
    } catch (const std::exception& problem) {
        closeAs("failed", problem.what());
        throw;
    }
    return m_results;
}

void GroupRun::prepare()
{
    m_watch.begin("prepare");
    m_run.beginPhase("prepare");
    const RunSpec& spec = m_specs.front();
    for (std::size_t i = 0; i < m_specs.size(); ++i) {
        m_plans.push_back(planRun(m_specs[i], m_checkpoint));
        if (m_specs[i].lowRank.rank > m_specs[m_largest].lowRank.rank) {
            m_largest = i;
        }
    }
    QW_REQUIRE(!m_method.info().needsCalibration || !spec.calibration.text.empty(),
               ErrorCode::BadInput, "method ", spec.method,
               " learns from data: give a calibration text");
    if (!spec.calibration.text.empty()) {
        m_calibration = calibrationWindows(
            spec.calibration, resolveText(spec.calibration.text).string(), m_checkpoint.config(),
            m_tokenizer, static_cast<std::uint64_t>(spec.seed));
        m_said.insert(m_said.end(), m_calibration->substitutions.begin(),
                      m_calibration->substitutions.end());
    }
    if (!spec.evaluation.text.empty()) {
        m_evaluation =
            evaluationWindows(spec.evaluation, resolveText(spec.evaluation.text).string(),
                              m_checkpoint.config(), m_tokenizer);
        m_said.insert(m_said.end(), m_evaluation->substitutions.begin(),
                      m_evaluation->substitutions.end());
    }
    if (m_calibration && m_evaluation) {
        const double overlap = textOverlap(m_evaluation->text, m_calibration->text);
        if (overlap > kOverlapWarning) {
            m_said.push_back(message("warning: ", std::round(overlap * 100),
                                     " % of the evaluation text stands in the calibration text; "
                                     "its perplexity is not a fair measure"));
        }
    }
}

std::string GroupRun::fingerprint() const
{
    Json all = Json::array();
    for (RunSpec spec : m_specs) {
        spec.evaluation = {}; // measured after the bits are fixed
        spec.artifacts = {};
        all.push_back(toJson(spec));
    }
    return hashOf(message(all.dump(), m_checkpoint.hash(), m_tokenizer.hash(),
                          m_calibration ? m_calibration->textHash : "", engineInfo().torch,
                          QW_VERSION, at::get_num_threads()));
}

void GroupRun::openResults()
{
    for (std::size_t i = 0; i < m_specs.size(); ++i) {
        RunResult result;
        result.spec = m_specs[i];
        result.id = i == 0 && !m_options.resumeId.empty() ? m_options.resumeId : m_store.newRunId();
        result.status = "running";
        result.started = utcNow();
        result.sweep = m_options.sweep;
        const EngineInfo info = engineInfo();
        result.provenance = {info.version,
                             info.torch,
                             m_checkpoint.hash(),
                             m_tokenizer.hash(),
                             m_calibration ? m_calibration->textHash : "",
                             m_evaluation ? m_evaluation->textHash : "",
                             at::get_num_threads(),
                             m_specs[i].device,
                             info.cpu};
        const RunPlan& plan = m_plans[i];
        result.rank = plan.maxRank;
        result.bytesOriginal = plan.bytesOriginal;
        result.estimate.bytes = plan.bytes;
        result.estimate.bitsPerWeight = plan.bitsPerWeight();
        result.substitutions = plan.substitutions;
        result.substitutions.insert(result.substitutions.end(), m_said.begin(), m_said.end());
        m_results.push_back(std::move(result));
    }
    const std::filesystem::path folder = m_options.workFolder / m_results.front().id;
    m_artifact.emplace(folder, fingerprint());
    for (RunResult& result : m_results) {
        result.artifactFolder = folder.string();
        m_store.save(result);
        if (m_options.started) {
            m_options.started(result);
        }
    }
}

void GroupRun::quantizeBlocks()
{
    m_run.beginPhase("quantize", m_decoder.blockCount());
    std::optional<BlockCalibration> calibration;
    if (m_calibration) {
        m_watch.begin("calibrate");
        calibration.emplace(m_decoder, m_calibration->ids, m_specs.front().calibration.statBatch);
    }
    std::int64_t lastMissing = -1;
    for (std::int64_t index = 0; index < m_decoder.blockCount(); ++index) {
        if (!m_artifact->hasBlock(index)) {
            lastMissing = index;
        }
    }
    for (std::int64_t index = 0; index <= lastMissing; ++index) {
        m_run.checkpoint(index, message("block ", index + 1, "/", m_decoder.blockCount()));
        const BlockWeights block = m_decoder.loadBlock(index);
        if (!m_artifact->hasBlock(index)) {
            quantizeBlock(block, calibration ? &*calibration : nullptr);
        } else if (calibration) { // resumed: only the hidden states move on
            calibration->advance(block, {}, m_run);
        }
        m_checkpoint.releaseBlock(index);
    }
    m_run.checkpoint(m_decoder.blockCount());
}

void GroupRun::quantizeBlock(const BlockWeights& block, BlockCalibration* calibration)
{
    std::map<std::int64_t, std::unique_ptr<InputStatistics>> statistics;
    if (calibration != nullptr) {
        m_watch.begin("calibrate");
        StatisticsNeeds needs = m_method.needs(m_specs[m_largest]);
        needs.autocorrelation = true; // also gives the output errors
        statistics = calibration->advance(block, needs, m_run);
    }
    m_watch.begin("quantize");
    BlockArtifact artifact;
    artifact.block = block.index;
    artifact.results.resize(m_specs.size());
    for (const LayerPlan& plan : m_plans[m_largest].ofBlock(block.index)) {
        m_run.checkpoint();
        const auto start = std::chrono::steady_clock::now();
        const auto weights = std::find_if(
            block.linears.begin(), block.linears.end(),
            [&](const LinearWeights& linear) { return linear.info.name == plan.info.name; });
        const auto found = statistics.find(plan.info.inputGroup);
        LayerTask task;
        task.name = plan.info.name;
        task.weight = weights->weight;
        task.statistics = found == statistics.end() ? nullptr : found->second.get();
        task.settings = plan.settings;
        task.spec = &m_specs[m_largest];
        task.seed = layerSeed(task.spec->seed, task.name);
        const LayerOutcome outcome = m_method.quantize(task, m_run);
        const double seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        const LayerReference reference = layerReference(
            task.weight,
            task.statistics != nullptr ? task.statistics->autocorrelation() : at::Tensor());
        for (std::size_t i = 0; i < m_specs.size(); ++i) {
            const std::int64_t rank =
                std::min(outcome.linear.rank(), settingsFor(m_specs[i], plan.info.name).rank);
            LayerResult result = measureLayer(reference, outcome.linear.withRank(rank));
            result.seconds = seconds;
            result.singularValues = outcome.singularValues;
            result.errorNorm = outcome.errorNorm;
            artifact.results[i].push_back(std::move(result));
        }
        artifact.substitutions.insert(artifact.substitutions.end(), outcome.substitutions.begin(),
                                      outcome.substitutions.end());
        artifact.linears.push_back(outcome.linear);
    }
    m_artifact->writeBlock(artifact);
    if (m_options.layerDone) {
        for (const LayerResult& layer : artifact.results[m_largest]) {
            m_options.layerDone(layer);
        }
    }
}

void GroupRun::collect()
{
    m_watch.begin("collect");
    std::vector<std::unique_ptr<Hasher>> hashers;
    for (std::size_t i = 0; i < m_specs.size(); ++i) {
        hashers.push_back(std::make_unique<Hasher>());
    }
    for (std::int64_t index = 0; index < m_decoder.blockCount(); ++index) {
        m_run.checkpoint();
        const BlockArtifact block = m_artifact->readBlock(index);
        for (std::size_t i = 0; i < m_specs.size(); ++i) {
            RunResult& result = m_results[i];
            result.layers.insert(result.layers.end(), block.results[i].begin(),
                                 block.results[i].end());
            result.substitutions.insert(result.substitutions.end(), block.substitutions.begin(),
                                        block.substitutions.end());
            for (std::size_t l = 0; l < block.linears.size(); ++l) {
                hashLinear(block.linears[l].withRank(block.results[i][l].rank), *hashers[i]);
            }
        }
    }
    for (std::size_t i = 0; i < m_specs.size(); ++i) {
        RunResult& result = m_results[i];
        result.artifactHash = hashers[i]->hex();
        result.bytes = 0;
        for (const LayerResult& layer : result.layers) {
            result.bytes += layer.bytes;
        }
        result.bitsPerWeight =
            static_cast<double>(result.bytes) * 8 / static_cast<double>(m_plans[i].weights);
    }
}

void GroupRun::evaluate()
{
    if (!m_evaluation) {
        return;
    }
    m_watch.begin("evaluate");
    DecoderOptions options = decoderOptions(m_specs.front());
    options.compute = m_specs.front().evaluation.compute == "bf16" ? at::kBFloat16 : at::kFloat;
    const Decoder decoder(m_checkpoint, options);
    std::vector<BlockVariant> variants;
    for (const RunSpec& spec : m_specs) {
        variants.push_back(storedVariant(*m_artifact, spec, options));
    }
    const Scores scores = scoreWindows(decoder, *m_evaluation, variants, m_run);
    for (std::size_t i = 0; i < m_specs.size(); ++i) {
        TextScore& score = m_results[i].score;
        score = scores.variants[i];
        score.protocol = m_specs[i].evaluation.protocol;
        score.compute = m_specs[i].evaluation.compute;
        score.textHash = m_evaluation->textHash;
        score.tokenizerHash = m_tokenizer.hash();
        m_results[i].comparison = scores.comparisons[i];
    }
}

void GroupRun::finish()
{
    m_watch.end();
    for (RunResult& result : m_results) {
        result.status = "finished";
        result.phases = m_watch.phases();
        result.seconds = m_watch.total();
        result.peakRssBytes = peakRssBytes();
    }
    if (m_specs.front().artifacts == "discard") {
        m_artifact->remove();
        for (RunResult& result : m_results) {
            result.artifactFolder.clear();
        }
    } else {
        Json runs = Json::array();
        for (const RunResult& result : m_results) {
            runs.push_back(toPublicJson(result, false));
        }
        m_artifact->finish({{"format", "quant-workbench artifact 1"},
                            {"spec", toJson(m_specs[m_largest])},
                            {"runs", runs}});
    }
    for (const RunResult& result : m_results) {
        m_store.save(result);
    }
}

void GroupRun::closeAs(const std::string& status, const std::string& problem)
{
    for (RunResult& result : m_results) {
        result.status = status;
        result.problem = problem;
        result.seconds = m_watch.total();
        m_store.save(result);
    }
}
} // namespace

RunResult runQuantization(const RunSpec& spec, RunStore& store, const RunOptions& options,
                          const RunContext& run)
{
    validate(spec);
    requireDevice(spec.device);
    const std::vector<RunSpec> specs{spec};
    return GroupRun(specs, store, options, run).execute().front();
}

std::vector<RunResult> runSweep(const std::vector<RunSpec>& specs, RunStore& store,
                                const RunOptions& options, const RunContext& run)
{
    std::vector<RunResult> results(specs.size());
    std::vector<bool> done(specs.size(), false);
    for (const RunSpec& spec : specs) { // all of them before hours are spent on the first
        validate(spec);
        requireDevice(spec.device);
        planRun(spec, Checkpoint(resolveModel(spec.model)));
    }
    for (std::size_t i = 0; i < specs.size(); ++i) {
        if (done[i]) {
            continue;
        }
        std::vector<std::size_t> members;
        std::vector<RunSpec> group;
        for (std::size_t j = i; j < specs.size(); ++j) {
            if (!done[j] && shareFactors(specs[i], specs[j])) {
                members.push_back(j);
                group.push_back(specs[j]);
                done[j] = true;
            }
        }
        const std::vector<RunResult> part = GroupRun(group, store, options, run).execute();
        for (std::size_t j = 0; j < members.size(); ++j) {
            results[members[j]] = part[j];
        }
    }
    return results;
}

} // namespace qw
