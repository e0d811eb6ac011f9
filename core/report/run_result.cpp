#include "report/run_result.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "report/typed_reader.h"

namespace qw {

namespace {
Json toJson(const std::vector<double>& values)
{
    Json json = Json::array();
    for (const double value : values) {
        json.push_back(finiteOrNull(value));
    }
    return json;
}

Json toJson(const LayerResult& layer)
{
    return {{"name", layer.name},
            {"rows", layer.rows},
            {"cols", layer.cols},
            {"rank", layer.rank},
            {"weight_error", finiteOrNull(layer.weightError)},
            {"output_error", finiteOrNull(layer.outputError)},
            {"sqnr_db", finiteOrNull(layer.sqnrDb)},
            {"bits_per_weight", finiteOrNull(layer.bitsPerWeight)},
            {"bytes", layer.bytes},
            {"seconds", finiteOrNull(layer.seconds)},
            {"singular_values", toJson(layer.singularValues)},
            {"error_norm", finiteOrNull(layer.errorNorm)},
            {"train_rank", layer.trainRank},
            {"trained_parameters", layer.trainedParameters},
            {"moved_0", finiteOrNull(layer.moved0)},
            {"moved_1", finiteOrNull(layer.moved1)},
            {"moved_2plus", finiteOrNull(layer.moved2plus)}};
}

Json toJson(const BlockResult& block)
{
    return {{"block", block.block},
            {"lr", finiteOrNull(block.lr)},
            {"losses", toJson(block.losses)},
            {"error_before", finiteOrNull(block.errorBefore)},
            {"error_after", finiteOrNull(block.errorAfter)},
            {"trained_parameters", block.trainedParameters},
            {"seconds", finiteOrNull(block.seconds)},
            {"peak_rss_bytes", block.peakRssBytes},
            {"awq_ratios", block.awqRatios}};
}

Json toJson(const TextScore& score)
{
    return {{"protocol", score.protocol},
            {"text_hash", score.textHash},
            {"tokenizer_hash", score.tokenizerHash},
            {"seqlen", score.seqlen},
            {"windows", score.windows},
            {"tokens", score.tokens},
            {"compute", score.compute},
            {"nll", finiteOrNull(score.nll)},
            {"nll_stderr", finiteOrNull(score.nllStderr)},
            {"perplexity", finiteOrNull(score.perplexity)},
            {"seconds", finiteOrNull(score.seconds)},
            {"window_nll", toJson(score.windowNll)}};
}

Json toJson(const Comparison& comparison)
{
    return {{"fp_nll", finiteOrNull(comparison.fpNll)},
            {"fp_perplexity", finiteOrNull(comparison.fpPerplexity)},
            {"delta_nll", finiteOrNull(comparison.deltaNll)},
            {"delta_nll_stderr", finiteOrNull(comparison.deltaNllStderr)},
            {"kl_mean", finiteOrNull(comparison.klMean)},
            {"kl_median", finiteOrNull(comparison.klMedian)},
            {"kl_p90", finiteOrNull(comparison.klP90)},
            {"kl_p99", finiteOrNull(comparison.klP99)},
            {"top1_agreement", finiteOrNull(comparison.top1Agreement)}};
}

Json toJson(const Provenance& provenance)
{
    return {{"program", provenance.program},
            {"torch", provenance.torch},
            {"model_hash", provenance.modelHash},
            {"tokenizer_hash", provenance.tokenizerHash},
            {"calibration_hash", provenance.calibrationHash},
            {"evaluation_hash", provenance.evaluationHash},
            {"threads", provenance.threads},
            {"device", provenance.device},
            {"cpu", provenance.cpu},
            {"factor_rank", provenance.factorRank},
            {"training_hash", provenance.trainingHash}};
}

Json toJson(const Estimate& estimate)
{
    return {{"bytes", estimate.bytes},
            {"bits_per_weight", finiteOrNull(estimate.bitsPerWeight)},
            {"peak_rss_bytes", estimate.peakRssBytes},
            {"seconds", finiteOrNull(estimate.seconds)}};
}

void readNumbers(TypedReader& in, const char* key, std::vector<double>& numbers)
{
    if (const Json* values = in.find(key)) {
        for (const Json& value : *values) {
            double number = 0;
            if (!readExactly(value, number)) {
                in.wrongType(key, *values);
            }
            numbers.push_back(number);
        }
    }
}

void read(const Json& json, LayerResult& layer)
{
    TypedReader in(json, "layer");
    in.read("name", layer.name)
        .read("rows", layer.rows)
        .read("cols", layer.cols)
        .read("rank", layer.rank)
        .read("weight_error", layer.weightError)
        .read("output_error", layer.outputError)
        .read("sqnr_db", layer.sqnrDb)
        .read("bits_per_weight", layer.bitsPerWeight)
        .read("bytes", layer.bytes)
        .read("seconds", layer.seconds)
        .read("error_norm", layer.errorNorm)
        .read("train_rank", layer.trainRank)
        .read("trained_parameters", layer.trainedParameters)
        .read("moved_0", layer.moved0)
        .read("moved_1", layer.moved1)
        .read("moved_2plus", layer.moved2plus);
    readNumbers(in, "singular_values", layer.singularValues);
    in.finish();
}

void read(const Json& json, BlockResult& block)
{
    TypedReader in(json, "block");
    in.read("block", block.block).read("lr", block.lr);
    readNumbers(in, "losses", block.losses);
    in.read("error_before", block.errorBefore)
        .read("error_after", block.errorAfter)
        .read("trained_parameters", block.trainedParameters)
        .read("seconds", block.seconds)
        .read("peak_rss_bytes", block.peakRssBytes)
        .read("awq_ratios", block.awqRatios)
        .finish();
}

void read(const Json& json, TextScore& score)
{
    TypedReader in(json, "score");
    in.read("protocol", score.protocol)
        .read("text_hash", score.textHash)
        .read("tokenizer_hash", score.tokenizerHash)
        .read("seqlen", score.seqlen)
        .read("windows", score.windows)
        .read("tokens", score.tokens)
        .read("compute", score.compute)
        .read("nll", score.nll)
        .read("nll_stderr", score.nllStderr)
        .read("perplexity", score.perplexity)
        .read("seconds", score.seconds);
    readNumbers(in, "window_nll", score.windowNll);
    in.finish();
}

void read(const Json& json, Comparison& comparison)
{
    TypedReader(json, "comparison")
        .read("fp_nll", comparison.fpNll)
        .read("fp_perplexity", comparison.fpPerplexity)
        .read("delta_nll", comparison.deltaNll)
        .read("delta_nll_stderr", comparison.deltaNllStderr)
        .read("kl_mean", comparison.klMean)
        .read("kl_median", comparison.klMedian)
        .read("kl_p90", comparison.klP90)
        .read("kl_p99", comparison.klP99)
        .read("top1_agreement", comparison.top1Agreement)
        .finish();
}

void read(const Json& json, Provenance& provenance)
{
    TypedReader(json, "provenance")
        .read("program", provenance.program)
        .read("torch", provenance.torch)
        .read("model_hash", provenance.modelHash)
        .read("tokenizer_hash", provenance.tokenizerHash)
        .read("calibration_hash", provenance.calibrationHash)
        .read("evaluation_hash", provenance.evaluationHash)
        .read("threads", provenance.threads)
        .read("device", provenance.device)
        .read("cpu", provenance.cpu)
        .read("factor_rank", provenance.factorRank)
        .read("training_hash", provenance.trainingHash)
        .finish();
}

void read(const Json& json, Estimate& estimate)
{
    TypedReader(json, "estimate")
        .read("bytes", estimate.bytes)
        .read("bits_per_weight", estimate.bitsPerWeight)
        .read("peak_rss_bytes", estimate.peakRssBytes)
        .read("seconds", estimate.seconds)
        .finish();
}

void read(const Json& json, ExportRecord& made)
{
    TypedReader(json, "exports")
        .read("target", made.target)
        .read("path", made.path)
        .read("made", made.made)
        .read("bytes", made.bytes)
        .read("lossless", made.lossless)
        .read("max_abs_difference", made.maxAbsDifference)
        .read("verdict", made.verdict)
        .finish();
}

/// Equal numbers, or both missing.
bool same(double a, double b)
{
    return a == b || (std::isnan(a) && std::isnan(b));
}

bool same(const std::vector<double>& a, const std::vector<double>& b)
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](double x, double y) { return same(x, y); });
}
} // namespace

bool LayerResult::operator==(const LayerResult& o) const
{
    return name == o.name && rows == o.rows && cols == o.cols && rank == o.rank &&
           same(weightError, o.weightError) && same(outputError, o.outputError) &&
           same(sqnrDb, o.sqnrDb) && same(bitsPerWeight, o.bitsPerWeight) && bytes == o.bytes &&
           same(seconds, o.seconds) && same(singularValues, o.singularValues) &&
           same(errorNorm, o.errorNorm) && trainRank == o.trainRank &&
           trainedParameters == o.trainedParameters && same(moved0, o.moved0) &&
           same(moved1, o.moved1) && same(moved2plus, o.moved2plus);
}

bool BlockResult::operator==(const BlockResult& o) const
{
    return block == o.block && same(lr, o.lr) && same(losses, o.losses) &&
           same(errorBefore, o.errorBefore) && same(errorAfter, o.errorAfter) &&
           trainedParameters == o.trainedParameters && same(seconds, o.seconds) &&
           peakRssBytes == o.peakRssBytes && awqRatios == o.awqRatios;
}

bool TextScore::operator==(const TextScore& o) const
{
    return protocol == o.protocol && textHash == o.textHash && tokenizerHash == o.tokenizerHash &&
           seqlen == o.seqlen && windows == o.windows && tokens == o.tokens &&
           compute == o.compute && same(nll, o.nll) && same(nllStderr, o.nllStderr) &&
           same(perplexity, o.perplexity) && same(seconds, o.seconds) &&
           same(windowNll, o.windowNll);
}

bool Comparison::operator==(const Comparison& o) const
{
    return same(fpNll, o.fpNll) && same(fpPerplexity, o.fpPerplexity) &&
           same(deltaNll, o.deltaNll) && same(deltaNllStderr, o.deltaNllStderr) &&
           same(klMean, o.klMean) && same(klMedian, o.klMedian) && same(klP90, o.klP90) &&
           same(klP99, o.klP99) && same(top1Agreement, o.top1Agreement);
}

bool ExportRecord::operator==(const ExportRecord& o) const
{
    return target == o.target && path == o.path && made == o.made && bytes == o.bytes &&
           lossless == o.lossless && same(maxAbsDifference, o.maxAbsDifference) &&
           verdict == o.verdict;
}

bool RunResult::operator==(const RunResult& o) const
{
    return id == o.id && spec == o.spec && provenance == o.provenance && status == o.status &&
           problem == o.problem && started == o.started && rank == o.rank &&
           same(bitsPerWeight, o.bitsPerWeight) && bytes == o.bytes &&
           bytesOriginal == o.bytesOriginal && score == o.score && comparison == o.comparison &&
           same(seconds, o.seconds) && peakRssBytes == o.peakRssBytes && phases == o.phases &&
           estimate == o.estimate && substitutions == o.substitutions &&
           artifactHash == o.artifactHash && artifactFolder == o.artifactFolder &&
           sweep == o.sweep && exports == o.exports && layers == o.layers && blocks == o.blocks &&
           training == o.training;
}

TrainedTotals trainedTotals(const RunResult& run)
{
    if (run.layers.empty()) {
        return run.listedTotals;
    }
    TrainedTotals totals;
    for (const LayerResult& layer : run.layers) {
        totals.rank = std::max(totals.rank, layer.trainRank);
        totals.parameters += layer.trainedParameters;
    }
    return totals;
}

Json exportsToJson(const std::vector<ExportRecord>& exports)
{
    Json all = Json::array();
    for (const ExportRecord& made : exports) {
        all.push_back({{"target", made.target},
                       {"path", made.path},
                       {"made", made.made},
                       {"bytes", made.bytes},
                       {"lossless", made.lossless},
                       {"max_abs_difference", finiteOrNull(made.maxAbsDifference)},
                       {"verdict", made.verdict}});
    }
    return all;
}

Json toJson(const RunResult& result)
{
    Json json;
    json["id"] = result.id;
    json["spec"] = toJson(result.spec);
    json["provenance"] = toJson(result.provenance);
    json["status"] = result.status;
    json["problem"] = result.problem;
    json["started"] = result.started;
    json["rank"] = result.rank;
    json["bits_per_weight"] = finiteOrNull(result.bitsPerWeight);
    json["bytes"] = result.bytes;
    json["bytes_original"] = result.bytesOriginal;
    json["score"] = toJson(result.score);
    json["comparison"] = toJson(result.comparison);
    json["seconds"] = finiteOrNull(result.seconds);
    json["peak_rss_bytes"] = result.peakRssBytes;
    Json phases = Json::array();
    for (const PhaseTime& phase : result.phases) {
        phases.push_back({{"phase", phase.phase}, {"seconds", finiteOrNull(phase.seconds)}});
    }
    json["phases"] = std::move(phases);
    json["estimate"] = toJson(result.estimate);
    json["substitutions"] = result.substitutions;
    json["artifact_hash"] = result.artifactHash;
    json["artifact_folder"] = result.artifactFolder;
    json["sweep"] = result.sweep;
    json["exports"] = exportsToJson(result.exports);
    Json layers = Json::array();
    for (const LayerResult& layer : result.layers) {
        layers.push_back(toJson(layer));
    }
    json["layers"] = std::move(layers);
    Json blocks = Json::array();
    for (const BlockResult& block : result.blocks) {
        blocks.push_back(toJson(block));
    }
    json["blocks"] = std::move(blocks);
    json["training"] = toJson(result.training);
    return json;
}

RunResult runResultFromJson(const Json& json)
{
    RunResult result;
    TypedReader in(json, "run result");
    in.read("id", result.id);
    if (const Json* part = in.find("spec")) {
        result.spec = runSpecFromJson(*part);
    }
    if (const Json* part = in.find("provenance")) {
        read(*part, result.provenance);
    }
    in.read("status", result.status)
        .read("problem", result.problem)
        .read("started", result.started)
        .read("rank", result.rank)
        .read("bits_per_weight", result.bitsPerWeight)
        .read("bytes", result.bytes)
        .read("bytes_original", result.bytesOriginal);
    if (const Json* part = in.find("score")) {
        read(*part, result.score);
    }
    if (const Json* part = in.find("comparison")) {
        read(*part, result.comparison);
    }
    in.read("seconds", result.seconds).read("peak_rss_bytes", result.peakRssBytes);
    if (const Json* part = in.find("phases")) {
        for (const Json& entry : *part) {
            PhaseTime& phase = result.phases.emplace_back();
            TypedReader(entry, "phases")
                .read("phase", phase.phase)
                .read("seconds", phase.seconds)
                .finish();
        }
    }
    if (const Json* part = in.find("estimate")) {
        read(*part, result.estimate);
    }
    if (const Json* part = in.find("substitutions")) {
        for (const Json& entry : *part) {
            if (!readExactly(entry, result.substitutions.emplace_back())) {
                in.wrongType("substitutions", *part);
            }
        }
    }
    in.read("artifact_hash", result.artifactHash)
        .read("artifact_folder", result.artifactFolder)
        .read("sweep", result.sweep);
    if (const Json* part = in.find("exports")) {
        for (const Json& entry : *part) {
            read(entry, result.exports.emplace_back());
        }
    }
    if (const Json* part = in.find("layers")) {
        for (const Json& entry : *part) {
            read(entry, result.layers.emplace_back());
        }
    }
    if (const Json* part = in.find("blocks")) {
        for (const Json& entry : *part) {
            read(entry, result.blocks.emplace_back());
        }
    }
    if (const Json* part = in.find("training")) {
        result.training = trainingResultFromJson(*part);
    }
    in.finish();
    return result;
}

} // namespace qw
