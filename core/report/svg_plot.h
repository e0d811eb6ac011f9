#pragma once

#include <string>

#include "report/plot_data.h"

/// Plots as SVG: self-contained, readable without CSS, light and dark where there is CSS. Text from
/// users is escaped, and placed or left out so that it does not overlap.
namespace qw {

struct SvgOptions {
    double width = 720;
    double height = 380;    ///< of a heat map: at most
    bool standalone = true; ///< false: part of a page that contains svgStyle() once
};

std::string toSvg(const PlotData& plot, const SvgOptions& options = {});
std::string toSvg(const Heatmap& map, const SvgOptions& options = {});
std::string toSvg(const ParallelPlot& plot, const SvgOptions& options = {});

} // namespace qw
