#include "app/gui/run_job.h"

#include <optional>
#include <utility>

#include "app/gui/background.h"
#include "app/gui/engine_calls.h"
#include "base/error.h"
#include "store/run_store.h"

namespace qw {

RunJob::Work RunJob::engineWork()
{
    return [](const RunRequest& request, const RunOptions& options, const RunContext& run) {
        RunStore store(request.storeFile); // a store belongs to the thread that made it
        store.requireWritable();
        if (!request.resumeId.empty()) {
            return engine_calls::resume(request.resumeId, store, options, run);
        }
        RunFilter ofSweep;
        ofSweep.sweep = request.sweep;
        ofSweep.limit = 1;
        // A sweep stores all its runs before the first begins: stopped in between, it goes on.
        return request.sweep.empty() || store.list(ofSweep).empty()
                   ? engine_calls::quantize(request.specs, store, options, run)
                   : engine_calls::resume(request.sweep, store, options, run);
    };
}

RunJob::RunJob(RunRequest request, Work work, QObject* parent)
    : QObject(parent), m_request(std::move(request)), m_work(std::move(work))
{
}

void RunJob::start()
{
    m_worker = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

void RunJob::cancel()
{
    m_worker.request_stop();
}

void RunJob::work(const std::stop_token& stop)
{
    const RunContext run(
        stop,
        [this](const Progress& progress) {
            post([this, progress] { Q_EMIT progressed(progress); });
        },
        [this](const std::string& line) {
            post([this, text = QString::fromStdString(line)] { Q_EMIT logged(text); });
        });
    RunOptions options;
    options.workFolder = m_request.workFolder;
    options.sweep = m_request.sweep;
    options.started = [this](const RunResult& result) {
        const double seconds = m_request.resumeId.empty() && result.estimate.seconds > 0
                                   ? result.estimate.seconds
                                   : kMissing;
        post([this, id = QString::fromStdString(result.id), spec = result.spec, seconds] {
            Q_EMIT started(id, spec, seconds);
        });
    };
    options.layerDone = [this](const LayerResult& layer) {
        post([this, layer] { Q_EMIT layerDone(layer); });
    };
    options.layerKept = options.layerDone; // shown the same
    options.stepDone = [this](const TrainingStep& step) {
        post([this, step] { Q_EMIT stepDone(step); });
    };
    options.lossesCame = [this](const BlockLosses& losses) {
        post([this, losses] { Q_EMIT lossesCame(losses); });
    };
    options.blockDone = [this](const BlockResult& block) {
        post([this, block] { Q_EMIT blockDone(block); });
    };
    std::vector<RunResult> results;
    std::optional<Failure> failure;
    try {
        failure = catchFailure([&] { results = m_work(m_request, options, run); });
    } catch (const Cancelled&) {
        post([this] { Q_EMIT cancelled(); });
        return;
    }
    if (failure) {
        post([this, failure] { Q_EMIT failed(failure->sentence, failure->details); });
    } else {
        post([this, results] { Q_EMIT finished(results); });
    }
}

} // namespace qw
