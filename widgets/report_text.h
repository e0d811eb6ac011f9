#pragma once

#include <string>
#include <vector>

#include <QString>

#include "report/plot_data.h"

/// The core knows no translations: what it writes into plots is English. Here it gets the words of
/// the user; names of runs and layers stay as they are.
namespace qw::report_text {

/// "block 3" is looked up as "block %1", "run abc has …" as "run %1 has …".
QString translated(const std::string& text);
PlotData translated(PlotData plot);
Heatmap translated(Heatmap map);
ParallelPlot translated(ParallelPlot plot);

/// What there is to translate, in the context "report".
const std::vector<const char*>& texts();

} // namespace qw::report_text
