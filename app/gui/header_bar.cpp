#include "app/gui/header_bar.h"

#include <QApplication>
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSignalBlocker>

#include "app/gui/app_state.h"
#include "app/gui/run_text.h"
#include "widgets/elided_label.h"
#include "widgets/number_text.h"
#include "widgets/theme.h"

namespace qw {

HeaderBar::HeaderBar(AppState& state, QWidget* parent)
    : QToolBar(tr("Model and Run"), parent), m_state(state), m_title(new QLabel),
      m_facts(new ElidedLabel), m_runs(new QComboBox)
{
    setObjectName(QStringLiteral("headerBar"));
    setMovable(false);
    setFloatable(false);
    setContextMenuPolicy(Qt::PreventContextMenu);
    QFont bold = m_title->font();
    bold.setBold(true);
    bold.setPointSizeF(bold.pointSizeF() * 1.1);
    m_title->setFont(bold);
    m_title->setObjectName(QStringLiteral("modelTitleLabel"));
    m_title->setTextFormat(Qt::PlainText);
    m_facts->setObjectName(QStringLiteral("modelFactsLabel"));
    m_facts->setForegroundRole(QPalette::PlaceholderText);
    m_facts->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
    m_runs->setObjectName(QStringLiteral("runInViewComboBox"));
    m_runs->setAccessibleName(tr("Run in view"));
    m_runs->setToolTip(tr("The stored run whose errors, spectra and numbers all pages show"));
    m_runs->setMinimumWidth(30 * fontMetrics().averageCharWidth());
    m_runs->setMaxVisibleItems(20);
    m_runs->setSizeAdjustPolicy(QComboBox::AdjustToContents);
    m_runs->setMaximumWidth(60 * fontMetrics().averageCharWidth());
    auto* runLabel = new QLabel(tr("R&un in view:"));
    runLabel->setBuddy(m_runs);
    auto* content = new QWidget;
    auto* layout = new QHBoxLayout(content);
    layout->setContentsMargins(theme::kMargin, theme::kTight, theme::kMargin, theme::kTight);
    layout->setSpacing(theme::kMargin);
    layout->addWidget(m_title);
    layout->addWidget(m_facts, 1);
    layout->addWidget(runLabel);
    layout->addWidget(m_runs);
    addWidget(content);
    connect(&m_state, &AppState::modelChanged, this, &HeaderBar::showModel);
    connect(&m_state, &AppState::modelChanged, this, &HeaderBar::showRuns);
    connect(&m_state, &AppState::runsChanged, this, &HeaderBar::showRuns);
    connect(&m_state, &AppState::runInViewChanged, this, &HeaderBar::showRuns);
    connect(m_runs, &QComboBox::activated, this,
            [this](int index) { m_state.setRunInView(m_runs->itemData(index).toString()); });
    // A model folder may change while the user is elsewhere.
    connect(qApp, &QGuiApplication::focusWindowChanged, this, &HeaderBar::showModel);
    showModel();
    showRuns();
}

void HeaderBar::showModel()
{
    switch (m_state.modelState()) {
    case AppState::ModelState::None:
        m_title->setText(tr("No model open"));
        m_facts->setFullText({});
        break;
    case AppState::ModelState::Opening:
        m_title->setText(m_state.modelTitle());
        m_facts->setFullText(tr("opening\u2026"));
        break;
    case AppState::ModelState::Failed:
        m_title->setText(m_state.modelTitle());
        m_facts->setFullText(tr("could not be opened: %1").arg(m_state.modelProblem()));
        break;
    case AppState::ModelState::Ready: {
        const ModelOverview& model = *m_state.model();
        m_title->setText(m_state.modelTitle());
        const QString blocks =
            model.blocks == 1 ? tr("1 block") : tr("%1 blocks").arg(model.blocks);
        QString facts = QStringList{QString::fromStdString(model.architecture), blocks,
                                    tr("%1 parameters").arg(text::count(model.parameters)),
                                    text::megabytes(model.bytes)}
                            .join(QStringLiteral("  \u00b7  "));
        if (!model.layers.empty()) {
            facts += u' ' + QString::fromStdString(model.layers.front().dtype);
        }
        m_facts->setFullText(m_state.modelStale()
                                 ? tr("the folder has changed or is gone; F5 reads it again")
                                 : facts);
        break;
    }
    }
}

void HeaderBar::showRuns()
{
    const QSignalBlocker quiet(m_runs);
    const QString current =
        m_state.runInView() ? QString::fromStdString(m_state.runInView()->id) : QString();
    const std::vector<RunSummary> runs = m_state.runsOfModel();
    // Runs of other models are chosen there, too: that opens their model.
    const QString noneChosen = !runs.empty()             ? tr("choose a run")
                               : !m_state.runs().empty() ? tr("choose one in Compare")
                                                         : tr("none yet");
    QStringList ids = {QString()};
    for (const RunSummary& run : runs) {
        ids << QString::fromStdString(run.result.id);
    }
    // In place: the list may be open, and the reader on one of its lines.
    for (int i = m_runs->count() - 1; i >= 0; --i) {
        if (!ids.contains(m_runs->itemData(i).toString())) {
            m_runs->removeItem(i);
        }
    }
    for (int i = 0; i < ids.size(); ++i) {
        const bool none = ids[i].isEmpty();
        const QString text = none ? (current.isEmpty() ? noneChosen : tr("none"))
                                  : run_text::title(runs[static_cast<std::size_t>(i) - 1].result);
        const int place = m_runs->findData(ids[i]);
        if (place != i) {
            m_runs->removeItem(place); // of none nothing
            m_runs->insertItem(i, text, ids[i]);
        }
        m_runs->setItemText(i, text);
        if (!none) {
            m_runs->setItemData(i, run_text::tip(runs[static_cast<std::size_t>(i) - 1].result),
                                Qt::ToolTipRole);
        }
    }
    m_runs->setCurrentIndex(std::max(0, m_runs->findData(current)));
    m_runs->setEnabled(!runs.empty());
}

} // namespace qw
