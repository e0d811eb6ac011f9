#pragma once

#include <QWidget>

#include "app/gui/background.h"
#include "report/run_result.h"

class QLabel;
class QStandardItemModel;
class QTableView;

namespace qw {

class AppState;

/// What every stored run of the open model made of the selected layer, one run a line.
class LayerRuns : public QWidget
{
    Q_OBJECT
public:
    explicit LayerRuns(AppState& state, QWidget* parent = nullptr);

Q_SIGNALS:
    void countChanged(int runs); ///< shown now

protected:
    void showEvent(QShowEvent* event) override;

private:
    void ask();
    void fill(const std::vector<RunResult>& runs);
    void markRunInView();

    AppState& m_state;
    QTableView* m_table = nullptr;
    QStandardItemModel* m_model = nullptr;
    QLabel* m_empty = nullptr;
    Background m_worker;
};

} // namespace qw
