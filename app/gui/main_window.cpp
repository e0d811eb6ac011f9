#include "app/gui/main_window.h"

#include <QApplication>
#include <QCloseEvent>
#include <QDBusConnection>
#include <QDBusMessage>
#include <QDragEnterEvent>
#include <QFile>
#include <QFileInfo>
#include <QLabel>
#include <QMimeData>
#include <QScreen>
#include <QStackedWidget>
#include <QStatusBar>
#include <QTimer>

#include "app/gui/desktop_theme.h"
#include "app/gui/dialogs.h"
#include "app/gui/header_bar.h"
#include "app/gui/inspect_page.h"
#include "app/gui/layer_dock.h"
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
} // namespace

MainWindow::MainWindow(Settings& settings, Dialogs& dialogs, const QString& storeFile,
                       RunJob::Work work, QWidget* parent)
    : QMainWindow(parent), m_settings(settings), m_dialogs(dialogs),
      m_state(settings, storeFile.isEmpty() ? settings.text(Key::StoreFile) : storeFile),
      m_queue(std::move(work)), m_desktop(new DesktopTheme(this))
{
    setObjectName(QStringLiteral("mainWindow"));
    setWindowTitle(tr("Quant Workbench"));
    setAcceptDrops(true);
    setDockOptions(AnimatedDocks | AllowNestedDocks | AllowTabbedDocks);
    createPages();
    createDocks();
    createActions();
    createStatusBar();
    connectState();
    applyTheme();
    resize(kFirstSize);
    setMode(StartMode);
    updateActions();
}

MainWindow::~MainWindow()
{
    // Pages, docks and bars look at state and queue, which go before the base class and its
    // children do: so these go first.
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
    m_pages = new QStackedWidget;
    m_startPage = new StartPage(m_state);
    m_inspectPage = new InspectPage(m_state, m_dialogs);
    m_pages->addWidget(m_startPage);
    m_pages->addWidget(m_inspectPage);
    setCentralWidget(m_pages);
    connect(m_startPage, &StartPage::openFolderWanted, this, &MainWindow::chooseModel);
    connect(m_startPage, &StartPage::openWanted, this, &MainWindow::openPath);
    connect(m_startPage, &StartPage::resumeWanted, this, &MainWindow::resumeRun);
    connect(m_startPage, &StartPage::discardWanted, this, &MainWindow::discardRun);
    connect(m_startPage, &StartPage::modeWanted, this,
            [this](int mode) { setMode(static_cast<Mode>(mode)); });
}

void MainWindow::createDocks()
{
    m_layerDock = new LayerDock(m_state, this);
    addDockWidget(Qt::LeftDockWidgetArea, m_layerDock);
    resizeDocks({m_layerDock}, {kLayerDockWidth}, Qt::Horizontal);
    connect(m_layerDock->toggleViewAction(), &QAction::triggered, this,
            [this](bool shown) { m_layersWanted = shown; });
}

void MainWindow::createStatusBar()
{
    m_engineLabel = new QLabel(tr("starting the engine\u2026"));
    m_engineLabel->setObjectName(QStringLiteral("engineLabel"));
    m_memoryLabel = new QLabel;
    m_memoryLabel->setObjectName(QStringLiteral("memoryLabel"));
    m_memoryLabel->setToolTip(tr("Memory this program holds now"));
    auto* store =
        new ElidedLabel(tr("store: %1").arg(QString::fromStdString(m_state.storeFile().string())));
    store->setObjectName(QStringLiteral("storeLabel"));
    for (QLabel* label : {m_engineLabel, m_memoryLabel, static_cast<QLabel*>(store)}) {
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
            if (!m_runToRestore.isEmpty()) {
                m_state.setRunInView(std::exchange(m_runToRestore, {}));
            }
        }
        setWindowTitle(m_state.modelState() == AppState::ModelState::None
                           ? tr("Quant Workbench")
                           : tr("%1 \u2013 Quant Workbench").arg(m_state.modelTitle()));
    });
    connect(&m_state, &AppState::problem, this,
            [this](const QString& title, const QString& sentence, const QString& details) {
                m_dialogs.showProblem(this, title, sentence, details);
            });
    connect(m_desktop, &DesktopTheme::changed, this, &MainWindow::applyTheme);
    connect(&m_queue, &RunQueue::runStarted, this, [this] {
        m_startPage->setActiveRuns(activeRuns());
        m_state.storeChanged();
    });
    connect(&m_queue, &RunQueue::runStopped, &m_state, &AppState::storeChanged);
    connect(&m_queue, &RunQueue::runFinished, this, [this](const std::vector<RunResult>& results) {
        m_state.storeChanged();
        if (!results.empty() &&
            QString::fromStdString(results.front().spec.model) == m_state.modelName()) {
            m_state.setRunInView(QString::fromStdString(results.back().id));
        }
        notifyDone(results);
    });
    connect(&m_queue, &RunQueue::runFailed, this,
            [this](std::int64_t number, const QString& sentence, const QString& details) {
                m_state.storeChanged();
                const QueueEntry* entry = m_queue.find(number);
                m_dialogs.showProblem(
                    this, tr("A Run Failed"),
                    tr("%1 stopped: %2").arg(entry->title, sentence) +
                        (entry->layers.empty()
                             ? QString()
                             : u'\n' + tr("Finished blocks are kept; it can be resumed.")),
                    details);
            });
}

MainWindow::Mode MainWindow::mode() const
{
    return static_cast<Mode>(m_pages->currentIndex());
}

void MainWindow::setMode(Mode mode)
{
    if (mode < 0 || mode >= ModeCount) {
        return;
    }
    m_pages->setCurrentIndex(mode);
    m_modeActions.at(static_cast<std::size_t>(mode))->setChecked(true);
    m_layerDock->setVisible(m_layersWanted && mode == InspectMode);
    updateActions();
}

void MainWindow::openPath(const QString& path)
{
    const QFileInfo info(path);
    if (path == QStringLiteral("demo") || info.isDir()) {
        m_state.openModel(path);
    } else if (info.suffix() == QStringLiteral("json")) {
        if (info.fileName() == QStringLiteral("config.json")) {
            m_state.openModel(info.absolutePath());
        } else {
            importRecipe(path);
        }
    } else if (info.suffix() == QStringLiteral("sqlite")) {
        mergeStore(path);
    } else {
        m_dialogs.showProblem(
            this, tr("Cannot Open This"),
            tr("%1 is neither a model folder, nor a recipe (.json), nor a store (.sqlite).")
                .arg(path));
    }
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

void MainWindow::importRecipe(const QString& path)
{
    try {
        RunSpec draft = runSpecFromJson(readJsonFile(path.toStdString()));
        if (draft.model.empty()) {
            draft.model = m_state.draft().model;
        }
        m_state.editDraft(draft, tr("Import %1").arg(QFileInfo(path).fileName()));
    } catch (const Error& error) {
        m_dialogs.showProblem(this, tr("Cannot Read the Recipe"),
                              QString::fromStdString(error.what()));
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
    try {
        const MergeReport report = m_state.store().mergeFrom(path.toStdString());
        m_state.storeChanged();
        statusBar()->showMessage(
            tr("%1 runs copied, %2 were there").arg(report.added).arg(report.alreadyThere), 8000);
    } catch (const Error& error) {
        m_dialogs.showProblem(this, tr("Cannot Merge the Store"),
                              QString::fromStdString(error.what()));
    }
}

void MainWindow::resumeRun(const QString& id)
{
    try {
        const RunResult run = m_state.store().get(id.toStdString());
        RunRequest request;
        request.specs = {run.spec};
        request.storeFile = m_state.storeFile();
        request.workFolder = m_state.workFolder();
        request.sweep = run.sweep;
        request.resumeId = run.sweep.empty() ? run.id : run.sweep;
        m_queue.add(std::move(request), run_text::settings(run.spec));
    } catch (const Error& error) {
        m_dialogs.showProblem(this, tr("Cannot Resume the Run"),
                              QString::fromStdString(error.what()));
    }
}

void MainWindow::discardRun(const QString& id)
{
    try {
        RunResult run = m_state.store().get(id.toStdString());
        run.status = "cancelled";
        run.problem = "interrupted and not resumed";
        m_state.store().save(run);
        m_state.storeChanged();
    } catch (const Error& error) {
        m_dialogs.showProblem(this, tr("Cannot Change the Run"),
                              QString::fromStdString(error.what()));
    }
}

void MainWindow::editSettings()
{
    auto* dialog = new SettingsDialog(m_settings, m_state.facts(), this);
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
    parts << QString::fromStdString(info.blas)
          << (threads == 1 ? tr("1 thread") : tr("%1 threads").arg(threads));
    if (info.cuda) {
        parts << (info.cudaDevices == 1 ? tr("1 GPU") : tr("%1 GPUs").arg(info.cudaDevices));
    }
    m_engineLabel->setText(parts.join(QStringLiteral(", ")));
    m_engineLabel->setToolTip(
        tr("libtorch %1 on %2")
            .arg(QString::fromStdString(info.torch), QString::fromStdString(info.cpu)));
    if (info.slowBlas) {
        m_engineLabel->setText(tr("slow matrix library: runs take fifty times longer"));
        m_engineLabel->setToolTip(
            tr("The reference BLAS is in use; install libopenblas0-pthread."));
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
}

QStringList MainWindow::activeRuns() const
{
    QStringList ids;
    for (const QueueEntry& entry : m_queue.entries()) {
        if (entry.busy() || entry.state == RunState::Queued) {
            ids.append(entry.runId.isEmpty() ? QString::fromStdString(entry.request.resumeId)
                                             : entry.runId);
        }
    }
    return ids;
}

void MainWindow::notifyDone(const std::vector<RunResult>& results)
{
    if (results.empty()) {
        return;
    }
    const QString text = run_text::title(results.back());
    statusBar()->showMessage(tr("Finished: %1").arg(text), 8000);
    QDBusConnection bus = QDBusConnection::sessionBus();
    if (!m_settings.flag(Key::Notify) || isActiveWindow() || !bus.isConnected()) {
        return;
    }
    using namespace Qt::Literals::StringLiterals;
    QDBusMessage message = QDBusMessage::createMethodCall(
        u"org.freedesktop.Notifications"_s, u"/org/freedesktop/Notifications"_s,
        u"org.freedesktop.Notifications"_s, u"Notify"_s);
    message << u"Quant Workbench"_s << 0U << u"quant-workbench"_s << tr("A run is finished") << text
            << QStringList() << QVariantMap() << -1;
    bus.call(message, QDBus::NoBlock);
}

void MainWindow::closeEvent(QCloseEvent* event)
{
    if (!m_queue.idle()) {
        const QString sentence =
            m_queue.muchToLose()
                ? tr("A run is working, and more than a minute of work on the current block would "
                     "be lost. Finished blocks are kept and the run can be resumed.")
                : tr("A run is working. Finished blocks are kept and the run can be resumed at the "
                     "next start.");
        if (m_dialogs.askChoice(this, tr("Quit During a Run"), sentence, {tr("Quit")}) != 0) {
            event->ignore();
            return;
        }
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
    if (!urls.isEmpty() && urls.first().isLocalFile()) {
        event->acceptProposedAction();
        openPath(urls.first().toLocalFile());
    }
}

void MainWindow::saveSession()
{
    m_settings.set(Key::WindowGeometry, saveGeometry());
    m_settings.set(Key::WindowState, saveState(kStateVersion));
    m_settings.set(Key::LastMode, mode());
    m_inspectPage->saveSession();
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
    restoreState(m_settings.bytes(Key::WindowState), kStateVersion);
    m_inspectPage->restoreSession();
    setMode(StartMode);
    const QString model = m_settings.text(Key::LastModel);
    if (!m_settings.flag(Key::ReopenModel) || model.isEmpty() ||
        (model != QStringLiteral("demo") && !QFileInfo(model).isDir())) {
        return;
    }
    m_runToRestore = m_settings.text(Key::LastRun);
    m_state.selectLayer(m_settings.text(Key::LastLayer));
    m_state.openModel(model);
    setMode(static_cast<Mode>(std::clamp(m_settings.number(Key::LastMode), 0, ModeCount - 1)));
}

} // namespace qw
