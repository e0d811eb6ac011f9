#include "methods/reconstruction_rules.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace qw {

namespace {
/// The released scripts of LRQ, Llama-2, by hidden size.
struct TableRow {
    const char* method;
    const char* model;
    std::int64_t hidden;
    double w4a16, w3a16, w4a8;
};
constexpr std::array kTable = {
    TableRow{"lrq", "Llama-2-7B", 4096, 9e-4, 6e-4, 5e-4},
    TableRow{"lrq", "Llama-2-13B", 5120, 6e-4, 5e-4, 5e-4},
    TableRow{"lrq", "Llama-2-70B", 8192, 5e-4, 5e-4, 4e-4},
    TableRow{"flexround", "Llama-2-7B", 4096, 3e-3, 2.5e-3, 5e-4},
    TableRow{"flexround", "Llama-2-13B", 5120, 7e-4, 5e-4, 4e-4},
    TableRow{"flexround", "Llama-2-70B", 8192, 5e-4, 5e-4, 5e-4},
};
constexpr double kPublishedIterations = 5000;
/// Beyond it the block's error still falls on the calibration windows but not on other text.
constexpr double kMostStretched = 0.01;
} // namespace

std::int64_t divisorRank(const ReconstructionSpec& spec, std::int64_t out, std::int64_t in)
{
    constexpr std::int64_t kWide = 4096;
    constexpr std::int64_t kWidest = 8192;
    const std::int64_t most = std::min(out, in);
    if (spec.rank == "full") {
        return 0;
    }
    if (spec.rank == "official") {
        if ((out <= kWide) != (in <= kWide) || (out == kWidest && in == kWidest)) {
            return 0;
        }
        return std::min<std::int64_t>(most >= kWidest ? 2048 : 1024, most);
    }
    if (spec.rank == "relative") {
        const double size = spec.rho * static_cast<double>(out) * static_cast<double>(in) /
                            static_cast<double>(out + in);
        return std::clamp<std::int64_t>(std::llround(size), 1, most);
    }
    return std::min<std::int64_t>(std::stoll(spec.rank), most);
}

LearningRate learningRate(const RunSpec& spec, const ModelConfig& config)
{
    if (spec.reconstruction.lr > 0) {
        return {spec.reconstruction.lr, ""};
    }
    const auto rateOf = [&](const TableRow& row) {
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
            return {rateOf(row), message("learning rate ", rateOf(row),
                                         ": the released script's "
                                         "for ",
                                         row.model)};
        }
    }
    const TableRow& nearest = *std::find_if(kTable.begin(), kTable.end(), isSmallest);
    const double stretch = std::max(
        1.0, kPublishedIterations /
                 static_cast<double>(std::max<std::int64_t>(1, spec.reconstruction.iterations)));
    const double rate = std::min(rateOf(nearest) * stretch, kMostStretched);
    return {rate, message("learning rate ", rate, ": this model is not in LRQ's table; ",
                          rateOf(nearest), " of ", nearest.model, " times ", stretch,
                          " for fewer iterations, at most ", kMostStretched)};
}

} // namespace qw
