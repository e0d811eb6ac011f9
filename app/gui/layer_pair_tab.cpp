#include "app/gui/layer_pair_tab.h"

#include <algorithm>
#include <cmath>

#include <QAbstractItemView>
#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QStyle>
#include <QTableView>
#include <QVBoxLayout>

#include "app/gui/app_state.h"
#include "app/gui/compared_runs.h"
#include "report/mean_error.h"
#include "report/run_groups.h"
#include "widgets/layer_pair_model.h"
#include "widgets/number_sort_proxy.h"
#include "widgets/report_text.h"
#include "widgets/table_text.h"
#include "widgets/theme.h"

namespace qw {

using namespace Qt::Literals::StringLiterals;

namespace {
bool has(const RunResult& run, LayerMetric metric)
{
    return std::any_of(run.layers.begin(), run.layers.end(), [metric](const LayerResult& layer) {
        return std::isfinite(metricValue(layer, metric));
    });
}

/// The run with that id or, where it is gone or the one beside it, the first other one.
void choose(QComboBox* box, const QString& id, int beside)
{
    int index = box->findData(id);
    if (index < 0 || index == beside) {
        index = beside == 0 ? 1 : 0;
    }
    box->setCurrentIndex(std::min(index, box->count() - 1));
}

/// The list that drops down shows its longest name whole.
void widenList(QComboBox* box)
{
    QAbstractItemView* list = box->view();
    list->setMinimumWidth(list->sizeHintForColumn(0) +
                          box->style()->pixelMetric(QStyle::PM_ScrollBarExtent));
}
} // namespace

LayerPairTab::LayerPairTab(AppState& state, ComparedRuns& runs, QWidget* parent)
    : QWidget(parent), m_state(state), m_runs(runs), m_note(new QLabel),
      m_model(new LayerPairModel(this)), m_table(new QTableView)
{
    setAutoFillBackground(true);
    setBackgroundRole(QPalette::Base);
    m_a = makeBox(u"pairAComboBox"_s, tr("Run A"));
    m_b = makeBox(u"pairBComboBox"_s, tr("Run B"));
    m_metric = makeBox(u"pairMetricComboBox"_s, tr("What is compared"));
    for (QComboBox* box : {m_a, m_b}) {
        connect(box, &QComboBox::activated, this, [this] {
            showNames();
            fillTable();
        });
    }
    connect(m_metric, &QComboBox::activated, this, [this] {
        m_metricChosen = true; // before the table is filled, which else chooses by itself
        fillTable();
    });
    for (const LayerMetric metric : kLayerMetrics) {
        m_metric->addItem(report_text::translated(metricLabel(metric)), static_cast<int>(metric));
    }
    m_note->setObjectName(u"pairNoteLabel"_s);
    m_note->setForegroundRole(QPalette::PlaceholderText);
    m_note->setTextFormat(Qt::PlainText);
    m_note->setWordWrap(true);
    m_note->setContentsMargins(theme::kGap, 0, theme::kGap, 0);
    auto* proxy = new NumberSortProxy(LayerPairModel::SortRole, this);
    proxy->setSourceModel(m_model);
    m_table->setObjectName(u"layerPairTable"_s);
    m_table->setAccessibleName(tr("Layers of two runs"));
    m_table->setModel(proxy);
    m_table->setSortingEnabled(true);
    m_table->sortByColumn(LayerPairModel::LayerColumn, Qt::AscendingOrder);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setTextElideMode(Qt::ElideMiddle);
    m_table->setShowGrid(false);
    m_table->setFrameShape(QFrame::NoFrame);
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setDefaultSectionSize(fontMetrics().height() + theme::kGap);
    m_table->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
    m_table->horizontalHeader()->setSectionResizeMode(LayerPairModel::LayerColumn,
                                                      QHeaderView::Stretch);
    enableCopy(*m_table);
    auto* line = new QHBoxLayout;
    line->setContentsMargins(theme::kGap, theme::kGap, theme::kGap, 0);
    line->setSpacing(theme::kGap);
    const std::pair<QString, QComboBox*> boxes[] = {{tr("A"), m_a}, {tr("B"), m_b}};
    for (const auto& [title, box] : boxes) {
        auto* label = new QLabel(title);
        label->setBuddy(box);
        line->addWidget(label);
        line->addWidget(box, 1);
    }
    line->addWidget(m_metric);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(theme::kTight);
    layout->addLayout(line);
    layout->addWidget(m_note);
    layout->addWidget(m_table, 1);
    connect(m_table->selectionModel(), &QItemSelectionModel::currentChanged, this,
            [this](const QModelIndex& current) {
                const QString layer = current.data(LayerPairModel::LayerRole).toString();
                if (!m_following && !layer.isEmpty()) {
                    m_state.selectLayer(layer);
                }
            });
}

QComboBox* LayerPairTab::makeBox(const QString& name, const QString& label)
{
    auto* box = new QComboBox;
    box->setObjectName(name);
    box->setAccessibleName(label);
    box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    box->setMinimumContentsLength(14);
    return box;
}

void LayerPairTab::refresh()
{
    fillRuns();
    fillTable();
}

void LayerPairTab::fillRuns()
{
    const std::vector<RunResult> runs = m_runs.pairs();
    const std::vector<std::string> names = distinctNames(runs);
    // Two selected runs are those meant; else those shown; else the first two drawn.
    QString a = m_a->currentData().toString();
    QString b = m_b->currentData().toString();
    if (m_runs.selected().size() == 2) {
        a = QString::fromStdString(m_runs.selected()[0].id);
        b = QString::fromStdString(m_runs.selected()[1].id);
    }
    for (QComboBox* box : {m_a, m_b}) {
        box->clear();
        for (std::size_t i = 0; i < runs.size(); ++i) {
            const QString name = QString::fromStdString(names[i]);
            box->addItem(name, QString::fromStdString(runs[i].id));
            box->setItemData(box->count() - 1, name, Qt::ToolTipRole);
        }
        widenList(box);
    }
    choose(m_a, a, m_b->findData(b));
    choose(m_b, b, m_a->currentIndex());
    showNames();
}

void LayerPairTab::showNames()
{
    m_a->setToolTip(tr("Run A: %1").arg(m_a->currentText()));
    m_b->setToolTip(tr("Run B: %1").arg(m_b->currentText()));
}

void LayerPairTab::startWithWhatBothHave(const RunResult& a, const RunResult& b)
{
    for (const LayerMetric metric : kLayerMetrics) {
        if (layerMismatch(a, b, metric).empty()) {
            m_metric->setCurrentIndex(m_metric->findData(static_cast<int>(metric)));
            return;
        }
    }
}

void LayerPairTab::fillTable()
{
    const std::vector<RunResult> runs = m_runs.pairs();
    if (runs.size() >= 2 && !m_metricChosen) {
        startWithWhatBothHave(runs[static_cast<std::size_t>(m_a->currentIndex())],
                              runs[static_cast<std::size_t>(m_b->currentIndex())]);
    }
    const auto metric = static_cast<LayerMetric>(m_metric->currentData().toInt());
    std::vector<LayerDifference> layers;
    QString note;
    if (runs.size() < 2 || isAwaited()) {
        note = m_runs.loading() ? tr("reading layers\u2026")
                                : tr("Tick or select two runs to see their layers side by side.");
    } else {
        const RunResult& a = runs[static_cast<std::size_t>(m_a->currentIndex())];
        const RunResult& b = runs[static_cast<std::size_t>(m_b->currentIndex())];
        const RunResult* without = !has(a, metric) ? &a : !has(b, metric) ? &b : nullptr;
        if (without != nullptr) {
            note = tr("Not compared: %1 has no %2 of its layers; choose another measure.")
                       .arg(QString::fromStdString(shortName(*without)), m_metric->currentText());
        } else if (const std::string reason = layerMismatch(a, b, metric); !reason.empty()) {
            note = tr("Not compared: %1.").arg(report_text::translated(reason));
        } else {
            layers = compareLayers(a, b, metric);
        }
        for (const std::string& sentence : pairedSentences({a, b})) {
            note +=
                (note.isEmpty() ? QString() : u" "_s) + QString::fromStdString(sentence) + u"."_s;
        }
    }
    m_note->setText(note);
    m_note->setVisible(!note.isEmpty());
    m_following = true;
    m_model->setLayers(layers, metric);
    m_following = false;
    followLayer();
}

bool LayerPairTab::isAwaited() const
{
    const std::vector<RunResult>& selected = m_runs.selected();
    return m_runs.loading() && selected.size() == 2 &&
           std::any_of(selected.begin(), selected.end(), [this](const RunResult& run) {
               return m_a->findData(QString::fromStdString(run.id)) < 0;
           });
}

void LayerPairTab::followLayer()
{
    const QAbstractItemModel& shown = *m_table->model();
    for (int row = 0; row < shown.rowCount(); ++row) {
        const QModelIndex at = shown.index(row, 0);
        if (at.data(LayerPairModel::LayerRole).toString() == m_state.layer()) {
            m_following = true;
            m_table->setCurrentIndex(at);
            m_following = false;
        }
    }
}

} // namespace qw
