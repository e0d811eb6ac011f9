#include "report/loss_plots.h"

#include <algorithm>
#include <set>

namespace qw {

namespace {
constexpr std::size_t kMostPoints = 400;
constexpr const char* kIteration = "iteration";
constexpr const char* kBlockLoss = "loss of the block";

/// Empty if the run did not learn the block.
std::vector<double> lossesOf(const RunResult& run, std::int64_t block)
{
    std::vector<double> losses;
    if (block == kWholeModel) {
        for (const TrainingStep& step : run.training.steps) {
            losses.push_back(step.loss);
        }
        return losses;
    }
    for (const BlockResult& one : run.blocks) {
        if (one.block == block && losses.empty()) {
            losses = one.losses;
        }
    }
    return losses;
}

Series curveOf(const std::vector<double>& losses)
{
    const std::size_t stretch = (losses.size() + kMostPoints - 1) / kMostPoints;
    Series series;
    series.draw = Series::Draw::Line;
    for (std::size_t at = 0; at < losses.size(); at += stretch) {
        const std::size_t count = std::min(stretch, losses.size() - at);
        double sum = 0;
        for (std::size_t i = at; i < at + count; ++i) {
            sum += losses[i];
        }
        series.x.push_back(static_cast<double>(at + 1) + static_cast<double>(count - 1) / 2);
        series.y.push_back(sum / static_cast<double>(count));
    }
    return series;
}

PlotData curves(const std::vector<RunResult>& runs, std::int64_t block)
{
    PlotData plot;
    const bool whole = block == kWholeModel;
    plot.title = whole ? "Training loss" : "Loss of block " + std::to_string(block);
    plot.xLabel = whole ? "step" : kIteration;
    plot.yLabel = whole ? "next-token loss, nats" : kBlockLoss;
    const std::vector<std::string> names = distinctNames(runs);
    for (std::size_t i = 0; i < runs.size(); ++i) {
        Series series = curveOf(lossesOf(runs[i], block));
        series.name = names[i];
        series.method = runs[i].spec.method;
        series.keys.assign(series.x.size(), runs[i].id);
        plot.series.push_back(std::move(series));
    }
    numberVariants(plot.series);
    plot.logY = wantsLog(plot.series);
    return plot;
}
} // namespace

PlotSet<PlotData> lossPlot(const std::vector<RunResult>& runs, std::int64_t block)
{
    const auto mismatch = [block](const RunResult& a, const RunResult& b) -> std::string {
        for (const RunResult* run : {&a, &b}) {
            if (lossesOf(*run, block).empty()) {
                return block == kWholeModel ? "no loss of a training"
                                            : "no loss of block " + std::to_string(block);
            }
        }
        if (a.provenance.modelHash != b.provenance.modelHash) {
            return "they are of different models";
        }
        const bool sameText = block == kWholeModel
                                  ? a.provenance.trainingHash == b.provenance.trainingHash
                                  : a.provenance.calibrationHash == b.provenance.calibrationHash;
        return sameText ? "" : "they learned from different texts";
    };
    return plotGroups<PlotData>(
        runs, mismatch, "Runs of methods that learn, such as LRQ and LR-QAT, show their loss here.",
        [block](const std::vector<RunResult>& members) { return curves(members, block); });
}

PlotData blocksPlot(const RunResult& run)
{
    PlotData plot;
    plot.title = "Loss block by block";
    plot.xLabel = kIteration;
    plot.yLabel = kBlockLoss;
    for (const BlockResult& block : run.blocks) {
        if (!block.losses.empty()) {
            Series curve = curveOf(block.losses);
            curve.name = "block " + std::to_string(block.block);
            curve.method = run.spec.method;
            curve.quiet = true;
            plot.series.push_back(std::move(curve));
        }
    }
    if (!plot.series.empty()) {
        plot.series.back().quiet = false;
    }
    plot.logY = wantsLog(plot.series);
    return plot;
}

std::vector<std::int64_t> learnedBlocks(const std::vector<RunResult>& runs)
{
    std::set<std::int64_t> blocks;
    for (const RunResult& run : runs) {
        if (!run.training.steps.empty()) {
            blocks.insert(kWholeModel);
        }
        for (const BlockResult& block : run.blocks) {
            if (!block.losses.empty()) {
                blocks.insert(block.block);
            }
        }
    }
    return {blocks.begin(), blocks.end()};
}

} // namespace qw
