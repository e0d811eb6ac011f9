#include "widgets/block_table.h"

#include <algorithm>
#include <cmath>

#include <QHeaderView>

#include "report/number_format.h"
#include "widgets/number_sort_proxy.h"
#include "widgets/number_text.h"
#include "widgets/table_text.h"
#include "widgets/theme.h"

namespace qw {

BlockTableModel::BlockTableModel(QObject* parent) : QAbstractTableModel(parent) {}

void BlockTableModel::setRuns(const std::vector<RunResult>& runs,
                              const std::vector<std::string>& names)
{
    std::vector<Row> rows;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        for (const BlockResult& block : runs[i].blocks) {
            Row& row = rows.emplace_back();
            row.run = QString::fromStdString(names[i]);
            row.id = runs[i].id;
            row.block = block.block;
            row.before = block.errorBefore;
            row.after = block.errorAfter;
            if (!block.losses.empty()) {
                row.iterations = static_cast<double>(block.losses.size());
            }
            if (block.trainedParameters > 0) {
                row.parameters = static_cast<double>(block.trainedParameters);
            }
            row.moved = movedShares(runs[i], block.block);
            row.seconds = block.seconds;
            if (block.peakRssBytes > 0) {
                row.bytes = static_cast<double>(block.peakRssBytes);
            }
        }
    }
    const auto same = [](const Row& a, const Row& b) { return a.id == b.id && a.block == b.block; };
    const std::size_t before = m_rows.size();
    if (rows.size() < before || !std::equal(m_rows.begin(), m_rows.end(), rows.begin(), same)) {
        beginResetModel();
        m_rows = std::move(rows);
        endResetModel();
        return;
    }
    std::copy_n(rows.begin(), before, m_rows.begin());
    if (before > 0) {
        Q_EMIT dataChanged(index(0, 0), index(static_cast<int>(before) - 1, ColumnCount - 1));
    }
    if (rows.size() > before) {
        beginInsertRows({}, static_cast<int>(before), static_cast<int>(rows.size()) - 1);
        m_rows = std::move(rows);
        endInsertRows();
    }
}

bool BlockTableModel::has(Column column) const
{
    if (column == RunColumn) {
        return std::any_of(m_rows.begin(), m_rows.end(),
                           [&](const Row& row) { return row.id != m_rows.front().id; });
    }
    return std::any_of(m_rows.begin(), m_rows.end(),
                       [&](const Row& row) { return std::isfinite(number(row, column)); });
}

int BlockTableModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_rows.size());
}

int BlockTableModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

double BlockTableModel::number(const Row& row, int column)
{
    switch (column) {
    case BlockColumn:
        return static_cast<double>(row.block);
    case BeforeColumn:
        return row.before;
    case AfterColumn:
        return row.after;
    case IterationsColumn:
        return row.iterations;
    case ParametersColumn:
        return row.parameters;
    case MovedColumn:
        return row.moved.one;
    case MovedMoreColumn:
        return row.moved.more;
    case SecondsColumn:
        return row.seconds;
    case MemoryColumn:
        return row.bytes;
    default:
        return kMissing;
    }
}

QString BlockTableModel::words(const Row& row, int column)
{
    constexpr int kDigits = 4;
    constexpr int kShareDigits = 2;
    const double value = number(row, column);
    if (column == RunColumn) {
        return row.run;
    }
    if (!std::isfinite(value)) {
        return QString::fromUtf8(kMissingText);
    }
    switch (column) {
    case BeforeColumn:
    case AfterColumn:
        return QString::fromStdString(formatSignificant(value, kDigits));
    case ParametersColumn:
        return text::count(static_cast<std::int64_t>(value));
    case MovedColumn:
    case MovedMoreColumn:
        return QStringLiteral("%1 %").arg(
            QString::fromStdString(formatSignificant(100 * value, kShareDigits)));
    case SecondsColumn:
        return text::duration(value);
    case MemoryColumn: // whole ones: names need the room, and exact bytes are in the tip
        return QString::number(std::llround(value / 1e6));
    default:
        return QString::number(static_cast<qint64>(value));
    }
}

QVariant BlockTableModel::data(const QModelIndex& index, int role) const
{
    if (!checkIndex(index, CheckIndexOption::IndexIsValid | CheckIndexOption::ParentIsInvalid)) {
        return {};
    }
    const Row& row = m_rows[static_cast<std::size_t>(index.row())];
    const int column = index.column();
    switch (role) {
    case Qt::DisplayRole:
        return words(row, column);
    case Qt::TextAlignmentRole:
        return QVariant(column == RunColumn ? Qt::AlignLeft | Qt::AlignVCenter
                                            : Qt::AlignRight | Qt::AlignVCenter);
    case Qt::ToolTipRole:
        if (column == RunColumn) {
            return row.run;
        }
        if (column == ParametersColumn && std::isfinite(row.parameters)) {
            return QString::number(static_cast<qint64>(row.parameters));
        }
        return column == MemoryColumn && std::isfinite(row.bytes)
                   ? text::exactBytes(static_cast<std::int64_t>(row.bytes))
                   : QString();
    case SortRole:
        return column == RunColumn ? QVariant(index.row()) : QVariant(number(row, column));
    default:
        return {};
    }
}

QVariant BlockTableModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal) {
        return {};
    }
    if (role == Qt::TextAlignmentRole) {
        return QVariant(section == RunColumn ? Qt::AlignLeft | Qt::AlignVCenter
                                             : Qt::AlignRight | Qt::AlignVCenter);
    }
    const bool tip = role == Qt::ToolTipRole;
    if (!tip && role != Qt::DisplayRole) {
        return {};
    }
    switch (section) {
    case RunColumn:
        return tr("run");
    case BlockColumn:
        return tr("block");
    case BeforeColumn:
        return tip ? tr("Error of the block's output over all windows, rounded to nearest")
                   : tr("before");
    case AfterColumn:
        return tip ? tr("The same with the weights that are stored") : tr("after");
    case IterationsColumn:
        return tip ? tr("How many steps it learned") : tr("steps");
    case ParametersColumn:
        return tip ? tr("How many numbers were learned; none of them is stored") : tr("learned");
    case MovedColumn:
        return tip ? tr("Share of the weights whose integer went one step up or down from round to "
                        "nearest's")
                   : tr("\u00b11");
    case MovedMoreColumn:
        return tip ? tr("Share of the weights whose integer went two steps or more")
                   : tr("\u00b12+");
    case SecondsColumn:
        return tr("time");
    case MemoryColumn:
        return tip ? tr("The most memory of the process while the block was made") : tr("MB");
    default:
        return {};
    }
}

BlockTable::BlockTable(QWidget* parent) : QTableView(parent), m_model(new BlockTableModel(this))
{
    auto* proxy = new NumberSortProxy(BlockTableModel::SortRole, this);
    proxy->setSourceModel(m_model);
    setModel(proxy);
    setSortingEnabled(true);
    sortByColumn(BlockTableModel::RunColumn, Qt::AscendingOrder); // as they come
    setSelectionBehavior(QAbstractItemView::SelectRows);
    setTextElideMode(Qt::ElideMiddle);
    setShowGrid(false);
    setFrameShape(QFrame::NoFrame);
    setTabKeyNavigation(false);
    verticalHeader()->hide();
    verticalHeader()->setDefaultSectionSize(fontMetrics().height() + theme::kGap);
    horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
    // Names are long: they take what the numbers leave.
    horizontalHeader()->setSectionResizeMode(BlockTableModel::RunColumn, QHeaderView::Stretch);
    enableCopy(*this);
}

void BlockTable::setRuns(const std::vector<RunResult>& runs, const std::vector<std::string>& names)
{
    m_model->setRuns(runs, names);
    for (int column = 0; column < BlockTableModel::ColumnCount; ++column) {
        const bool always = column == BlockTableModel::BlockColumn ||
                            column == BlockTableModel::BeforeColumn ||
                            column == BlockTableModel::AfterColumn;
        setColumnHidden(column,
                        !always && !m_model->has(static_cast<BlockTableModel::Column>(column)));
    }
}

} // namespace qw
