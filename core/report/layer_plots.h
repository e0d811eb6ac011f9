#pragma once

#include <string>
#include <vector>

#include "report/plot_set.h"
#include "report/run_tables.h"

/// From stored runs to plots of their layers.
namespace qw {

/// A metric over the layers, in the order of the model: bars for one run, else points for each.
/// Keys are layer names; ticks are the blocks.
PlotSet<PlotData> layerPlot(const std::vector<RunResult>& runs, LayerMetric metric);

/// The same of one run as a map: blocks down, kinds of layer across.
Heatmap layerMap(const RunResult& run, LayerMetric metric);

/// A spectrum as a series over 1, 2, ...: singular values over the Frobenius norm of their matrix,
/// so that matrices of different size share an axis (as in LQER's Figure 1).
Series spectrumSeries(const std::string& name, const std::string& method,
                      const std::vector<double>& singularValues, double frobenius);

/// Stored spectra of one layer, each once however many ranks of it were run.
PlotSet<PlotData> spectraPlot(const std::vector<RunResult>& runs, const std::string& layer);

enum class Prediction { Energy, OutputError, BitsPerWeight };
/// What every rank up to the largest stored would give that layer (see atRank()).
PlotSet<PlotData> predictionPlot(const std::vector<RunResult>& runs, const std::string& layer,
                                 Prediction prediction);

} // namespace qw
