#include "app/gui/layer_runs.h"

#include <cmath>
#include <limits>
#include <string>
#include <unordered_map>

#include <QHeaderView>
#include <QLabel>
#include <QSortFilterProxyModel>
#include <QStackedLayout>
#include <QStandardItemModel>
#include <QTableView>

#include "app/gui/app_state.h"
#include "app/gui/run_text.h"
#include "store/run_store.h"
#include "widgets/number_text.h"
#include "widgets/table_text.h"
#include "widgets/theme.h"

namespace qw {

namespace {
constexpr int OutputColumn = 1;
enum Role { SortRole = Qt::UserRole + 1, RunRole };

QStandardItem* cell(const QString& text, double number)
{
    auto* item = new QStandardItem(text);
    item->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
    // Missing numbers come last when the best are first.
    item->setData(std::isfinite(number) ? number : std::numeric_limits<double>::max(), SortRole);
    return item;
}
} // namespace

LayerRuns::LayerRuns(AppState& state, QWidget* parent)
    : QWidget(parent), m_state(state), m_table(new QTableView),
      m_model(new QStandardItemModel(this)), m_empty(new QLabel)
{
    setObjectName(QStringLiteral("layerRuns"));
    auto* proxy = new QSortFilterProxyModel(this);
    proxy->setSourceModel(m_model);
    proxy->setSortRole(SortRole);
    const QList<QStringList> columns = {
        {tr("Run"), tr("Method, format and rank")},
        {tr("Output"), tr("Error of the layer's output on calibration inputs")},
        {tr("SQNR"), tr("Signal over quantization noise of the output")},
        {tr("Weight"), tr("Error of the weights")},
        {tr("Bits"), tr("Bits per weight, scales and factors included")}};
    for (int column = 0; column < columns.size(); ++column) {
        auto* title = new QStandardItem(columns[column][0]);
        title->setToolTip(columns[column][1]);
        m_model->setHorizontalHeaderItem(column, title);
    }
    m_table->setObjectName(QStringLiteral("layerRunsTable"));
    m_table->setAccessibleName(tr("This layer in all runs"));
    m_table->setModel(proxy);
    m_table->sortByColumn(OutputColumn, Qt::AscendingOrder); // the best first
    m_table->setSortingEnabled(true);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::SingleSelection);
    m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_table->setTabKeyNavigation(false);
    m_table->setShowGrid(false);
    m_table->setAlternatingRowColors(true);
    m_table->setFrameShape(QFrame::NoFrame);
    enableCopy(*m_table);
    m_table->setToolTip(tr("Return or a double click takes the run into view"));
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setDefaultSectionSize(fontMetrics().height() + theme::kGap);
    m_table->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
    m_table->horizontalHeader()->setSectionResizeMode(0, QHeaderView::Stretch);
    m_table->horizontalHeader()->setHighlightSections(false);
    m_empty->setAlignment(Qt::AlignCenter);
    m_empty->setWordWrap(true);
    m_empty->setForegroundRole(QPalette::PlaceholderText);
    m_empty->setText(tr("What stored runs of this model did to the layer"));
    auto* layout = new QStackedLayout(this);
    layout->addWidget(m_empty);
    layout->addWidget(m_table);
    connect(m_table, &QTableView::activated, this, [this](const QModelIndex& index) {
        m_state.setRunInView(index.siblingAtColumn(0).data(RunRole).toString());
    });
    connect(&m_state, &AppState::layerChanged, this, &LayerRuns::ask);
    connect(&m_state, &AppState::runsChanged, this, &LayerRuns::ask);
    connect(&m_state, &AppState::modelChanged, this, &LayerRuns::ask);
    connect(&m_state, &AppState::runInViewChanged, this, &LayerRuns::markRunInView);
    connect(&m_worker, &Background::failed, this, [this](const QString& sentence) {
        fill({});
        m_empty->setText(sentence);
    });
}

void LayerRuns::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    ask();
}

void LayerRuns::ask()
{
    if (!isVisible()) {
        return;
    }
    m_worker.ask([file = m_state.storeFile(), model = m_state.modelName().toStdString(),
                  layer = m_state.layer().toStdString()](
                     const RunContext&) { return RunStore(file).runsOfLayer(model, layer); },
                 [this](const std::vector<RunResult>& runs) { fill(runs); });
}

void LayerRuns::fill(const std::vector<RunResult>& runs)
{
    m_model->removeRows(0, m_model->rowCount());
    // These carry one layer each; the name is of the whole run, as in Compare.
    std::unordered_map<std::string, const RunResult*> wholeRuns;
    for (const RunSummary& listed : m_state.runs()) {
        wholeRuns.emplace(listed.result.id, &listed.result);
    }
    for (const RunResult& run : runs) {
        const LayerResult& layer = run.layers.front();
        const auto whole = wholeRuns.find(run.id);
        auto* title =
            new QStandardItem(run_text::settings(whole != wholeRuns.end() ? *whole->second : run));
        title->setData(title->text(), SortRole);
        title->setData(QString::fromStdString(run.id), RunRole);
        title->setToolTip(run_text::tip(run));
        QStandardItem* bits = cell(text::bitsPerWeight(layer.bitsPerWeight), layer.bitsPerWeight);
        bits->setToolTip(text::exactBytes(layer.bytes));
        m_model->appendRow({title, cell(text::percent(layer.outputError), layer.outputError),
                            cell(text::decibel(layer.sqnrDb), layer.sqnrDb),
                            cell(text::percent(layer.weightError), layer.weightError), bits});
    }
    m_empty->setText(tr("No finished run of this model has this layer yet"));
    static_cast<QStackedLayout*>(layout())->setCurrentIndex(runs.empty() ? 0 : 1);
    markRunInView();
    Q_EMIT countChanged(static_cast<int>(runs.size()));
}

void LayerRuns::markRunInView()
{
    const QString inView =
        m_state.runInView() ? QString::fromStdString(m_state.runInView()->id) : QString();
    for (int row = 0; row < m_model->rowCount(); ++row) {
        const bool marked = m_model->item(row)->data(RunRole).toString() == inView;
        QFont font;
        font.setBold(marked);
        m_model->item(row)->setFont(font);
    }
}

} // namespace qw
