#include "app/gui/main_window.h"

#include <algorithm>

#include <QActionGroup>
#include <QApplication>
#include <QDesktopServices>
#include <QFileInfo>
#include <QMenu>
#include <QMenuBar>
#include <QUrl>

#include "app/gui/about_dialog.h"
#include "app/gui/compare_page.h"
#include "app/gui/dialogs.h"
#include "app/gui/inspect_page.h"
#include "app/gui/layer_dock.h"
#include "app/gui/log_file.h"
#include "app/gui/quantize_page.h"
#include "app/gui/queue_dock.h"
#include "app/gui/run_text.h"
#include "app/gui/settings.h"
#include "app/gui/shortcuts_dialog.h"
#include "widgets/command_palette.h"
#include "widgets/plot_view.h"

namespace qw {

using Key = Settings::Key;
using namespace Qt::Literals::StringLiterals;

QAction* MainWindow::add(QMenu* menu, const QString& name, const QString& text, const QString& tip,
                         const QKeySequence& shortcut)
{
    QAction* action = menu->addAction(text);
    action->setObjectName(name + u"Action"_s);
    action->setStatusTip(tip);
    action->setShortcut(shortcut);
    addAction(action);
    return action;
}

void MainWindow::createActions()
{
    createFileMenu();
    createEditMenu();
    createViewMenu();
    createModelMenu();
    createRunMenu();
    createCompareMenu();
    createHelpMenu();
}

void MainWindow::createFileMenu()
{
    QMenu* file = menuBar()->addMenu(tr("&File"));
    connect(add(file, u"openFolder"_s, tr("&Open Model Folder\u2026"),
                tr("Open a folder with config.json and safetensors, or a quantized model"),
                QKeySequence::Open),
            &QAction::triggered, this, &MainWindow::chooseModel);
    connect(add(file, u"openBundled"_s, tr("Open &Bundled Model"),
                tr("Open the small model that comes with this program"),
                QKeySequence(tr("Ctrl+Shift+O"))),
            &QAction::triggered, this, [this] { openPath(u"demo"_s); });
    connect(add(file, u"importModel"_s, tr("Import Quanti&zed Model\u2026"),
                tr("Make a stored run of a GPTQ, AWQ, compressed-tensors or GGUF model"),
                QKeySequence(tr("Ctrl+Shift+I"))),
            &QAction::triggered, this, [this] { prepareImport({}); });
    m_recentMenu = file->addMenu(tr("&Recent Models"));
    m_recentMenu->setObjectName(u"recentMenu"_s);
    connect(file, &QMenu::aboutToShow, this, &MainWindow::refillRecent);
    refillRecent();
    file->addSeparator();
    connect(add(file, u"importRecipe"_s, tr("&Import Recipe\u2026"),
                tr("Fill the Quantize form from a JSON file"), QKeySequence(tr("Ctrl+I"))),
            &QAction::triggered, this, [this] {
                setMode(Mode::Quantize);
                m_quantizePage->chooseRecipe();
            });
    connect(add(file, u"exportRecipe"_s, tr("&Export Recipe\u2026"),
                tr("Write the Quantize form as a JSON file"), QKeySequence(tr("Ctrl+E"))),
            &QAction::triggered, m_quantizePage, &QuantizePage::exportRecipe);
    connect(add(file, u"exportModel"_s, tr("Export &Model\u2026"),
                tr("Write the run selected in Compare, else the run in view, as files of another "
                   "program"),
                QKeySequence(tr("Ctrl+Shift+E"))),
            &QAction::triggered, this, &MainWindow::exportModel);
    connect(add(file, u"exportReport"_s, tr("Export Re&port\u2026"),
                tr("Tables and plots of the runs selected or ticked in Compare, as HTML or PDF"),
                QKeySequence(tr("Ctrl+P"))),
            &QAction::triggered, this, &MainWindow::exportReport);
    connect(add(file, u"mergeStore"_s, tr("Mer&ge Store\u2026"),
                tr("Copy the runs of another store into yours")),
            &QAction::triggered, this, [this] {
                const QString path = m_dialogs.askOpenFile(this, tr("Merge Store"),
                                                           tr("Stores (*.sqlite);;All files (*)"));
                if (!path.isEmpty()) {
                    mergeStore(path);
                }
            });
    file->addSeparator();
    connect(add(file, u"settings"_s, tr("&Settings\u2026"),
                tr("Look, store, threads, notifications"), QKeySequence(tr("Ctrl+,"))),
            &QAction::triggered, this, &MainWindow::editSettings);
    connect(add(file, u"quit"_s, tr("&Quit"), tr("Close the window"), QKeySequence(tr("Ctrl+Q"))),
            &QAction::triggered, this, &MainWindow::close);
}

void MainWindow::createEditMenu()
{
    QMenu* edit = menuBar()->addMenu(tr("&Edit"));
    QAction* undo = m_state.undoStack().createUndoAction(this, tr("&Undo"));
    undo->setObjectName(u"undoAction"_s);
    undo->setShortcut(QKeySequence::Undo);
    QAction* redo = m_state.undoStack().createRedoAction(this, tr("&Redo"));
    redo->setObjectName(u"redoAction"_s);
    redo->setShortcut(QKeySequence::Redo);
    edit->addAction(undo);
    edit->addAction(redo);
    addAction(undo);
    addAction(redo);
    edit->addSeparator();
    connect(add(edit, u"copyCommand"_s, tr("&Copy Run as Command"),
                tr("The qw command that does what the Quantize form says"),
                QKeySequence(tr("Ctrl+Shift+C"))),
            &QAction::triggered, m_quantizePage, &QuantizePage::copyCommand);
    connect(add(edit, u"clearOverrides"_s, tr("&Treat All Layers Alike"),
                tr("Remove bits, rank and skip of single layers from the next run")),
            &QAction::triggered, m_quantizePage, &QuantizePage::clearOverrides);
}

void MainWindow::createViewMenu()
{
    QMenu* view = menuBar()->addMenu(tr("&View"));
    for (const Page& page : m_pages) {
        if (page.action != nullptr) {
            view->addAction(page.action);
        }
    }
    view->addSeparator();
    view->addActions(m_dockActions);
    QAction* filter = add(view, u"filterLayers"_s, tr("Filter La&yers"),
                          tr("Type a part of a layer's name, or error>10"), QKeySequence::Find);
    connect(filter, &QAction::triggered, m_layerDock, &LayerDock::focusFilter);
    QAction* next = add(view, u"nextLayer"_s, tr("&Next Layer"), {}, QKeySequence(tr("Alt+Down")));
    connect(next, &QAction::triggered, this, [this] { m_layerDock->selectNeighbour(1); });
    QAction* previous =
        add(view, u"previousLayer"_s, tr("&Previous Layer"), {}, QKeySequence(tr("Alt+Up")));
    connect(previous, &QAction::triggered, this, [this] { m_layerDock->selectNeighbour(-1); });
    m_modelActions << filter << next << previous;
    QAction* worst = add(view, u"worstLayer"_s, tr("&Worst Layer"),
                         tr("Goes to the layer shown with the largest error in the run in view"),
                         QKeySequence(tr("Ctrl+Shift+W")));
    worst->setEnabled(false);
    connect(&m_state, &AppState::runInViewChanged, worst,
            [this, worst] { worst->setEnabled(m_state.runInView().has_value()); });
    connect(worst, &QAction::triggered, this, [this] {
        m_layerDock->selectWorst();
        if (mode() != Mode::Quantize) { // it shows layers too
            setMode(Mode::Inspect);
        }
    });
    m_plotMenu = view->addMenu(tr("Pl&ot"));
    m_plotMenu->setObjectName(u"plotMenu"_s);
    connect(view, &QMenu::aboutToShow, this, &MainWindow::refillPlotMenu);
    connect(qApp, &QApplication::focusChanged, this, &MainWindow::followFocus);
    QMenu* columns = view->addMenu(tr("Layer Colu&mns"));
    columns->addActions(m_layerDock->columnActions());
    addActions(m_layerDock->columnActions());
    view->addSeparator();
    connect(add(view, u"palette"_s, tr("&Find a Command\u2026"),
                tr("Type to find a command, a layer or a run"), QKeySequence(tr("Ctrl+K"))),
            &QAction::triggered, this, &MainWindow::showPalette);
    QMenu* look = view->addMenu(tr("&Theme"));
    auto* group = new QActionGroup(this);
    const std::array<std::pair<QString, QString>, 3> themes = {
        {{u"desktop"_s, tr("Like the &Desktop")},
         {u"light"_s, tr("&Light")},
         {u"dark"_s, tr("D&ark")}}};
    for (const auto& [value, text] : themes) {
        QAction* action = add(look, value + u"Theme"_s, text, {});
        action->setCheckable(true);
        group->addAction(action);
        connect(action, &QAction::triggered, this, [this, chosen = value] {
            m_settings.set(Key::Theme, chosen);
            applyTheme();
        });
        connect(look, &QMenu::aboutToShow, action, [this, action, mine = value] {
            action->setChecked(m_settings.text(Key::Theme) == mine);
        });
    }
    QAction* full = add(view, u"fullScreen"_s, tr("F&ull Screen"), {}, QKeySequence(tr("F11")));
    full->setCheckable(true);
    connect(full, &QAction::toggled, this,
            [this](bool on) { on ? showFullScreen() : showNormal(); });
}

void MainWindow::createModelMenu()
{
    QMenu* model = menuBar()->addMenu(tr("&Model"));
    QAction* reload = add(model, u"reloadModel"_s, tr("&Reload"), tr("Read the folder again"),
                          QKeySequence::Refresh);
    connect(reload, &QAction::triggered, this, [this] { m_state.openModel(m_state.modelName()); });
    QAction* folder =
        add(model, u"showFolder"_s, tr("Show &Folder"), tr("Open it in a file manager"));
    connect(folder, &QAction::triggered, this, [this] {
        QDesktopServices::openUrl(
            QUrl::fromLocalFile(QString::fromStdString(m_state.model()->folder)));
    });
    QAction* close = add(model, u"closeModel"_s, tr("&Close"), tr("Close the model"),
                         QKeySequence(tr("Ctrl+W")));
    connect(close, &QAction::triggered, &m_state, &AppState::closeModel);
    m_modelActions << reload << folder << close;
    model->addSeparator();
    model->addMenu(m_inspectPage->rankMenu());
    addActions(m_inspectPage->rankMenu()->actions());
}

void MainWindow::createRunMenu()
{
    QMenu* run = menuBar()->addMenu(tr("&Run"));
    QAction* start = add(run, u"startRun"_s, tr("&Start"), tr("Run what the Quantize form says"),
                         QKeySequence(tr("Ctrl+R")));
    connect(start, &QAction::triggered, this, [this] { runDraft(true); });
    QAction* enqueue = add(run, u"enqueueRun"_s, tr("&Add to Queue"), tr("Queue it and stay here"),
                           QKeySequence(tr("Ctrl+Shift+R")));
    connect(enqueue, &QAction::triggered, this, [this] { runDraft(false); });
    m_sweepAction = add(run, u"sweep"_s, tr("S&weep\u2026"),
                        tr("Run every combination of methods, bits, ranks, groups and seeds"),
                        QKeySequence(tr("Ctrl+Shift+S")));
    connect(m_sweepAction, &QAction::triggered, this, &MainWindow::prepareSweep);
    m_runActions << start << enqueue;
    run->addSeparator();
    const auto addFor = [&](const QString& name, const QString& text, const QString& tip,
                            void (QueueDock::*act)(), const QKeySequence& keys = {}) {
        connect(add(run, name, text, tip, keys), &QAction::triggered, m_queueDock, act);
    };
    addFor(u"pauseRun"_s, tr("&Pause or Resume"),
           tr("The run selected in the queue stops after its last finished block or step, or "
              "goes on"),
           &QueueDock::pauseOrResume);
    addFor(u"cancelRun"_s, tr("&Cancel"),
           tr("The run selected in the queue stops at its next step; what is finished is kept"),
           &QueueDock::cancel);
    addFor(u"moveRunUp"_s, tr("&Earlier"), tr("The run selected in the queue comes earlier"),
           &QueueDock::moveUp, QKeySequence(tr("Ctrl+Shift+Up")));
    addFor(u"moveRunDown"_s, tr("&Later"), tr("The run selected in the queue comes later"),
           &QueueDock::moveDown, QKeySequence(tr("Ctrl+Shift+Down")));
    addFor(u"clearQueue"_s, tr("Clear D&one"),
           tr("Takes finished, failed and cancelled runs off the list; the store keeps them"),
           &QueueDock::clearDone);
    run->addSeparator();
    addFor(u"queueDetails"_s, tr("Queue &Details"), tr("Unfolds or folds the queue"),
           &QueueDock::toggleDetails, QKeySequence(tr("Ctrl+D")));
}

void MainWindow::createCompareMenu()
{
    QMenu* compare = menuBar()->addMenu(tr("&Compare"));
    QAction* filter =
        add(compare, u"filterRuns"_s, tr("&Filter Runs"),
            tr("Type bits:3 method:lqer ppl<40 or words"), QKeySequence(tr("Ctrl+Shift+F")));
    connect(filter, &QAction::triggered, this, [this] {
        setMode(Mode::Compare);
        m_comparePage->focusFilter();
    });
    compare->addSeparator();
    for (QAction* action : m_comparePage->runActions()) {
        if (action == nullptr) {
            compare->addSeparator();
        } else {
            compare->addAction(action);
            addAction(action);
        }
    }
}

void MainWindow::createHelpMenu()
{
    QMenu* help = menuBar()->addMenu(tr("&Help"));
    connect(add(help, u"shortcuts"_s, tr("&Keyboard Shortcuts"), tr("All keys on one page"),
                QKeySequence(tr("F1"))),
            &QAction::triggered, this, &MainWindow::showShortcuts);
    QAction* log = add(help, u"logFile"_s, tr("Open &Log File"), tr("What the program wrote down"));
    connect(log, &QAction::triggered, this,
            [] { QDesktopServices::openUrl(QUrl::fromLocalFile(logFile())); });
    connect(help, &QMenu::aboutToShow, log, [log] { log->setEnabled(!logFile().isEmpty()); });
    help->addSeparator();
    connect(add(help, u"about"_s, tr("&About Quant Workbench"), tr("Versions and licences")),
            &QAction::triggered, this, [this] {
                auto* dialog = new AboutDialog(m_state.facts(), this);
                dialog->setAttribute(Qt::WA_DeleteOnClose);
                dialog->open();
            });
}

void MainWindow::refillRecent()
{
    m_recentMenu->clear();
    for (const QString& model : m_settings.list(Key::RecentModels)) {
        QAction* action = m_recentMenu->addAction(QFileInfo(model).fileName());
        action->setStatusTip(model);
        action->setEnabled(QFileInfo(model).isDir());
        connect(action, &QAction::triggered, this, [this, model] { openPath(model); });
    }
    m_recentMenu->setEnabled(!m_recentMenu->isEmpty());
}

void MainWindow::followFocus()
{
    QWidget* now = QApplication::focusWidget();
    const bool menu = qobject_cast<QMenuBar*>(now) != nullptr;
    if (now != nullptr && !menu && isAncestorOf(now)) { // else a menu or dialog opens
        m_focusPlot = qobject_cast<PlotView*>(now);
    }
}

PlotView* MainWindow::plotInSight() const
{
    const auto shown = [](const PlotView* plot) {
        return plot != nullptr && plot->isVisible() && plot->emptyText().isEmpty();
    };
    if (shown(m_focusPlot)) {
        return m_focusPlot;
    }
    if (shown(m_inspectPage->mainPlot())) {
        return m_inspectPage->mainPlot();
    }
    const auto plots = m_stack->currentWidget()->findChildren<PlotView*>();
    const auto found = std::find_if(plots.begin(), plots.end(), shown);
    return found != plots.end() ? *found : nullptr;
}

void MainWindow::refillPlotMenu()
{
    m_plotMenu->clear();
    qDeleteAll(m_plotMenu->findChildren<QMenu*>(QString(), Qt::FindDirectChildrenOnly));
    PlotView* plot = plotInSight();
    m_plotMenu->menuAction()->setEnabled(plot != nullptr);
    m_plotMenu->setTitle(plot != nullptr ? tr("Pl&ot: %1").arg(plot->accessibleName())
                                         : tr("Pl&ot"));
    if (plot != nullptr) {
        plot->fillMenu(*m_plotMenu);
    }
}

void MainWindow::showPalette()
{
    std::vector<PaletteEntry> entries;
    refillPlotMenu();
    QList<QAction*> all = actions();
    const auto addMenu = [&all](const QMenu& menu, auto& again) -> void {
        for (QAction* action : menu.actions()) {
            if (action->menu() != nullptr) {
                again(*action->menu(), again);
            } else if (!action->isSeparator()) {
                all << action;
            }
        }
    };
    addMenu(*m_plotMenu, addMenu);
    for (QAction* action : std::as_const(all)) {
        if (action->isEnabled() && !action->objectName().startsWith(u"palette")) {
            entries.push_back({actionTitle(*action),
                               action->shortcut().toString(QKeySequence::NativeText),
                               [action] { action->trigger(); }});
        }
    }
    if (m_state.model()) {
        for (const LayerOverview& layer : m_state.model()->layers) {
            const QString name = QString::fromStdString(layer.name);
            entries.push_back({name, tr("layer"), [this, name] {
                                   m_state.selectLayer(name);
                                   if (mode() != Mode::Quantize) { // it shows layers too
                                       setMode(Mode::Inspect);
                                   }
                               }});
        }
    }
    for (const RunSummary& run : m_state.runsOfModel()) {
        const QString id = QString::fromStdString(run.result.id);
        entries.push_back({run_text::title(run.result) + u"  "_s + id, tr("run"), [this, id] {
                               m_state.setRunInView(id);
                               if (mode() == Mode::Start) { // which shows no run
                                   setMode(Mode::Inspect);
                               }
                           }});
    }
    auto* palette = new CommandPalette(std::move(entries), this);
    palette->move(mapToGlobal(QPoint((width() - palette->width()) / 2, height() / 8)));
    palette->show();
}

void MainWindow::showShortcuts()
{
    auto* dialog = new ShortcutsDialog(actions(), this);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->open();
}

} // namespace qw
