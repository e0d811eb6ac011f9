#include <algorithm>
#include <cmath>
#include <optional>

#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "base/files.h"
#include "engine.h"
#include "eval/perplexity.h"
#include "eval/text_windows.h"
#include "model/decoder.h"
#include "model/generate.h"
#include "model/tokenizer.h"
#include "run/artifact.h"
#include "run/cost_model.h"
#include "run/quantized_variant.h"
#include "run/run_texts.h"
#include "run/stored_run.h"

namespace qw {

std::vector<std::int32_t> tokenizeText(const std::string& model, const std::string& text,
                                       bool special)
{
    return Tokenizer::fromFolder(resolveModel(model)).encode(text, special);
}

std::vector<GeneratedText> generateTexts(const std::string& model, const RunResult* run,
                                         const GenerateOptions& options, const std::string& device,
                                         const std::function<void(const std::string&)>& onText,
                                         const RunContext& context)
{
    const at::NoGradGuard noGrad;
    requireDevice(device);
    const Checkpoint checkpoint(resolveModel(model));
    const Tokenizer tokenizer = Tokenizer::fromFolder(checkpoint.folder());
    const Decoder decoder(checkpoint,
                          {options.compute == "bf16" ? at::kBFloat16 : at::kFloat, device});
    std::optional<ModelVariant> variant;
    if (run != nullptr) {
        requireSameModel(checkpoint, *run, context);
        variant = storedVariant(storedArtifact(*run), run->spec, decoder);
    }
    const Decoder& ends = variant && variant->outside ? *variant->outside : decoder;
    std::vector<BlockWeights> blocks;
    std::vector<BlockHooks> hooks;
    for (std::int64_t i = 0; i < decoder.blockCount(); ++i) {
        context.checkpoint();
        blocks.push_back(decoder.loadBlock(i));
        if (variant) {
            hooks.push_back(variant->block(blocks.back()));
        }
    }
    SamplingOptions sampling;
    sampling.maxTokens = options.maxTokens;
    sampling.temperature = options.temperature;
    sampling.topK = options.topK;
    sampling.topP = options.topP;
    if (options.stopAtEos) {
        sampling.stopTokens = checkpoint.config().eosTokens;
    }
    std::vector<std::int32_t> tokens;
    std::string shown;
    const std::function<void(std::int64_t, std::int32_t)> stream = [&](std::int64_t sample,
                                                                       std::int32_t token) {
        if (sample > 0) {
            return;
        }
        tokens.push_back(token);
        const std::string text = tokenizer.decode(tokens);
        // A character may still lack bytes: what ends in U+FFFD waits for the next token.
        const bool whole = text.size() < 3 || text.compare(text.size() - 3, 3, "\xEF\xBF\xBD") != 0;
        if (whole && text.size() > shown.size()) {
            onText(text.substr(shown.size()));
            shown = text;
        }
    };
    const std::vector<std::int32_t> prompt = tokenizer.encode(options.prompt);
    std::vector<GeneratedText> texts;
    context.beginPhase("generate", options.samples);
    for (std::int64_t done = 0; done < options.samples; done += options.batchSize) {
        context.checkpoint(done);
        sampling.seed = static_cast<std::uint64_t>(options.seed + done);
        const std::int64_t count = std::min(options.batchSize, options.samples - done);
        for (const GeneratedSample& sample :
             generateSamples(ends, blocks, hooks, prompt, sampling, count,
                             onText && done == 0 ? stream : nullptr, context)) {
            texts.push_back({options.seed + static_cast<std::int64_t>(texts.size()),
                             tokenizer.decode(sample.tokens),
                             static_cast<std::int64_t>(sample.tokens.size()), sample.stopped});
        }
    }
    return texts;
}

EvaluationResult evaluateModel(const std::string& model, const RunResult* quantized,
                               const EvaluationSpec& spec, const std::string& device,
                               const RunContext& run)
{
    const at::NoGradGuard noGrad;
    returnFreedMemory(); // what ran before in this process is no part of it
    restartPeakRss();
    requireDevice(device);
    const Checkpoint checkpoint(resolveModel(model));
    const Tokenizer tokenizer = Tokenizer::fromFolder(checkpoint.folder());
    const Decoder decoder(checkpoint,
                          {spec.compute == "bf16" ? at::kBFloat16 : at::kFloat, device});
    const TextWindows windows = evaluationWindows(spec, resolveText(spec.text).string(),
                                                  checkpoint.config(), tokenizer, run);
    std::vector<ModelVariant> variants;
    if (quantized != nullptr) {
        requireSameModel(checkpoint, *quantized, run);
        variants.push_back(storedVariant(storedArtifact(*quantized), quantized->spec, decoder));
    }
    const Scores scores = scoreWindows(decoder, windows, variants, run);
    EvaluationResult result;
    result.score = quantized != nullptr ? scores.variants.front() : scores.fullPrecision;
    if (quantized != nullptr) {
        result.comparison = scores.comparisons.front();
    }
    result.score.protocol = spec.protocol;
    result.score.compute = spec.compute;
    result.score.textHash = windows.textHash;
    result.score.tokenizerHash = tokenizer.hash();
    // What was read, not only what was scored, and by both models of a run: that is the work done.
    const std::int64_t models = 1 + static_cast<std::int64_t>(variants.size());
    result.tokensPerSecond =
        static_cast<double>(models * windows.count() * windows.seqlen()) / result.score.seconds;
    result.peakRssBytes = recentPeakRssBytes();
    return result;
}

Estimate estimateRun(const RunSpec& spec)
{
    validate(spec);
    requireDevice(spec.device);
    const Checkpoint checkpoint(resolveModel(spec.model));
    const RunGroup group = planGroup({spec}, checkpoint);
    const Tokenizer tokenizer = Tokenizer::fromFolder(checkpoint.folder());
    requireTexts(spec);
    const RunTexts texts = readTexts(spec, checkpoint.config(), tokenizer);
    return estimateGroup(group, checkpoint, workloadOf(texts), RunOptions{}.hiddenBudgetBytes);
}

} // namespace qw
