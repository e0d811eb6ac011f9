#include "app/gui/main_window.h"

#include <QApplication>
#include <QDBusConnection>
#include <QDBusMessage>
#include <QFileInfo>
#include <QStatusBar>
#include <QTimer>

#include "app/gui/compare_page.h"
#include "app/gui/dialogs.h"
#include "app/gui/export_dialog.h"
#include "app/gui/import_dialog.h"
#include "app/gui/plot_exports.h"
#include "app/gui/quantize_page.h"
#include "app/gui/queue_detail.h"
#include "app/gui/queue_dock.h"
#include "app/gui/queue_memory.h"
#include "app/gui/report_file.h"
#include "app/gui/run_text.h"
#include "app/gui/settings.h"
#include "app/gui/start_page.h"
#include "app/gui/sweep_dialog.h"
#include "base/error.h"
#include "report/method_settings.h"
#include "widgets/series_plot.h"

namespace qw {

using Key = Settings::Key;

namespace {
constexpr int kMessageTime = 8000;   // milliseconds in the status bar
constexpr int kSweepInterval = 3000; // milliseconds between looks into the store

/// Asks the desktop; where none answers, nothing happens.
void notifyByDesktop(const QString& title, const QString& text)
{
    QDBusConnection bus = QDBusConnection::sessionBus();
    if (!bus.isConnected()) {
        return;
    }
    using namespace Qt::Literals::StringLiterals;
    QDBusMessage message = QDBusMessage::createMethodCall(
        u"org.freedesktop.Notifications"_s, u"/org/freedesktop/Notifications"_s,
        u"org.freedesktop.Notifications"_s, u"Notify"_s);
    const QString id = QGuiApplication::desktopFileName(); // of the icon, too
    message << QGuiApplication::applicationDisplayName() << 0U << id << title << text
            << QStringList() << QVariantMap{{u"desktop-entry"_s, id}} << -1;
    bus.call(message, QDBus::NoBlock);
}
} // namespace

void MainWindow::connectQueue()
{
    m_notifier = notifyByDesktop;
    try {
        const QString remembered = m_settings.text(Key::Queue);
        if (!remembered.isEmpty()) {
            restoreQueue(parseJson(remembered.toStdString(), "the remembered queue"),
                         m_state.storeFile().string(), m_queue);
        }
    } catch (const std::exception& error) { // written by another version
        qWarning("the queue starts empty: %s", error.what());
    }
    m_sweepTimer = new QTimer(this);
    connect(m_sweepTimer, &QTimer::timeout, &m_state, &AppState::storeChanged);
    connect(&m_queue, &RunQueue::stateChanged, this, &MainWindow::watchSweep);
    connect(&m_merger, &Background::failed, this,
            [this](const QString& sentence, const QString& details) {
                m_toMerge.clear();
                m_dialogs.showProblem(this, tr("Cannot Merge the Store"), sentence, details);
            });
    connect(&m_reportWorker, &Background::failed, this,
            [this](const QString& sentence, const QString& details) {
                m_dialogs.showProblem(this, tr("Cannot Write the Report"), sentence, details);
            });
    showQueuedRuns();
    connectExports(m_queueDock->detail().lossPlot(), m_dialogs);
    connectExports(m_queueDock->detail().errorPlot(), m_dialogs);
    connect(&m_queue, &RunQueue::stateChanged, this, [this] {
        m_settings.set(Key::Queue, QString::fromStdString(rememberedQueue(m_queue).dump()));
        m_settings.flush();
        showQueuedRuns();
    });
    connect(&m_queue, &RunQueue::runStarted, &m_state, &AppState::storeChanged);
    connect(&m_queue, &RunQueue::runStopped, &m_state, &AppState::storeChanged);
    connect(&m_queue, &RunQueue::runFinished, this, [this](const std::vector<RunResult>& results) {
        m_state.storeChanged();
        if (!results.empty() &&
            QString::fromStdString(results.front().spec.model) == m_state.modelName()) {
            m_state.offerRunInView(QString::fromStdString(results.back().id));
        }
        notifyDone(results);
    });
    connect(&m_queue, &RunQueue::runFailed, this,
            [this](std::int64_t number, const QString& sentence, const QString& details) {
                m_state.storeChanged();
                const QueueEntry* entry = m_queue.find(number);
                notify(tr("A run failed"), tr("%1: %2").arg(entry->title, sentence));
                m_dialogs.showProblem(
                    this, tr("A Run Failed"),
                    tr("%1 stopped: %2").arg(entry->title, sentence) +
                        (entry->layers.empty()
                             ? QString()
                             : u'\n' + tr("What is finished is kept; it can be resumed.")),
                    details);
            });
}

void MainWindow::resumeRun(const QString& id)
{
    try {
        m_state.store().requireWritable();
        const RunSummary* found = m_state.findRun(id);
        QW_REQUIRE(found != nullptr, ErrorCode::NotFound, "the run is not in the store any more");
        const RunResult& run = found->result;
        m_state.expectRun();
        if (const QueueEntry* entry = m_queue.findRun(id, run.sweep)) {
            m_queue.resume(entry->number);
            return;
        }
        RunRequest request;
        request.specs = {run.spec};
        request.storeFile = m_state.storeFile();
        request.workFolder = m_state.workFolder();
        request.sweep = run.sweep;
        request.resumeId = run.sweep.empty() ? run.id : run.sweep;
        m_queue.add(std::move(request), run_text::settings(run));
    } catch (const Error& error) {
        m_dialogs.showProblem(this, tr("Cannot Resume the Run"),
                              QString::fromStdString(error.what()));
    }
}

void MainWindow::discardRun(const QString& id)
{
    const RunSummary* found = m_state.findRun(id);
    const std::string sweep = found != nullptr ? found->result.sweep : std::string();
    if (const QueueEntry* entry = m_queue.findRun(id, sweep)) {
        m_queue.cancel(entry->number);
    }
    m_state.changeStore(
        [run = id.toStdString(), sweep](RunStore& store) {
            std::vector<std::string> dismissed = {run};
            if (!sweep.empty()) {
                RunFilter ofSweep;
                ofSweep.sweep = sweep;
                for (const RunSummary& other : store.list(ofSweep)) {
                    dismissed.push_back(other.result.id);
                }
            }
            for (const std::string& one : dismissed) {
                store.setStatus(one, "cancelled", "interrupted and not resumed");
            }
        },
        [this](const std::optional<Failure>& failure) {
            if (failure) {
                m_dialogs.showProblem(this, tr("Cannot Change the Run"), failure->sentence,
                                      failure->details);
            }
        });
}

void MainWindow::enqueue(std::vector<RunSpec> specs, const QString& title)
{
    RunRequest request;
    for (RunSpec& spec : specs) {
        spec = withoutUnused(spec); // the form keeps what other methods were given
        if (spec.threads == 0) {
            spec.threads = m_settings.number(Key::Threads);
        }
    }
    if (specs.size() > 1) {
        request.sweep = m_state.store().newRunId();
    }
    request.specs = std::move(specs);
    request.storeFile = m_state.storeFile();
    request.workFolder = m_state.workFolder();
    m_state.expectRun();
    m_queue.add(std::move(request), title);
}

void MainWindow::runDraft(bool showIt)
{
    if (!m_quantizePage->canRun()) {
        setMode(Mode::Quantize); // it says why not
        return;
    }
    enqueue({m_state.draft()}, run_text::settings(m_state.draft()));
    m_queueDock->show();
    if (showIt) {
        m_queueDock->setDetailsShown(true);
    } else {
        statusBar()->showMessage(tr("Queued: %1").arg(run_text::settings(m_state.draft())),
                                 kMessageTime);
    }
}

void MainWindow::showRun(const QString& id)
{
    const RunSummary* found = m_state.findRun(id);
    showRunOf(id, found == nullptr ? QString() : QString::fromStdString(found->result.spec.model));
}

void MainWindow::showRunOf(const QString& id, const QString& model)
{
    if (model.isEmpty() || model == m_state.modelName()) {
        m_state.setRunInView(id);
    } else if (model == QStringLiteral("demo") || QFileInfo(model).isDir()) {
        m_state.openModel(model, id);
    } else {
        m_dialogs.showProblem(this, tr("Cannot Show the Run"),
                              tr("The folder of its model is gone: %1").arg(model));
        return;
    }
    setMode(Mode::Inspect);
}

void MainWindow::prepareSweep()
{
    auto* dialog = new SweepDialog(m_state, this);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    connect(dialog, &SweepDialog::runsWanted, this, [this](const std::vector<RunSpec>& specs) {
        enqueue(specs, specs.size() == 1 ? run_text::settings(specs.front())
                                         : tr("Sweep of %1 runs").arg(specs.size()));
        m_queueDock->show();
        setMode(Mode::Compare); // where the results appear
    });
    dialog->open();
}

void MainWindow::exportModel()
{
    const QString selected = mode() == Mode::Compare ? m_comparePage->selectedRun() : QString();
    if (!selected.isEmpty()) {
        prepareExport(selected);
    } else if (m_state.runInView()) {
        prepareExport(QString::fromStdString(m_state.runInView()->id));
    } else {
        m_dialogs.showProblem(this, tr("No Run to Export"),
                              tr("Select a run on the Compare page, or one of the open model."));
        setMode(Mode::Compare);
    }
}

void MainWindow::prepareExport(const QString& id)
{
    if (const RunSummary* found = m_state.findRun(id)) {
        auto* dialog = new ExportDialog(m_state, m_dialogs, found->result, this);
        dialog->setAttribute(Qt::WA_DeleteOnClose);
        dialog->open();
    }
}

void MainWindow::prepareImport(const QString& source)
{
    auto* open = findChild<ImportDialog*>();
    if (open != nullptr && open->isVisible() &&
        !source.isEmpty()) { // a model dropped with its adapter
        open->take({source});
        return;
    }
    auto* dialog = new ImportDialog(m_state, m_dialogs, source, this);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    connect(dialog, &ImportDialog::imported, this, [this](const RunResult& run) {
        m_state.storeChanged();
        showRunOf(QString::fromStdString(run.id), QString::fromStdString(run.spec.model));
        statusBar()->showMessage(tr("Imported: %1").arg(run_text::settings(run)), kMessageTime);
    });
    dialog->open();
}

void MainWindow::watchSweep()
{
    const QueueEntry* current = m_queue.current();
    const bool sweeping = current != nullptr && current->request.specs.size() > 1;
    if (sweeping && !m_sweepTimer->isActive()) {
        m_sweepTimer->start(kSweepInterval);
    } else if (!sweeping) {
        m_sweepTimer->stop();
    }
}

void MainWindow::showQueuedRuns()
{
    QStringList working;
    QStringList paused;
    for (const QueueEntry& entry : m_queue.entries()) {
        const QString id =
            entry.runId.isEmpty() ? QString::fromStdString(entry.request.resumeId) : entry.runId;
        if (entry.busy() || entry.state == RunState::Queued) {
            working << id;
        } else if (entry.state == RunState::Paused) {
            paused << id;
            if (!entry.request.sweep.empty()) {
                paused << QString::fromStdString(entry.request.sweep);
            }
        }
    }
    m_startPage->setQueuedRuns(working, paused);
    m_comparePage->setPausedRuns(paused);
}

void MainWindow::exportReport()
{
    const QStringList ids = m_comparePage->chosenRuns();
    if (ids.isEmpty()) {
        m_dialogs.showProblem(this, tr("No Runs to Report"),
                              tr("Select or tick the runs of the report on the Compare page."));
        setMode(Mode::Compare);
        return;
    }
    const QString file = m_dialogs.askSaveFile(this, tr("Export Report"), QStringLiteral("report"),
                                               tr("Web page (*.html);;Document (*.pdf)"));
    if (file.isEmpty()) {
        return;
    }
    std::vector<std::string> wanted;
    for (const QString& id : ids) {
        wanted.push_back(id.toStdString());
    }
    statusBar()->showMessage(tr("Writing the report\u2026"));
    m_reportWorker.ask(
        [wanted, file, store = m_state.storeFile().string()](const RunContext& /*run*/) {
            writeReport(store, wanted, {}, file);
            return true;
        },
        [this, file](bool /*written*/) {
            statusBar()->showMessage(tr("Written: %1").arg(file), kMessageTime);
        });
}

void MainWindow::notifyDone(const std::vector<RunResult>& results)
{
    if (results.empty()) {
        return;
    }
    const QString text = run_text::title(results.back());
    statusBar()->showMessage(tr("Finished: %1").arg(text), kMessageTime);
    notify(tr("A run is finished"), text);
}

void MainWindow::notify(const QString& title, const QString& text)
{
    if (m_settings.flag(Key::Notify) && QApplication::activeWindow() == nullptr) {
        m_notifier(title, text);
    }
}

bool MainWindow::mayClose()
{
    if (m_queue.idle()) {
        return true;
    }
    const QueueEntry* current = m_queue.current();
    const QString sentence =
        current != nullptr && m_queue.muchToLose()
            ? tr("A run is working. %1").arg(run_text::lost(current->shown()))
            : tr("A run is working. What is finished is kept and the run can be resumed at the "
                 "next start.");
    return m_dialogs.askChoice(this, tr("Quit During a Run"), sentence, {tr("Quit")}) == 0;
}

} // namespace qw
