#pragma once

#include <set>
#include <string>
#include <vector>

#include <QWidget>

#include "app/gui/compared_runs.h"
#include "report/run_summary.h"

class QAction;
class QLabel;
class QMenu;
class QPlainTextEdit;
class QSplitter;
class QTableView;

namespace qw {

class AppState;
class ComparePlots;
class Dialogs;
class ElidedLabel;
class FilterEdit;
class RunTableModel;
class RunTableProxy;

/// All stored runs on the left, what they look like side by side on the right. Ticked runs are
/// drawn; without ticks all runs the filter shows. Selected rows stand out in every view.
class ComparePage : public QWidget
{
    Q_OBJECT
public:
    ComparePage(AppState& state, Dialogs& dialogs, QWidget* parent = nullptr);
    ~ComparePage() override;

    /// For the Compare menu, in order; nullptr is a separator.
    const QList<QAction*>& runActions() const { return m_actions; }
    /// Selected runs, else ticked ones, else none: what a report is made of.
    QStringList chosenRuns() const;
    QString selectedRun() const; ///< empty unless it is one
    /// Runs and sweeps that the queue has paused.
    void setPausedRuns(const QStringList& ids);
    void focusFilter();
    void saveSession();
    void restoreSession();

Q_SIGNALS:
    /// Look at this run's layers.
    void showRunWanted(const QString& id);
    void exportWanted(const QString& id);
    void message(const QString& text);

private:
    QWidget* makeLeft();
    QWidget* makeNews();
    void makeTable();
    QWidget* makeButtons();
    QAction* makeAction(const QString& name, const QString& text, const QString& tip,
                        const QKeySequence& shortcut, void (ComparePage::*act)());
    void makeActions();
    void showColumnMenu(const QPoint& position);
    void fillColumnMenu(QMenu& menu);
    void readRuns();
    void applyFilter();
    void updateDrawn();
    void selectionChanged();
    void showDifferences();
    void showRemarks();
    void showCount();
    void showNews();
    void showAllRuns();
    std::set<std::string> finishedRuns() const; ///< their ids
    void updateActions();
    QStringList selectedIds() const;
    const RunSummary* find(const QString& id) const;
    void pickRun(const QString& id, bool add);
    void selectKept();

    // actions
    void toggleTicks();
    void clearTicks();
    void tickBest();
    void groupByModel();
    void toggleStars();
    void askTag();
    void askNotes();
    void deleteRuns();
    void copyRows();
    void showRun();
    void exportRun();

    AppState& m_state;
    Dialogs& m_dialogs;
    ComparedRuns m_runs;
    RunTableModel* m_model = nullptr;
    RunTableProxy* m_proxy = nullptr;
    FilterEdit* m_filter = nullptr;
    QLabel* m_count = nullptr;
    QWidget* m_news = nullptr; ///< shown where new runs are not drawn
    QLabel* m_newsText = nullptr;
    QTableView* m_table = nullptr;
    ElidedLabel* m_differences = nullptr;
    QPlainTextEdit* m_remarks = nullptr;
    ComparePlots* m_plots = nullptr;
    QSplitter* m_splitter = nullptr;
    QList<QAction*> m_actions;
    std::set<std::string> m_known; ///< finished when ticks and filter were set
    bool m_read = false;           ///< the store, once
    QStringList m_kept;            ///< runs selected at the last start, until they are read
};

} // namespace qw
