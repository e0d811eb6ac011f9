#pragma once

#include <array>
#include <set>

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

    /// Shows what the page needs: plans when a run is prepared, otherwise errors of the run in view
    /// or, without one, what is known of the weights. Columns are chosen and kept for each.
    void showPlans(bool plans);
    void saveSession();
    void focusFilter();
    void selectNeighbour(int step); ///< +1: the next layer shown, -1: the one before

private:
    enum Shown { Weights, Errors, Plans };
    Shown shown() const;
    void showColumns();
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
    std::array<std::set<int>, 3> m_hidden; ///< columns, by Shown
    bool m_following = false;
};

} // namespace qw
