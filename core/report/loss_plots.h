#pragma once

#include <cstdint>
#include <vector>

#include "report/plot_set.h"

namespace qw {

/// In the place of a block: all of them, trained together.
constexpr std::int64_t kWholeModel = -1;

/// How the loss of one block fell while block-wise methods learned, or that of the model while it
/// was trained, a curve for each run; long ones as means of equal stretches of iterations. Keys are
/// run ids. Runs that learned nothing, or not this block, are left out; other models and other
/// texts to learn from are apart.
PlotSet<PlotData> lossPlot(const std::vector<RunResult>& runs, std::int64_t block);

/// How a run that learns block by block gets on: the curve of the last block begun in the colour of
/// the method, those of the blocks before it in grey.
PlotData blocksPlot(const RunResult& run);

/// Blocks that any of the runs learned, ascending; kWholeModel before them.
std::vector<std::int64_t> learnedBlocks(const std::vector<RunResult>& runs);

} // namespace qw
