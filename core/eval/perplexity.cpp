#include "eval/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>

#include "base/error.h"
#include "eval/prediction_kernel.h"
#include "model/block_title.h"
#include "report/mean_error.h"

namespace qw {

namespace {
/// Rows of one product: enough for its full speed, few enough for the caches.
constexpr std::int64_t kTokensPerForward = 2048;
constexpr std::int64_t kTokensPerForwardElsewhere = 16384; ///< to keep a GPU busy

std::int64_t windowsPerForward(bool cpu, std::int64_t seqlen)
{
    return std::max<std::int64_t>(1,
                                  (cpu ? kTokensPerForward : kTokensPerForwardElsewhere) / seqlen);
}

/// Runs one block over the windows of a group, in place.
void advance(const Decoder& decoder, const BlockWeights& block, BlockHooks hooks,
             const at::Tensor& hidden, const RunContext& run)
{
    hooks.run = &run;
    const std::int64_t batch = windowsPerForward(hidden.is_cpu(), hidden.size(1));
    for (std::int64_t at = 0; at < hidden.size(0); at += batch) {
        const at::Tensor part = hidden.narrow(0, at, std::min(batch, hidden.size(0) - at));
        decoder.advanceBlock(block, part, hooks);
    }
}

TextScore summarize(const PredictionScores& scores, const TextWindows& windows)
{
    TextScore score;
    const MeanError nll = meanError(scores.nll);
    score.seqlen = windows.seqlen();
    score.windows = windows.count();
    score.tokens = static_cast<std::int64_t>(scores.nll.size());
    score.nll = nll.mean;
    score.nllStderr = nll.standardError;
    score.perplexity = std::exp(nll.mean);
    for (auto at = scores.nll.begin(); at != scores.nll.end(); at += windows.scoredPerWindow()) {
        score.windowNll.push_back(meanError({at, at + windows.scoredPerWindow()}).mean);
    }
    return score;
}

Comparison compare(const PredictionScores& quantized, const PredictionScores& reference)
{
    Comparison result;
    const MeanError fp = meanError(reference.nll);
    std::vector<double> differences(quantized.nll.size());
    std::transform(quantized.nll.begin(), quantized.nll.end(), reference.nll.begin(),
                   differences.begin(), std::minus<>());
    const MeanError delta = meanError(differences);
    result.fpNll = fp.mean;
    result.fpPerplexity = std::exp(fp.mean);
    result.deltaNll = delta.mean;
    result.deltaNllStderr = delta.standardError;
    result.klMean = meanError(quantized.kl).mean;
    result.klMedian = quantile(quantized.kl, 0.5);
    result.klP90 = quantile(quantized.kl, 0.9);
    result.klP99 = quantile(quantized.kl, 0.99);
    result.top1Agreement =
        static_cast<double>(quantized.top1Same) / static_cast<double>(quantized.nll.size());
    return result;
}
} // namespace

double quantile(std::vector<double> values, double q)
{
    if (values.empty()) {
        return kMissing;
    }
    const double place = q * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(below);
    std::nth_element(values.begin(), at, values.end());
    const double low = *at;
    if (below + 1 >= values.size()) {
        return low;
    }
    const double high = *std::min_element(at + 1, values.end());
    return low + (place - static_cast<double>(below)) * (high - low);
}

void addPredictionsPlain(const at::Tensor& logits, const at::Tensor& reference,
                         const at::Tensor& targets, PredictionScores& into)
{
    const auto append = [](std::vector<double>& to, const at::Tensor& values) {
        const at::Tensor host = values.to(at::kCPU, at::kDouble).contiguous();
        const auto* data = host.data_ptr<double>();
        to.insert(to.end(), data, data + host.numel());
    };
    const at::Tensor logProbability = at::log_softmax(logits, -1, at::kFloat);
    append(into.nll, -logProbability.gather(1, targets.unsqueeze(1)).squeeze(1));
    if (reference.defined()) {
        const at::Tensor referenceLog = at::log_softmax(reference, -1, at::kFloat);
        append(into.kl,
               (referenceLog.exp() * (referenceLog - logProbability)).sum(-1, false, at::kDouble));
        into.top1Same += logits.argmax(-1).eq(reference.argmax(-1)).sum().item<std::int64_t>();
    }
}

void addPredictions(const at::Tensor& logits, const at::Tensor& reference,
                    const at::Tensor& targets, PredictionScores& into)
{
    QW_REQUIRE(logits.dim() == 2 && targets.numel() == logits.size(0) &&
                   (!reference.defined() || (reference.sizes() == logits.sizes() &&
                                             reference.scalar_type() == logits.scalar_type())),
               ErrorCode::BadShape, "logits ", logits.sizes(), " do not fit their targets or the ",
               "reference's logits");
    if (!logits.is_cpu()) {
        addPredictionsPlain(logits, reference, targets.to(logits.device()), into);
        return;
    }
    std::vector<PredictionOfRow> rows(static_cast<std::size_t>(logits.size(0)));
    const at::Tensor x = logits.contiguous();
    const at::Tensor r = reference.defined() ? reference.contiguous() : reference;
    const at::Tensor t = targets.contiguous();
    const auto score = [&](auto element) {
        using Element = decltype(element);
        scoreLogits(static_cast<const Element*>(x.data_ptr()),
                    r.defined() ? static_cast<const Element*>(r.data_ptr()) : nullptr,
                    t.data_ptr<std::int64_t>(), x.size(0), x.size(1), rows.data());
    };
    if (x.scalar_type() == at::kBFloat16) {
        score(std::uint16_t{});
    } else {
        score(float{});
    }
    for (const PredictionOfRow& row : rows) {
        into.nll.push_back(row.nll);
        if (r.defined()) {
            into.kl.push_back(row.kl);
            into.top1Same += row.sameTop ? 1 : 0;
        }
    }
}

namespace {
/// Scores the windows of a group from their last hidden states, a few rows of logits at a time.
/// @param ends  what finishes each model; @param rows  of logits at once
void scoreGroup(const std::vector<const Decoder*>& ends, const TextWindows& windows,
                const at::Tensor& ids, const std::vector<at::Tensor>& hidden,
                std::vector<PredictionScores>& scores, std::int64_t rows, const RunContext& run)
{
    const std::int64_t scored = windows.scoredPerWindow();
    const std::int64_t together = std::max<std::int64_t>(1, rows / scored); // short windows
    for (std::int64_t w = 0; w < ids.size(0); w += together) {
        const std::int64_t count = std::min(together, ids.size(0) - w);
        for (std::int64_t at = 0; at < scored; at += rows) {
            const std::int64_t n = std::min(rows, scored - at);
            const std::int64_t from = windows.firstScored + at;
            const at::Tensor targets =
                ids.narrow(0, w, count).narrow(1, from + 1, n).reshape({count * n});
            at::Tensor reference;
            for (std::size_t m = 0; m < hidden.size(); ++m) {
                run.checkpoint();
                const at::Tensor states = ends[m]->finish(
                    hidden[m].narrow(0, w, count).narrow(1, from, n).reshape({count * n, -1}));
                const at::Tensor logits = ends[m]->logits(states);
                addPredictions(logits, reference, targets, scores[m]);
                if (m == 0) {
                    reference = logits;
                }
            }
        }
    }
}
} // namespace

Scores scoreWindows(const Decoder& decoder, const TextWindows& windows,
                    const std::vector<ModelVariant>& variants, const RunContext& run,
                    const ScoreBudget& budget, ReferenceStates* reference)
{
    const at::NoGradGuard noGrad;
    const auto start = std::chrono::steady_clock::now();
    const auto models = static_cast<std::int64_t>(variants.size()) + 1;
    const std::int64_t seqlen = windows.seqlen();
    const std::int64_t bytesPerWindow = models * seqlen * decoder.config().hidden * 4;
    std::int64_t group =
        std::clamp<std::int64_t>(budget.hiddenBytes / bytesPerWindow, 1, windows.count());
    const std::int64_t together =
        windowsPerForward(decoder.options().device == "cpu", windows.seqlen());
    if (group >= together) {
        group -= group < windows.count() ? group % together : 0; // the same products in any group
    } else if (group < windows.count()) {
        reference = nullptr; // whose products were others
    }
    const bool known = reference != nullptr && reference->known;
    const std::int64_t groups = (windows.count() + group - 1) / group;
    const std::int64_t rows = std::max<std::int64_t>(1, budget.logits / decoder.config().vocabSize);
    run.beginPhase("evaluate", groups * (decoder.blockCount() + 1));

    std::vector<PredictionScores> scores(static_cast<std::size_t>(models));
    std::vector<const Decoder*> ends(1, &decoder);
    for (const ModelVariant& variant : variants) {
        ends.push_back(variant.outside ? variant.outside.get() : &decoder);
    }
    std::int64_t done = 0;
    for (std::int64_t first = 0; first < windows.count(); first += group) {
        const std::int64_t count = std::min(group, windows.count() - first);
        const at::Tensor ids = windows.ids.narrow(0, first, count).to(decoder.options().device);
        std::vector<at::Tensor> hidden(1, decoder.embed(ids));
        for (const ModelVariant& variant : variants) {
            hidden.push_back(variant.outside ? variant.outside->embed(ids)
                                             : hidden.front().clone());
        }
        for (std::int64_t index = 0; index < decoder.blockCount(); ++index) {
            run.checkpoint(done++, blockTitle(decoder.checkpoint(), index));
            const BlockWeights block = decoder.loadBlock(index);
            if (!known) {
                advance(decoder, block, {}, hidden.front(), run);
            }
            for (std::size_t i = 0; i < variants.size(); ++i) {
                run.checkpoint();
                advance(decoder, block, variants[i].block(block), hidden[i + 1], run);
            }
            decoder.checkpoint().releaseBlock(index);
        }
        if (known) {
            hidden.front() = reference->states.load(first, count);
        } else if (reference != nullptr) {
            try {
                reference->states.store(first, hidden.front());
            } catch (const Error&) { // a full disk: whoever wants them finds them again
                reference = nullptr;
            }
        }
        run.checkpoint(done++, "logits");
        scoreGroup(ends, windows, ids, hidden, scores, rows, run);
    }
    run.checkpoint(groups * (decoder.blockCount() + 1));
    if (reference != nullptr) {
        reference->known = true;
    }

    Scores result;
    result.fullPrecision = summarize(scores.front(), windows);
    QW_REQUIRE(std::isfinite(result.fullPrecision.nll), ErrorCode::NonFinite,
               "the full-precision model's score is not a number: its weights or activations "
               "overflow; try compute f32");
    for (std::size_t m = 1; m < scores.size(); ++m) {
        result.variants.push_back(summarize(scores[m], windows));
        result.comparisons.push_back(compare(scores[m], scores.front()));
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    result.fullPrecision.seconds = seconds;
    for (TextScore& score : result.variants) {
        score.seconds = seconds;
    }
    return result;
}

} // namespace qw
