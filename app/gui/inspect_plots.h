#pragma once

#include <QString>

#include "app/gui/engine_calls.h"
#include "report/plot_data.h"
#include "report/rank_prediction.h"

/// From the engine's answers about one layer to what the Inspect page draws. No widget here.
namespace qw::inspect_plots {

/// "W", "E", "SE", "RE" as people write them.
QString kindTitle(const std::string& kind);

/// Normalised spectra over the rank.
PlotData spectra(const LayerSpectra& spectra);
/// Weights before and after, counted per bin.
PlotData histogram(const LayerView& view);
/// Input channels by size; those many times larger than the median are named.
/// @param all  of the whole model: says in how many inputs of that width a channel stands out
PlotData channels(const ChannelStatistics& channels, const std::vector<ChannelStatistics>& all);
/// Channels this many times above the median stand out.
constexpr double kOutlierFactor = 6;
std::vector<std::size_t> outliers(const std::vector<double>& sizes);

/// Which curve the correction approximates, or would: E where nothing is corrected.
std::string minimisedKind(const RunSpec& spec);
/// What rank would do to this layer, from the run's stored singular values and, past those, from
/// the exact spectrum just computed if it is of the same matrix; from that alone if the run has
/// none of this layer.
CorrectionSpectrum correction(const RunSpec& spec, const LayerResult* stored,
                              const LayerSpectra* spectra, const LayerView* view);
/// The error at a rank, as far as it is known: what a run measured, scaled; else what is left of
/// the matrix of that kind, named as what it is. Empty where neither is known.
QString errorText(const RankPoint& point, const std::string& kind);

/// Bytes of all layers that a run with @p spec would quantize, each with a correction of that rank
/// or of the largest it has room for; exact where the factors of each are whole bytes.
/// @param plainBytes  of the same without corrections
std::int64_t modelBytes(const RunSpec& spec, const ModelOverview& model, std::int64_t plainBytes,
                        std::int64_t rank);

} // namespace qw::inspect_plots
