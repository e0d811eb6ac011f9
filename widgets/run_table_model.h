#pragma once

#include <vector>

#include <QAbstractTableModel>
#include <QSortFilterProxyModel>
#include <QStringList>

#include "report/run_query.h"
#include "report/run_summary.h"

namespace qw {

/// Stored runs as rows. A tick in the first column says that a run is drawn; its icon is the legend
/// of the plots. Runs that must not share an axis with the reference are quiet and say why.
class RunTableModel : public QAbstractTableModel
{
    Q_OBJECT
public:
    enum Column {
        NameColumn,
        StarColumn,
        PerplexityColumn,
        DeltaNllColumn,
        KlColumn,
        Top1Column,
        BitsPerWeightColumn,
        SizeColumn,
        TagsColumn,
        StatusColumn,
        StartedColumn,
        MethodColumn,
        BitsColumn,
        GroupColumn,
        RankColumn,
        SeedColumn,
        TimeColumn,
        MemoryColumn,
        ModelColumn,
        TextColumn,
        SweepColumn,
        IdColumn,
        NotesColumn,
        RemarksColumn, ///< the last, so that columns stay where a session before it had them
        ColumnCount
    };
    enum Role { SortRole = Qt::UserRole + 1, IdRole };

    explicit RunTableModel(QObject* parent = nullptr);

    /// Newest first. Rows that stay keep their place in selections.
    void setRuns(const std::vector<RunSummary>& runs);
    const std::vector<RunSummary>& runs() const { return m_runs; }
    /// In the order they were ticked; ids without a row are kept, their run may come back.
    const QStringList& ticked() const { return m_ticked; }
    void setTicked(const QStringList& ids);
    /// The run the others are held against; empty: none.
    void setReference(const QString& id);
    QString reference() const { return m_reference; }
    /// Runs, and sweeps of runs, that the queue keeps to go on with: the store says "cancelled".
    void setPaused(const QStringList& ids);
    bool paused(const RunResult& run) const; ///< the table calls it so
    /// Why this row must not be drawn beside the reference, or empty.
    QString reason(int row) const;
    int rowOf(const QString& id) const; ///< -1: none

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
    Qt::ItemFlags flags(const QModelIndex& index) const override;
    bool setData(const QModelIndex& index, const QVariant& value, int role) override;

Q_SIGNALS:
    void tickedChanged();
    /// The user typed these; the model waits for setRuns().
    void tagsEdited(const QString& id, const QStringList& tags);
    void notesEdited(const QString& id, const QString& notes);

private:
    struct Cached {
        QString name;
        QString reason;
    };
    QString tip(const RunSummary& run, const Cached& cached, int column) const;
    QString display(const RunSummary& run, int column) const;
    QString status(const RunResult& run) const;
    void insertMissing(const std::vector<RunSummary>& runs);
    void findReasons();

    std::vector<RunSummary> m_runs;
    std::vector<Cached> m_cached; ///< one a run
    QStringList m_ticked;
    QString m_reference;
    QStringList m_paused;
};

/// Sorts by numbers (missing ones last, whichever way), within a model if grouped, and filters by a
/// query.
class RunTableProxy : public QSortFilterProxyModel
{
    Q_OBJECT
public:
    explicit RunTableProxy(QObject* parent = nullptr);
    void setQuery(const RunQuery& query);
    /// Runs of one model stand together, models by their names whichever way the rows are sorted.
    void setGrouped(bool byModel);

protected:
    bool filterAcceptsRow(int row, const QModelIndex& parent) const override;
    bool lessThan(const QModelIndex& left, const QModelIndex& right) const override;

private:
    RunQuery m_query;
    bool m_grouped = false;
};

} // namespace qw
