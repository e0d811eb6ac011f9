#pragma once

#include <map>
#include <string>

#include <QWidget>

class QLabel;
class QStandardItemModel;
class QTableView;

namespace qw {

class AppState;
class ComparedRuns;

/// Only what differs: a row a setting, called as on the Quantize page, a column a run. Of the runs
/// selected if there are several, else of the first ones drawn.
class SettingsTab : public QWidget
{
    Q_OBJECT
public:
    SettingsTab(AppState& state, ComparedRuns& runs, QWidget* parent = nullptr);
    void refresh();

private:
    AppState& m_state;
    ComparedRuns& m_runs;
    std::map<std::string, std::string> m_labels; ///< by path; empty until methods are known
    QLabel* m_note = nullptr;
    QStandardItemModel* m_model = nullptr;
    QTableView* m_table = nullptr;
};

} // namespace qw
