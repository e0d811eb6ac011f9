#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <QAbstractListModel>
#include <QElapsedTimer>
#include <QStringList>

#include "app/gui/run_job.h"

namespace qw {

/// Life of a queued run.
enum class RunState { Queued, Running, Cancelling, Pausing, Paused, Finished, Failed, Cancelled };
/// The one place that says which state may follow which.
bool mayFollow(RunState from, RunState to);
QString stateText(RunState state);

struct QueueEntry {
    std::int64_t number = 0; ///< in order of adding, never used again
    RunRequest request;
    QString title; ///< "l2qer W4 r32 on demo"
    RunState state = RunState::Queued;
    QString runId;                      ///< once started; of a sweep the first
    std::vector<RunSpec> together;      ///< being made now: of a sweep those that share factors
    std::size_t started = 0;            ///< runs that have begun, those of together included
    Progress progress;                  ///< latest
    double seconds = 0;                 ///< of work so far
    double estimatedSeconds = kMissing; ///< for all of it, as far as the engine can tell
    QString problem;
    QStringList log;
    std::vector<LayerResult> layers; ///< of shown(), as they come
    std::vector<TrainingStep> steps; ///< the same, of a method that trains the model
    std::vector<BlockResult> blocks; ///< the same, of one that goes block by block; the last one
                                     ///< may have only losses yet
    std::vector<RunResult> results;  ///< once finished
    bool busy() const
    {
        return state == RunState::Running || state == RunState::Cancelling ||
               state == RunState::Pausing;
    }
    /// The block of that number, added if there is none.
    BlockResult& block(std::int64_t index);
    /// What has come of shown() as a result that plots and tables take.
    RunResult soFar() const;
    /// Whose layers come: of runs that share factors the one of the largest rank.
    const RunSpec& shown() const;
};

/// Runs one after the other (each already uses every core), in the order of the list. A list model
/// for the queue dock.
class RunQueue : public QAbstractListModel
{
    Q_OBJECT
public:
    enum Role { NumberRole = Qt::UserRole + 1 };

    explicit RunQueue(RunJob::Work work, QObject* parent = nullptr);
    ~RunQueue() override;

    /// @return its number
    std::int64_t add(RunRequest request, const QString& title);
    /// An entry of an earlier start, paused: nothing runs before the user says so.
    /// @param runId  empty if it had not begun
    void restore(RunRequest request, const QString& title, const QString& runId);
    void cancel(std::int64_t number);
    /// Stops after the last finished block and keeps the place; later entries go on.
    void pause(std::int64_t number);
    void resume(std::int64_t number);
    void resumeAll(); ///< all that are paused
    void removeDone();
    /// Puts an entry that waits or is paused before (-1) or after (+1) the next such one.
    void move(std::int64_t number, int step);
    bool mayMove(std::int64_t number, int step) const;

    const QueueEntry* find(std::int64_t number) const;
    /// The unfinished entry that has begun that run, or is of that sweep (empty: of none).
    const QueueEntry* findRun(const QString& runId, const std::string& sweep) const;
    const QueueEntry* current() const; ///< the one being worked on, or nullptr
    const std::vector<QueueEntry>& entries() const { return m_entries; }
    bool idle() const;
    /// Whether cancelling now would throw away more than a minute of work (finished blocks stay).
    bool muchToLose() const;

    int rowCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;

Q_SIGNALS:
    void entryChanged(std::int64_t number);
    void stateChanged(); ///< an entry came or went, changed its state or got its run's id
    void layerDone(std::int64_t number, const qw::LayerResult& layer);
    void stepDone(std::int64_t number);
    void blocksChanged(std::int64_t number); ///< losses came, or a block is done
    void runStarted(const QString& id);
    void runFinished(const std::vector<qw::RunResult>& results);
    void runFailed(std::int64_t number, const QString& sentence, const QString& details);
    void runStopped(std::int64_t number);
    void becameIdle();

private:
    QueueEntry* entry(std::int64_t number);
    /// The row of the entry and the one it would change places with, if there is one.
    std::optional<std::pair<int, int>> exchange(std::int64_t number, int step) const;
    void setState(QueueEntry& entry, RunState state);
    std::int64_t append(QueueEntry entry);
    void changed(std::int64_t number);
    void startNext();
    void closeJob();
    void connectJob(std::int64_t number);
    /// One more run has begun. @param seconds  the engine's estimate for those made with it
    void begin(QueueEntry& entry, const RunSpec& spec, double seconds);

    RunJob::Work m_work;
    std::vector<QueueEntry> m_entries;
    std::int64_t m_nextNumber = 1;
    std::unique_ptr<RunJob> m_job;
    QElapsedTimer m_clock;
    double m_secondsBefore = 0; // of the current entry, before it was paused
    double m_lastKept = 0;      // seconds of the current entry when its last block was kept
    bool m_working = false;     // something came of the runs that began last
    double m_secondsDone = 0;   // of the current entry when those began
};

} // namespace qw
