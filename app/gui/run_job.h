#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <QObject>

#include "base/run_context.h"
#include "report/block_losses.h"
#include "report/run_result.h"

namespace qw {

class RunStore;
struct RunOptions;

/// What a job is to do: one run, or the runs of a sweep that go through the engine together.
struct RunRequest {
    std::vector<RunSpec> specs;
    std::filesystem::path storeFile;
    std::filesystem::path workFolder;
    std::string resumeId; ///< continue this run or sweep; specs are only for display then
    std::string sweep;    ///< id to record with new runs
};

/// One run on a thread of its own. Only the owner's thread emits. After start() exactly one of
/// finished, failed and cancelled comes, unless the job is deleted first: that cancels and waits.
class RunJob : public QObject
{
    Q_OBJECT
public:
    /// Does the work on the worker thread; the engine in the program, something small in tests.
    using Work = std::function<std::vector<RunResult>(const RunRequest&, const RunOptions&,
                                                      const RunContext&)>;
    static Work engineWork();

    RunJob(RunRequest request, Work work, QObject* parent = nullptr);

    void start();
    /// The run stops at its next checkpoint; finished blocks are kept.
    void cancel();

Q_SIGNALS:
    /// Of runs that are made together one comes after the other, before any progress.
    /// @param seconds  the engine's estimate for all of those, NaN if it goes on where it was
    void started(const QString& id, const qw::RunSpec& spec, double seconds);
    void progressed(const qw::Progress& progress);
    void layerDone(const qw::LayerResult& layer);
    void stepDone(const qw::TrainingStep& step);
    void lossesCame(const qw::BlockLosses& losses);
    void blockDone(const qw::BlockResult& block);
    void logged(const QString& line);
    void finished(const std::vector<qw::RunResult>& results);
    void failed(const QString& sentence, const QString& details);
    void cancelled();

private:
    template <class F>
    void post(F f)
    {
        QMetaObject::invokeMethod(this, std::move(f), Qt::QueuedConnection);
    }
    void work(const std::stop_token& stop);

    RunRequest m_request;
    Work m_work;
    std::jthread m_worker; // last member: stopped and joined before the rest goes
};

} // namespace qw
