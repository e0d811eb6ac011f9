#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/run_context.h"
#include "engine.h"
#include "engine_export.h"
#include "engine_import.h"
#include "engine_settled.h"
#include "text_comparison.h"

/// The window's only way into the engine. Engine work takes from milliseconds to hours: each of
/// these throws Error::Internal when called on the GUI thread, in every build.
namespace qw::engine_calls {

/// What is known before any model is open.
struct Facts {
    EngineInfo info;
    std::vector<MethodDescription> methods;
};
Facts facts(std::int64_t threads);

ModelOverview inspect(const std::string& model, const RunContext& run);
std::vector<RunResult> quantize(const std::vector<RunSpec>& specs, RunStore& store,
                                const RunOptions& options, const RunContext& run);
/// Continues a run or sweep with the number of threads it had: that decides the bits.
std::vector<RunResult> resume(const std::string& id, RunStore& store, const RunOptions& options,
                              const RunContext& run);

LayerSpectra spectra(const RunSpec& spec, const std::string& layer,
                     const std::filesystem::path& storeFile, const RunContext& run);
LayerView view(const RunSpec& spec, const RunResult* stored, const LayerViewRequest& request,
               const RunContext& run);
void weights(const std::string& model,
             const std::function<void(const WeightStatistics&)>& layerDone, const RunContext& run);
void channels(const RunSpec& spec, const std::function<void(const ChannelStatistics&)>& groupDone,
              const RunContext& run);

std::vector<std::string> textLines(const std::string& text, std::int64_t limit);

/// @param id  of a stored run whose artifact was kept
TextComparison compareText(const std::string& id, const std::filesystem::path& storeFile,
                           const TextComparisonRequest& request,
                           const std::function<void(const TextComparison&)>& measured,
                           const RunContext& run);

Estimate estimate(const RunSpec& spec);
std::vector<ExportPlan> foreseeExports(const RunSpec& spec);
std::map<std::string, double> settled(const RunSpec& spec);

/// @param id  of a stored run whose artifact was kept
std::vector<ExportPlan> planExports(const std::string& id, const std::filesystem::path& storeFile,
                                    const ExportOptions& options, const RunContext& run);
/// The verdict goes into the run's record.
ExportReport exportModel(const std::string& id, const std::filesystem::path& storeFile,
                         const ExportOptions& options, const RunContext& run);
std::optional<QuantizedFiles> findQuantized(const std::filesystem::path& path);
RunResult importModel(const ImportOptions& options, const std::filesystem::path& storeFile,
                      const RunContext& run);

} // namespace qw::engine_calls
