#include "app/gui/main_window.h"

#include <QDBusConnection>
#include <QDBusMessage>
#include <QStatusBar>

#include "app/gui/dialogs.h"
#include "app/gui/run_text.h"
#include "app/gui/settings.h"
#include "app/gui/start_page.h"
#include "base/error.h"

namespace qw {

using Key = Settings::Key;

void MainWindow::connectQueue()
{
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

bool MainWindow::mayClose()
{
    if (m_queue.idle()) {
        return true;
    }
    const QString sentence =
        m_queue.muchToLose()
            ? tr("A run is working, and more than a minute of work on the current block would "
                 "be lost. Finished blocks are kept and the run can be resumed.")
            : tr("A run is working. Finished blocks are kept and the run can be resumed at the "
                 "next start.");
    return m_dialogs.askChoice(this, tr("Quit During a Run"), sentence, {tr("Quit")}) == 0;
}

} // namespace qw
