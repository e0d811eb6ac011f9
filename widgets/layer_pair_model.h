#pragma once

#include <vector>

#include <QAbstractTableModel>

#include "report/run_tables.h"

namespace qw {

/// Layers of two runs side by side; the difference is coloured on a scale centred on zero.
class LayerPairModel : public QAbstractTableModel
{
    Q_OBJECT
public:
    enum Column { LayerColumn, ShapeColumn, AColumn, BColumn, DifferenceColumn, ColumnCount };
    enum Role { SortRole = Qt::UserRole + 1, LayerRole };

    explicit LayerPairModel(QObject* parent = nullptr);

    void setLayers(const std::vector<LayerDifference>& layers, LayerMetric metric);
    const std::vector<LayerDifference>& layers() const { return m_layers; }

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    QString number(double value, bool sign) const;
    QVariant color(double difference) const;

    std::vector<LayerDifference> m_layers;
    LayerMetric m_metric = LayerMetric::OutputError;
    double m_greatest = 0; ///< of the differences' magnitudes
};

} // namespace qw
