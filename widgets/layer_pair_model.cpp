#include "widgets/layer_pair_model.h"

#include <algorithm>
#include <cmath>

#include "report/number_format.h"
#include "widgets/report_text.h"
#include "widgets/theme.h"

namespace qw {

namespace {
constexpr double kReadable = 4.5; // contrast of text
constexpr int kSignificant = 3;   // digits

/// Three significant digits without an exponent.
QString plain(double value)
{
    if (!std::isfinite(value)) {
        return QString::fromUtf8(kMissingText);
    }
    const double size = std::abs(value);
    const int whole = size > 0 ? static_cast<int>(std::floor(std::log10(size))) + 1 : 1;
    return QString::fromStdString(formatNumber(value, std::clamp(kSignificant - whole, 0, 6)));
}
} // namespace

LayerPairModel::LayerPairModel(QObject* parent) : QAbstractTableModel(parent) {}

void LayerPairModel::setLayers(const std::vector<LayerDifference>& layers, LayerMetric metric)
{
    beginResetModel();
    m_layers = layers;
    m_metric = metric;
    m_greatest = 0;
    for (const LayerDifference& layer : m_layers) {
        if (std::isfinite(layer.difference)) {
            m_greatest = std::max(m_greatest, std::abs(layer.difference));
        }
    }
    endResetModel();
}

int LayerPairModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_layers.size());
}

int LayerPairModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QString LayerPairModel::number(double value, bool sign) const
{
    const QString text = plain(value);
    return sign && value > 0 ? u'+' + text : text;
}

QVariant LayerPairModel::color(double difference) const
{
    return std::isfinite(difference) && m_greatest > 0
               ? QVariant(theme::diverging(difference / m_greatest))
               : QVariant();
}

QVariant LayerPairModel::data(const QModelIndex& index, int role) const
{
    if (!checkIndex(index, CheckIndexOption::IndexIsValid | CheckIndexOption::ParentIsInvalid)) {
        return {};
    }
    const LayerDifference& layer = m_layers[static_cast<std::size_t>(index.row())];
    const int column = index.column();
    const double value = column == AColumn            ? layer.a
                         : column == BColumn          ? layer.b
                         : column == DifferenceColumn ? layer.difference
                                                      : kMissing;
    switch (role) {
    case Qt::DisplayRole:
        if (column == LayerColumn) {
            return QString::fromStdString(layer.name);
        }
        return column == ShapeColumn
                   ? QStringLiteral("%1 \u00d7 %2").arg(layer.rows).arg(layer.cols)
                   : number(value, column == DifferenceColumn);
    case Qt::TextAlignmentRole:
        return QVariant(column == LayerColumn ? Qt::AlignLeft | Qt::AlignVCenter
                                              : Qt::AlignRight | Qt::AlignVCenter);
    case Qt::BackgroundRole:
        return column == DifferenceColumn ? color(value) : QVariant();
    case Qt::ForegroundRole: {
        const QVariant ground = column == DifferenceColumn ? color(value) : QVariant();
        if (!ground.isValid()) {
            return {};
        }
        const QColor dark(Qt::black);
        return theme::contrast(dark, ground.value<QColor>()) >= kReadable ? dark
                                                                          : QColor(Qt::white);
    }
    case Qt::ToolTipRole:
        return column == LayerColumn ? QString::fromStdString(layer.name) : QString();
    case SortRole:
        return column == LayerColumn   ? QVariant(index.row())
               : column == ShapeColumn ? QVariant(static_cast<double>(layer.rows * layer.cols))
                                       : QVariant(value);
    case LayerRole:
        return QString::fromStdString(layer.name);
    default:
        return {};
    }
}

QVariant LayerPairModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal) {
        return {};
    }
    if (role == Qt::TextAlignmentRole) {
        return QVariant(section == LayerColumn ? Qt::AlignLeft | Qt::AlignVCenter
                                               : Qt::AlignRight | Qt::AlignVCenter);
    }
    if (role == Qt::DisplayRole) {
        switch (section) {
        case LayerColumn:
            return tr("layer");
        case ShapeColumn:
            return tr("shape");
        case AColumn:
            return tr("A");
        case BColumn:
            return tr("B");
        case DifferenceColumn:
            return tr("B \u2212 A");
        default:
            return {};
        }
    }
    return role == Qt::ToolTipRole && section > ShapeColumn
               ? report_text::translated(metricLabel(m_metric))
               : QVariant();
}

} // namespace qw
