#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <QTabWidget>
#include <QVariant>

#include "app/gui/background.h"

class QComboBox;
class QLabel;

namespace qw {

class AppState;
class ComparedRuns;
class Dialogs;
class LayerPairTab;
class ParallelView;
class PlotView;
class SeriesPlot;
class SettingsTab;
template <class Plot>
struct PlotSet;

/// The views of the Compare page on the runs drawn: each is made off the window's thread, and only
/// while it is in sight. A click on a point picks its run, or its layer.
class ComparePlots : public QTabWidget
{
    Q_OBJECT
public:
    ComparePlots(AppState& state, ComparedRuns& runs, Dialogs& dialogs, QWidget* parent = nullptr);

    /// The tab in front and what the plots measure, by object name.
    QVariantMap session() const;
    void restoreSession(const QVariantMap& kept);

Q_SIGNALS:
    /// @param add  to the runs selected (Ctrl is held), else instead of them
    void runPicked(const QString& id, bool add);

protected:
    void showEvent(QShowEvent* event) override;

private:
    /// A plot below a line with what can be chosen.
    struct View {
        QWidget* page = nullptr;
        QLabel* note = nullptr;
        bool layers = false;      ///< needs the runs' layers
        bool ofSelection = false; ///< shows the runs selected, if there are two
        bool stale = true;
        std::function<void()> draw;
    };
    void addView(View view, const QString& name, const QString& title, const QString& tip);
    QWidget* makePage(QWidget* plot, const QList<QWidget*>& controls, QLabel*& note,
                      const QString& name);
    QComboBox* makeBox(const QString& name, const QString& label);
    QComboBox* qualityBox(const QString& name);
    SeriesPlot* makePlot(const QString& name, const QString& label, bool keysAreLayers);
    void addQualityViews();
    void addLayerViews();
    void addOtherViews();
    void addTextView();
    void refresh();
    void refreshAll();
    void fillLayerNames();
    void fillBlocks();
    void showHighlights();
    void pick(const QString& id);
    /// Asks for a plot set and shows its first plot, saying what is not in it.
    template <class Make>
    void askSeries(SeriesPlot* plot, QLabel* note, Make make);
    template <class Plot>
    void showNote(QLabel* note, const PlotSet<Plot>& set, const QString& more) const;

    AppState& m_state;
    ComparedRuns& m_runs;
    Dialogs& m_dialogs;
    std::vector<View> m_views;
    std::vector<SeriesPlot*> m_runPlots;         ///< whose keys are runs
    std::map<SeriesPlot*, std::string> m_titles; ///< of what each shows
    ParallelView* m_parallel = nullptr;
    QComboBox* m_layerBox = nullptr;
    QComboBox* m_blockBox = nullptr;
    Background m_worker;
    std::size_t m_drawing = 0; ///< the view whose question the worker has
};

} // namespace qw
