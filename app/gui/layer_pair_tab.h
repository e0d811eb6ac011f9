#pragma once

#include <QWidget>

class QComboBox;
class QLabel;
class QTableView;

namespace qw {

class AppState;
class ComparedRuns;
class LayerPairModel;

/// Two runs' layers side by side, their differences coloured.
class LayerPairTab : public QWidget
{
    Q_OBJECT
public:
    LayerPairTab(AppState& state, ComparedRuns& runs, QWidget* parent = nullptr);
    void refresh();

private:
    QComboBox* makeBox(const QString& name, const QString& label);
    void fillRuns();
    void fillTable();
    void followLayer();

    AppState& m_state;
    ComparedRuns& m_runs;
    QComboBox* m_a = nullptr;
    QComboBox* m_b = nullptr;
    QComboBox* m_metric = nullptr;
    QLabel* m_note = nullptr;
    LayerPairModel* m_model = nullptr;
    QTableView* m_table = nullptr;
    bool m_following = false; ///< the selection moves because the layer in view did
};

} // namespace qw
