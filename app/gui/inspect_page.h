#pragma once

#include <optional>

#include <QWidget>

#include "report/rank_prediction.h"

class QActionGroup;
class QButtonGroup;
class QComboBox;
class QLabel;
class QMenu;
class QSplitter;
class QStackedWidget;
class QTimer;
class QToolButton;

namespace qw {

class AppState;
class Dialogs;
class ElidedLabel;
class HeatmapPlot;
class LayerInspector;
class LayerRuns;
class PlotView;
class SeriesPlot;

/// Overview of all layers on top, then four linked plots of the selected one and its numbers.
class InspectPage : public QWidget
{
    Q_OBJECT
public:
    InspectPage(AppState& state, Dialogs& dialogs, QWidget* parent = nullptr);
    LayerInspector& inspector() { return *m_inspector; }
    /// The rank the guide stands at, if a layer is shown.
    std::optional<std::int64_t> rank() const;
    /// Writes that rank into the next run; only while the page is in sight.
    QMenu* rankMenu() const;
    PlotView* mainPlot() const;
    void saveSession();
    void restoreSession();

protected:
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;

private:
    enum RankScope { ThisLayer, ThisKind, AllLayers };
    /// Of the overview, after the last LayerMetric: those that need no run.
    enum ModelMetric { OutlierMetric = 100, StableRankMetric };

    QWidget* makeOverview();
    QWidget* makeSpectra();
    QWidget* makeWeights();
    QWidget* makeMap();
    QWidget* makeChannels();
    void showCorner(int page); ///< of the channels' panel: 0 channels, 1 runs
    void connectPlots();
    void fillMetrics();
    void showOverview();
    void showSpectra();
    void showWeights();
    void showMap();
    void showMapKinds();
    void showChannels();
    void showMeasuring();
    void showNumbers();
    void showRank();
    void useRank(int scope);
    void setRankUsable(bool usable);
    const LayerResult* storedLayer() const;
    /// Why nothing is known of the layers' inputs, where no calibration text says it.
    QString whyNoInputs() const;
    /// Why what is shown is not what the run in view deployed.
    QString whyNotTheRuns() const;

    AppState& m_state;
    Dialogs& m_dialogs;
    LayerInspector* m_inspector = nullptr;
    QSplitter* m_rows = nullptr;
    QSplitter* m_top = nullptr;
    QSplitter* m_bottom = nullptr;
    QComboBox* m_metric = nullptr;
    SeriesPlot* m_overview = nullptr;
    QTimer* m_overviewTimer = nullptr;
    SeriesPlot* m_spectra = nullptr;
    ElidedLabel* m_spectraNote = nullptr;
    QLabel* m_rankLabel = nullptr;
    QToolButton* m_useRank = nullptr;
    SeriesPlot* m_weights = nullptr;
    ElidedLabel* m_weightsNote = nullptr;
    HeatmapPlot* m_map = nullptr;
    QButtonGroup* m_mapKinds = nullptr;
    ElidedLabel* m_mapNote = nullptr;
    SeriesPlot* m_channels = nullptr;
    ElidedLabel* m_channelsNote = nullptr;
    QToolButton* m_measure = nullptr; ///< the input channels; while that goes on: cancel it
    QStackedWidget* m_corner = nullptr;
    LayerRuns* m_runs = nullptr;
    ElidedLabel* m_numbers = nullptr;
    CorrectionSpectrum m_correction;
    std::int64_t m_rank = -1; ///< chosen by the user; -1: that of the run or draft
};

} // namespace qw
