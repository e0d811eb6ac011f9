#include "app/gui/queue_detail.h"

#include <utility>

#include <QHBoxLayout>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QScrollBar>
#include <QSplitter>
#include <QVBoxLayout>

#include "app/gui/run_queue.h"
#include "app/gui/run_text.h"
#include "report/layer_plots.h"
#include "report/loss_plots.h"
#include "widgets/series_plot.h"
#include "widgets/theme.h"

namespace qw {

QueueDetail::QueueDetail(QWidget* parent) : QWidget(parent)
{
    setObjectName(QStringLiteral("queueDetail"));
    m_state = new QLabel;
    m_state->setObjectName(QStringLiteral("queueStateLabel"));
    m_state->setTextFormat(Qt::PlainText);
    m_state->setWordWrap(true);
    m_state->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    m_inspect = new QPushButton(tr("&Inspect"));
    m_inspect->setObjectName(QStringLiteral("queueInspectButton"));
    m_inspect->setToolTip(tr("Takes this run into view and shows its layers"));
    connect(m_inspect, &QPushButton::clicked, this, [this] { Q_EMIT showRunWanted(m_runId); });
    m_plot = new SeriesPlot;
    m_plot->setObjectName(QStringLiteral("queuePlot"));
    m_plot->setAccessibleName(tr("Loss while training, errors of the layers done"));
    m_log = new QPlainTextEdit;
    m_log->setObjectName(QStringLiteral("queueLog"));
    m_log->setAccessibleName(tr("Log of the run"));
    m_log->setPlaceholderText(tr("What the run says appears here"));
    m_log->setReadOnly(true);
    m_log->setUndoRedoEnabled(false);
    m_log->setTabChangesFocus(true);
    auto* head = new QHBoxLayout;
    head->setSpacing(theme::kMargin);
    head->addWidget(m_state, 1);
    head->addWidget(m_inspect, 0, Qt::AlignTop);
    auto* body = new QSplitter(Qt::Horizontal);
    body->addWidget(m_plot);
    body->addWidget(m_log);
    body->setChildrenCollapsible(false);
    body->setStretchFactor(0, 3);
    body->setStretchFactor(1, 2);
    body->setSizes({600, 400}); // a share each: shrunk to what there is
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(theme::kTight);
    layout->addLayout(head);
    layout->addWidget(body, 1);
    show(nullptr);
}

void QueueDetail::show(const QueueEntry* entry)
{
    m_state->setText(entry != nullptr ? run_text::state(*entry)
                                      : tr("Select a run to see how it gets on."));
    const bool done = entry != nullptr && entry->state == RunState::Finished;
    m_runId = done && !entry->results.empty() ? QString::fromStdString(entry->results.back().id)
                                              : QString();
    m_inspect->setVisible(!m_runId.isEmpty());
    showPlot(entry);
    showLog(entry);
    m_number = entry != nullptr ? entry->number : 0;
}

void QueueDetail::showPlot(const QueueEntry* entry)
{
    const bool same = entry != nullptr && entry->number == m_number && entry->started == m_started;
    if (same && entry->layers.size() == m_layers && entry->steps.size() == m_steps) {
        return;
    }
    m_started = entry != nullptr ? entry->started : 0;
    m_layers = entry != nullptr ? entry->layers.size() : 0;
    m_steps = entry != nullptr ? entry->steps.size() : 0;
    PlotData shown;
    if (m_layers > 0) {
        RunResult partial;
        partial.spec = entry->shown();
        partial.layers = entry->layers;
        const auto plots = layerPlot({partial}, LayerMetric::OutputError).plots;
        const auto weights = layerPlot({partial}, LayerMetric::WeightError).plots;
        // Output errors need calibration; without one there are those of the weights.
        shown = !plots.empty() ? plots.front() : !weights.empty() ? weights.front() : PlotData();
    }
    if (m_layers == 0 && m_steps > 0) {
        RunResult partial;
        partial.spec = entry->shown();
        partial.training.steps = entry->steps;
        shown = lossPlot({partial}, kWholeModel).plots.front();
    }
    if (shown.series.empty()) {
        shown.empty =
            tr("The error of each layer appears here when its block is done").toStdString();
    }
    if (same) {
        m_plot->updateData(shown); // a live one: whoever looks at a part of it goes on
    } else {
        m_plot->setData(shown);
    }
}

void QueueDetail::showLog(const QueueEntry* entry)
{
    const QString text = entry != nullptr ? entry->log.join(u'\n') : QString();
    const QString before = std::exchange(m_shownLog, text);
    const bool same = entry != nullptr && entry->number == m_number;
    if (same && text == before) {
        return;
    }
    if (same && !before.isEmpty() && text.startsWith(before + u'\n')) {
        m_log->appendPlainText(text.mid(before.size() + 1)); // follows only if the end is seen
        return;
    }
    QScrollBar* bar = m_log->verticalScrollBar();
    const int place = bar->value();
    const bool atEnd = !same || place == bar->maximum();
    m_log->setPlainText(text);
    if (atEnd) {
        m_log->moveCursor(QTextCursor::End);
    } else {
        bar->setValue(place);
    }
}

} // namespace qw
