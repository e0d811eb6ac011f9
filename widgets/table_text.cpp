#include "widgets/table_text.h"

#include <algorithm>

#include <QAction>
#include <QClipboard>
#include <QGuiApplication>
#include <QHeaderView>
#include <QTableView>

namespace qw {

namespace {
QString cell(const QVariant& value)
{
    QString text = value.toString();
    return text.replace(u'\t', u' ').replace(u'\n', u' ');
}
} // namespace

QString tableText(const QTableView& table)
{
    const QAbstractItemModel& model = *table.model();
    QList<int> columns;
    for (int visual = 0; visual < model.columnCount(); ++visual) {
        const int column = table.horizontalHeader()->logicalIndex(visual);
        if (!table.isColumnHidden(column)) {
            columns << column;
        }
    }
    QList<int> rows;
    const QModelIndexList selected = table.selectionModel()->selectedRows();
    for (const QModelIndex& index : selected) {
        rows << index.row();
    }
    for (int row = 0; selected.isEmpty() && row < model.rowCount(); ++row) {
        rows << row;
    }
    std::sort(rows.begin(), rows.end());
    QStringList lines;
    const auto add = [&](auto value) {
        QStringList cells;
        for (const int column : std::as_const(columns)) {
            cells << cell(value(column));
        }
        lines << cells.join(u'\t');
    };
    add([&](int column) { return model.headerData(column, Qt::Horizontal); });
    for (const int row : std::as_const(rows)) {
        add([&](int column) { return model.index(row, column).data(); });
    }
    return lines.join(u'\n') + u'\n';
}

void enableCopy(QTableView& table)
{
    auto* copy = new QAction(QTableView::tr("&Copy"), &table);
    copy->setObjectName(QStringLiteral("copyRowsAction"));
    copy->setShortcut(QKeySequence::Copy);
    copy->setShortcutContext(Qt::WidgetShortcut);
    QObject::connect(copy, &QAction::triggered, &table,
                     [&table] { QGuiApplication::clipboard()->setText(tableText(table)); });
    table.addAction(copy);
}

} // namespace qw
