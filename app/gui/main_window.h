#pragma once

#include <array>
#include <functional>

#include <QMainWindow>
#include <QPointer>

#include "app/gui/app_state.h"
#include "app/gui/mode.h"
#include "app/gui/run_queue.h"
#include "widgets/icons.h"

class QDockWidget;
class QLabel;
class QMenu;
class QStackedWidget;
class QTimer;

namespace qw {

class ComparePage;
class DesktopTheme;
class Dialogs;
class InspectPage;
class LayerDock;
class ModeBar;
class PlotView;
class QuantizePage;
class QueueDock;
class Settings;
class StartPage;

/// The one window: menus, the mode bar, the header, docks and pages. Owns the state and the queue.
class MainWindow : public QMainWindow
{
    Q_OBJECT
public:
    /// @param storeFile  empty: as the settings say
    /// @param work       what a queued run does; the engine in the program
    MainWindow(Settings& settings, Dialogs& dialogs, const QString& storeFile, RunJob::Work work,
               QWidget* parent = nullptr);
    ~MainWindow() override;

    AppState& state() { return m_state; }
    RunQueue& queue() { return m_queue; }
    Mode mode() const;
    void setMode(Mode mode); ///< does nothing for a mode without a page
    /// A model folder, or a file of one, opens; a recipe fills the form, a store is offered for
    /// comparison. Of a folder or GGUF file it is found out in the background what it is.
    void openPath(const QString& given);
    using Notifier = std::function<void(const QString& title, const QString& text)>;
    /// How the user is told of what is done while another program is in front; else by the desktop.
    void setNotifier(Notifier notifier) { m_notifier = std::move(notifier); }
    /// Geometry, docks, mode, model, run and layer of the last time, and how runs were compared.
    void restoreSession();

protected:
    void closeEvent(QCloseEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    // main_window_menus.cpp
    void createActions();
    QAction* add(QMenu* menu, const QString& name, const QString& text, const QString& tip,
                 const QKeySequence& shortcut = {});
    void createFileMenu();
    void createEditMenu();
    void createViewMenu();
    void createModelMenu();
    void createRunMenu();
    void createCompareMenu();
    void createHelpMenu();
    void refillRecent();
    void followFocus(); ///< remembers the plot that has it while a menu is open
    /// The one that has the focus, else the page's; nullptr: there is none with data.
    PlotView* plotInSight() const;
    void refillPlotMenu();
    void showPalette();
    void showShortcuts();

    // main_window.cpp
    void createPages();
    /// Gives @p page its button in the mode bar, its menu entry and its shortcut.
    void addPage(Mode mode, QWidget* page, icons::Shape shape, const QString& name,
                 const QString& text, const QString& tip);
    void createDocks();
    /// @param menuText  of the entry in the View menu that shows and hides it
    void addDock(QDockWidget* dock, Qt::DockWidgetArea area, const QString& menuText);
    void createStatusBar();
    void connectState();
    void openModelPath(const QString& path);
    void chooseModel();
    void mergeStore(const QString& path);
    void exportReport();
    void exportModel();
    void editSettings();
    void applyTheme();
    void saveSession();
    void showEngineFacts();
    void showMemory();
    void updateActions();

    // main_window_runs.cpp
    void connectQueue();
    /// One run, or runs that go through the engine together as a sweep.
    void enqueue(std::vector<RunSpec> specs, const QString& title);
    void runDraft(bool showIt);
    void prepareSweep();
    void prepareExport(const QString& id);
    /// @param source  a folder or file, or empty
    void prepareImport(const QString& source);
    void watchSweep();
    void showQueuedRuns();
    /// Makes it the run in view and shows its layers; opens its model if another one is open.
    void showRun(const QString& id);
    void showRunOf(const QString& id, const QString& model);
    void resumeRun(const QString& id);
    void discardRun(const QString& id);
    void notifyDone(const std::vector<RunResult>& results);
    /// If the user wants that and looks elsewhere.
    void notify(const QString& title, const QString& text);
    bool mayClose();

    Settings& m_settings;
    Dialogs& m_dialogs;
    AppState m_state;
    bool m_storeOfCommandLine; ///< the store was given, not as the settings say
    RunQueue m_queue;
    DesktopTheme* m_desktop = nullptr;
    ModeBar* m_modeBar = nullptr;
    QStackedWidget* m_stack = nullptr;
    StartPage* m_startPage = nullptr;
    InspectPage* m_inspectPage = nullptr;
    QuantizePage* m_quantizePage = nullptr;
    ComparePage* m_comparePage = nullptr;
    LayerDock* m_layerDock = nullptr;
    QueueDock* m_queueDock = nullptr;
    bool m_layersWanted = true; ///< the user has not closed the layer dock
    struct Page {
        QWidget* widget = nullptr;
        QAction* action = nullptr;
    };
    std::array<Page, kModeCount> m_pages;
    QList<QAction*> m_dockActions;
    QMenu* m_recentMenu = nullptr;
    QMenu* m_plotMenu = nullptr;
    QPointer<PlotView> m_focusPlot;
    QLabel* m_modelLabel = nullptr;
    QLabel* m_engineLabel = nullptr;
    QLabel* m_memoryLabel = nullptr;
    Notifier m_notifier;
    Background m_reportWorker;
    Background m_merger;
    Background m_opener;            ///< looks at what is to be opened
    QStringList m_toMerge;          ///< stores that it is asked for
    QTimer* m_sweepTimer = nullptr; ///< reads what a sweep has finished so far
    QList<QAction*> m_modelActions; // need an open model
    QAction* m_sweepAction = nullptr;
    QList<QAction*> m_runActions; // need a draft that can run
};

} // namespace qw
