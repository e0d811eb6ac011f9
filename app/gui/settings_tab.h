#pragma once

#include <QWidget>

class QLabel;
class QStandardItemModel;
class QTableView;

namespace qw {

class ComparedRuns;

/// Only what differs: a row a setting, a column a run. Of the runs selected if there are several,
/// else of the first ones drawn.
class SettingsTab : public QWidget
{
    Q_OBJECT
public:
    explicit SettingsTab(ComparedRuns& runs, QWidget* parent = nullptr);
    void refresh();

private:
    ComparedRuns& m_runs;
    QLabel* m_note = nullptr;
    QStandardItemModel* m_model = nullptr;
    QTableView* m_table = nullptr;
};

} // namespace qw
