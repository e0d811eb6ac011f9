#pragma once

#include <map>
#include <string>
#include <vector>

#include <QObject>

#include "app/gui/background.h"
#include "report/run_result.h"

namespace qw {

class AppState;

/// The runs that the plots of the Compare page draw. Their layers are read in the background, of
/// so many runs only as one can still tell apart, and only while a plot of layers is in sight.
class ComparedRuns : public QObject
{
    Q_OBJECT
public:
    static constexpr std::size_t kDetailed = 8;

    explicit ComparedRuns(AppState& state, QObject* parent = nullptr);

    /// @param runs  without layers; the first one decides which others share its axes
    void setRuns(const std::vector<RunResult>& runs);
    const std::vector<RunResult>& runs() const { return m_runs; }
    void setDetailsWanted(bool wanted);
    /// The first kDetailed of them with their layers, once read.
    std::vector<RunResult> detailed() const;
    bool loading() const { return m_worker.busy(); }
    /// What should be looked at in all views, drawn or not: the rows selected.
    void setSelected(const std::vector<RunResult>& runs);
    const std::vector<RunResult>& selected() const { return m_selected; }
    std::vector<std::string> highlighted() const; ///< their ids
    /// Where a pair is looked for: detailed() and, if two runs are selected, these.
    std::vector<RunResult> pairs() const;

Q_SIGNALS:
    void runsChanged();
    void detailsChanged();
    void selectionChanged();

private:
    std::vector<const RunResult*> wanted() const; ///< whose layers are worth reading
    void load();

    AppState& m_state;
    std::vector<RunResult> m_runs;
    std::vector<RunResult> m_selected;
    std::map<std::string, RunResult> m_details;
    bool m_wanted = false;
    Background m_worker;
};

} // namespace qw
