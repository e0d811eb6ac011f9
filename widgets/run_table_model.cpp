#include "widgets/run_table_model.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include <QGuiApplication>

#include "report/run_groups.h"
#include "widgets/icons.h"
#include "widgets/method_icon.h"
#include "widgets/run_columns.h"
#include "widgets/theme.h"

namespace qw {

namespace {
QString textOf(const std::string& text)
{
    return QString::fromStdString(text);
}
} // namespace

RunTableModel::RunTableModel(QObject* parent) : QAbstractTableModel(parent) {}

int RunTableModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_runs.size());
}

int RunTableModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

int RunTableModel::rowOf(const QString& id) const
{
    const std::string wanted = id.toStdString();
    const auto found = std::find_if(m_runs.begin(), m_runs.end(),
                                    [&](const RunSummary& run) { return run.result.id == wanted; });
    return found == m_runs.end() ? -1 : static_cast<int>(found - m_runs.begin());
}

QString RunTableModel::reason(int row) const
{
    return m_cached.at(static_cast<std::size_t>(row)).reason;
}

void RunTableModel::setRuns(const std::vector<RunSummary>& runs)
{
    std::unordered_map<std::string, std::size_t> places;
    for (const RunSummary& run : runs) {
        places.emplace(run.result.id, places.size());
    }
    // Rows are ordered by when runs began. Where that changed (a run begun anew), or nothing stays,
    // the table starts afresh.
    std::size_t staying = 0;
    std::optional<std::size_t> last;
    bool inOrder = true;
    for (const RunSummary& run : m_runs) {
        const auto place = places.find(run.result.id);
        if (place != places.end()) {
            inOrder = inOrder && (!last || *last < place->second);
            last = place->second;
            ++staying;
        }
    }
    if (staying == 0 || !inOrder) {
        beginResetModel();
        m_runs = runs;
        m_cached.assign(m_runs.size(), {});
        endResetModel();
    } else {
        for (int row = rowCount() - 1; row >= 0; --row) {
            if (places.count(m_runs[static_cast<std::size_t>(row)].result.id) == 0) {
                beginRemoveRows({}, row, row);
                m_runs.erase(m_runs.begin() + row);
                m_cached.erase(m_cached.begin() + row);
                endRemoveRows();
            }
        }
        insertMissing(runs);
    }
    for (std::size_t i = 0; i < m_runs.size(); ++i) {
        m_cached[i].name =
            textOf(m_runs[i].name.empty() ? shortName(m_runs[i].result) : m_runs[i].name);
    }
    findReasons();
}

void RunTableModel::insertMissing(const std::vector<RunSummary>& runs)
{
    for (std::size_t i = 0; i < runs.size(); ++i) {
        if (i < m_runs.size() && m_runs[i].result.id == runs[i].result.id) {
            m_runs[i] = runs[i];
            continue;
        }
        beginInsertRows({}, static_cast<int>(i), static_cast<int>(i));
        m_runs.insert(m_runs.begin() + static_cast<std::ptrdiff_t>(i), runs[i]);
        m_cached.insert(m_cached.begin() + static_cast<std::ptrdiff_t>(i), Cached{});
        endInsertRows();
    }
}

void RunTableModel::setTicked(const QStringList& ids)
{
    if (ids == m_ticked) {
        return;
    }
    m_ticked = ids;
    if (rowCount() > 0) {
        Q_EMIT dataChanged(index(0, NameColumn), index(rowCount() - 1, NameColumn),
                           {Qt::CheckStateRole});
    }
    Q_EMIT tickedChanged();
}

void RunTableModel::setReference(const QString& id)
{
    if (id != m_reference) {
        m_reference = id;
        findReasons();
    }
}

void RunTableModel::setPaused(const QStringList& ids)
{
    if (ids == m_paused) {
        return;
    }
    m_paused = ids;
    if (rowCount() > 0) {
        Q_EMIT dataChanged(index(0, StatusColumn), index(rowCount() - 1, StatusColumn));
    }
}

bool RunTableModel::paused(const RunResult& run) const
{
    return run.status == "cancelled" &&
           (m_paused.contains(textOf(run.id)) ||
            (!run.sweep.empty() && m_paused.contains(textOf(run.sweep))));
}

QString RunTableModel::status(const RunResult& run) const
{
    return paused(run) ? tr("paused") : textOf(run.status);
}

QString RunTableModel::display(const RunSummary& run, int column) const
{
    return column == StatusColumn ? status(run.result) : run_columns::display(run, column);
}

void RunTableModel::findReasons()
{
    const int at = rowOf(m_reference);
    for (std::size_t i = 0; i < m_runs.size(); ++i) {
        const RunResult& run = m_runs[i].result;
        m_cached[i].reason = textOf(
            qualityMismatch(at < 0 ? run : m_runs[static_cast<std::size_t>(at)].result, run));
    }
    if (rowCount() > 0) {
        Q_EMIT dataChanged(index(0, 0), index(rowCount() - 1, ColumnCount - 1));
    }
}

QString RunTableModel::tip(const RunSummary& run, const Cached& cached, int column) const
{
    const QString ofColumn = run_columns::tip(run, column);
    if (!ofColumn.isEmpty()) {
        return ofColumn;
    }
    QString told = QStringLiteral("%1  %2").arg(cached.name, textOf(run.result.id));
    if (!run.result.problem.empty()) {
        told += u'\n' + tr("%1: %2").arg(status(run.result), textOf(run.result.problem));
    }
    if (!cached.reason.isEmpty()) {
        const int drawn = rowOf(m_reference);
        const bool beside = drawn >= 0 && m_reference != textOf(run.result.id);
        told += u'\n' + (beside ? tr("Not drawn beside %1 (%2): %3")
                                      .arg(m_cached[static_cast<std::size_t>(drawn)].name,
                                           m_reference, cached.reason)
                                : tr("Not drawn: %1").arg(cached.reason));
    }
    if (!run.result.substitutions.empty()) {
        told += u'\n' + run_columns::remarks(run.result);
    }
    return told;
}

QVariant RunTableModel::data(const QModelIndex& index, int role) const
{
    if (!checkIndex(index, CheckIndexOption::IndexIsValid | CheckIndexOption::ParentIsInvalid)) {
        return {};
    }
    const RunSummary& run = m_runs[static_cast<std::size_t>(index.row())];
    const Cached& cached = m_cached[static_cast<std::size_t>(index.row())];
    const int column = index.column();
    switch (role) {
    case Qt::DisplayRole:
        return column == NameColumn ? cached.name : display(run, column);
    case Qt::EditRole:
        return column == NotesColumn ? QVariant(textOf(run.notes)) : display(run, column);
    case Qt::CheckStateRole:
        return column == NameColumn
                   ? QVariant(m_ticked.contains(textOf(run.result.id)) ? Qt::Checked
                                                                       : Qt::Unchecked)
                   : QVariant();
    case Qt::DecorationRole:
        return column == NameColumn ? methodIcon(run.result.spec.method)
               : column == StarColumn
                   ? icons::icon(run.starred ? icons::Shape::StarFilled : icons::Shape::Star)
                   : QVariant();
    case Qt::TextAlignmentRole:
        return run_columns::alignment(column);
    case Qt::ForegroundRole:
        return cached.reason.isEmpty() ? QVariant() : theme::quietText(QGuiApplication::palette());
    case Qt::FontRole:
        if (!cached.reason.isEmpty() && column == NameColumn) {
            QFont font = QGuiApplication::font();
            font.setItalic(true); // not by colour alone
            return font;
        }
        return {};
    case Qt::ToolTipRole:
        return tip(run, cached, column);
    case Qt::AccessibleTextRole:
        return column == StarColumn   ? run_columns::tip(run, column)
               : column == NameColumn ? cached.name
                                      : display(run, column);
    case SortRole:
        return column == StatusColumn ? status(run.result)
               : column == NameColumn ? cached.name
                                      : run_columns::sortKey(run, column);
    case IdRole:
        return textOf(run.result.id);
    default:
        return {};
    }
}

QVariant RunTableModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal || section < 0 || section >= ColumnCount) {
        return {};
    }
    if (role == Qt::DisplayRole) {
        return run_columns::title(section);
    }
    if (role == Qt::TextAlignmentRole) {
        return run_columns::alignment(section);
    }
    if (role == Qt::ToolTipRole) {
        return run_columns::help(section);
    }
    return {};
}

Qt::ItemFlags RunTableModel::flags(const QModelIndex& index) const
{
    Qt::ItemFlags flags = QAbstractTableModel::flags(index);
    if (index.column() == NameColumn) {
        flags |= Qt::ItemIsUserCheckable;
    }
    if (index.column() == TagsColumn || index.column() == NotesColumn) {
        flags |= Qt::ItemIsEditable;
    }
    return flags;
}

bool RunTableModel::setData(const QModelIndex& index, const QVariant& value, int role)
{
    if (!index.isValid()) {
        return false;
    }
    const QString id = index.data(IdRole).toString();
    if (index.column() == NameColumn && role == Qt::CheckStateRole) {
        QStringList ids = m_ticked;
        ids.removeAll(id);
        if (value.toInt() == Qt::Checked) {
            ids << id;
        }
        setTicked(ids);
        return true;
    }
    if (role == Qt::EditRole && index.column() == TagsColumn) {
        QStringList tags;
        const QStringList typed = value.toString().split(u',');
        for (const QString& tag : typed) {
            if (!tag.trimmed().isEmpty() && !tags.contains(tag.trimmed())) {
                tags << tag.trimmed();
            }
        }
        Q_EMIT tagsEdited(id, tags);
        return true;
    }
    if (role == Qt::EditRole && index.column() == NotesColumn) {
        Q_EMIT notesEdited(id, value.toString());
        return true;
    }
    return false;
}

RunTableProxy::RunTableProxy(QObject* parent) : QSortFilterProxyModel(parent)
{
    setSortRole(RunTableModel::SortRole);
    setSortCaseSensitivity(Qt::CaseInsensitive);
}

void RunTableProxy::setQuery(const RunQuery& query)
{
    m_query = query;
    invalidateFilter();
}

void RunTableProxy::setGrouped(bool byModel)
{
    m_grouped = byModel;
    invalidate();
}

bool RunTableProxy::filterAcceptsRow(int row, const QModelIndex& /*parent*/) const
{
    const auto* model = static_cast<const RunTableModel*>(sourceModel()); // set by the only owner
    const RunSummary& run = model->runs()[static_cast<std::size_t>(row)];
    return m_query.matches(run, model->paused(run.result) ? "paused" : "");
}

bool RunTableProxy::lessThan(const QModelIndex& left, const QModelIndex& right) const
{
    if (m_grouped) {
        const auto model = [this](const QModelIndex& index) {
            return sourceModel()->index(index.row(), RunTableModel::ModelColumn).data().toString();
        };
        if (const int order = QString::compare(model(left), model(right), Qt::CaseInsensitive)) {
            return (order < 0) == (sortOrder() == Qt::AscendingOrder);
        }
    }
    const QVariant a = left.data(RunTableModel::SortRole);
    const QVariant b = right.data(RunTableModel::SortRole);
    if (a.typeId() != QMetaType::Double || b.typeId() != QMetaType::Double) {
        return QSortFilterProxyModel::lessThan(left, right);
    }
    const double x = a.toDouble();
    const double y = b.toDouble();
    if (std::isnan(x) || std::isnan(y)) { // missing numbers last, whichever way
        return std::isnan(x) == std::isnan(y)
                   ? false
                   : std::isnan(x) == (sortOrder() == Qt::DescendingOrder);
    }
    return x < y;
}

} // namespace qw
