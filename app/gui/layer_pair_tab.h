#pragma once

#include <QWidget>

class QComboBox;
class QLabel;
class QTableView;

namespace qw {

struct RunResult;
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
    void showNames(); ///< whole, where the boxes cut them
    void fillTable();
    /// Of a metric that nobody chose: the first that layers of both runs have.
    void startWithWhatBothHave(const RunResult& a, const RunResult& b);
    bool isAwaited() const; ///< whether layers of the two runs selected are still being read
    void followLayer();

    AppState& m_state;
    ComparedRuns& m_runs;
    QComboBox* m_a = nullptr;
    QComboBox* m_b = nullptr;
    QComboBox* m_metric = nullptr;
    QLabel* m_note = nullptr;
    LayerPairModel* m_model = nullptr;
    QTableView* m_table = nullptr;
    bool m_metricChosen = false; ///< by the user
    bool m_following = false;    ///< the selection moves because the layer in view did
};

} // namespace qw
