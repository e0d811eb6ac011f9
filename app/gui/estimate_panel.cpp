#include "app/gui/estimate_panel.h"

#include <QFormLayout>
#include <QLabel>

#include "app/gui/app_state.h"
#include "widgets/number_text.h"
#include "widgets/theme.h"

namespace qw {

namespace {
const QString kMissingText = QStringLiteral("\u2013");
constexpr int kStoredBytes = 2; // of a weight as 16-bit models have it
} // namespace

EstimatePanel::EstimatePanel(AppState& state, QWidget* parent) : QWidget(parent), m_state(state)
{
    setObjectName(QStringLiteral("estimatePanel"));
    auto* rows = new QFormLayout(this);
    rows->setContentsMargins(0, 0, 0, 0);
    rows->setHorizontalSpacing(theme::kSection);
    rows->setVerticalSpacing(theme::kTight);
    m_before = addRow(*rows, tr("Linear layers, 16 bit"), "estimateBeforeLabel");
    m_after = addRow(*rows, tr("Quantized"), "estimateBytesLabel");
    m_bits = addRow(*rows, tr("Bits per weight"), "estimateBitsLabel");
    m_memory = addRow(*rows, tr("Memory, about"), "estimateMemoryLabel");
    m_time = addRow(*rows, tr("Time, about"), "estimateTimeLabel");
    m_exports = new QLabel;
    m_exports->setObjectName(QStringLiteral("estimateExportsLabel"));
    m_exports->setTextFormat(Qt::PlainText);
    m_exports->setWordWrap(true);
    rows->addRow(m_exports);
    m_note = new QLabel;
    m_note->setObjectName(QStringLiteral("estimateNoteLabel"));
    m_note->setTextFormat(Qt::PlainText);
    m_note->setWordWrap(true);
    m_note->setForegroundRole(QPalette::PlaceholderText);
    rows->addRow(m_note);
    connect(&m_worker, &Background::failed, this, [this](const QString& sentence) {
        m_problem = sentence;
        show(tr("Not possible for this model as it is set."));
        showExports({});
        Q_EMIT changed();
    });
    show(QString());
}

QLabel* EstimatePanel::addRow(QFormLayout& rows, const QString& label, const char* name)
{
    auto* title = new QLabel(label);
    title->setForegroundRole(QPalette::PlaceholderText);
    auto* value = new QLabel;
    value->setObjectName(QString::fromLatin1(name));
    value->setAccessibleName(label);
    value->setAlignment(Qt::AlignRight);
    QFont bold = value->font();
    bold.setBold(true);
    value->setFont(bold);
    rows.addRow(title, value);
    return value;
}

void EstimatePanel::ask(bool valid)
{
    m_problem.clear();
    m_estimate.reset();
    m_exportsWorker.cancel();
    if (m_state.modelState() != AppState::ModelState::Ready || !valid) {
        m_worker.cancel();
        showExports({});
        show(valid ? tr("Open a model to see size, memory and time.") : QString());
        return;
    }
    m_note->setText(tr("estimating\u2026")); // the last numbers stay until the new ones are there
    m_worker.ask(
        [spec = m_state.draft()](const RunContext&) { return engine_calls::estimate(spec); },
        [this](const Estimate& estimate) {
            m_estimate = estimate;
            show(tr("Size and bits are exact. Memory and time follow from the products this "
                    "machine makes in a second."));
            askExports();
            Q_EMIT changed();
        });
}

void EstimatePanel::askExports()
{
    m_exportsWorker.ask(
        [spec = m_state.draft()](const RunContext&) { return engine_calls::foreseeExports(spec); },
        [this](const std::vector<ExportPlan>& plans) { showExports(plans); });
}

void EstimatePanel::showExports(const std::vector<ExportPlan>& plans)
{
    QStringList lossless;
    QStringList others;
    for (const ExportPlan& plan : plans) {
        const QString target = QString::fromStdString(plan.target);
        if (target == QStringLiteral("peft")) {
            continue; // holds the correction alone
        }
        if (plan.lossless) {
            lossless << target;
        } else {
            others << tr("%1: %2").arg(
                target, QString::fromStdString(plan.possible ? plan.lost.front() : plan.refusal));
        }
    }
    m_exports->setText(plans.empty() ? QString()
                       : lossless.isEmpty()
                           ? tr("Lossless on export: none")
                           : tr("Lossless on export: %1").arg(lossless.join(QStringLiteral(", "))));
    m_exports->setToolTip(
        plans.empty() ? QString()
                      : (others << tr("Foreseen from the first rows of each layer; the export "
                                      "checks all of them."))
                            .join(u'\n'));
    m_exports->setVisible(!plans.empty());
}

void EstimatePanel::show(const QString& note)
{
    m_note->setText(note);
    std::int64_t weights = 0;
    if (m_state.model()) {
        for (const LayerOverview& layer : m_state.model()->layers) {
            weights += layer.parameters;
        }
    }
    const auto bytes = [](QLabel* label, std::int64_t value) {
        label->setText(value > 0 ? text::megabytes(value) : kMissingText);
        label->setToolTip(value > 0 ? text::exactBytes(value) : QString());
    };
    bytes(m_before, weights * kStoredBytes);
    bytes(m_after, m_estimate ? m_estimate->bytes : 0);
    bytes(m_memory, m_estimate ? m_estimate->peakRssBytes : 0);
    m_bits->setText(text::bitsPerWeight(m_estimate ? m_estimate->bitsPerWeight : kMissing));
    m_time->setText(m_estimate ? text::duration(m_estimate->seconds) : kMissingText);
}

} // namespace qw
