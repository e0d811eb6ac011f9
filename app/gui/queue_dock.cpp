#include "app/gui/queue_dock.h"

#include <algorithm>

#include <QHBoxLayout>
#include <QLabel>
#include <QListView>
#include <QMainWindow>
#include <QProgressBar>
#include <QPushButton>
#include <QRegularExpression>
#include <QSplitter>
#include <QTimer>
#include <QToolButton>
#include <QVBoxLayout>

#include "app/gui/queue_detail.h"
#include "app/gui/run_queue.h"
#include "app/gui/run_text.h"
#include "widgets/elided_label.h"
#include "widgets/theme.h"

namespace qw {

namespace {
constexpr int kInterval = 100; // milliseconds between updates
constexpr int kBarWidth = 160;
constexpr int kListWidth = 280;
constexpr int kDetailsHeight = 260;

QToolButton* button(const char* name, const QString& text)
{
    auto* made = new QToolButton;
    made->setObjectName(QString::fromLatin1(name));
    made->setText(text);
    made->setAutoRaise(true);
    made->setFocusPolicy(Qt::StrongFocus);
    return made;
}

bool mayPause(const QueueEntry& entry)
{
    return entry.state == RunState::Running || entry.state == RunState::Queued;
}

bool mayResume(const QueueEntry& entry)
{
    return entry.state != RunState::Queued && mayFollow(entry.state, RunState::Queued);
}

/// Of a queue where nothing waits, is paused or at work.
QString whatBecame(const std::vector<QueueEntry>& entries)
{
    const auto count = [&](RunState state) {
        return std::count_if(entries.begin(), entries.end(),
                             [state](const QueueEntry& entry) { return entry.state == state; });
    };
    QStringList parts;
    const auto say = [&](RunState state, const QString& counted) {
        if (const auto of = count(state); of > 0) {
            parts << counted.arg(of);
        }
    };
    say(RunState::Finished, QueueDock::tr("%1 finished"));
    say(RunState::Failed, QueueDock::tr("%1 failed"));
    say(RunState::Cancelled, QueueDock::tr("%1 cancelled"));
    return entries.empty() ? QueueDock::tr("empty")
           : count(RunState::Finished) == static_cast<std::ptrdiff_t>(entries.size())
               ? QueueDock::tr("all done")
               : parts.join(QueueDock::tr(", ", "between parts of a list"));
}
} // namespace

QueueDock::QueueDock(RunQueue& queue, QWidget* parent)
    : QDockWidget(tr("Queue"), parent), m_queue(queue), m_timer(new QTimer(this))
{
    setObjectName(QStringLiteral("queueDock"));
    setAllowedAreas(Qt::TopDockWidgetArea | Qt::BottomDockWidgetArea);
    setTitleBarWidget(makeLine());
    auto* content = new QWidget; // always there: a dock with hidden content refuses to grow
    auto* layout = new QVBoxLayout(content);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(makeDetails());
    setWidget(content);
    m_timer->setSingleShot(true);
    m_timer->setInterval(kInterval);
    connect(m_timer, &QTimer::timeout, this, &QueueDock::refresh);
    connect(&m_queue, &RunQueue::entryChanged, this, &QueueDock::schedule);
    connect(&m_queue, &RunQueue::layerDone, this, &QueueDock::schedule);
    connect(&m_queue, &RunQueue::stepDone, this, &QueueDock::schedule);
    connect(&m_queue, &RunQueue::blocksChanged, this, &QueueDock::schedule);
    connect(&m_queue, &RunQueue::rowsInserted, this, [this](const QModelIndex&, int first) {
        m_list->setCurrentIndex(m_queue.index(first));
        refresh();
    });
    connect(&m_queue, &RunQueue::rowsRemoved, this, &QueueDock::refresh);
    setDetailsShown(false);
    refresh();
}

QWidget* QueueDock::makeLine()
{
    auto* line = new QWidget;
    line->setObjectName(QStringLiteral("queueLine"));
    auto* title = new QLabel(tr("Queue"));
    QFont bold = title->font();
    bold.setBold(true);
    title->setFont(bold);
    m_summary = new ElidedLabel;
    m_summary->setObjectName(QStringLiteral("queueSummaryLabel"));
    m_summary->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
    m_bar = new QProgressBar;
    m_bar->setObjectName(QStringLiteral("queueProgressBar"));
    m_bar->setAccessibleName(tr("Progress of the phase"));
    m_bar->setFixedWidth(kBarWidth);
    m_bar->setTextVisible(false);
    m_pause = button("queuePauseButton", tr("Pause"));
    m_cancel = button("queueCancelButton", tr("Cancel"));
    m_cancel->setToolTip(tr("Stops at the next step; what is finished is kept"));
    m_more = button("queueDetailsButton", tr("Details"));
    m_more->setCheckable(true);
    m_more->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    connect(m_pause, &QToolButton::clicked, this, &QueueDock::pauseOrResume);
    connect(m_cancel, &QToolButton::clicked, this, &QueueDock::cancel);
    connect(m_more, &QToolButton::clicked, this, &QueueDock::setDetailsShown);
    auto* layout = new QHBoxLayout(line);
    layout->setContentsMargins(theme::kMargin, 2, theme::kGap, 2);
    layout->setSpacing(theme::kGap);
    layout->addWidget(title);
    layout->addWidget(m_summary, 1);
    layout->addWidget(m_bar);
    layout->addWidget(m_pause);
    layout->addWidget(m_cancel);
    layout->addWidget(m_more);
    return line;
}

QWidget* QueueDock::makeDetails()
{
    m_list = new QListView;
    m_list->setObjectName(QStringLiteral("queueList"));
    m_list->setAccessibleName(tr("Queued runs"));
    m_list->setModel(&m_queue);
    m_list->setUniformItemSizes(true);
    auto* clear = new QPushButton(tr("C&lear Done"));
    clear->setObjectName(QStringLiteral("clearDoneButton"));
    clear->setToolTip(tr("Takes finished, failed and cancelled runs off the list; the store keeps "
                         "them"));
    connect(clear, &QPushButton::clicked, this, &QueueDock::clearDone);
    m_up = button("queueUpButton", tr("Earlier"));
    m_up->setArrowType(Qt::UpArrow);
    m_up->setAccessibleName(tr("Earlier"));
    m_up->setToolTip(tr("The selected run comes one place earlier"));
    m_down = button("queueDownButton", tr("Later"));
    m_down->setArrowType(Qt::DownArrow);
    m_down->setAccessibleName(tr("Later"));
    m_down->setToolTip(tr("The selected run comes one place later"));
    connect(m_up, &QToolButton::clicked, this, &QueueDock::moveUp);
    connect(m_down, &QToolButton::clicked, this, &QueueDock::moveDown);
    connect(m_list->selectionModel(), &QItemSelectionModel::currentChanged, this,
            &QueueDock::schedule);
    auto* left = new QWidget;
    auto* column = new QVBoxLayout(left);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(theme::kTight);
    column->addWidget(m_list, 1);
    auto* buttons = new QHBoxLayout;
    buttons->setSpacing(theme::kTight);
    buttons->addWidget(clear);
    buttons->addStretch(1);
    buttons->addWidget(m_up);
    buttons->addWidget(m_down);
    column->addLayout(buttons);
    m_detail = new QueueDetail;
    connect(m_detail, &QueueDetail::showRunWanted, this, &QueueDock::showRunWanted);
    auto* splitter = new QSplitter(Qt::Horizontal);
    splitter->addWidget(left);
    splitter->addWidget(m_detail);
    splitter->setChildrenCollapsible(false);
    splitter->setStretchFactor(1, 1);
    splitter->setSizes({kListWidth, 3 * kListWidth});
    m_details = new QWidget;
    auto* layout = new QVBoxLayout(m_details);
    layout->setContentsMargins(theme::kGap, theme::kTight, theme::kGap, theme::kTight);
    layout->addWidget(splitter);
    return m_details;
}

bool QueueDock::detailsShown() const
{
    return m_more->isChecked();
}

void QueueDock::setDetailsShown(bool shown)
{
    m_more->setChecked(shown);
    m_more->setArrowType(shown ? Qt::DownArrow : Qt::UpArrow);
    m_more->setToolTip(shown
                           ? tr("Folds the queue to one line")
                           : tr("Unfolds the queue: all runs, loss and errors as they come, log"));
    m_details->setVisible(shown);
    setMaximumHeight(shown ? QWIDGETSIZE_MAX : titleBarWidget()->sizeHint().height());
    if (shown) {
        if (auto* window = qobject_cast<QMainWindow*>(parentWidget())) {
            window->resizeDocks({this}, {kDetailsHeight}, Qt::Vertical);
        }
        refresh();
    }
}

QVariantList QueueDock::session() const
{
    QVariantList kept{detailsShown()};
    for (const QSplitter* splitter : m_details->findChildren<QSplitter*>()) {
        kept << splitter->saveState();
    }
    return kept;
}

void QueueDock::restoreSession(const QVariantList& kept)
{
    const QList<QSplitter*> splitters = m_details->findChildren<QSplitter*>();
    for (qsizetype i = 0; i < splitters.size(); ++i) {
        splitters[i]->restoreState(kept.value(i + 1).toByteArray());
    }
    setDetailsShown(kept.value(0).toBool());
}

void QueueDock::schedule()
{
    if (!m_timer->isActive()) {
        m_timer->start();
    }
}

const QueueEntry* QueueDock::selected() const
{
    const QModelIndex index = m_list->currentIndex();
    return index.isValid() ? m_queue.find(index.data(RunQueue::NumberRole).toLongLong()) : nullptr;
}

const QueueEntry* QueueDock::target() const
{
    const QueueEntry* chosen = detailsShown() ? selected() : nullptr;
    if (chosen != nullptr && chosen->state != RunState::Finished) {
        return chosen;
    }
    if (const QueueEntry* current = m_queue.current()) {
        return current;
    }
    for (const QueueEntry& entry : m_queue.entries()) {
        if (entry.state == RunState::Paused) {
            return &entry;
        }
    }
    return nullptr;
}

void QueueDock::pauseOrResume()
{
    const QueueEntry* entry = target();
    if (entry == nullptr) {
        return;
    }
    if (mayPause(*entry)) {
        m_queue.pause(entry->number);
    } else {
        m_queue.resume(entry->number);
    }
}

void QueueDock::cancel()
{
    if (const QueueEntry* entry = target()) {
        m_queue.cancel(entry->number);
    }
}

void QueueDock::clearDone()
{
    m_queue.removeDone();
}

void QueueDock::move(int step)
{
    if (const QueueEntry* entry = selected()) {
        m_queue.move(entry->number, step);
        refresh();
    }
}

void QueueDock::refresh()
{
    showLine();
    if (detailsShown()) {
        const QueueEntry* entry = selected();
        m_detail->show(entry);
        m_up->setEnabled(entry != nullptr && m_queue.mayMove(entry->number, -1));
        m_down->setEnabled(entry != nullptr && m_queue.mayMove(entry->number, 1));
    }
}

void QueueDock::showLine()
{
    const QueueEntry* current = m_queue.current();
    int waiting = 0;
    int paused = 0;
    for (const QueueEntry& entry : m_queue.entries()) {
        waiting += entry.state == RunState::Queued ? 1 : 0;
        paused += entry.state == RunState::Paused ? 1 : 0;
    }
    QStringList parts;
    if (current != nullptr) {
        static const QRegularExpression others(QStringLiteral(" \\([^)]*\\)|, loss [^ ]*"));
        parts << current->title << run_text::progress(*current).remove(others); // below and plotted
    }
    if (waiting > 0) {
        parts << tr("%1 waiting").arg(waiting);
    }
    if (paused > 0) {
        parts << tr("%1 paused").arg(paused);
    }
    if (parts.isEmpty()) {
        parts << whatBecame(m_queue.entries());
    }
    m_summary->setFullText(parts.join(QStringLiteral("  \u00b7  ")),
                           current != nullptr ? current->title : QString()); // not the numbers
    m_bar->setVisible(current != nullptr);
    if (current != nullptr) {
        m_bar->setRange(0, static_cast<int>(current->progress.total));
        m_bar->setValue(static_cast<int>(current->progress.done));
    }
    const QueueEntry* acted = target();
    const bool resumes = acted != nullptr && mayResume(*acted);
    m_pause->setText(resumes ? tr("Resume") : tr("Pause"));
    const RunSpec spec = acted != nullptr ? acted->shown() : RunSpec();
    m_pause->setToolTip(resumes ? run_text::resumes(spec) : run_text::pauses(spec));
    m_pause->setEnabled(acted != nullptr && (resumes || mayPause(*acted)));
    m_cancel->setEnabled(acted != nullptr &&
                         (acted->state == RunState::Running || acted->state == RunState::Pausing ||
                          mayFollow(acted->state, RunState::Cancelled)));
}

} // namespace qw
