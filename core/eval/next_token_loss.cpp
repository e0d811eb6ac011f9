#include "eval/next_token_loss.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "eval/perplexity.h"
#include "eval/prediction_kernel.h"

namespace qw {

namespace {
/// Logits in memory at once; a GPU is waited for once each time.
constexpr std::int64_t kMostLogits = std::int64_t{4} << 20;
constexpr std::int64_t kMostLogitsElsewhere = std::int64_t{64} << 20;

/// @return sum of nll; @p logits [n, vocab] become their gradient
double toGradient(at::Tensor& logits, const at::Tensor& targets, double scale)
{
    if (!logits.is_cpu()) {
        const at::Tensor logP = at::log_softmax(logits.to(at::kFloat), 1);
        const at::Tensor places = targets.to(logits.device()).unsqueeze(1);
        const double nll = -logP.gather(1, places).sum(at::kDouble).item<double>();
        at::Tensor gradient = logP.exp();
        gradient.scatter_add_(1, places, at::ones({places.size(0), 1}, gradient.options()).neg());
        logits = gradient.mul_(scale).to(logits.scalar_type());
        return nll;
    }
    std::vector<double> nll(static_cast<std::size_t>(logits.size(0)));
    const auto* wanted = targets.data_ptr<std::int64_t>();
    const auto factor = static_cast<float>(scale);
    if (logits.scalar_type() == at::kBFloat16) {
        lossGradient(static_cast<std::uint16_t*>(logits.data_ptr()), wanted, logits.size(0),
                     logits.size(1), factor, nll.data());
    } else {
        lossGradient(logits.data_ptr<float>(), wanted, logits.size(0), logits.size(1), factor,
                     nll.data());
    }
    return std::accumulate(nll.begin(), nll.end(), 0.0);
}

/// Hidden states that predict something, [n, hidden], and what they should, [n] on the host.
struct Predictions {
    at::Tensor states, targets;
    Predictions(const at::Tensor& hidden, const at::Tensor& ids)
        : states(hidden.narrow(1, 0, hidden.size(1) - 1).reshape({-1, hidden.size(2)})),
          targets(ids.narrow(1, 1, ids.size(1) - 1).reshape({-1}).cpu())
    {
    }
};

std::int64_t rowsAtOnce(const Decoder& decoder)
{
    const std::int64_t most =
        decoder.options().device == "cpu" ? kMostLogits : kMostLogitsElsewhere;
    return std::max<std::int64_t>(1, most / decoder.config().vocabSize);
}
} // namespace

NextTokenLoss nextTokenLoss(const Decoder& decoder, const at::Tensor& hidden, const at::Tensor& ids,
                            double scale, const RunContext& run)
{
    const Predictions predictions(hidden.detach(), ids);
    const at::Tensor states = predictions.states.contiguous().set_requires_grad(true);
    at::Tensor finished;
    {
        const at::AutoGradMode withGradients(true);
        finished = decoder.differentiateFinish(states);
    }
    const at::NoGradGuard noGrad;
    NextTokenLoss loss;
    at::Tensor gradient = at::empty(finished.sizes(), finished.options().requires_grad(false));
    for (std::int64_t at = 0; at < states.size(0); at += rowsAtOnce(decoder)) {
        run.checkpoint();
        const std::int64_t n = std::min(rowsAtOnce(decoder), states.size(0) - at);
        at::Tensor logits = decoder.logits(finished.detach().narrow(0, at, n));
        loss.nll += toGradient(logits, predictions.targets.narrow(0, at, n), scale);
        gradient.narrow(0, at, n).copy_(decoder.logitsGradient(logits));
    }
    finished.backward(gradient);
    loss.gradient = at::zeros(hidden.sizes(), hidden.options().requires_grad(false));
    loss.gradient.narrow(1, 0, hidden.size(1) - 1)
        .copy_(states.grad().view({hidden.size(0), hidden.size(1) - 1, hidden.size(2)}));
    return loss;
}

double nextTokenNll(const Decoder& decoder, const at::Tensor& hidden, const at::Tensor& ids,
                    const RunContext& run)
{
    const at::NoGradGuard noGrad;
    const Predictions predictions(hidden, ids);
    PredictionScores scores;
    for (std::int64_t at = 0; at < predictions.states.size(0); at += rowsAtOnce(decoder)) {
        run.checkpoint();
        const std::int64_t n = std::min(rowsAtOnce(decoder), predictions.states.size(0) - at);
        const at::Tensor logits =
            decoder.logits(decoder.finish(predictions.states.narrow(0, at, n)));
        addPredictions(logits, {}, predictions.targets.narrow(0, at, n), scores);
    }
    return std::accumulate(scores.nll.begin(), scores.nll.end(), 0.0);
}

} // namespace qw
