#include <algorithm>
#include <numeric>

#include "base/hash.h"
#include "eval/perplexity.h"
#include "run/group_run.h"
#include "run/quantized_variant.h"

namespace qw {

namespace {
/// What the block took, without the calibration windows' way through it.
double secondsOf(const BlockArtifact& block, std::size_t run)
{
    if (block.result) {
        return block.result->seconds;
    }
    return std::accumulate(
        block.results[run].begin(), block.results[run].end(), 0.0,
        [](double sum, const LayerResult& layer) { return sum + layer.seconds; });
}
} // namespace

/// Seconds of training steps before this start.
double GroupRun::trainedBefore() const
{
    double seconds = m_training ? m_training->seconds : 0;
    for (const PhaseTime& phase : m_watch.phases()) {
        seconds -= phase.phase == "train" ? phase.seconds : 0;
    }
    return std::max(seconds, 0.0);
}

void GroupRun::collect()
{
    m_watch.begin("collect");
    double kept = trainedBefore(); // seconds of the work that is kept of earlier starts
    const ModelArtifact model = m_artifact->readModel();
    std::vector<std::unique_ptr<Hasher>> hashers;
    for (RunResult& result : m_runs) {
        hashers.push_back(std::make_unique<Hasher>());
        addToHash(model, *hashers.back());
        result.bytes = bytesOf(model.replaced);
        result.training = m_training.value_or(TrainingResult{});
    }
    for (std::int64_t index = 0; index < m_decoder->blockCount(); ++index) {
        m_run.checkpoint();
        const BlockArtifact block = readBlock(index);
        kept += m_keptBlocks.count(index) > 0 ? secondsOf(block, m_group.largest) : 0;
        for (std::size_t i = 0; i < m_runs.size(); ++i) {
            RunResult& result = m_runs[i];
            result.bytes += bytesOf(block.replaced);
            addToHash(block.replaced, *hashers[i]);
            for (std::size_t l = 0; l < block.linears.size(); ++l) {
                const LayerResult& layer = block.results[i][l];
                result.bytes += layer.bytes;
                result.layers.push_back(layer);
                addToHash(block.linears[l].withRank(layer.rank), *hashers[i]);
            }
            if (block.result) {
                result.blocks.push_back(*block.result);
            }
            result.substitutions.insert(result.substitutions.end(), block.substitutions.begin(),
                                        block.substitutions.end());
        }
    }
    for (std::size_t i = 0; i < m_runs.size(); ++i) {
        RunResult& result = m_runs[i];
        result.artifactHash = hashers[i]->hex();
        if (m_resume) { // a run that was killed could not store its time
            m_secondsBefore[i] = std::max(m_secondsBefore[i], kept);
        }
        result.bitsPerWeight =
            static_cast<double>(result.bytes) * 8 / static_cast<double>(m_group.plans[i].weights);
    }
}

void GroupRun::evaluate()
{
    if (!m_texts.evaluation) {
        return;
    }
    m_watch.begin("evaluate");
    DecoderOptions options = m_decoder->options();
    options.compute = common().evaluation.compute == "bf16" ? at::kBFloat16 : at::kFloat;
    const Decoder decoder(*m_checkpoint, options);
    std::vector<ModelVariant> variants;
    for (const RunResult& one : m_runs) {
        variants.push_back(storedVariant(*m_artifact, one.spec, decoder));
    }
    ReferenceStates* reference =
        m_shared == nullptr ? nullptr
                            : m_shared->reference({m_checkpoint->hash(), options.device,
                                                   m_texts.evaluation->ids, options.compute, 0},
                                                  m_checkpoint->config().hidden);
    const Scores scores =
        scoreWindows(decoder, *m_texts.evaluation, variants, m_run, {}, reference);
    for (std::size_t i = 0; i < m_runs.size(); ++i) {
        TextScore& score = m_runs[i].score;
        score = scores.variants[i];
        score.protocol = common().evaluation.protocol;
        score.compute = common().evaluation.compute;
        score.textHash = m_texts.evaluation->textHash;
        score.tokenizerHash = m_tokenizer->hash();
        m_runs[i].comparison = scores.comparisons[i];
    }
}

} // namespace qw
