#include "report/run_result.h"

#include <cmath>

#include "base/error.h"

namespace qw {

namespace {
Json publicLayer(const LayerResult& layer)
{
    return {{"name", layer.name},
            {"rows", layer.rows},
            {"cols", layer.cols},
            {"rank", layer.rank},
            {"weight_error", finiteOrNull(layer.weightError)},
            {"output_error", finiteOrNull(layer.outputError)},
            {"sqnr_db", finiteOrNull(layer.sqnrDb)},
            {"bits_per_weight", finiteOrNull(layer.bitsPerWeight)},
            {"train_rank", layer.trainRank},
            {"trained_parameters", layer.trainedParameters},
            {"moved_0", finiteOrNull(layer.moved0)},
            {"moved_1", finiteOrNull(layer.moved1)},
            {"moved_2plus", finiteOrNull(layer.moved2plus)}};
}

/// All but the single losses, which the store has.
Json publicBlock(const BlockResult& block)
{
    return {{"block", block.block},
            {"lr", finiteOrNull(block.lr)},
            {"iterations", block.losses.size()},
            {"error_before", finiteOrNull(block.errorBefore)},
            {"error_after", finiteOrNull(block.errorAfter)},
            {"trained_parameters", block.trainedParameters},
            {"seconds", finiteOrNull(block.seconds)},
            {"peak_rss_bytes", block.peakRssBytes},
            {"awq_ratios", block.awqRatios}};
}

std::string unmeasuredReason(const RunResult& run)
{
    if (!run.status.empty() && run.status != "finished") {
        return message("run ", run.id, " is ", run.status);
    }
    if (std::isnan(run.score.nll)) {
        return message("run ", run.id, " was not evaluated on a text");
    }
    return {};
}
} // namespace

Json toPublicJson(const RunResult& result, bool withLayers)
{
    Json json;
    json["id"] = result.id;
    json["method"] = result.spec.method;
    json["format"] = result.spec.weight.format;
    json["bits"] = result.spec.weight.bits;
    json["group_size"] = groupSizeToJson(result.spec.weight.groupSize);
    json["rank"] = result.rank;
    json["bits_per_weight"] = finiteOrNull(result.bitsPerWeight);
    json["bytes"] = result.bytes;
    json["bytes_original"] = result.bytesOriginal;
    json["perplexity"] = finiteOrNull(result.score.perplexity);
    json["nll"] = finiteOrNull(result.score.nll);
    json["nll_stderr"] = finiteOrNull(result.score.nllStderr);
    json["fp_perplexity"] = finiteOrNull(result.comparison.fpPerplexity);
    json["fp_nll"] = finiteOrNull(result.comparison.fpNll);
    json["delta_nll"] = finiteOrNull(result.comparison.deltaNll);
    json["delta_nll_stderr"] = finiteOrNull(result.comparison.deltaNllStderr);
    json["kl_mean"] = finiteOrNull(result.comparison.klMean);
    json["top1_agreement"] = finiteOrNull(result.comparison.top1Agreement);
    json["seconds"] = finiteOrNull(result.seconds);
    json["peak_rss_bytes"] = result.peakRssBytes;
    json["substitutions"] = result.substitutions;

    // Beyond the fixed names: what tells stored runs apart.
    json["status"] = result.status;
    json["problem"] = result.problem;
    json["started"] = result.started;
    json["model"] = result.spec.model;
    json["seed"] = result.spec.seed;
    json["sweep"] = result.sweep;
    json["act_format"] = result.spec.activation.format;
    json["act_bits"] = result.spec.activation.bits;
    json["act_points"] = result.spec.activation.points;
    json["kv_format"] = result.spec.kvCache.format;
    json["kv_bits"] = result.spec.kvCache.bits;
    json["factor_bits"] = result.spec.lowRank.factorBits;
    json["protocol"] = result.score.protocol;
    json["tokens"] = result.score.tokens;
    json["windows"] = result.score.windows;
    json["seqlen"] = result.score.seqlen;
    json["kl_median"] = finiteOrNull(result.comparison.klMedian);
    json["kl_p90"] = finiteOrNull(result.comparison.klP90);
    json["kl_p99"] = finiteOrNull(result.comparison.klP99);
    json["estimated_bytes"] = result.estimate.bytes;
    json["estimated_seconds"] = finiteOrNull(result.estimate.seconds);
    json["estimated_peak_rss_bytes"] = result.estimate.peakRssBytes;
    json["artifact_hash"] = result.artifactHash;
    json["artifact_folder"] = result.artifactFolder;
    json["exports"] = exportsToJson(result.exports);

    const TrainedTotals trained = trainedTotals(result);
    json["train_rank"] = trained.rank;
    json["trained_parameters"] = trained.parameters;

    if (withLayers) {
        const Json stored = toJson(result);
        for (const char* key : {"spec", "provenance", "phases"}) {
            json[key] = stored[key];
        }
        Json blocks = Json::array();
        for (const BlockResult& block : result.blocks) {
            blocks.push_back(publicBlock(block));
        }
        json["blocks"] = std::move(blocks);
        json["training"] = toJson(result.training);
        Json layers = Json::array();
        for (const LayerResult& layer : result.layers) {
            layers.push_back(publicLayer(layer));
        }
        json["layers"] = std::move(layers);
    }
    return json;
}

std::string incomparableReason(const RunResult& a, const RunResult& b)
{
    for (const RunResult* run : {&a, &b}) {
        if (const std::string reason = unmeasuredReason(*run); !reason.empty()) {
            return reason;
        }
    }
    if (a.score.textHash != b.score.textHash) {
        return "they were evaluated on different texts";
    }
    if (a.score.tokenizerHash != b.score.tokenizerHash) {
        return "their models have different tokenizers";
    }
    if (a.score.protocol != b.score.protocol) {
        return message("the evaluation protocols differ: ", a.score.protocol, " and ",
                       b.score.protocol);
    }
    if (a.score.seqlen != b.score.seqlen) {
        return message("the evaluation windows differ in length: ", a.score.seqlen, " and ",
                       b.score.seqlen, " tokens");
    }
    if (a.score.windows != b.score.windows || a.score.tokens != b.score.tokens) {
        return message("they were evaluated on ", a.score.windows, " and ", b.score.windows,
                       " windows (", a.score.tokens, " and ", b.score.tokens, " tokens)");
    }
    if (a.score.compute != b.score.compute) {
        return message("the compute types of the evaluation differ: ", a.score.compute, " and ",
                       b.score.compute);
    }
    return {};
}

} // namespace qw
