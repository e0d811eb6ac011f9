#include "app/gui/queue_detail.h"

#include <cmath>
#include <utility>

#include <QHBoxLayout>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QScrollBar>
#include <QSplitter>
#include <QTabWidget>
#include <QVBoxLayout>

#include "app/gui/run_queue.h"
#include "app/gui/run_text.h"
#include "report/layer_plots.h"
#include "report/loss_plots.h"
#include "widgets/block_table.h"
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
    m_loss = new SeriesPlot;
    m_loss->setObjectName(QStringLiteral("queueLossPlot"));
    m_loss->setAccessibleName(tr("Loss while the run learns"));
    m_errors = new SeriesPlot;
    m_errors->setObjectName(QStringLiteral("queuePlot"));
    m_errors->setAccessibleName(tr("Errors of the layers done"));
    m_blocks = new BlockTable;
    m_blocks->setObjectName(QStringLiteral("queueBlockTable"));
    m_blocks->setAccessibleName(tr("Blocks begun and done"));
    m_tabs = new QTabWidget;
    m_tabs->setObjectName(QStringLiteral("queueTabs"));
    m_tabs->setDocumentMode(true);
    m_tabs->addTab(m_loss, tr("Loss"));
    m_tabs->addTab(m_errors, tr("Layers"));
    m_tabs->addTab(m_blocks, tr("Blocks"));
    showTabs(false, false);
    m_log = new QPlainTextEdit;
    m_log->setObjectName(QStringLiteral("queueLog"));
    m_log->setAccessibleName(tr("Log of the run"));
    m_log->setPlaceholderText(tr("What the run says appears here"));
    m_log->setReadOnly(true);
    m_log->setUndoRedoEnabled(false);
    m_log->setTabChangesFocus(true);
    QScrollBar* bar = m_log->verticalScrollBar();
    connect(bar, &QScrollBar::valueChanged, this,
            [this, bar](int value) { m_followsLog = value == bar->maximum(); });
    connect(bar, &QScrollBar::rangeChanged, this, [this, bar](int /*first*/, int last) {
        if (m_followsLog) { // longer, or in less room
            bar->setValue(last);
        }
    });
    auto* head = new QHBoxLayout;
    head->setSpacing(theme::kMargin);
    head->addWidget(m_state, 1);
    head->addWidget(m_inspect, 0, Qt::AlignTop);
    auto* body = new QSplitter(Qt::Horizontal);
    body->addWidget(m_tabs);
    body->addWidget(m_log);
    body->setChildrenCollapsible(false);
    body->setStretchFactor(0, 7);
    body->setStretchFactor(1, 3);
    body->setSizes({700, 300}); // a share each: shrunk to what there is
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
    m_state->setVisible(!m_state->text().isEmpty());
    const bool done = entry != nullptr && entry->state == RunState::Finished;
    m_runId = done && !entry->results.empty() ? QString::fromStdString(entry->results.back().id)
                                              : QString();
    m_inspect->setVisible(!m_runId.isEmpty());
    showResults(entry);
    showLog(entry);
    m_number = entry != nullptr ? entry->number : 0;
}

void QueueDetail::showResults(const QueueEntry* entry)
{
    std::array<std::size_t, 4> drawn{};
    if (entry != nullptr) {
        drawn = {entry->started, entry->layers.size(), entry->steps.size(), 0};
        for (const BlockResult& block : entry->blocks) {
            drawn[2] += block.losses.size();
            drawn[3] += std::isfinite(block.errorAfter) ? 1 : 0;
        }
    }
    const bool same = entry != nullptr && entry->number == m_number && drawn[0] == m_drawn[0];
    if (same && drawn == m_drawn) {
        return;
    }
    m_drawn = drawn;
    const RunResult result = entry != nullptr ? entry->soFar() : RunResult();
    const auto draw = [same](SeriesPlot& plot, const PlotData& shown) {
        if (same) {
            plot.updateData(shown); // a live one: whoever looks at a part of it goes on
        } else {
            plot.setData(shown);
        }
    };
    draw(*m_loss, result.training.steps.empty()
                      ? blocksPlot(result)
                      : qw::lossPlot({result}, kWholeModel).plots.front());
    PlotData errors;
    if (!result.layers.empty()) {
        const auto plots = layerPlot({result}, LayerMetric::OutputError).plots;
        // Output errors need calibration; without one there are those of the weights.
        errors = !plots.empty() && !plots.front().series.empty()
                     ? plots.front()
                     : layerPlot({result}, LayerMetric::WeightError).plots.front();
    }
    errors.empty = tr("The error of each layer appears here when its block is done").toStdString();
    draw(*m_errors, errors);
    m_blocks->setRuns({result}, {std::string()});
    showTabs(drawn[2] > 0, !result.blocks.empty());
}

void QueueDetail::showTabs(bool losses, bool blocks)
{
    const int loss = m_tabs->indexOf(m_loss);
    const bool begins = losses && !m_tabs->isTabVisible(loss);
    m_tabs->setTabVisible(loss, losses);
    m_tabs->setTabVisible(m_tabs->indexOf(m_blocks), blocks);
    if (begins) {
        m_tabs->setCurrentIndex(loss); // of what learns it comes first
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
    const bool atEnd = !same || m_followsLog;
    m_log->setPlainText(text);
    if (atEnd) {
        m_log->moveCursor(QTextCursor::End);
    } else {
        bar->setValue(place);
    }
}

} // namespace qw
