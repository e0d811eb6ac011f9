#pragma once

#include <cstdint>
#include <vector>

#include <QAbstractItemModel>
#include <QSortFilterProxyModel>

#include "report/run_result.h"
#include "widgets/layer_query.h"

namespace qw {

/// One linear layer as the tree shows it. Missing numbers are NaN.
struct LayerRow {
    QString name;
    std::int64_t rows = 0, cols = 0;
    QString dtype;
    double minimum = kMissing, maximum = kMissing;
    double outlierRatio = kMissing, stableRank = kMissing;
    double outputError = kMissing, weightError = kMissing, sqnrDb = kMissing;
    double bitsPerWeight = kMissing;
    std::int64_t bytes = 0;
};

/// What the next run will do with a layer, and whether that differs from the rest of the model.
struct LayerPlanRow {
    std::int64_t bits = 0;
    std::int64_t rank = 0;
    bool hasRank = true;      ///< the method has one: of its correction, or of what it learns
    bool rankLearned = false; ///< the second: no part of what is deployed, and not a layer's own
    bool rankFull = false;    ///< a learned matrix that is no product
    bool skip = false;
    bool ownBits = false, ownRank = false;
    bool operator==(const LayerPlanRow&) const = default;
};

/// Blocks and their linear layers. Numbers arrive when they are known; sorting and filtering are
/// LayerTreeProxy's.
class LayerTreeModel : public QAbstractItemModel
{
    Q_OBJECT
public:
    enum Column {
        NameColumn,
        OutputErrorColumn,
        WeightErrorColumn,
        SqnrColumn,
        BitsPerWeightColumn,
        ShapeColumn,
        ParametersColumn,
        RangeColumn,
        OutlierColumn,
        StableRankColumn,
        PlanBitsColumn,
        PlanRankColumn,
        PlanSkipColumn,
        ColumnCount
    };
    enum Role { SortRole = Qt::UserRole + 1, LayerRole };

    explicit LayerTreeModel(QObject* parent = nullptr);

    void setLayers(const std::vector<LayerRow>& layers);
    /// Range, outliers and stable rank of one layer.
    void setWeights(const QString& name, double minimum, double maximum, double outlierRatio,
                    double stableRank);
    /// Errors of the run in view; an empty list clears them.
    void setResults(const std::vector<LayerResult>& results);
    void setPlans(const std::vector<LayerPlanRow>& plans); ///< in the order of setLayers()

    const std::vector<LayerRow>& layers() const { return m_layers; }
    QModelIndex indexOf(const QString& layer, int column = NameColumn) const;
    /// Names of the layer, or of all layers of the block, at @p index.
    QStringList layersAt(const QModelIndex& index) const;
    /// Whether @p index is a layer that @p query asks for.
    bool matches(const QModelIndex& index, const LayerQuery& query) const;

    QModelIndex index(int row, int column, const QModelIndex& parent = {}) const override;
    QModelIndex parent(const QModelIndex& child) const override;
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
    Qt::ItemFlags flags(const QModelIndex& index) const override;
    bool setData(const QModelIndex& index, const QVariant& value, int role) override;

Q_SIGNALS:
    /// The user wants these layers to get another plan; the model waits for setPlans().
    void planEdited(const QModelIndex& index, int column, const QVariant& value);

private:
    struct Block {
        QString title;
        std::vector<int> members; ///< places in m_layers
    };
    QVariant layerData(const LayerRow& layer, const LayerPlanRow* plan, int column, int role) const;
    QVariant blockData(const Block& block, int column, int role) const;
    double value(const LayerRow& layer, const LayerPlanRow* plan, int column) const;
    QVariant heat(double error, int column) const;
    void findErrorRange();

    std::vector<LayerRow> m_layers;
    std::vector<LayerPlanRow> m_plans;
    std::vector<Block> m_blocks;
    double m_leastError = kMissing;
    double m_greatestError = kMissing;
};

/// Sorts by numbers (missing ones last) and filters by a query; blocks stay with their layers.
class LayerTreeProxy : public QSortFilterProxyModel
{
    Q_OBJECT
public:
    explicit LayerTreeProxy(QObject* parent = nullptr);
    void setQuery(const LayerQuery& query);

protected:
    bool filterAcceptsRow(int row, const QModelIndex& parent) const override;
    bool lessThan(const QModelIndex& left, const QModelIndex& right) const override;

private:
    LayerQuery m_query;
};

} // namespace qw
