#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "report/plot_set.h"

/// From stored runs to plots of their quality as whole models.
namespace qw {

enum class Quality { Perplexity, DeltaNll, Kl, Top1 };
std::string qualityLabel(Quality quality);                  ///< with the unit
double qualityValue(const RunResult& run, Quality quality); ///< in that unit; NaN if missing
double qualityError(const RunResult& run, Quality quality); ///< one standard error, or NaN
bool lowerIsBetter(Quality quality);

/// Quality over rank, a curve for each configuration that differs in more than rank, with one
/// standard error and the full-precision line. The error of a perplexity is here that of its
/// difference to full precision on the same windows, where known. Keys are run ids.
PlotSet<PlotData> rankPlot(const std::vector<RunResult>& runs, Quality quality);

enum class SizeAxis { Megabytes, BitsPerWeight };
/// Quality over size, points by method and, as the last series, the front. Keys are run ids.
PlotSet<PlotData> paretoPlot(const std::vector<RunResult>& runs, Quality quality, SizeAxis size);

/// The points that no other beats: none is at most as large in both and smaller in one. Equal
/// points are both there, NaN never. @return indices, ascending in x
std::vector<std::size_t> paretoFront(const std::vector<double>& x, const std::vector<double>& y);

/// Settings and qualities side by side; axes on which the runs do not differ are dropped.
PlotSet<ParallelPlot> parallelPlot(const std::vector<RunResult>& runs);

} // namespace qw
