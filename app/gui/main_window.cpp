#include "app/gui/main_window.h"

#include <algorithm>

#include <QAction>
#include <QApplication>
#include <QCloseEvent>
#include <QDragEnterEvent>
#include <QFile>
#include <QFileInfo>
#include <QLabel>
#include <QMimeData>
#include <QStackedWidget>
#include <QStatusBar>
#include <QTimer>

#include "app/gui/compare_page.h"
#include "app/gui/desktop_theme.h"
#include "app/gui/dialogs.h"
#include "app/gui/header_bar.h"
#include "app/gui/inspect_page.h"
#include "app/gui/layer_dock.h"
#include "app/gui/model_path.h"
#include "app/gui/quantize_page.h"
#include "app/gui/queue_dock.h"
#include "app/gui/run_text.h"
#include "app/gui/settings.h"
#include "app/gui/settings_dialog.h"
#include "app/gui/start_page.h"
#include "base/error.h"
#include "widgets/elided_label.h"
#include "widgets/mode_bar.h"
#include "widgets/number_text.h"
#include "widgets/theme.h"

namespace qw {

using Key = Settings::Key;

namespace {
constexpr int kStateVersion = 1; // of saveState(): count up when docks or bars change
constexpr int kLayerDockWidth = 310;
constexpr QSize kFirstSize(1280, 800);
constexpr int kMemoryInterval = 2000; // milliseconds
constexpr int kMessageTime = 8000;    // milliseconds in the status bar

/// Resident set of this process in bytes.
qint64 residentBytes()
{
    QFile statm(QStringLiteral("/proc/self/statm"));
    if (!statm.open(QIODevice::ReadOnly)) {
        return 0;
    }
    constexpr qint64 kPage = 4096;
    return statm.readAll().split(' ').value(1).toLongLong() * kPage;
}

/// The open model and what its weights are stored in.
QString modelStatus(const AppState& state)
{
    if (state.modelState() == AppState::ModelState::None) {
        return MainWindow::tr("no model");
    }
    const bool ready = state.model() && !state.model()->layers.empty();
    return ready ? MainWindow::tr("%1, %2").arg(
                       state.modelTitle(),
                       QString::fromStdString(state.model()->layers.front().dtype))
                 : state.modelTitle();
}
} // namespace

MainWindow::MainWindow(Settings& settings, Dialogs& dialogs, const QString& storeFile,
                       RunJob::Work work, QWidget* parent)
    : QMainWindow(parent), m_settings(settings), m_dialogs(dialogs),
      m_state(settings, storeFile.isEmpty() ? settings.text(Key::StoreFile) : storeFile),
      m_storeOfCommandLine(!storeFile.isEmpty()), m_queue(std::move(work)),
      m_desktop(new DesktopTheme(this))
{
    setObjectName(QStringLiteral("mainWindow"));
    setWindowTitle(tr("Quant Workbench"));
    setAcceptDrops(true);
    setDockOptions(AllowNestedDocks | AllowTabbedDocks);
    applyTheme(); // first: a new style takes the margins of labels that are there
    createPages();
    createDocks();
    createActions();
    createStatusBar();
    connectState();
    connectQueue();
    resize(kFirstSize);
    setMode(Mode::Start);
    updateActions();
}

MainWindow::~MainWindow()
{
    // Pages, docks and bars look at state and queue, which go before the base class and its
    // children do: so these go first.
    disconnect(qApp, nullptr, this, nullptr); // where the focus goes meanwhile is of no meaning
    hide();
    qDeleteAll(findChildren<QWidget*>(QString(), Qt::FindDirectChildrenOnly));
}

void MainWindow::createPages()
{
    addToolBar(Qt::TopToolBarArea, new HeaderBar(m_state, this));
    m_modeBar = new ModeBar(this);
    m_modeBar->setObjectName(QStringLiteral("modeBar"));
    m_modeBar->setWindowTitle(tr("Modes"));
    addToolBar(Qt::LeftToolBarArea, m_modeBar);
    m_stack = new QStackedWidget;
    setCentralWidget(m_stack);
    m_startPage = new StartPage(m_state);
    m_inspectPage = new InspectPage(m_state, m_dialogs);
    m_quantizePage = new QuantizePage(m_state, m_dialogs);
    m_comparePage = new ComparePage(m_state, m_dialogs);
    addPage(Mode::Start, m_startPage, icons::Shape::Start, QStringLiteral("start"), tr("&Start"),
            tr("Models, unfinished runs and what can be done"));
    addPage(Mode::Inspect, m_inspectPage, icons::Shape::Inspect, QStringLiteral("inspect"),
            tr("&Inspect"), tr("Layers, their spectra, weights and inputs"));
    addPage(Mode::Quantize, m_quantizePage, icons::Shape::Quantize, QStringLiteral("quantize"),
            tr("&Quantize"), tr("Method, number format, rank and texts of the next run"));
    addPage(Mode::Compare, m_comparePage, icons::Shape::Compare, QStringLiteral("compare"),
            tr("&Compare"), tr("Stored runs side by side"));
    connect(m_comparePage, &ComparePage::showRunWanted, this, &MainWindow::showRun);
    connect(m_comparePage, &ComparePage::exportWanted, this, &MainWindow::prepareExport);
    connect(m_comparePage, &ComparePage::message, this,
            [this](const QString& text) { statusBar()->showMessage(text, kMessageTime); });
    connect(m_startPage, &StartPage::openFolderWanted, this, &MainWindow::chooseModel);
    connect(m_startPage, &StartPage::openWanted, this, &MainWindow::openPath);
    connect(m_startPage, &StartPage::resumeWanted, this, &MainWindow::resumeRun);
    connect(m_startPage, &StartPage::continueQueueWanted, &m_queue, &RunQueue::resumeAll);
    connect(m_startPage, &StartPage::discardWanted, this, &MainWindow::discardRun);
    connect(m_quantizePage, &QuantizePage::sweepWanted, this, &MainWindow::prepareSweep);
    connect(m_quantizePage, &QuantizePage::runWanted, this, &MainWindow::runDraft);
    connect(m_quantizePage, &QuantizePage::canRunChanged, this, &MainWindow::updateActions);
    connect(m_quantizePage, &QuantizePage::message, this,
            [this](const QString& text) { statusBar()->showMessage(text, kMessageTime); });
    connect(m_startPage, &StartPage::modeWanted, this, &MainWindow::setMode);
}

void MainWindow::addPage(Mode mode, QWidget* page, icons::Shape shape, const QString& name,
                         const QString& text, const QString& tip)
{
    auto* action = new QAction(icons::icon(shape), text, this);
    action->setObjectName(name + QStringLiteral("Action"));
    action->setIconText(QString(text).remove(u'&'));
    action->setStatusTip(tip);
    action->setShortcut(QKeySequence(QStringLiteral("Ctrl+%1").arg(static_cast<int>(mode) + 1)));
    action->setToolTip(QStringLiteral("%1 (%2)").arg(tip, action->shortcut().toString()));
    addAction(action);
    connect(action, &QAction::triggered, this, [this, mode] { setMode(mode); });
    m_modeBar->addMode(action, name);
    m_stack->addWidget(page);
    m_pages.at(static_cast<std::size_t>(mode)) = {page, action};
    m_startPage->offerMode(mode);
}

void MainWindow::addDock(QDockWidget* dock, Qt::DockWidgetArea area, const QString& menuText)
{
    addDockWidget(area, dock);
    dock->toggleViewAction()->setText(menuText);
    m_dockActions << dock->toggleViewAction();
}

void MainWindow::createDocks()
{
    m_layerDock = new LayerDock(m_state, this);
    addDock(m_layerDock, Qt::LeftDockWidgetArea, tr("&Layers"));
    resizeDocks({m_layerDock}, {kLayerDockWidth}, Qt::Horizontal);
    m_queueDock = new QueueDock(m_queue, this);
    addDock(m_queueDock, Qt::BottomDockWidgetArea, tr("Qu&eue"));
    connect(m_queueDock, &QueueDock::showRunWanted, this, &MainWindow::showRun);
    connect(m_layerDock->toggleViewAction(), &QAction::triggered, this,
            [this](bool shown) { m_layersWanted = shown; });
}

void MainWindow::createStatusBar()
{
    m_modelLabel = new QLabel;
    m_modelLabel->setObjectName(QStringLiteral("modelStatusLabel"));
    m_engineLabel = new QLabel(tr("starting the engine\u2026"));
    m_engineLabel->setObjectName(QStringLiteral("engineLabel"));
    m_memoryLabel = new QLabel;
    m_memoryLabel->setObjectName(QStringLiteral("memoryLabel"));
    m_memoryLabel->setToolTip(tr("Memory this program holds now"));
    const QString storePath = run_text::path(QString::fromStdString(m_state.storeFile().string()));
    auto* store = new ElidedLabel(m_state.store().writable()
                                      ? tr("store: %1").arg(storePath)
                                      : tr("store, can only be read: %1").arg(storePath));
    store->setObjectName(QStringLiteral("storeLabel"));
    for (QLabel* label :
         {m_modelLabel, m_engineLabel, m_memoryLabel, static_cast<QLabel*>(store)}) {
        label->setContentsMargins(theme::kMargin, 0, theme::kMargin, 0);
        label->setForegroundRole(QPalette::PlaceholderText);
        statusBar()->addWidget(label, label == store ? 1 : 0);
    }
    auto* timer = new QTimer(this);
    connect(timer, &QTimer::timeout, this, &MainWindow::showMemory);
    timer->start(kMemoryInterval);
    showMemory();
}

void MainWindow::connectState()
{
    connect(&m_state, &AppState::factsKnown, this, &MainWindow::showEngineFacts);
    connect(&m_state, &AppState::modelChanged, this, &MainWindow::updateActions);
    connect(&m_state, &AppState::modelChanged, this, [this] {
        if (m_state.modelState() == AppState::ModelState::Ready) {
            m_settings.set(Key::LastModel, m_state.modelName());
        }
        m_modelLabel->setText(modelStatus(m_state));
        setWindowTitle(m_state.modelState() == AppState::ModelState::None
                           ? tr("Quant Workbench")
                           : tr("%1 \u2013 Quant Workbench").arg(m_state.modelTitle()));
    });
    connect(&m_state, &AppState::problem, this,
            [this](const QString& title, const QString& sentence, const QString& details) {
                m_dialogs.showProblem(this, title, sentence, details);
            });
    connect(&m_opener, &Background::failed, this,
            [this](const QString& sentence, const QString& details) {
                m_dialogs.showProblem(this, tr("Cannot Open This"), sentence, details);
            });
    connect(m_desktop, &DesktopTheme::changed, this, &MainWindow::applyTheme);
}

Mode MainWindow::mode() const
{
    const auto found = std::find_if(m_pages.begin(), m_pages.end(), [this](const Page& page) {
        return page.widget == m_stack->currentWidget();
    });
    return static_cast<Mode>(found - m_pages.begin());
}

void MainWindow::setMode(Mode mode)
{
    const Page& page = m_pages.at(static_cast<std::size_t>(mode));
    if (page.widget == nullptr) {
        return;
    }
    m_stack->setCurrentWidget(page.widget);
    page.action->setChecked(true);
    m_layerDock->setVisible(m_layersWanted && (mode == Mode::Inspect || mode == Mode::Quantize));
    m_layerDock->showPlans(mode == Mode::Quantize);
    updateActions();
}

void MainWindow::openPath(const QString& given)
{
    const auto [path, adapter] = modelPath(given);
    const QFileInfo info(path);
    if (adapter) {
        prepareImport(info.absoluteFilePath());
    } else if (path == QStringLiteral("demo")) {
        m_opener.cancel(); // of two wishes the later one counts
        m_state.openModel(path);
    } else if (info.isDir() || info.suffix() == QStringLiteral("gguf")) {
        openModelPath(path);
    } else if (info.suffix() == QStringLiteral("json")) {
        setMode(Mode::Quantize);
        m_quantizePage->importRecipe(path);
    } else if (info.suffix() == QStringLiteral("sqlite")) {
        mergeStore(path);
    } else {
        m_dialogs.showProblem(this, tr("Cannot Open This"),
                              tr("%1 is neither a model (a folder, .safetensors or .gguf), nor a "
                                 "recipe (.json), nor a store "
                                 "(.sqlite).")
                                  .arg(path));
    }
}

void MainWindow::openModelPath(const QString& path)
{
    m_opener.ask(
        [path](const RunContext&) { return engine_calls::findQuantized(path.toStdString()); },
        [this, path](const std::optional<QuantizedFiles>& quantized) {
            if (quantized) {
                prepareImport(QFileInfo(path).absoluteFilePath());
            } else {
                m_state.openModel(path);
            }
        });
}

void MainWindow::chooseModel()
{
    const QStringList recent = m_settings.list(Key::RecentModels);
    const QString folder =
        m_dialogs.askFolder(this, tr("Open Model Folder"),
                            recent.isEmpty() ? QString() : QFileInfo(recent.first()).path());
    if (!folder.isEmpty()) {
        openPath(folder);
    }
}

void MainWindow::mergeStore(const QString& path)
{
    const int choice = m_dialogs.askChoice(
        this, tr("Merge Store"),
        tr("Copy the runs of %1 that are missing here into your store?").arg(path), {tr("Copy")});
    if (choice != 0) {
        return;
    }
    statusBar()->showMessage(tr("Copying runs from %1\u2026").arg(path));
    m_toMerge
        << path; // with those of a drop that wait: a question takes the place of the one before
    m_merger.ask(
        [store = m_state.storeFile(), paths = m_toMerge](const RunContext& /*run*/) {
            MergeReport all;
            for (const QString& one : paths) {
                const MergeReport report = RunStore(store).mergeFrom(one.toStdString());
                all.added += report.added;
                all.alreadyThere += report.alreadyThere;
            }
            return all;
        },
        [this](const MergeReport& report) {
            m_toMerge.clear();
            m_state.storeChanged();
            statusBar()->showMessage(
                tr("%1 runs copied, %2 were there").arg(report.added).arg(report.alreadyThere),
                kMessageTime);
        });
}

void MainWindow::editSettings()
{
    auto* dialog = new SettingsDialog(m_settings, m_state.facts(),
                                      QString::fromStdString(m_state.storeFile().string()),
                                      m_storeOfCommandLine, this);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    connect(dialog, &SettingsDialog::themeChanged, this, &MainWindow::applyTheme);
    dialog->open();
}

void MainWindow::applyTheme()
{
    const QString theme = m_settings.text(Key::Theme);
    const bool dark = theme == QStringLiteral("dark") ||
                      (theme == QStringLiteral("desktop") && m_desktop->dark());
    theme::apply(*qApp, dark);
}

void MainWindow::showEngineFacts()
{
    const EngineInfo& info = m_state.facts()->info;
    const int chosen = m_settings.number(Key::Threads);
    const std::int64_t threads = chosen > 0 ? chosen : info.physicalCores;
    QStringList parts;
    parts << tr("CPU: %1").arg(QString::fromStdString(info.blas))
          << (threads == 1 ? tr("1 thread") : tr("%1 threads").arg(threads));
    if (info.cudaDevices > 0) {
        parts << (info.cudaDevices == 1 ? tr("1 GPU") : tr("%1 GPUs").arg(info.cudaDevices));
    }
    m_engineLabel->setText(parts.join(QStringLiteral(", ")));
    m_engineLabel->setToolTip(
        tr("libtorch %1 on %2")
            .arg(QString::fromStdString(info.torch), QString::fromStdString(info.cpu)));
    if (info.slowBlas) {
        m_engineLabel->setText(tr("slow matrix library: runs take fifty times longer"));
        m_engineLabel->setToolTip(tr("The reference BLAS is in use; install libopenblas0-openmp."));
    }
}

void MainWindow::showMemory()
{
    m_memoryLabel->setText(tr("%1 in memory").arg(text::megabytes(residentBytes())));
}

void MainWindow::updateActions()
{
    const bool ready = m_state.modelState() == AppState::ModelState::Ready;
    for (QAction* action : std::as_const(m_modelActions)) {
        action->setEnabled(ready);
    }
    for (QAction* action : std::as_const(m_runActions)) {
        action->setEnabled(m_quantizePage->canRun());
    }
    const QString problem = m_state.storeProblem();
    m_sweepAction->setEnabled(ready && problem.isEmpty());
}

void MainWindow::closeEvent(QCloseEvent* event)
{
    if (!mayClose()) {
        event->ignore();
        return;
    }
    saveSession();
    event->accept();
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event)
{
    if (event->mimeData()->hasUrls()) {
        event->acceptProposedAction();
    }
}

void MainWindow::dropEvent(QDropEvent* event)
{
    const QList<QUrl> urls = event->mimeData()->urls();
    for (const QUrl& url : urls) {
        if (url.isLocalFile()) {
            event->acceptProposedAction();
            openPath(url.toLocalFile());
        }
    }
}

void MainWindow::saveSession()
{
    m_settings.set(Key::WindowGeometry, saveGeometry());
    m_settings.set(Key::WindowState, saveState(kStateVersion));
    m_settings.set(Key::LastMode, static_cast<int>(mode()));
    m_inspectPage->saveSession();
    m_layerDock->saveSession();
    m_comparePage->saveSession();
    m_settings.set(Key::QueueDetails, m_queueDock->session());
    const bool open = m_state.modelState() == AppState::ModelState::Ready;
    m_settings.set(Key::LastModel, open ? m_state.modelName() : QString());
    m_settings.set(Key::LastLayer, m_state.layer());
    m_settings.set(Key::LastRun, m_state.runInView()
                                     ? QString::fromStdString(m_state.runInView()->id)
                                     : QString());
}

void MainWindow::restoreSession()
{
    restoreGeometry(m_settings.bytes(Key::WindowGeometry));
    // Before the docks' heights: unfolding takes a height of its own.
    m_queueDock->restoreSession(m_settings.value(Key::QueueDetails).toList());
    restoreState(m_settings.bytes(Key::WindowState), kStateVersion);
    m_inspectPage->restoreSession();
    m_comparePage->restoreSession();
    setMode(Mode::Start);
    const QString model = m_settings.text(Key::LastModel);
    if (!m_settings.flag(Key::ReopenModel) || model.isEmpty() ||
        (model != QStringLiteral("demo") && !QFileInfo(model).isDir())) {
        return;
    }
    m_state.selectLayer(m_settings.text(Key::LastLayer));
    QString run = m_settings.text(Key::LastRun);
    if (!run.isEmpty() && !m_state.store().find(run.toStdString())) {
        run.clear(); // of a store that was open then, or deleted since
    }
    m_state.openModel(model, run);
    setMode(static_cast<Mode>(std::clamp(m_settings.number(Key::LastMode), 0, kModeCount - 1)));
}

} // namespace qw
