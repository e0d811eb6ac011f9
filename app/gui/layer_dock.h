#pragma once

#include <QDockWidget>

class QLineEdit;
class QTreeView;

namespace qw {

class AppState;
class LayerTreeModel;
class LayerTreeProxy;

/// The layer tree, shared by Inspect (errors of the run in view) and Quantize (bits, rank and skip
/// of the next run).
class LayerDock : public QDockWidget
{
    Q_OBJECT
public:
    explicit LayerDock(AppState& state, QWidget* parent = nullptr);

    /// Shows what the page needs: plans when a run is prepared, measurements otherwise.
    void showPlans(bool plans);
    void focusFilter();
    void selectNeighbour(int step); ///< +1: the next layer shown, -1: the one before

private:
    void fill();
    void fillPlans();
    void fillResults();
    void followState();
    void editPlan(const QModelIndex& index, int column, const QVariant& value);
    void showColumnMenu(const QPoint& position);
    QStringList selectedLayers() const;

    AppState& m_state;
    LayerTreeModel* m_model = nullptr;
    LayerTreeProxy* m_proxy = nullptr;
    QTreeView* m_tree = nullptr;
    QLineEdit* m_filter = nullptr;
    bool m_plans = false;
    bool m_following = false;
};

} // namespace qw
