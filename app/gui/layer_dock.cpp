#include "app/gui/layer_dock.h"

#include <algorithm>

#include <QAction>
#include <QEvent>
#include <QHeaderView>
#include <QLineEdit>
#include <QMenu>
#include <QTimer>
#include <QTreeView>
#include <QVBoxLayout>

#include "app/gui/app_state.h"
#include "app/gui/overrides.h"
#include "app/gui/settings.h"
#include "base/error.h"
#include "report/layer_rules.h"
#include "report/learned_rank.h"
#include "widgets/filter_edit.h"
#include "widgets/layer_tree_model.h"
#include "widgets/table_text.h"
#include "widgets/theme.h"

namespace qw {

namespace {
using Model = LayerTreeModel;
constexpr int kUnfold = 64; // models with more layers than this start folded

const std::array<QString, 3> kShownNames = {QStringLiteral("weights"), QStringLiteral("errors"),
                                            QStringLiteral("plans")}; // by LayerDock::Shown
const std::array<std::set<int>, 3> kShownAtFirst = {
    {{Model::NameColumn, Model::OutlierColumn, Model::StableRankColumn},
     {Model::NameColumn, Model::OutputErrorColumn, Model::BitsPerWeightColumn},
     {Model::NameColumn, Model::PlanBitsColumn, Model::PlanRankColumn, Model::PlanSkipColumn}}};
} // namespace

LayerDock::LayerDock(AppState& state, QWidget* parent)
    : QDockWidget(tr("Layers"), parent), m_state(state), m_model(new LayerTreeModel(this)),
      m_proxy(new LayerTreeProxy(this)), m_tree(new QTreeView),
      m_filter(new FilterEdit(QStringLiteral("layerFilter"))), m_fit(new QTimer(this))
{
    setObjectName(QStringLiteral("layerDock"));
    m_proxy->setSourceModel(m_model);
    QLineEdit* filter = m_filter->line();
    filter->setPlaceholderText(tr("Filter, for instance up_proj error>10"));
    filter->setToolTip(tr("Parts of names, and numbers: layers.2 error>10 bits:4 rows>1000 "
                          "stable_rank<20 -down_proj\n") +
                       LayerQuery::help());
    filter->setAccessibleName(tr("Filter layers"));
    m_tree->setObjectName(QStringLiteral("layerTree"));
    m_tree->setAccessibleName(tr("Layers"));
    m_tree->setModel(m_proxy);
    m_tree->setUniformRowHeights(true);
    m_tree->setSortingEnabled(true);
    m_tree->setAllColumnsShowFocus(true);
    m_tree->setSelectionMode(QAbstractItemView::ExtendedSelection);
    m_tree->setEditTriggers(QAbstractItemView::DoubleClicked | QAbstractItemView::EditKeyPressed |
                            QAbstractItemView::AnyKeyPressed);
    const QVariantList sort = m_state.settings().value(Settings::Key::LayerSort).toList();
    m_tree->sortByColumn(
        std::clamp<int>(sort.value(0, Model::NameColumn).toInt(), 0, Model::ColumnCount - 1),
        sort.value(1).toBool() ? Qt::DescendingOrder : Qt::AscendingOrder);
    m_tree->setIndentation(12);
    m_tree->header()->setStretchLastSection(false);
    m_tree->header()->setSectionResizeMode(QHeaderView::Fixed); // fitColumns() does it
    m_tree->header()->setResizeContentsPrecision(0); // of the rows in sight: there may be hundreds
    m_tree->header()->setMinimumSectionSize(40);
    m_tree->viewport()->installEventFilter(this);
    m_fit->setSingleShot(true);
    m_tree->header()->setContextMenuPolicy(Qt::CustomContextMenu);
    auto* content = new QWidget;
    auto* layout = new QVBoxLayout(content);
    layout->setContentsMargins(theme::kTight, theme::kTight, theme::kTight, theme::kTight);
    layout->setSpacing(theme::kTight);
    layout->addWidget(m_filter);
    layout->addWidget(m_tree);
    content->setMinimumWidth(250);
    setWidget(content);

    connect(m_filter, &FilterEdit::textChanged, this, &LayerDock::applyFilter);
    makeColumnActions();
    enableCopy(*m_tree);
    connect(m_tree->header(), &QHeaderView::customContextMenuRequested, this,
            [this](const QPoint& position) {
                QMenu menu(this);
                menu.addActions(m_columnActions);
                menu.exec(m_tree->header()->mapToGlobal(position));
            });
    connect(m_tree->selectionModel(), &QItemSelectionModel::currentChanged, this,
            [this](const QModelIndex& current) {
                const QString layer = current.data(Model::LayerRole).toString();
                if (!m_following && !layer.isEmpty()) {
                    m_state.selectLayer(layer);
                }
            });
    const auto fit = [this] { m_fit->start(0); };
    connect(m_fit, &QTimer::timeout, this, &LayerDock::fitColumns);
    connect(m_proxy, &QAbstractItemModel::modelReset, m_fit, fit);
    connect(m_proxy, &QAbstractItemModel::dataChanged, m_fit, fit);
    connect(m_proxy, &QAbstractItemModel::layoutChanged, m_fit, fit);
    connect(m_tree, &QTreeView::expanded, m_fit, fit);
    connect(m_tree, &QTreeView::collapsed, m_fit, fit);
    connect(m_model, &LayerTreeModel::planEdited, this, &LayerDock::editPlan);
    connect(&m_state, &AppState::modelChanged, this, &LayerDock::fill);
    connect(&m_state, &AppState::layerChanged, this, &LayerDock::followState);
    connect(&m_state, &AppState::runInViewChanged, this, &LayerDock::fillResults);
    connect(&m_state, &AppState::draftChanged, this, &LayerDock::fillPlans);
    connect(&m_state, &AppState::factsKnown, this, &LayerDock::fillPlans);
    connect(&m_state, &AppState::weightsMeasured, this, [this](const WeightStatistics& w) {
        m_model->setWeights(QString::fromStdString(w.overview.name), w.overview.minimum,
                            w.overview.maximum, w.overview.outlierRatio, w.stableRank);
    });
    fill();
    const QVariantMap kept = m_state.settings().value(Settings::Key::LayerColumns).toMap();
    for (std::size_t shown = 0; shown < m_hidden.size(); ++shown) {
        const bool chosen = kept.contains(kShownNames[shown]);
        const QVariantList hidden = kept.value(kShownNames[shown]).toList();
        for (int column = 1; column < Model::ColumnCount; ++column) {
            if (chosen ? hidden.contains(column) : kShownAtFirst[shown].count(column) == 0) {
                m_hidden[shown].insert(column);
            }
        }
    }
    showColumns();
}

LayerDock::Shown LayerDock::shown() const
{
    return m_plans ? Plans : m_state.runInView() ? Errors : Weights;
}

void LayerDock::showColumns()
{
    for (int column = 0; column < Model::ColumnCount; ++column) {
        const bool hidden = m_hidden.at(shown()).count(column) > 0;
        m_tree->setColumnHidden(column, hidden);
        if (column > 0) {
            m_columnActions[column - 1]->setChecked(!hidden);
        }
    }
    m_fit->start(0);
}

void LayerDock::makeColumnActions()
{
    for (int column = 1; column < Model::ColumnCount; ++column) {
        QString title = m_model->headerData(column, Qt::Horizontal, Qt::DisplayRole).toString();
        if (column >= Model::PlanBitsColumn) {
            title = tr("Next run: %1").arg(title);
        }
        auto* action = new QAction(title, this);
        action->setObjectName(QStringLiteral("layerColumn%1Action").arg(column));
        action->setStatusTip(
            m_model->headerData(column, Qt::Horizontal, Qt::ToolTipRole).toString());
        action->setCheckable(true);
        connect(action, &QAction::triggered, this, [this, column](bool on) {
            std::set<int>& hidden = m_hidden.at(shown());
            if (on) {
                hidden.erase(column);
            } else {
                hidden.insert(column);
            }
            showColumns();
        });
        m_columnActions << action;
    }
}

void LayerDock::applyFilter()
{
    m_filter->applyTo([this](const QString& text) { // the last good filter stays
        m_proxy->setQuery(LayerQuery::parse(text));
    });
    if (!m_filter->line()->text().isEmpty()) {
        m_tree->expandAll();
    }
    followState();
}

bool LayerDock::eventFilter(QObject* watched, QEvent* event)
{
    if (watched == m_tree->viewport() && event->type() == QEvent::Resize) {
        m_fit->start(0);
    }
    return QDockWidget::eventFilter(watched, event);
}

void LayerDock::fitColumns()
{
    QHeaderView& header = *m_tree->header();
    const QAbstractItemView& cells = *m_tree;
    std::array<int, Model::ColumnCount> values{};
    std::array<int, Model::ColumnCount> titles{}; // what they need more than the values
    int allValues = 0;
    int allTitles = 0;
    for (int column = 1; column < Model::ColumnCount; ++column) {
        if (!m_tree->isColumnHidden(column)) {
            const auto at = static_cast<std::size_t>(column);
            values[at] = std::max(cells.sizeHintForColumn(column), header.minimumSectionSize());
            titles[at] = std::max(0, header.sectionSizeHint(column) - values[at]);
            allValues += values[at];
            allTitles += titles[at];
        }
    }
    const int name = 2 * m_tree->indentation() + theme::kGap +
                     m_tree->fontMetrics().horizontalAdvance(QStringLiteral("down_proj"));
    const int width = m_tree->viewport()->width();
    const int spare = std::clamp(width - name - allValues, 0, allTitles);
    int others = 0;
    for (int column = 1; column < Model::ColumnCount; ++column) {
        if (!m_tree->isColumnHidden(column)) {
            const auto at = static_cast<std::size_t>(column);
            header.resizeSection(column, values[at] + titles[at] * spare / std::max(1, allTitles));
            others += header.sectionSize(column);
        }
    }
    header.resizeSection(Model::NameColumn, std::max(name, width - others));
}

void LayerDock::saveSession()
{
    QVariantMap kept;
    for (std::size_t shown = 0; shown < m_hidden.size(); ++shown) {
        QVariantList hidden;
        for (const int column : m_hidden[shown]) {
            hidden << column;
        }
        kept.insert(kShownNames[shown], hidden);
    }
    m_state.settings().set(Settings::Key::LayerColumns, kept);
    const QHeaderView* header = m_tree->header();
    m_state.settings().set(Settings::Key::LayerSort,
                           QVariantList{header->sortIndicatorSection(),
                                        header->sortIndicatorOrder() == Qt::DescendingOrder});
}

void LayerDock::showPlans(bool plans)
{
    m_plans = plans;
    showColumns();
}

void LayerDock::focusFilter()
{
    show();
    m_filter->focus();
}

void LayerDock::selectNeighbour(int step)
{
    QModelIndex at = m_tree->currentIndex();
    do {
        at = step > 0 ? m_tree->indexBelow(at) : m_tree->indexAbove(at);
    } while (at.isValid() && at.data(Model::LayerRole).toString().isEmpty());
    if (at.isValid()) {
        m_tree->setCurrentIndex(at);
    }
}

void LayerDock::selectWorst()
{
    QModelIndex worst;
    for (const int column : {Model::OutputErrorColumn, Model::WeightErrorColumn}) {
        double most = -1;
        for (int block = 0; block < m_proxy->rowCount(); ++block) {
            const QModelIndex parent = m_proxy->index(block, 0);
            for (int row = 0; row < m_proxy->rowCount(parent); ++row) {
                const QModelIndex layer = m_proxy->index(row, column, parent);
                const double error = layer.data(Model::SortRole).toDouble();
                if (error > most) { // not so where it is missing
                    most = error;
                    worst = layer;
                }
            }
        }
        if (worst.isValid()) {
            m_tree->setCurrentIndex(worst.siblingAtColumn(Model::NameColumn));
            return;
        }
    }
}

void LayerDock::fill()
{
    std::vector<LayerRow> rows;
    if (m_state.model()) {
        for (const LayerOverview& layer : m_state.model()->layers) {
            LayerRow& row = rows.emplace_back();
            row.name = QString::fromStdString(layer.name);
            row.rows = layer.rows;
            row.cols = layer.cols;
            row.dtype = QString::fromStdString(layer.dtype);
            const auto known = m_state.weights().find(layer.name);
            if (known != m_state.weights().end()) {
                row.minimum = known->second.overview.minimum;
                row.maximum = known->second.overview.maximum;
                row.outlierRatio = known->second.overview.outlierRatio;
                row.stableRank = known->second.stableRank;
            }
        }
    }
    m_following = true; // the selection of a vanishing model is nobody's choice
    m_model->setLayers(rows);
    m_following = false;
    fillResults();
    fillPlans();
    if (rows.size() <= kUnfold) {
        m_tree->expandAll();
    }
    followState();
}

void LayerDock::fillPlans()
{
    std::vector<LayerPlanRow> plans;
    const RunSpec& draft = m_state.draft();
    const MethodDescription* method = m_state.method(draft.method);
    const bool corrects =
        method == nullptr || method->lowRank || draft.lowRank.correction != "none";
    try {
        const LayerRules rules(draft);
        for (const LayerRow& row : m_model->layers()) {
            const LayerSettings settings = rules.of(row.name.toStdString());
            const auto learned = learnedRank(draft, row.rows, row.cols, m_state.model()->hidden);
            plans.push_back({.bits = settings.weight.bits,
                             .rank = corrects  ? settings.rank
                                     : learned ? learned->rank
                                               : 0,
                             .hasRank = corrects || learned.has_value(),
                             .rankLearned = !corrects,
                             .rankFull = !corrects && learned && learned->full,
                             .skip = settings.skip,
                             .ownBits = settings.weight.bits != draft.weight.bits,
                             .ownRank = corrects && settings.rank != draft.lowRank.rank});
        }
    } catch (const Error&) {
        return; // a pattern being typed; the form says so
    }
    m_model->setPlans(plans);
}

void LayerDock::fillResults()
{
    m_model->setResults(m_state.runInView() ? m_state.runInView()->layers
                                            : std::vector<LayerResult>());
    showColumns();
}

void LayerDock::followState()
{
    const QModelIndex at = m_proxy->mapFromSource(m_model->indexOf(m_state.layer()));
    if (at.isValid() && at != m_tree->currentIndex().siblingAtColumn(0)) {
        m_following = true;
        m_tree->setCurrentIndex(at);
        m_following = false;
    }
}

QStringList LayerDock::selectedLayers() const
{
    QStringList layers;
    const auto rows = m_tree->selectionModel()->selectedRows();
    for (const QModelIndex& row : rows) {
        for (const QString& name : m_model->layersAt(m_proxy->mapToSource(row))) {
            if (!layers.contains(name)) {
                layers << name;
            }
        }
    }
    return layers;
}

void LayerDock::editPlan(const QModelIndex& index, int column, const QVariant& value)
{
    QStringList layers = selectedLayers();
    const QStringList own = m_model->layersAt(index);
    if (!layers.contains(own.first())) {
        layers = own; // the edited layer is not among the selected ones
    }
    LayerOverride change;
    if (column == Model::PlanBitsColumn) {
        change.bits = value.toInt();
    } else if (column == Model::PlanRankColumn) {
        change.rank = value.toInt();
    } else {
        change.skip = value.toInt() == Qt::Checked;
    }
    const RunSpec edited = overrides::forLayers(m_state.draft(), layers, change);
    try {
        validate(edited);
    } catch (const Error& error) {
        Q_EMIT m_state.problem(tr("This Cannot Be Set"), QString::fromStdString(error.what()), {});
        return;
    }
    m_state.editDraft(edited, layers.size() == 1 ? tr("Set %1").arg(layers.first())
                                                 : tr("Set %1 layers").arg(layers.size()));
}

} // namespace qw
