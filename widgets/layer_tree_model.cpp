#include "widgets/layer_tree_model.h"

#include <algorithm>
#include <cmath>

#include <QColor>
#include <QFont>
#include <QGuiApplication>
#include <QPalette>
#include <QRegularExpression>

#include "widgets/number_text.h"
#include "widgets/theme.h"

namespace qw {

namespace {
constexpr quintptr kBlockId = ~quintptr{0};
constexpr int kHeatAlpha = 120; // strongest tint: text on it stays readable

/// "3" in "model.layers.3.mlp.up_proj", or nothing.
QString blockNumber(const QString& name)
{
    static const QRegularExpression kNumber(QStringLiteral("\\.(\\d+)\\."));
    return kNumber.match(name).captured(1);
}

bool isError(int column)
{
    return column == LayerTreeModel::OutputErrorColumn ||
           column == LayerTreeModel::WeightErrorColumn;
}
} // namespace

LayerTreeModel::LayerTreeModel(QObject* parent) : QAbstractItemModel(parent) {}

void LayerTreeModel::setLayers(const std::vector<LayerRow>& layers)
{
    beginResetModel();
    m_layers = layers;
    m_plans.clear();
    m_blocks.clear();
    for (int i = 0; i < static_cast<int>(layers.size()); ++i) {
        const QString number = blockNumber(layers[static_cast<std::size_t>(i)].name);
        const QString title = number.isEmpty() ? tr("other layers") : tr("block %1").arg(number);
        if (m_blocks.empty() || m_blocks.back().title != title) {
            m_blocks.push_back({title, {}});
        }
        m_blocks.back().members.push_back(i);
    }
    findErrorRange();
    endResetModel();
}

void LayerTreeModel::setWeights(const QString& name, double minimum, double maximum,
                                double outlierRatio, double stableRank)
{
    const QModelIndex at = indexOf(name, RangeColumn);
    if (!at.isValid()) {
        return;
    }
    LayerRow& layer = m_layers[static_cast<std::size_t>(
        m_blocks[at.internalId()].members[static_cast<std::size_t>(at.row())])];
    layer.minimum = minimum;
    layer.maximum = maximum;
    layer.outlierRatio = outlierRatio;
    layer.stableRank = stableRank;
    Q_EMIT dataChanged(at, at.siblingAtColumn(StableRankColumn));
    const QModelIndex block = at.parent();
    Q_EMIT dataChanged(block.siblingAtColumn(RangeColumn), block.siblingAtColumn(StableRankColumn));
}

void LayerTreeModel::setResults(const std::vector<LayerResult>& results)
{
    std::map<QString, const LayerResult*> byName;
    for (const LayerResult& result : results) {
        byName.emplace(QString::fromStdString(result.name), &result);
    }
    static const LayerResult kNone;
    for (LayerRow& layer : m_layers) {
        const auto found = byName.find(layer.name);
        const LayerResult& result = found == byName.end() ? kNone : *found->second;
        layer.outputError = result.outputError;
        layer.weightError = result.weightError;
        layer.sqnrDb = result.sqnrDb;
        layer.bitsPerWeight = result.bitsPerWeight;
        layer.bytes = result.bytes;
    }
    findErrorRange();
    for (int block = 0; block < rowCount(); ++block) {
        const QModelIndex parent = index(block, 0);
        Q_EMIT dataChanged(index(block, OutputErrorColumn), index(block, BitsPerWeightColumn));
        Q_EMIT dataChanged(index(0, OutputErrorColumn, parent),
                           index(rowCount(parent) - 1, BitsPerWeightColumn, parent));
    }
}

void LayerTreeModel::setPlans(const std::vector<LayerPlanRow>& plans)
{
    if (plans == m_plans || plans.size() != m_layers.size()) {
        return;
    }
    m_plans = plans;
    for (int block = 0; block < rowCount(); ++block) {
        const QModelIndex parent = index(block, 0);
        Q_EMIT dataChanged(index(block, PlanBitsColumn), index(block, PlanSkipColumn));
        Q_EMIT dataChanged(index(0, PlanBitsColumn, parent),
                           index(rowCount(parent) - 1, PlanSkipColumn, parent));
    }
}

void LayerTreeModel::findErrorRange()
{
    m_leastError = m_greatestError = kMissing;
    for (const LayerRow& layer : m_layers) {
        for (const double error : {layer.outputError, layer.weightError}) {
            if (std::isfinite(error) && error > 0) {
                m_leastError = std::fmin(m_leastError, error);
                m_greatestError = std::fmax(m_greatestError, error);
            }
        }
    }
}

QModelIndex LayerTreeModel::indexOf(const QString& layer, int column) const
{
    for (std::size_t block = 0; block < m_blocks.size(); ++block) {
        const auto& members = m_blocks[block].members;
        for (std::size_t row = 0; row < members.size(); ++row) {
            if (m_layers[static_cast<std::size_t>(members[row])].name == layer) {
                return createIndex(static_cast<int>(row), column, block);
            }
        }
    }
    return {};
}

QStringList LayerTreeModel::layersAt(const QModelIndex& at) const
{
    QStringList names;
    if (!at.isValid()) {
        return names;
    }
    if (at.internalId() != kBlockId) {
        names << at.data(LayerRole).toString();
        return names;
    }
    for (const int member : m_blocks[static_cast<std::size_t>(at.row())].members) {
        names << m_layers[static_cast<std::size_t>(member)].name;
    }
    return names;
}

bool LayerTreeModel::matches(const QModelIndex& at, const LayerQuery& query) const
{
    if (!at.isValid() || at.internalId() == kBlockId) {
        return false;
    }
    const auto place = static_cast<std::size_t>(
        m_blocks[at.internalId()].members[static_cast<std::size_t>(at.row())]);
    return query.matches(m_layers[place], place < m_plans.size() ? &m_plans[place] : nullptr);
}

QModelIndex LayerTreeModel::index(int row, int column, const QModelIndex& parent) const
{
    if (!hasIndex(row, column, parent)) {
        return {};
    }
    return parent.isValid() ? createIndex(row, column, static_cast<quintptr>(parent.row()))
                            : createIndex(row, column, kBlockId);
}

QModelIndex LayerTreeModel::parent(const QModelIndex& child) const
{
    if (!child.isValid() || child.internalId() == kBlockId) {
        return {};
    }
    return createIndex(static_cast<int>(child.internalId()), 0, kBlockId);
}

int LayerTreeModel::rowCount(const QModelIndex& parent) const
{
    if (!parent.isValid()) {
        return static_cast<int>(m_blocks.size());
    }
    if (parent.internalId() != kBlockId || parent.column() != 0) {
        return 0;
    }
    return static_cast<int>(m_blocks[static_cast<std::size_t>(parent.row())].members.size());
}

int LayerTreeModel::columnCount(const QModelIndex& /*parent*/) const
{
    return ColumnCount;
}

QVariant LayerTreeModel::data(const QModelIndex& at, int role) const
{
    if (!at.isValid()) {
        return {};
    }
    if (at.internalId() == kBlockId) {
        return blockData(m_blocks[static_cast<std::size_t>(at.row())], at.column(), role);
    }
    const int member = m_blocks[at.internalId()].members[static_cast<std::size_t>(at.row())];
    const auto place = static_cast<std::size_t>(member);
    return layerData(m_layers[place], place < m_plans.size() ? &m_plans[place] : nullptr,
                     at.column(), role);
}

double LayerTreeModel::value(const LayerRow& layer, const LayerPlanRow* plan, int column) const
{
    switch (column) {
    case OutputErrorColumn:
        return layer.outputError;
    case WeightErrorColumn:
        return layer.weightError;
    case SqnrColumn:
        return layer.sqnrDb;
    case BitsPerWeightColumn:
        return layer.bitsPerWeight;
    case ShapeColumn:
    case ParametersColumn:
        return static_cast<double>(layer.rows) * static_cast<double>(layer.cols);
    case RangeColumn:
        return std::fmax(std::abs(layer.minimum), std::abs(layer.maximum));
    case OutlierColumn:
        return layer.outlierRatio;
    case StableRankColumn:
        return layer.stableRank;
    case PlanBitsColumn:
        return plan != nullptr ? static_cast<double>(plan->bits) : kMissing;
    case PlanRankColumn:
        return plan != nullptr && plan->hasRank && !plan->rankFull ? static_cast<double>(plan->rank)
                                                                   : kMissing;
    case PlanSkipColumn:
        return plan != nullptr ? static_cast<double>(plan->skip) : kMissing;
    default:
        return kMissing;
    }
}

QVariant LayerTreeModel::heat(double error, int column) const
{
    if (!isError(column) || !(error > 0) || !(m_greatestError > m_leastError)) {
        return {};
    }
    const double share = std::log(error / m_leastError) / std::log(m_greatestError / m_leastError);
    QColor color(0xd5, 0x5e, 0x00);
    color.setAlpha(static_cast<int>(kHeatAlpha * std::clamp(share, 0.0, 1.0)));
    return color;
}

QVariant LayerTreeModel::layerData(const LayerRow& layer, const LayerPlanRow* plan, int column,
                                   int role) const
{
    const double number = value(layer, plan, column);
    switch (role) {
    case Qt::DisplayRole:
        switch (column) {
        case NameColumn:
            return text::shortLayerName(layer.name);
        case OutputErrorColumn:
        case WeightErrorColumn:
            return text::percent(number);
        case SqnrColumn:
            return text::decibel(number);
        case BitsPerWeightColumn:
            return text::bitsPerWeight(number);
        case ShapeColumn:
            return QStringLiteral("%1 \u00d7 %2").arg(layer.rows).arg(layer.cols);
        case ParametersColumn:
            return text::count(layer.rows * layer.cols);
        case RangeColumn:
            return std::isfinite(number)
                       ? QStringLiteral("%1 .. %2")
                             .arg(text::number(layer.minimum, 3), text::number(layer.maximum, 3))
                       : text::number(kMissing, 0);
        case OutlierColumn:
        case StableRankColumn:
            return text::number(number, 1);
        case PlanBitsColumn:
        case PlanRankColumn:
            return plan == nullptr || plan->skip                ? text::number(kMissing, 0)
                   : column == PlanRankColumn && plan->rankFull ? tr("full")
                                                                : text::number(number, 0);
        default:
            return {};
        }
    case Qt::EditRole:
        return column == PlanBitsColumn || column == PlanRankColumn
                   ? QVariant(static_cast<int>(std::isfinite(number) ? number : 0))
                   : QVariant();
    case Qt::CheckStateRole:
        return column == PlanSkipColumn && plan != nullptr
                   ? QVariant(plan->skip ? Qt::Checked : Qt::Unchecked)
                   : QVariant();
    case Qt::ToolTipRole:
        return column == NameColumn ? layer.name
               : column == BitsPerWeightColumn && layer.bytes > 0
                   ? QVariant(text::exactBytes(layer.bytes))
                   : QVariant();
    case Qt::AccessibleTextRole:
        return column == NameColumn ? QVariant(layer.name)
               : column == PlanSkipColumn && plan != nullptr
                   ? QVariant(plan->skip ? tr("yes") : tr("no"))
                   : QVariant();
    case Qt::TextAlignmentRole:
        return column == NameColumn ? QVariant() : QVariant(Qt::AlignRight | Qt::AlignVCenter);
    case Qt::BackgroundRole:
        return heat(number, column);
    case Qt::FontRole: {
        const bool own = plan != nullptr && ((column == PlanBitsColumn && plan->ownBits) ||
                                             (column == PlanRankColumn && plan->ownRank));
        if (!own) {
            return {};
        }
        QFont font;
        font.setBold(true);
        return font;
    }
    case SortRole:
        return number;
    case LayerRole:
        return layer.name;
    default:
        return {};
    }
}

QVariant LayerTreeModel::blockData(const Block& block, int column, int role) const
{
    if (role == Qt::DisplayRole && column == NameColumn) {
        return block.title;
    }
    const bool comparable = column != NameColumn && column < PlanBitsColumn;
    if (!comparable) {
        return {};
    }
    // A block is as bad as its worst layer; sizes add up.
    double number = kMissing;
    std::int64_t weights = 0;
    double bits = 0;
    for (const int member : block.members) {
        const LayerRow& layer = m_layers[static_cast<std::size_t>(member)];
        const double one = value(layer, nullptr, column);
        number = column == SqnrColumn || column == StableRankColumn ? std::fmin(number, one)
                                                                    : std::fmax(number, one);
        weights += layer.rows * layer.cols;
        bits += layer.bitsPerWeight * static_cast<double>(layer.rows * layer.cols);
    }
    if (column == BitsPerWeightColumn) {
        number = bits / static_cast<double>(weights);
    } else if (column == ParametersColumn || column == ShapeColumn) {
        number = static_cast<double>(weights);
    }
    switch (role) {
    case SortRole:
        return number;
    case Qt::TextAlignmentRole:
        return QVariant(Qt::AlignRight | Qt::AlignVCenter);
    case Qt::DisplayRole:
        return isError(column)                                         ? text::percent(number)
               : column == SqnrColumn                                  ? text::decibel(number)
               : column == BitsPerWeightColumn                         ? text::bitsPerWeight(number)
               : column == ParametersColumn                            ? text::count(weights)
               : column == OutlierColumn || column == StableRankColumn ? text::number(number, 1)
                                                                       : QVariant();
    case Qt::ToolTipRole:
        return isError(column) || column == OutlierColumn ? QVariant(tr("the largest of the block"))
                                                          : QVariant();
    case Qt::ForegroundRole:
        return theme::quietText(QGuiApplication::palette());
    default:
        return {};
    }
}

QVariant LayerTreeModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal) {
        return {};
    }
    struct Heading {
        QString text, tip;
    };
    const auto heading = [section]() -> Heading {
        switch (section) {
        case NameColumn:
            return {tr("Layer"), tr("Linear layers by block")};
        case OutputErrorColumn:
            return {tr("Output error"),
                    tr("Size of the change of the layer's output on calibration inputs, as a share "
                       "of the output")};
        case WeightErrorColumn:
            return {tr("Weight error"), tr("\u2016W \u2212 W\u0302\u2016 / \u2016W\u2016")};
        case SqnrColumn:
            return {tr("SQNR"), tr("Signal over quantization noise of the output")};
        case BitsPerWeightColumn:
            return {tr("Bits"), tr("Bits per weight, scales and factors included")};
        case ShapeColumn:
            return {tr("Shape"), tr("Output by input channels")};
        case ParametersColumn:
            return {tr("Weights"), tr("Number of weights")};
        case RangeColumn:
            return {tr("Range"), tr("Smallest and largest weight")};
        case OutlierColumn:
            return {tr("Outliers"), tr("Largest |w| over the standard deviation")};
        case StableRankColumn:
            return {tr("Stable rank"),
                    tr("\u2016W\u2016\u00b2 (Frobenius) over the square of the largest singular "
                       "value")};
        case PlanBitsColumn:
            return {tr("Bits"), tr("Width of a code in the next run; bold where this layer has "
                                   "its own. Edit several by selecting them first")};
        case PlanRankColumn:
            return {tr("Rank"), tr("Rank of the correction in the next run; bold where this layer "
                                   "has its own. LRQ and LR-QAT: of what they learn, as the form "
                                   "sets it")};
        case PlanSkipColumn:
            return {tr("Skip"), tr("Leave this layer as it is")};
        default:
            return {};
        }
    }();
    return role == Qt::DisplayRole   ? QVariant(heading.text)
           : role == Qt::ToolTipRole ? QVariant(heading.tip)
           : role == Qt::TextAlignmentRole && section != NameColumn
               ? QVariant(Qt::AlignRight | Qt::AlignVCenter)
               : QVariant();
}

Qt::ItemFlags LayerTreeModel::flags(const QModelIndex& at) const
{
    Qt::ItemFlags flags = QAbstractItemModel::flags(at);
    if (at.isValid() && at.internalId() != kBlockId && !m_plans.empty()) {
        const auto& members = m_blocks[at.internalId()].members;
        const auto& plan =
            m_plans[static_cast<std::size_t>(members[static_cast<std::size_t>(at.row())])];
        if (at.column() == PlanBitsColumn ||
            (at.column() == PlanRankColumn && plan.hasRank && !plan.rankLearned)) {
            flags |= Qt::ItemIsEditable;
        } else if (at.column() == PlanSkipColumn) {
            flags |= Qt::ItemIsUserCheckable;
        }
    }
    return flags;
}

bool LayerTreeModel::setData(const QModelIndex& at, const QVariant& value, int role)
{
    const bool edit =
        role == Qt::EditRole && (at.column() == PlanBitsColumn || at.column() == PlanRankColumn);
    const bool check = role == Qt::CheckStateRole && at.column() == PlanSkipColumn;
    const bool fixed = edit && !flags(at).testFlag(Qt::ItemIsEditable);
    if (!at.isValid() || !(edit || check) || fixed) {
        return false;
    }
    Q_EMIT planEdited(at, at.column(), value);
    return true;
}

LayerTreeProxy::LayerTreeProxy(QObject* parent) : QSortFilterProxyModel(parent)
{
    setRecursiveFilteringEnabled(true);
    setSortRole(LayerTreeModel::SortRole);
    setDynamicSortFilter(true);
}

void LayerTreeProxy::setQuery(const LayerQuery& query)
{
    m_query = query;
    invalidateFilter();
}

bool LayerTreeProxy::filterAcceptsRow(int row, const QModelIndex& parent) const
{
    const auto* model = static_cast<const LayerTreeModel*>(sourceModel()); // set by the only owner
    return m_query.empty() || model->matches(model->index(row, 0, parent), m_query);
}

bool LayerTreeProxy::lessThan(const QModelIndex& left, const QModelIndex& right) const
{
    if (left.column() == LayerTreeModel::NameColumn) { // the order of the model
        return left.row() < right.row();
    }
    const double a = left.data(LayerTreeModel::SortRole).toDouble();
    const double b = right.data(LayerTreeModel::SortRole).toDouble();
    if (std::isnan(a) || std::isnan(b)) { // missing numbers stay at the end in both orders
        return sortOrder() == Qt::AscendingOrder ? !std::isnan(a) && std::isnan(b)
                                                 : std::isnan(a) && !std::isnan(b);
    }
    return a < b;
}

} // namespace qw
