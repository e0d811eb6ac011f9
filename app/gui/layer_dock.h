#pragma once

#include <array>
#include <set>

#include <QDockWidget>

class QTimer;
class QTreeView;

namespace qw {

class AppState;
class FilterEdit;
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
    /// Show and hide the columns, of the kind shown now.
    const QList<QAction*>& columnActions() const { return m_columnActions; }
    void selectNeighbour(int step); ///< +1: the next layer shown, -1: the one before
    /// The layer shown with the largest output error of the run in view; weight error where outputs
    /// were not measured.
    void selectWorst();

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    enum Shown { Weights, Errors, Plans };
    Shown shown() const;
    void makeColumnActions();
    void showColumns();
    void applyFilter();
    /// Names stay readable: where there is no room, the titles of the other columns give way first.
    void fitColumns();
    void fill();
    void fillPlans();
    void fillResults();
    void followState();
    void editPlan(const QModelIndex& index, int column, const QVariant& value);
    QStringList selectedLayers() const;

    AppState& m_state;
    LayerTreeModel* m_model = nullptr;
    LayerTreeProxy* m_proxy = nullptr;
    QTreeView* m_tree = nullptr;
    FilterEdit* m_filter = nullptr;
    QTimer* m_fit = nullptr; ///< fitColumns() once for all that changed
    bool m_plans = false;
    std::array<std::set<int>, 3> m_hidden; ///< columns, by Shown
    QList<QAction*> m_columnActions;       ///< of all columns but the first
    bool m_following = false;
};

} // namespace qw
