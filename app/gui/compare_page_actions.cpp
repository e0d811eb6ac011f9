#include "app/gui/compare_page.h"

#include <algorithm>

#include <QAction>
#include <QClipboard>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QMenu>
#include <QTableView>
#include <QToolButton>

#include "app/gui/app_state.h"
#include "app/gui/dialogs.h"
#include "app/gui/run_edits.h"
#include "app/gui/settings.h"
#include "report/run_plots.h"
#include "widgets/run_table_model.h"
#include "widgets/table_text.h"
#include "widgets/theme.h"

/// What the user can do with the runs of the Compare page.
namespace qw {

using namespace Qt::Literals::StringLiterals;
using Model = RunTableModel;

namespace {
bool changesRuns(const QAction& action)
{
    const QStringList names = {u"starRunsAction"_s, u"tagRunsAction"_s, u"noteRunAction"_s,
                               u"deleteRunsAction"_s};
    return names.contains(action.objectName());
}
} // namespace

QAction* ComparePage::makeAction(const QString& name, const QString& text, const QString& tip,
                                 const QKeySequence& shortcut, void (ComparePage::*act)())
{
    auto* action = new QAction(text, this);
    action->setObjectName(name + u"Action"_s);
    const QString problem = changesRuns(*action) ? m_state.storeProblem() : QString();
    action->setStatusTip(problem.isEmpty() ? tip : problem);
    action->setToolTip(action->statusTip());
    action->setShortcut(shortcut);
    action->setShortcutContext(Qt::WidgetShortcut); // keys of the table, not of the window
    connect(action, &QAction::triggered, this, act);
    m_table->addAction(action);
    m_actions << action;
    return action;
}

void ComparePage::makeActions()
{
    makeAction(u"showRun"_s, tr("&Show in Inspect"), tr("Look at the layers of the run selected"),
               QKeySequence(Qt::Key_Return), &ComparePage::showRun);
    makeAction(u"exportRun"_s, tr("E&xport Model\u2026"),
               tr("Write the run selected as files of another program"), QKeySequence(Qt::Key_E),
               &ComparePage::exportRun);
    m_actions << nullptr;
    makeAction(u"tickRuns"_s, tr("&Tick or Untick Runs"),
               tr("Ticked runs are drawn, and no others"), QKeySequence(Qt::Key_Space),
               &ComparePage::toggleTicks);
    makeAction(u"tickBestRuns"_s, tr("Tick the &Best for Their Size"),
               tr("Ticks the runs shown that no other beats in size and perplexity"), {},
               &ComparePage::tickBest);
    makeAction(u"untickRuns"_s, tr("&Untick All Runs"), tr("Draws all runs shown again"), {},
               &ComparePage::clearTicks);
    m_actions << nullptr;
    makeAction(u"starRuns"_s, tr("St&ar or Unstar Runs"), tr("Marks runs to keep an eye on"),
               QKeySequence(Qt::Key_S), &ComparePage::toggleStars);
    makeAction(u"tagRuns"_s, tr("Ta&g Runs\u2026"), tr("A word to find these runs by"),
               QKeySequence(Qt::Key_T), &ComparePage::askTag);
    makeAction(u"noteRun"_s, tr("Edit &Notes of Run\u2026"),
               tr("What to remember of the run selected"), QKeySequence(Qt::Key_N),
               &ComparePage::askNotes);
    makeAction(u"deleteRuns"_s, tr("&Delete Runs"),
               tr("Takes runs off the list; Undo brings them back until the store is compacted"),
               QKeySequence::Delete, &ComparePage::deleteRuns);
    m_actions << nullptr;
    makeAction(u"groupRuns"_s, tr("Group by &Model"), tr("Keeps the runs of each model together"),
               {}, &ComparePage::groupByModel);
    m_actions.last()->setCheckable(true);
    makeAction(u"copyRuns"_s, tr("&Copy Runs as Table"),
               tr("Copies the rows selected, separated by tabs"), QKeySequence::Copy,
               &ComparePage::copyRows);
}

QWidget* ComparePage::makeButtons()
{
    auto* line = new QWidget;
    auto* layout = new QHBoxLayout(line);
    layout->setContentsMargins(theme::kTight, 0, 0, 0);
    layout->setSpacing(theme::kTight);
    layout->addWidget(m_count, 1);
    const auto add = [&](const QString& action, const QString& text) {
        auto* button = new QToolButton;
        QAction* does = findChild<QAction*>(action + u"Action"_s);
        button->setObjectName(action + u"Button"_s);
        button->setText(text);
        button->setToolTip(does->toolTip());
        button->setAutoRaise(true);
        button->setFocusPolicy(Qt::TabFocus);
        connect(button, &QToolButton::clicked, does, &QAction::trigger);
        connect(does, &QAction::changed, button,
                [button, does] { button->setEnabled(does->isEnabled()); });
        layout->addWidget(button);
    };
    add(u"starRuns"_s, tr("Star"));
    add(u"tagRuns"_s, tr("Tag\u2026"));
    add(u"deleteRuns"_s, tr("Delete"));
    auto* columns = new QToolButton;
    columns->setObjectName(u"runColumnsButton"_s);
    columns->setText(tr("Columns"));
    columns->setToolTip(tr("Which columns the table shows"));
    columns->setAutoRaise(true);
    columns->setFocusPolicy(Qt::TabFocus);
    columns->setPopupMode(QToolButton::InstantPopup);
    auto* menu = new QMenu(columns);
    connect(menu, &QMenu::aboutToShow, this, [this, menu] {
        menu->clear();
        fillColumnMenu(*menu);
    });
    columns->setMenu(menu);
    layout->addWidget(columns);
    return line;
}

void ComparePage::showColumnMenu(const QPoint& position)
{
    QMenu menu(this);
    fillColumnMenu(menu);
    menu.exec(m_table->horizontalHeader()->mapToGlobal(position));
}

void ComparePage::fillColumnMenu(QMenu& menu)
{
    for (int column = Model::NameColumn + 1; column < Model::ColumnCount; ++column) {
        QAction* action =
            menu.addAction(m_model->headerData(column, Qt::Horizontal, Qt::DisplayRole).toString());
        action->setToolTip(m_model->headerData(column, Qt::Horizontal, Qt::ToolTipRole).toString());
        action->setCheckable(true);
        action->setChecked(!m_table->isColumnHidden(column));
        connect(action, &QAction::toggled, this,
                [this, column](bool on) { m_table->setColumnHidden(column, !on); });
    }
    menu.setToolTipsVisible(true);
}

void ComparePage::updateActions()
{
    const auto selected = selectedIds().size();
    for (QAction* action : std::as_const(m_actions)) {
        if (action == nullptr) {
            continue;
        }
        const QString name = action->objectName();
        const bool one =
            name == u"showRunAction" || name == u"exportRunAction" || name == u"noteRunAction";
        const bool any = name == u"tickBestRunsAction" || name == u"copyRunsAction" ||
                         name == u"groupRunsAction";
        const bool refused = changesRuns(*action) && !m_state.store().writable();
        action->setEnabled(refused                       ? false
                           : one                         ? selected == 1
                           : any                         ? m_proxy->rowCount() > 0
                           : name == u"untickRunsAction" ? !m_model->ticked().isEmpty()
                                                         : selected > 0);
    }
}

void ComparePage::toggleTicks()
{
    QStringList ticked = m_model->ticked();
    const QStringList ids = selectedIds();
    const bool all =
        std::all_of(ids.begin(), ids.end(), [&](const QString& id) { return ticked.contains(id); });
    for (const QString& id : ids) {
        ticked.removeAll(id);
        if (!all) {
            ticked << id;
        }
    }
    m_model->setTicked(ticked);
}

void ComparePage::clearTicks()
{
    m_model->setTicked({});
}

void ComparePage::groupByModel()
{
    const bool on = findChild<QAction*>(u"groupRunsAction"_s)->isChecked();
    if (on) { // says what the groups are
        QHeaderView* header = m_table->horizontalHeader();
        header->showSection(Model::ModelColumn);
        header->moveSection(header->visualIndex(Model::ModelColumn), 0);
    }
    m_proxy->setGrouped(on);
    m_state.settings().set(Settings::Key::GroupRuns, on);
}

void ComparePage::tickBest()
{
    std::vector<double> bytes;
    std::vector<double> perplexities;
    QStringList ids;
    for (int row = 0; row < m_proxy->rowCount(); ++row) {
        const int source = m_proxy->mapToSource(m_proxy->index(row, 0)).row();
        const RunResult& run = m_model->runs()[static_cast<std::size_t>(source)].result;
        if (m_model->reason(source).isEmpty()) {
            ids << QString::fromStdString(run.id);
            bytes.push_back(static_cast<double>(run.bytes));
            perplexities.push_back(run.score.perplexity);
        }
    }
    QStringList best;
    for (const std::size_t i : paretoFront(bytes, perplexities)) {
        best << ids[static_cast<qsizetype>(i)];
    }
    m_model->setTicked(best);
}

void ComparePage::toggleStars()
{
    const QStringList ids = selectedIds();
    const bool all = std::all_of(ids.begin(), ids.end(),
                                 [this](const QString& id) { return find(id)->starred; });
    run_edits::setStarred(m_state, ids, !all);
}

void ComparePage::askTag()
{
    const QStringList ids = selectedIds();
    const QString tag = m_dialogs.askText(this, tr("Add Tag"), tr("&Tag:"), {});
    run_edits::addTag(m_state, ids, tag);
}

void ComparePage::askNotes()
{
    const QString id = selectedIds().value(0);
    const QString before = QString::fromStdString(find(id)->notes);
    const auto notes = m_dialogs.askLongText(this, tr("Edit Notes"), tr("&Notes:"), before);
    if (notes) {
        run_edits::setNotes(m_state, id, *notes);
    }
}

void ComparePage::deleteRuns()
{
    const QStringList ids = selectedIds();
    const int gone = run_edits::remove(m_state, ids);
    const auto stay = ids.size() - gone;
    Q_EMIT message(
        stay == 0 ? (gone == 1 ? tr("1 run deleted; Undo brings it back")
                               : tr("%1 runs deleted; Undo brings them back").arg(gone))
                  : tr("%1 runs deleted, %2 are being worked on and stay").arg(gone).arg(stay));
}

void ComparePage::copyRows()
{
    QGuiApplication::clipboard()->setText(tableText(*m_table));
}

QString ComparePage::selectedRun() const
{
    const QStringList ids = selectedIds();
    return ids.size() == 1 ? ids.first() : QString();
}

void ComparePage::exportRun()
{
    const QString id = selectedRun();
    if (!id.isEmpty()) {
        Q_EMIT exportWanted(id);
    }
}

void ComparePage::showRun()
{
    const QString id = selectedIds().value(0);
    if (!id.isEmpty()) {
        Q_EMIT showRunWanted(id);
    }
}

} // namespace qw
