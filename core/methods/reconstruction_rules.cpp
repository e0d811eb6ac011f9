#include "methods/reconstruction_rules.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace qw {

namespace {
struct Rate {
    double lr;
    bool search; ///< the scales begin at a range search (range lrq), else at least and largest
};
/// The released scripts of LRQ, Llama-2, per channel, by hidden size.
struct TableRow {
    const char* method;
    const char* model;
    std::int64_t hidden;
    Rate w4a16, w3a16, w4a8;
};
constexpr std::array kTable = {
    TableRow{"lrq", "Llama-2-7B", 4096, {9e-4, false}, {6e-4, true}, {5e-4, true}},
    TableRow{"lrq", "Llama-2-13B", 5120, {6e-4, false}, {5e-4, true}, {5e-4, true}},
    TableRow{"lrq", "Llama-2-70B", 8192, {5e-4, false}, {5e-4, false}, {4e-4, true}},
    TableRow{"flexround", "Llama-2-7B", 4096, {3e-3, false}, {2.5e-3, false}, {5e-4, true}},
    TableRow{"flexround", "Llama-2-13B", 5120, {7e-4, false}, {5e-4, true}, {4e-4, true}},
    TableRow{"flexround", "Llama-2-70B", 8192, {5e-4, false}, {5e-4, true}, {5e-4, true}},
};
/// Beyond it the block's error still falls on the calibration windows but not on other text.
constexpr double kMostStretched = 0.01;

/// What else the script that a rate comes from does otherwise, or nothing.
std::string otherwise(const WeightSpec& weight, const Rate& rate)
{
    std::string said;
    if ((weight.range != "minmax") != rate.search) {
        said += rate.search ? "; it begins at a range search (range lrq)"
                            : "; it begins without a range search (range minmax)";
    }
    if (weight.groupSize != kPerChannel) {
        said += "; it has a scale a row (group_size channel)";
    }
    return said;
}
} // namespace

LearningRate learningRate(const RunSpec& spec, const ModelConfig& config)
{
    if (spec.reconstruction.lr > 0) {
        return {spec.reconstruction.lr, ""};
    }
    const auto rateOf = [&](const TableRow& row) -> const Rate& {
        const ActivationSpec& activation = spec.activation;
        return activation.format != "none" || activation.points != "linear" ? row.w4a8
               : spec.weight.bits <= 3                                      ? row.w3a16
                                                                            : row.w4a16;
    };
    const auto isSmallest = [&](const TableRow& row) {
        return row.method == spec.method && row.hidden == kTable.front().hidden;
    };
    for (const TableRow& row : kTable) {
        if (row.method == spec.method && config.modelType == "llama" &&
            row.hidden == config.hidden) {
            const Rate& rate = rateOf(row);
            return {rate.lr, message("learning rate ", rate.lr, ": the released script's for ",
                                     row.model, otherwise(spec.weight, rate))};
        }
    }
    const TableRow& nearest = *std::find_if(kTable.begin(), kTable.end(), isSmallest);
    const double stretch = std::max(
        1.0, static_cast<double>(kPublishedIterations) /
                 static_cast<double>(std::max<std::int64_t>(1, spec.reconstruction.iterations)));
    const double rate = std::min(rateOf(nearest).lr * stretch, kMostStretched);
    return {rate, message("learning rate ", rate, ": this model is not in LRQ's table; ",
                          rateOf(nearest).lr, " of ", nearest.model, " times ", stretch,
                          " for fewer iterations, at most ", kMostStretched)};
}

} // namespace qw
