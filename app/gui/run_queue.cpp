#include "app/gui/run_queue.h"

#include <algorithm>
#include <utility>

#include <QDateTime>

#include "base/error.h"

namespace qw {

namespace {
constexpr int kMaxLogLines = 2000;
constexpr double kMuchWork = 60; // seconds

void note(QueueEntry& entry, const QString& line)
{
    const QDateTime now = QDateTime::currentDateTime(); // a queue may work for days
    entry.log.append(now.toString(QStringLiteral("yyyy-MM-dd HH:mm:ss  ")) + line);
    if (entry.log.size() > kMaxLogLines) {
        entry.log.removeFirst();
    }
}

/// What was done differently from what was asked; runs of a sweep say the same.
void noteRemarks(QueueEntry& entry)
{
    QStringList said;
    for (const RunResult& run : entry.results) {
        for (const std::string& sentence : run.substitutions) {
            const QString line = QString::fromStdString(sentence);
            if (!said.contains(line)) {
                said << line;
                note(entry, line);
            }
        }
    }
}
} // namespace

bool mayFollow(RunState from, RunState to)
{
    using S = RunState;
    switch (from) {
    case S::Queued:
        return to == S::Running || to == S::Cancelled || to == S::Paused;
    case S::Running:
        return to == S::Cancelling || to == S::Pausing || to == S::Finished || to == S::Failed;
    case S::Cancelling: // a run may end by itself before it obeys
        return to == S::Cancelled || to == S::Finished || to == S::Failed;
    case S::Pausing:
        return to == S::Paused || to == S::Cancelling || to == S::Finished || to == S::Failed;
    case S::Paused:
    case S::Cancelled:
    case S::Failed:
        return to == S::Queued || (from == S::Paused && to == S::Cancelled);
    case S::Finished:
        return false;
    }
    return false;
}

QString stateText(RunState state)
{
    switch (state) {
    case RunState::Queued:
        return RunQueue::tr("queued");
    case RunState::Running:
        return RunQueue::tr("running");
    case RunState::Cancelling:
        return RunQueue::tr("cancelling");
    case RunState::Pausing:
        return RunQueue::tr("pausing");
    case RunState::Paused:
        return RunQueue::tr("paused");
    case RunState::Finished:
        return RunQueue::tr("finished");
    case RunState::Failed:
        return RunQueue::tr("failed");
    case RunState::Cancelled:
        return RunQueue::tr("cancelled");
    }
    return {};
}

BlockResult& QueueEntry::block(std::int64_t index)
{
    const auto found = std::find_if(blocks.begin(), blocks.end(),
                                    [&](const BlockResult& b) { return b.block == index; });
    if (found != blocks.end()) {
        return *found;
    }
    blocks.emplace_back().block = index;
    return blocks.back();
}

RunResult QueueEntry::soFar() const
{
    RunResult result;
    result.spec = shown();
    result.layers = layers;
    result.blocks = blocks;
    result.training.steps = steps;
    return result;
}

const RunSpec& QueueEntry::shown() const
{
    const auto largest =
        std::max_element(together.begin(), together.end(), [](const RunSpec& a, const RunSpec& b) {
            return a.lowRank.rank < b.lowRank.rank;
        });
    return largest != together.end() ? *largest : request.specs.front();
}

RunQueue::RunQueue(RunJob::Work work, QObject* parent)
    : QAbstractListModel(parent), m_work(std::move(work))
{
}

RunQueue::~RunQueue() = default;

std::int64_t RunQueue::append(QueueEntry entry)
{
    const int row = static_cast<int>(m_entries.size());
    beginInsertRows({}, row, row);
    entry.number = m_nextNumber++;
    m_entries.push_back(std::move(entry));
    endInsertRows();
    Q_EMIT stateChanged();
    return m_entries.back().number;
}

std::int64_t RunQueue::add(RunRequest request, const QString& title)
{
    QueueEntry added;
    added.request = std::move(request);
    added.title = title;
    const std::int64_t number = append(std::move(added));
    startNext();
    return number;
}

void RunQueue::restore(RunRequest request, const QString& title, const QString& runId)
{
    QueueEntry added;
    added.request = std::move(request);
    added.title = title;
    added.runId = runId;
    added.state = RunState::Paused;
    append(std::move(added));
}

void RunQueue::cancel(std::int64_t number)
{
    QueueEntry* found = entry(number);
    if (found == nullptr) {
        return;
    }
    if (found->state == RunState::Running || found->state == RunState::Pausing) {
        setState(*found, RunState::Cancelling);
        m_job->cancel();
    } else if (mayFollow(found->state, RunState::Cancelled)) {
        setState(*found, RunState::Cancelled);
        Q_EMIT runStopped(number);
    }
}

void RunQueue::pause(std::int64_t number)
{
    QueueEntry* found = entry(number);
    if (found == nullptr) {
        return;
    }
    if (found->state == RunState::Running) {
        setState(*found, RunState::Pausing);
        m_job->cancel();
    } else if (found->state == RunState::Queued) {
        setState(*found, RunState::Paused);
    }
}

void RunQueue::resume(std::int64_t number)
{
    QueueEntry* found = entry(number);
    if (found == nullptr || !mayFollow(found->state, RunState::Queued)) {
        return;
    }
    if (!found->runId.isEmpty()) { // it has begun; its finished blocks are kept
        found->request.resumeId =
            found->request.sweep.empty() ? found->runId.toStdString() : found->request.sweep;
    }
    found->problem.clear();
    setState(*found, RunState::Queued);
    startNext();
}

void RunQueue::resumeAll()
{
    std::vector<std::int64_t> paused;
    for (const QueueEntry& e : m_entries) {
        if (e.state == RunState::Paused) {
            paused.push_back(e.number);
        }
    }
    for (const std::int64_t number : paused) {
        resume(number);
    }
}

void RunQueue::removeDone()
{
    for (int row = static_cast<int>(m_entries.size()) - 1; row >= 0; --row) {
        const RunState state = m_entries[static_cast<std::size_t>(row)].state;
        if (state == RunState::Finished || state == RunState::Failed ||
            state == RunState::Cancelled) {
            beginRemoveRows({}, row, row);
            m_entries.erase(m_entries.begin() + row);
            endRemoveRows();
        }
    }
    Q_EMIT stateChanged();
}

std::optional<std::pair<int, int>> RunQueue::exchange(std::int64_t number, int step) const
{
    const auto movable = [this](int row) {
        const RunState state = m_entries[static_cast<std::size_t>(row)].state;
        return state == RunState::Queued || state == RunState::Paused;
    };
    int from = 0;
    while (from < rowCount() && m_entries[static_cast<std::size_t>(from)].number != number) {
        ++from;
    }
    if (from == rowCount() || !movable(from)) {
        return std::nullopt;
    }
    int to = from + step;
    while (to >= 0 && to < rowCount() && !movable(to)) {
        to += step;
    }
    return to >= 0 && to < rowCount() ? std::optional(std::pair(from, to)) : std::nullopt;
}

bool RunQueue::mayMove(std::int64_t number, int step) const
{
    return exchange(number, step).has_value();
}

void RunQueue::move(std::int64_t number, int step)
{
    const auto places = exchange(number, step);
    if (!places) {
        return;
    }
    const auto [from, to] = *places;
    beginMoveRows({}, from, from, {}, to > from ? to + 1 : to);
    const auto first = m_entries.begin();
    if (to > from) {
        std::rotate(first + from, first + from + 1, first + to + 1);
    } else {
        std::rotate(first + to, first + from, first + from + 1);
    }
    endMoveRows();
    Q_EMIT stateChanged();
}

const QueueEntry* RunQueue::find(std::int64_t number) const
{
    const auto found = std::find_if(m_entries.begin(), m_entries.end(),
                                    [&](const QueueEntry& e) { return e.number == number; });
    return found == m_entries.end() ? nullptr : &*found;
}

const QueueEntry* RunQueue::findRun(const QString& runId, const std::string& sweep) const
{
    const auto found = std::find_if(m_entries.begin(), m_entries.end(), [&](const QueueEntry& e) {
        const bool same =
            (e.runId == runId && !runId.isEmpty()) || (!sweep.empty() && e.request.sweep == sweep);
        return same && e.state != RunState::Finished && e.state != RunState::Cancelled;
    });
    return found == m_entries.end() ? nullptr : &*found;
}

QueueEntry* RunQueue::entry(std::int64_t number)
{
    return const_cast<QueueEntry*>(std::as_const(*this).find(number));
}

const QueueEntry* RunQueue::current() const
{
    const auto found = std::find_if(m_entries.begin(), m_entries.end(),
                                    [](const QueueEntry& e) { return e.busy(); });
    return found == m_entries.end() ? nullptr : &*found;
}

bool RunQueue::idle() const
{
    return std::none_of(m_entries.begin(), m_entries.end(), [](const QueueEntry& e) {
        return e.busy() || e.state == RunState::Queued;
    });
}

bool RunQueue::muchToLose() const
{
    return m_job != nullptr &&
           static_cast<double>(m_clock.elapsed()) / 1000 - m_lastKept > kMuchWork;
}

int RunQueue::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_entries.size());
}

QVariant RunQueue::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || index.row() >= rowCount()) {
        return {};
    }
    const QueueEntry& e = m_entries[static_cast<std::size_t>(index.row())];
    switch (role) {
    case Qt::DisplayRole:
        return QStringLiteral("%1  \u00b7  %2").arg(e.title, stateText(e.state));
    case Qt::ToolTipRole:
        return e.problem.isEmpty() ? e.title : e.problem;
    case NumberRole:
        return QVariant::fromValue<qlonglong>(e.number);
    default:
        return {};
    }
}

void RunQueue::setState(QueueEntry& e, RunState state)
{
    QW_ASSERT(mayFollow(e.state, state));
    e.state = state;
    note(e, stateText(state));
    changed(e.number);
    Q_EMIT stateChanged();
}

void RunQueue::changed(std::int64_t number)
{
    for (int row = 0; row < rowCount(); ++row) {
        if (m_entries[static_cast<std::size_t>(row)].number == number) {
            Q_EMIT dataChanged(index(row), index(row));
            Q_EMIT entryChanged(number);
            return;
        }
    }
}

void RunQueue::startNext()
{
    if (m_job) {
        return;
    }
    const auto next = std::find_if(m_entries.begin(), m_entries.end(),
                                   [](const QueueEntry& e) { return e.state == RunState::Queued; });
    if (next == m_entries.end()) {
        return;
    }
    m_job = std::make_unique<RunJob>(next->request, m_work);
    connectJob(next->number);
    m_secondsBefore = next->seconds;
    m_lastKept = 0;
    m_secondsDone = 0;
    m_working = false;
    next->together.clear();
    next->started = 0;
    next->progress = {}; // of before a pause
    m_clock.start();
    setState(*next, RunState::Running);
    m_job->start();
}

void RunQueue::closeJob()
{
    m_job.release()->deleteLater(); // we are inside one of its signals
    startNext();
    if (idle()) {
        Q_EMIT becameIdle();
    }
}

void RunQueue::begin(QueueEntry& e, const RunSpec& spec, double seconds)
{
    if (m_working) { // those before are done
        e.together.clear();
        m_secondsDone = static_cast<double>(m_clock.elapsed()) / 1000;
        m_working = false;
    }
    e.layers.clear(); // those done before an interruption come again
    e.steps.clear();
    e.blocks.clear();
    e.together.push_back(spec);
    ++e.started;
    const std::size_t all = e.request.specs.size();
    const std::size_t before = e.started - e.together.size();
    const auto waiting = static_cast<double>(all - std::min(all, e.started));
    // Runs that wait take as long as those did that are done, or, at first, as these will.
    const double each = before > 0 ? m_secondsDone / static_cast<double>(before)
                                   : seconds / static_cast<double>(e.together.size());
    e.estimatedSeconds = m_secondsDone + seconds + waiting * each;
}

void RunQueue::connectJob(std::int64_t number)
{
    RunJob* job = m_job.get();
    connect(job, &RunJob::started, this,
            [this, number](const QString& id, const RunSpec& spec, double seconds) {
                QueueEntry& e = *entry(number);
                begin(e, spec, seconds);
                if (e.runId.isEmpty()) { // a sweep keeps the first id, which names its folder
                    e.runId = id;
                }
                note(e, tr("run %1").arg(id));
                changed(number);
                Q_EMIT stateChanged();
                Q_EMIT runStarted(id);
            });
    connect(job, &RunJob::progressed, this, [this, number](const Progress& progress) {
        QueueEntry& e = *entry(number);
        m_working = true;
        if (progress.phase != e.progress.phase) {
            note(e, QString::fromStdString(progress.phase));
        }
        e.progress = progress;
        e.seconds = m_secondsBefore + static_cast<double>(m_clock.elapsed()) / 1000;
        changed(number);
    });
    connect(job, &RunJob::layerDone, this, [this, number](const LayerResult& layer) {
        m_working = true;
        auto& layers = entry(number)->layers;
        const auto same = std::find_if(layers.begin(), layers.end(), [&](const LayerResult& l) {
            return l.name == layer.name; // a resumed run does a block again that was not kept
        });
        if (same == layers.end()) {
            layers.push_back(layer);
        } else {
            *same = layer;
        }
        m_lastKept = static_cast<double>(m_clock.elapsed()) / 1000;
        Q_EMIT layerDone(number, layer);
    });
    connect(job, &RunJob::stepDone, this, [this, number](const TrainingStep& step) {
        m_working = true;
        entry(number)->steps.push_back(step);
        m_lastKept = static_cast<double>(m_clock.elapsed()) / 1000; // cancelling keeps the state
        Q_EMIT stepDone(number);
    });
    connect(job, &RunJob::lossesCame, this, [this, number](const BlockLosses& came) {
        m_working = true;
        std::vector<double>& losses = entry(number)->block(came.block).losses;
        losses.resize(static_cast<std::size_t>(came.first)); // a block that goes on comes again
        losses.insert(losses.end(), came.losses.begin(), came.losses.end());
        Q_EMIT blocksChanged(number);
    });
    connect(job, &RunJob::blockDone, this, [this, number](const BlockResult& block) {
        m_working = true;
        entry(number)->block(block.block) = block;
        Q_EMIT blocksChanged(number);
    });
    connect(job, &RunJob::logged, this, [this, number](const QString& line) {
        note(*entry(number), line);
        changed(number);
    });
    connect(job, &RunJob::finished, this, [this, number](const std::vector<RunResult>& results) {
        entry(number)->results = results;
        noteRemarks(*entry(number));
        setState(*entry(number), RunState::Finished);
        Q_EMIT runFinished(results);
        closeJob();
    });
    connect(job, &RunJob::failed, this,
            [this, number](const QString& sentence, const QString& details) {
                entry(number)->problem = sentence;
                note(*entry(number), sentence);
                setState(*entry(number), RunState::Failed);
                Q_EMIT runFailed(number, sentence, details);
                closeJob();
            });
    connect(job, &RunJob::cancelled, this, [this, number] {
        QueueEntry& e = *entry(number);
        setState(e, e.state == RunState::Pausing ? RunState::Paused : RunState::Cancelled);
        Q_EMIT runStopped(number);
        closeJob();
    });
}

} // namespace qw
