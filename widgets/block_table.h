#pragma once

#include <vector>

#include <QAbstractTableModel>
#include <QTableView>

#include "report/run_result.h"
#include "report/run_tables.h"

namespace qw {

/// What block-wise methods did to each block of some runs, a row each.
class BlockTableModel : public QAbstractTableModel
{
    Q_OBJECT
public:
    enum Column {
        RunColumn,
        BlockColumn,
        BeforeColumn, ///< error of the block's output
        AfterColumn,
        MovedColumn, ///< shares of the integers; the rest stayed
        MovedMoreColumn,
        SecondsColumn,
        IterationsColumn,
        ParametersColumn,
        MemoryColumn,
        ColumnCount
    };
    enum Role { SortRole = Qt::UserRole + 1 };

    explicit BlockTableModel(QObject* parent = nullptr);

    /// @param names  one a run. Rows that were there stay where they are: the runs may be at work.
    void setRuns(const std::vector<RunResult>& runs, const std::vector<std::string>& names);
    bool has(Column column) const; ///< whether any row has something to say there

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    struct Row {
        QString run;
        std::string id;
        std::int64_t block = 0;
        double before = kMissing;
        double after = kMissing;
        double iterations = kMissing; ///< if it learns
        double parameters = kMissing;
        MovedShares moved;
        double seconds = kMissing;
        double bytes = kMissing;
    };
    static double number(const Row& row, int column);
    static QString words(const Row& row, int column);

    std::vector<Row> m_rows;
};

/// Shows them: sorted by a click on a title, copied with Ctrl+C, without columns that say nothing.
class BlockTable : public QTableView
{
    Q_OBJECT
public:
    explicit BlockTable(QWidget* parent = nullptr);
    void setRuns(const std::vector<RunResult>& runs, const std::vector<std::string>& names);

private:
    BlockTableModel* m_model = nullptr;
};

} // namespace qw
