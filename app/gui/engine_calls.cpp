#include "app/gui/engine_calls.h"

#include <algorithm>

#include <QCoreApplication>
#include <QThread>

#include "base/error.h"
#include "store/run_store.h"

namespace qw::engine_calls {

namespace {
void requireWorker()
{
    const QCoreApplication* app = QCoreApplication::instance();
    QW_REQUIRE(app == nullptr || QThread::currentThread() != app->thread(), ErrorCode::Internal,
               "internal error: the engine was called on the thread of the window");
}

/// A job has one outcome: it failed if one of its runs did. The others are in the store all the
/// same.
std::vector<RunResult> wholeOrFailed(std::vector<RunResult> runs)
{
    const auto failed = [](const RunResult& run) { return run.status != "finished"; };
    const auto first = std::find_if(runs.begin(), runs.end(), failed);
    QW_REQUIRE(first == runs.end(), ErrorCode::Io, std::count_if(runs.begin(), runs.end(), failed),
               " of ", runs.size(), " runs failed, the first: ", first->problem);
    return runs;
}

/// After a run, however it ends: the window stays open.
struct MemoryReturn {
    MemoryReturn() = default;
    ~MemoryReturn() { returnFreedMemory(); }
    MemoryReturn(const MemoryReturn&) = delete;
    MemoryReturn& operator=(const MemoryReturn&) = delete;
};
} // namespace

Facts facts(std::int64_t threads)
{
    requireWorker();
    startEngine(threads);
    return {engineInfo(), describeMethods()};
}

ModelOverview inspect(const std::string& model, const RunContext& run)
{
    requireWorker();
    return inspectModel(model, false, run);
}

std::vector<RunResult> quantize(const std::vector<RunSpec>& specs, RunStore& store,
                                const RunOptions& options, const RunContext& run)
{
    requireWorker();
    QW_REQUIRE(!specs.empty(), ErrorCode::BadInput, "there is nothing to run");
    startEngine(specs.front().threads);
    const MemoryReturn atEnd;
    if (specs.size() == 1) {
        return {runQuantization(specs.front(), store, options, run)};
    }
    return wholeOrFailed(runSweep(specs, store, options, run));
}

std::vector<RunResult> resume(const std::string& id, RunStore& store, const RunOptions& options,
                              const RunContext& run)
{
    requireWorker();
    startEngine(firstUnfinished(id, store).provenance.threads);
    const MemoryReturn atEnd;
    return wholeOrFailed(resumeRuns(id, store, options, run));
}

LayerSpectra spectra(const RunSpec& spec, const std::string& layer,
                     const std::filesystem::path& storeFile, const RunContext& run)
{
    requireWorker();
    RunStore cache(storeFile); // a store belongs to the thread that made it
    return layerSpectra(spec, layer, &cache, run);
}

LayerView view(const RunSpec& spec, const RunResult* stored, const LayerViewRequest& request,
               const RunContext& run)
{
    requireWorker();
    return layerView(spec, stored, request, run);
}

void weights(const std::string& model,
             const std::function<void(const WeightStatistics&)>& layerDone, const RunContext& run)
{
    requireWorker();
    weightStatistics(model, layerDone, run);
}

void channels(const RunSpec& spec, const std::function<void(const ChannelStatistics&)>& groupDone,
              const RunContext& run)
{
    requireWorker();
    channelStatistics(spec, groupDone, run);
}

std::vector<std::string> textLines(const std::string& text, std::int64_t limit)
{
    requireWorker();
    return qw::textLines(text, limit);
}

TextComparison compareText(const std::string& id, const std::filesystem::path& storeFile,
                           const TextComparisonRequest& request,
                           const std::function<void(const TextComparison&)>& measured,
                           const RunContext& run)
{
    requireWorker();
    RunResult stored = RunStore(storeFile).get(id);
    stored.layers.clear();
    return qw::compareText(stored, request, measured, run);
}

std::vector<ExportPlan> planExports(const std::string& id, const std::filesystem::path& storeFile,
                                    const ExportOptions& options, const RunContext& run)
{
    requireWorker();
    return qw::planExports(RunStore(storeFile).get(id), options, run);
}

ExportReport exportModel(const std::string& id, const std::filesystem::path& storeFile,
                         const ExportOptions& options, const RunContext& run)
{
    requireWorker();
    RunStore store(storeFile);
    return exportRun(store.get(id), &store, options, run);
}

std::optional<QuantizedFiles> findQuantized(const std::filesystem::path& path)
{
    requireWorker();
    return qw::findQuantized(path);
}

RunResult importModel(const ImportOptions& options, const std::filesystem::path& storeFile,
                      const RunContext& run)
{
    requireWorker();
    RunStore store(storeFile);
    store.requireWritable();
    return importRun(options, store, run);
}

Estimate estimate(const RunSpec& spec)
{
    requireWorker();
    return estimateRun(spec);
}

std::vector<ExportPlan> foreseeExports(const RunSpec& spec)
{
    requireWorker();
    return qw::foreseeExports(spec);
}

std::map<std::string, double> settled(const RunSpec& spec)
{
    requireWorker();
    return settledNumbers(spec);
}

} // namespace qw::engine_calls
