#pragma once

#include <cstdint>
#include <vector>

#include "report/plot_set.h"

namespace qw {

/// How the loss of one block fell while block-wise methods learned, a curve for each run; long ones
/// as means of equal stretches of iterations. Keys are run ids. Runs that learned nothing, or not
/// this block, are left out; other models and calibration texts are apart.
PlotSet<PlotData> lossPlot(const std::vector<RunResult>& runs, std::int64_t block);

/// Blocks that any of the runs learned, ascending.
std::vector<std::int64_t> learnedBlocks(const std::vector<RunResult>& runs);

} // namespace qw
