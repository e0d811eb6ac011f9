#include "app/gui/compared_runs.h"

#include <algorithm>

#include "app/gui/app_state.h"

namespace qw {

namespace {
/// Whether the layers read earlier are those of the run as it is now.
bool current(const RunResult& read, const RunResult& run)
{
    return read.status == run.status && read.artifactHash == run.artifactHash;
}
} // namespace

ComparedRuns::ComparedRuns(AppState& state, QObject* parent) : QObject(parent), m_state(state)
{
    connect(&m_worker, &Background::failed, this,
            [this](const QString& sentence, const QString& details) {
                Q_EMIT m_state.problem(tr("Cannot Read the Runs"), sentence, details);
            });
}

void ComparedRuns::setRuns(const std::vector<RunResult>& runs)
{
    if (runs == m_runs) {
        return;
    }
    m_runs = runs;
    load();
    Q_EMIT runsChanged();
}

void ComparedRuns::setSelected(const std::vector<RunResult>& runs)
{
    if (runs == m_selected) {
        return;
    }
    m_selected = runs;
    load();
    Q_EMIT selectionChanged();
}

std::vector<std::string> ComparedRuns::highlighted() const
{
    std::vector<std::string> ids;
    for (const RunResult& run : m_selected) {
        ids.push_back(run.id);
    }
    return ids;
}

void ComparedRuns::setDetailsWanted(bool wanted)
{
    m_wanted = wanted;
    load();
}

std::vector<RunResult> ComparedRuns::detailed() const
{
    std::vector<RunResult> found;
    for (std::size_t i = 0; i < std::min(m_runs.size(), kDetailed); ++i) {
        const auto known = m_details.find(m_runs[i].id);
        if (known != m_details.end()) {
            found.push_back(known->second);
        }
    }
    return found;
}

std::vector<RunResult> ComparedRuns::pairs() const
{
    std::vector<RunResult> found = detailed();
    for (const RunResult& run : m_selected) {
        const auto known = m_details.find(run.id);
        if (m_selected.size() == 2 && known != m_details.end() &&
            std::none_of(found.begin(), found.end(),
                         [&](const RunResult& other) { return other.id == run.id; })) {
            found.push_back(known->second);
        }
    }
    return found;
}

std::vector<const RunResult*> ComparedRuns::wanted() const
{
    std::vector<const RunResult*> found;
    for (std::size_t i = 0; i < std::min(m_runs.size(), kDetailed); ++i) {
        found.push_back(&m_runs[i]);
    }
    for (const RunResult& run : m_selected) {
        if (m_selected.size() == 2) {
            found.push_back(&run);
        }
    }
    return found;
}

void ComparedRuns::load()
{
    std::map<std::string, RunResult> kept;
    std::vector<std::string> missing;
    for (const RunResult* run : wanted()) {
        const auto known = m_details.find(run->id);
        if (known != m_details.end() && current(known->second, *run)) {
            kept.insert(*known);
        } else {
            missing.push_back(run->id);
        }
    }
    m_details = std::move(kept);
    m_worker.cancel();
    if (!m_wanted || missing.empty()) {
        return;
    }
    m_worker.ask(
        [file = m_state.storeFile(), missing](const RunContext& run) {
            RunStore store(file); // a store belongs to the thread that made it
            std::vector<RunResult> results;
            for (const std::string& id : missing) {
                run.checkpoint();
                if (auto found = store.find(id)) { // deleted meanwhile: the list will follow
                    results.push_back(std::move(*found));
                }
            }
            return results;
        },
        [this](const std::vector<RunResult>& results) {
            for (const RunResult& result : results) {
                m_details[result.id] = result;
            }
            Q_EMIT detailsChanged();
        });
}

} // namespace qw
