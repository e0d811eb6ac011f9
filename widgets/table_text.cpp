#include "widgets/table_text.h"

#include <QAbstractItemView>
#include <QAction>
#include <QClipboard>
#include <QGuiApplication>
#include <QHeaderView>
#include <QSet>
#include <QTableView>
#include <QTreeView>

namespace qw {

namespace {
QString plain(QString text)
{
    return text.replace(u'\t', u' ').replace(u'\n', u' ');
}

/// What is told of a cell where its text needs the rows around it or is a tick.
QString cell(const QModelIndex& index)
{
    const QString told = index.data(Qt::AccessibleTextRole).toString();
    return plain(told.isEmpty() ? index.data().toString() : told);
}

const QHeaderView& headerOf(const QAbstractItemView& view)
{
    const auto* tree = qobject_cast<const QTreeView*>(&view);
    return tree != nullptr ? *tree->header()
                           : *qobject_cast<const QTableView*>(&view)->horizontalHeader();
}

/// First cells of all rows, in the order shown.
void addRows(const QAbstractItemModel& model, const QModelIndex& parent, QModelIndexList& rows)
{
    for (int row = 0; row < model.rowCount(parent); ++row) {
        const QModelIndex first = model.index(row, 0, parent);
        rows << first;
        addRows(model, first, rows);
    }
}
} // namespace

QString tableText(const QAbstractItemView& table)
{
    const QAbstractItemModel& model = *table.model();
    const QHeaderView& header = headerOf(table);
    QList<int> columns;
    for (int visual = 0; visual < model.columnCount(); ++visual) {
        const int column = header.logicalIndex(visual);
        if (!header.isSectionHidden(column)) {
            columns << column;
        }
    }
    QModelIndexList rows;
    addRows(model, {}, rows);
    const QModelIndexList selected = table.selectionModel()->selectedRows();
    const QSet<QModelIndex> wanted(selected.begin(), selected.end());
    QStringList lines;
    const auto add = [&](auto value) {
        QStringList cells;
        for (const int column : std::as_const(columns)) {
            cells << value(column);
        }
        lines << cells.join(u'\t');
    };
    add([&](int column) { return plain(model.headerData(column, Qt::Horizontal).toString()); });
    for (const QModelIndex& row : std::as_const(rows)) {
        if (wanted.isEmpty() || wanted.contains(row)) {
            add([&](int column) { return cell(row.siblingAtColumn(column)); });
        }
    }
    return lines.join(u'\n') + u'\n';
}

void enableCopy(QAbstractItemView& table)
{
    auto* copy = new QAction(QAbstractItemView::tr("&Copy"), &table);
    copy->setObjectName(QStringLiteral("copyRowsAction"));
    copy->setShortcut(QKeySequence::Copy);
    copy->setShortcutContext(Qt::WidgetShortcut);
    QObject::connect(copy, &QAction::triggered, &table,
                     [&table] { QGuiApplication::clipboard()->setText(tableText(table)); });
    table.addAction(copy);
}

} // namespace qw
