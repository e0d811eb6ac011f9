#include "text_comparison.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "base/error.h"
#include "engine.h"
#include "eval/perplexity.h"
#include "model/generate.h"
#include "model/tokenizer.h"
#include "run/artifact.h"
#include "run/quantized_variant.h"
#include "run/stored_run.h"

namespace qw {

namespace {
constexpr std::string_view kUnfinished = "\xEF\xBF\xBD"; // U+FFFD
constexpr std::int64_t kLogitRows = 64; // at once: a vocabulary has up to 150,000 entries

/// A model in memory: its blocks and what replaces their linears.
struct LoadedModel {
    const Decoder* decoder = nullptr; ///< embeds and finishes
    std::vector<BlockWeights> blocks;
    std::vector<BlockHooks> hooks; ///< empty: full precision
};

/// What one model says about every token but the first.
struct Opinion {
    std::vector<double> logProb;
    std::vector<std::int32_t> best;
};

Opinion opinionOf(const LoadedModel& model, const std::vector<std::int32_t>& tokens,
                  const RunContext& run)
{
    const auto count = static_cast<std::int64_t>(tokens.size());
    at::Tensor ids = at::empty({1, count}, at::kLong);
    std::copy(tokens.begin(), tokens.end(), ids.data_ptr<std::int64_t>());
    const at::Tensor x = model.decoder->embed(ids);
    for (std::size_t i = 0; i < model.blocks.size(); ++i) {
        run.checkpoint();
        BlockHooks hooks = model.hooks.empty() ? BlockHooks() : model.hooks[i];
        hooks.run = &run;
        model.decoder->advanceBlock(model.blocks[i], x, hooks);
    }
    const at::Tensor finished = model.decoder->finish(x.squeeze(0));
    PredictionScores scores;
    Opinion opinion;
    for (std::int64_t at = 0; at + 1 < count; at += kLogitRows) {
        run.checkpoint();
        const std::int64_t rows = std::min(kLogitRows, count - 1 - at);
        const at::Tensor logits = model.decoder->logits(finished.narrow(0, at, rows));
        addPredictions(logits, {}, ids[0].narrow(0, at + 1, rows), scores);
        const at::Tensor best = logits.argmax(-1).to(at::kCPU, at::kInt).contiguous();
        const auto* data = best.data_ptr<std::int32_t>();
        opinion.best.insert(opinion.best.end(), data, data + rows);
    }
    for (const double nll : scores.nll) {
        opinion.logProb.push_back(-nll);
    }
    return opinion;
}

/// What each token adds to the decoded text. The bytes of a character that spans several tokens
/// come with its last one.
std::vector<std::string> piecesOf(const Tokenizer& tokenizer,
                                  const std::vector<std::int32_t>& tokens)
{
    const std::vector<std::int32_t> special = tokenizer.specialIds();
    std::vector<std::string> pieces;
    std::string shown;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (std::find(special.begin(), special.end(), tokens[i]) != special.end()) {
            pieces.push_back(tokenizer.token(tokens[i]));
            continue;
        }
        const std::string text = tokenizer.decode(std::span(tokens).first(i + 1));
        const bool whole =
            text.size() < kUnfinished.size() ||
            text.compare(text.size() - kUnfinished.size(), kUnfinished.size(), kUnfinished) != 0;
        pieces.push_back(whole && text.size() > shown.size() ? text.substr(shown.size()) : "");
        shown = whole ? text : shown;
    }
    return pieces;
}

/// The token's text; its entry in the vocabulary where it is no whole characters; its id where it
/// has no entry.
std::string nameOf(const Tokenizer& tokenizer, std::int32_t token)
{
    const std::string text = tokenizer.decode(std::span(&token, 1));
    if (!text.empty() && text.find(kUnfinished) == std::string::npos) {
        return text;
    }
    const std::string entry = tokenizer.token(token);
    return entry.empty() ? "<" + std::to_string(token) + ">" : entry;
}

std::string continued(const LoadedModel& model, const Tokenizer& tokenizer,
                      const std::vector<std::int32_t>& tokens, std::int64_t count,
                      const RunContext& run)
{
    const ModelConfig& config = model.decoder->config();
    if (count == 0 || static_cast<std::int64_t>(tokens.size()) >= config.maxPositions) {
        return {};
    }
    SamplingOptions greedy;
    greedy.maxTokens = count;
    greedy.stopTokens = config.eosTokens;
    // Decoded together with the text: a first word may begin with a space.
    std::vector<std::int32_t> all = tokens;
    const std::string before = tokenizer.decode(all);
    const auto added =
        generateTokens(*model.decoder, model.blocks, model.hooks, tokens, greedy, {}, run);
    all.insert(all.end(), added.begin(), added.end());
    const std::string after = tokenizer.decode(all);
    return after.compare(0, before.size(), before) == 0 ? after.substr(before.size())
                                                        : tokenizer.decode(added);
}

double meanLoss(const std::vector<double>& logProb)
{
    double sum = 0;
    for (const double value : logProb) {
        sum -= value;
    }
    return sum / static_cast<double>(logProb.size());
}
} // namespace

TextComparison compareText(const RunResult& run, const TextComparisonRequest& request,
                           const std::function<void(const TextComparison&)>& measured,
                           const RunContext& context)
{
    const at::NoGradGuard noGrad;
    requireDevice(run.spec.device);
    const Checkpoint checkpoint(resolveModel(run.spec.model));
    const ArtifactFolder artifact = storedArtifact(run);
    requireSameModel(checkpoint, run, context);
    const Tokenizer tokenizer = Tokenizer::fromFolder(checkpoint.folder());
    const std::vector<std::int32_t> tokens = tokenizer.encode(request.text);
    QW_REQUIRE(tokens.size() >= 2, ErrorCode::BadInput,
               "the text has fewer than two tokens: there is nothing to predict");
    QW_REQUIRE(static_cast<std::int64_t>(tokens.size()) <= checkpoint.config().maxPositions,
               ErrorCode::BadInput, "the text has ", tokens.size(), " tokens, the model takes ",
               checkpoint.config().maxPositions);
    const Decoder decoder(checkpoint, {at::kFloat, run.spec.device});
    const ModelVariant variant = storedVariant(artifact, run.spec, decoder);
    LoadedModel full{&decoder, {}, {}};
    LoadedModel quantized{variant.outside ? variant.outside.get() : &decoder, {}, {}};
    for (std::int64_t i = 0; i < decoder.blockCount(); ++i) {
        context.checkpoint();
        full.blocks.push_back(decoder.loadBlock(i));
        quantized.hooks.push_back(variant.block(full.blocks.back()));
    }
    quantized.blocks = full.blocks; // tensors are shared, not copied
    const Opinion fp = opinionOf(full, tokens, context);
    const Opinion own = opinionOf(quantized, tokens, context);
    const std::vector<std::string> pieces = piecesOf(tokenizer, tokens);
    TextComparison result;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        TokenComparison& token = result.tokens.emplace_back();
        token.text = pieces[i];
        if (i > 0) {
            token.fpLogProb = fp.logProb[i - 1];
            token.logProb = own.logProb[i - 1];
            token.fpBest = nameOf(tokenizer, fp.best[i - 1]);
            token.best = nameOf(tokenizer, own.best[i - 1]);
        }
    }
    result.fpNll = meanLoss(fp.logProb);
    result.nll = meanLoss(own.logProb);
    if (measured) {
        measured(result);
    }
    result.fpContinuation = continued(full, tokenizer, tokens, request.continueTokens, context);
    result.continuation = continued(quantized, tokenizer, tokens, request.continueTokens, context);
    return result;
}

std::vector<std::string> textLines(const std::string& text, std::int64_t limit)
{
    constexpr std::size_t kShortest = 40; // letters: headings and empty lines say little
    const std::string file = resolveText(text).string();
    std::ifstream in(file);
    QW_REQUIRE(in.good(), ErrorCode::NotFound, file, ": cannot be read");
    std::vector<std::string> lines;
    std::string line;
    while (static_cast<std::int64_t>(lines.size()) < limit && std::getline(in, line)) {
        if (line.size() >= kShortest) {
            lines.push_back(line);
        }
    }
    return lines;
}

} // namespace qw
