#include "app/gui/compare_page.h"

#include <algorithm>
#include <utility>

#include <QAction>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPlainTextEdit>
#include <QSplitter>
#include <QTableView>
#include <QToolButton>
#include <QVBoxLayout>

#include "app/gui/app_state.h"
#include "app/gui/compare_plots.h"
#include "app/gui/run_edits.h"
#include "app/gui/settings.h"
#include "app/gui/spec_fields.h"
#include "report/run_tables.h"
#include "widgets/elided_label.h"
#include "widgets/filter_edit.h"
#include "widgets/run_columns.h"
#include "widgets/run_table_model.h"
#include "widgets/table_text.h"
#include "widgets/theme.h"

namespace qw {

using namespace Qt::Literals::StringLiterals;
using Model = RunTableModel;

namespace {
constexpr int kLeftShare = 574;
constexpr int kRightShare = 646;
constexpr std::size_t kShownDifferences = 4;
constexpr int kRemarkLines = 4;              // more are scrolled to
constexpr std::size_t kComparedAtOnce = 100; // selected runs, so that the window answers at once

bool shownAtFirst(int column)
{
    switch (column) {
    case Model::NameColumn:
    case Model::StarColumn:
    case Model::PerplexityColumn:
    case Model::KlColumn:
    case Model::BitsPerWeightColumn:
    case Model::TagsColumn:
    case Model::RemarksColumn:
        return true;
    default:
        return false;
    }
}

QString filterHelp()
{
    QString help = ComparePage::tr("Words, and what is known of a run: bits:3 method:lqer,qera "
                                   "ppl<40 -tag:old\n");
    for (const RunQueryKey& key : runQueryKeys()) {
        help += u"\n%1  %2"_s.arg(QString::fromStdString(key.name),
                                  QString::fromStdString(key.meaning));
    }
    return help;
}
} // namespace

ComparePage::ComparePage(AppState& state, Dialogs& dialogs, QWidget* parent)
    : QWidget(parent), m_state(state), m_dialogs(dialogs), m_runs(state),
      m_model(new RunTableModel(this)), m_proxy(new RunTableProxy(this)),
      m_filter(new FilterEdit(u"runFilter"_s)), m_count(new QLabel), m_table(new QTableView),
      m_differences(new ElidedLabel), m_remarks(new QPlainTextEdit)
{
    setObjectName(u"comparePage"_s);
    m_proxy->setSourceModel(m_model);
    makeTable();
    makeActions();
    m_plots = new ComparePlots(state, m_runs, dialogs);
    m_splitter = new QSplitter(Qt::Horizontal);
    m_splitter->setObjectName(u"compareSplitter"_s);
    m_splitter->setChildrenCollapsible(false);
    m_splitter->setHandleWidth(theme::kTight);
    m_splitter->addWidget(makeLeft());
    m_splitter->addWidget(m_plots);
    m_splitter->setSizes({kLeftShare, kRightShare});
    m_splitter->setStretchFactor(1, 1);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(theme::kTight, theme::kTight, theme::kGap, theme::kTight);
    layout->addWidget(m_splitter);
    connect(m_plots, &ComparePlots::runPicked, this, &ComparePage::pickRun);
    connect(m_model, &Model::tickedChanged, this, [this] {
        m_known = finishedRuns();
        updateDrawn();
    });
    connect(m_model, &Model::tagsEdited, this, [this](const QString& id, const QStringList& tags) {
        run_edits::setTags(m_state, id, tags);
    });
    connect(m_model, &Model::notesEdited, this, [this](const QString& id, const QString& notes) {
        run_edits::setNotes(m_state, id, notes);
    });
    connect(&m_state, &AppState::runsChanged, this, &ComparePage::readRuns);
    connect(&m_state, &AppState::runInViewChanged, this, &ComparePage::updateDrawn);
    connect(&m_state, &AppState::modelChanged, this, &ComparePage::updateDrawn);
    readRuns();
}

ComparePage::~ComparePage() = default;

void ComparePage::makeTable()
{
    m_table->setObjectName(u"runTable"_s);
    m_table->setAccessibleName(tr("Stored runs"));
    m_table->setModel(m_proxy);
    m_table->setSortingEnabled(true);
    m_table->sortByColumn(Model::StartedColumn, Qt::DescendingOrder);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::ExtendedSelection);
    const bool writable = m_state.store().writable();
    m_table->setEditTriggers(writable ? QAbstractItemView::DoubleClicked |
                                            QAbstractItemView::EditKeyPressed
                                      : QAbstractItemView::NoEditTriggers);
    m_table->setTextElideMode(Qt::ElideMiddle);
    m_table->setWordWrap(false);
    m_table->setShowGrid(false);
    m_table->setHorizontalScrollMode(QAbstractItemView::ScrollPerPixel);
    m_table->setTabKeyNavigation(false); // Tab leaves the table
    m_table->setFrameShape(QFrame::NoFrame);
    m_table->setIconSize(QSize(theme::kSmallIcon, theme::kSmallIcon));
    m_table->setContextMenuPolicy(Qt::ActionsContextMenu);
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setDefaultSectionSize(fontMetrics().height() + theme::kGap);
    QHeaderView* header = m_table->horizontalHeader();
    header->setSectionsMovable(true);
    header->setStretchLastSection(true);
    header->setHighlightSections(false);
    header->setContextMenuPolicy(Qt::CustomContextMenu);
    connect(header, &QHeaderView::customContextMenuRequested, this, &ComparePage::showColumnMenu);
    for (int column = 0; column < Model::ColumnCount; ++column) {
        m_table->setColumnHidden(column, !shownAtFirst(column));
        m_table->setColumnWidth(column, header->fontMetrics().horizontalAdvance(u"0.0000 0"_s) +
                                            theme::kMargin);
    }
    const int letter = header->fontMetrics().averageCharWidth();
    m_table->setColumnWidth(Model::NameColumn, 34 * letter);
    for (const int column : {Model::StarColumn, Model::RemarksColumn}) {
        m_table->setColumnWidth(column, theme::kSmallIcon + theme::kSection);
    }
    header->moveSection(Model::RemarksColumn, Model::StarColumn + 1);
    m_table->setColumnWidth(Model::PerplexityColumn, 17 * letter);
    for (const int column : {Model::StartedColumn, Model::ModelColumn, Model::TextColumn,
                             Model::IdColumn, Model::NotesColumn}) {
        m_table->setColumnWidth(column, 20 * letter);
    }
    connect(m_table, &QTableView::clicked, this, [this, writable](const QModelIndex& index) {
        if (writable && index.column() == Model::StarColumn) {
            const QString id = index.data(Model::IdRole).toString();
            run_edits::setStarred(m_state, {id}, !find(id)->starred);
        }
    });
    connect(m_table, &QTableView::doubleClicked, this, [this, writable](const QModelIndex& index) {
        const bool edited = writable && (index.flags() & Qt::ItemIsEditable) != 0;
        if (!edited && index.column() != Model::StarColumn) {
            showRun();
        }
    });
    connect(m_table->selectionModel(), &QItemSelectionModel::selectionChanged, this,
            &ComparePage::selectionChanged);
}

QWidget* ComparePage::makeLeft()
{
    QLineEdit* filter = m_filter->line();
    filter->setAccessibleName(tr("Filter runs"));
    filter->setPlaceholderText(tr("Filter, for instance bits:3 method:lqer ppl<40"));
    filter->setToolTip(filterHelp());
    connect(m_filter, &FilterEdit::textChanged, this, &ComparePage::applyFilter);
    m_count->setObjectName(u"runCountLabel"_s);
    m_count->setForegroundRole(QPalette::PlaceholderText);
    m_count->setTextFormat(Qt::PlainText);
    m_differences->setObjectName(u"runDifferencesLabel"_s);
    m_differences->setContentsMargins(theme::kTight, 0, theme::kTight, 0);
    m_remarks->setObjectName(u"runRemarksText"_s);
    m_remarks->setAccessibleName(tr("Remarks on the run selected"));
    m_remarks->setReadOnly(true);
    m_remarks->setTabChangesFocus(true);
    m_remarks->setMaximumHeight(kRemarkLines * fontMetrics().lineSpacing() + theme::kMargin);
    auto* left = new QWidget;
    left->setMinimumWidth(260);
    auto* layout = new QVBoxLayout(left);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(theme::kTight);
    layout->addWidget(m_filter);
    layout->addWidget(makeButtons());
    layout->addWidget(makeNews());
    layout->addWidget(m_table, 1);
    layout->addWidget(m_differences);
    layout->addWidget(m_remarks);
    return left;
}

QWidget* ComparePage::makeNews()
{
    m_news = new QWidget;
    m_newsText = new QLabel;
    m_newsText->setObjectName(u"newRunsLabel"_s);
    m_newsText->setTextFormat(Qt::PlainText);
    auto* all = new QToolButton;
    all->setObjectName(u"showAllRunsButton"_s);
    all->setText(tr("Show all"));
    all->setToolTip(tr("Clears the ticks and the filter"));
    all->setFocusPolicy(Qt::TabFocus);
    connect(all, &QToolButton::clicked, this, &ComparePage::showAllRuns);
    auto* line = new QHBoxLayout(m_news);
    line->setContentsMargins(theme::kTight, 0, 0, 0);
    line->setSpacing(theme::kGap);
    line->addWidget(m_newsText);
    line->addWidget(all);
    line->addStretch(1);
    m_news->hide();
    return m_news;
}

void ComparePage::readRuns()
{
    m_model->setRuns(m_state.runs());
    if (!std::exchange(m_read, m_state.runsLoaded())) {
        m_known = finishedRuns();
    }
    selectKept();
    updateDrawn();
    selectionChanged();
}

void ComparePage::applyFilter()
{
    m_filter->applyTo([this](const QString& text) { // the last good filter stays
        m_proxy->setQuery(RunQuery::parse(text.toStdString()));
    });
    m_known = finishedRuns();
    updateDrawn();
}

void ComparePage::updateDrawn()
{
    std::vector<RunResult> drawn;
    for (const QString& id : m_model->ticked()) {
        if (const RunSummary* run = find(id)) {
            drawn.push_back(run->result);
        }
    }
    if (drawn.empty()) { // all that are shown and done, those of the open model first
        for (int row = 0; row < m_model->rowCount(); ++row) {
            const RunSummary& run = m_model->runs()[static_cast<std::size_t>(row)];
            if (run.result.status == "finished" &&
                m_proxy->mapFromSource(m_model->index(row, 0)).isValid()) {
                drawn.push_back(run.result);
            }
        }
        const std::string view = m_state.runInView() ? m_state.runInView()->id : std::string();
        const std::string model = m_state.modelName().toStdString();
        std::stable_sort(drawn.begin(), drawn.end(), [&](const auto& a, const auto& b) {
            return std::pair(a.id != view, a.spec.model != model) <
                   std::pair(b.id != view, b.spec.model != model);
        });
    }
    m_model->setReference(drawn.empty() ? QString() : QString::fromStdString(drawn.front().id));
    m_runs.setRuns(drawn);
    showCount();
    updateActions();
}

void ComparePage::showCount()
{
    const int shown = m_proxy->rowCount();
    const int all = m_model->rowCount();
    QStringList parts = {shown == all ? (all == 1 ? tr("1 run") : tr("%1 runs").arg(all))
                                      : tr("%1 of %2 runs").arg(shown).arg(all)};
    const auto ticked = std::count_if(m_model->ticked().begin(), m_model->ticked().end(),
                                      [this](const QString& id) { return find(id) != nullptr; });
    const auto& compared = m_runs.runs();
    const auto drawn = std::count_if(compared.begin(), compared.end(), [this](const auto& run) {
        const int row = m_model->rowOf(QString::fromStdString(run.id));
        return run.status == "finished" && row >= 0 && m_model->reason(row).isEmpty();
    });
    if (ticked > 0) {
        parts << tr("%1 ticked").arg(ticked);
    }
    if (const auto meant = ticked > 0 ? ticked : shown; meant > 0) {
        parts << (drawn == meant ? tr("all drawn") : tr("%1 drawn").arg(drawn));
    }
    m_count->setText(!m_state.runsLoaded() ? tr("reading the store\u2026")
                     : all == 0            ? tr("no runs yet")
                                           : parts.join(tr(", ", "between parts of a list")));
    showNews();
}

std::set<std::string> ComparePage::finishedRuns() const
{
    std::set<std::string> ids;
    for (const RunSummary& run : m_model->runs()) {
        if (run.result.status == "finished") {
            ids.insert(run.result.id);
        }
    }
    return ids;
}

void ComparePage::showNews()
{
    const bool ticked = std::any_of(m_model->ticked().begin(), m_model->ticked().end(),
                                    [this](const QString& id) { return find(id) != nullptr; });
    int hidden = 0;
    for (const std::string& id : finishedRuns()) {
        if (m_known.count(id) > 0) {
            continue;
        }
        const QString text = QString::fromStdString(id);
        const QModelIndex row = m_model->index(m_model->rowOf(text), 0);
        const bool drawn =
            ticked ? m_model->ticked().contains(text) : m_proxy->mapFromSource(row).isValid();
        hidden += drawn ? 0 : 1;
    }
    const QString why = ticked ? tr("not ticked") : tr("hidden by the filter");
    m_newsText->setText((hidden == 1 ? tr("1 new run is not drawn: %1")
                                     : tr("%1 new runs are not drawn: %2").arg(hidden))
                            .arg(why));
    m_news->setVisible(hidden > 0);
}

void ComparePage::showAllRuns()
{
    m_filter->line()->clear();
    m_model->setTicked({});
}

const RunSummary* ComparePage::find(const QString& id) const
{
    const int row = m_model->rowOf(id);
    return row < 0 ? nullptr : &m_model->runs()[static_cast<std::size_t>(row)];
}

QStringList ComparePage::selectedIds() const
{
    QStringList ids;
    const QModelIndexList rows = m_table->selectionModel()->selectedRows();
    for (const QModelIndex& row : rows) {
        ids << row.data(Model::IdRole).toString();
    }
    return ids;
}

QStringList ComparePage::chosenRuns() const
{
    QStringList ids = selectedIds();
    for (const QString& id : m_model->ticked()) {
        if (m_table->selectionModel()->selectedRows().isEmpty() && find(id) != nullptr) {
            ids << id;
        }
    }
    return ids;
}

void ComparePage::selectionChanged()
{
    std::vector<RunResult> selected;
    for (const QString& id : selectedIds()) {
        if (const RunSummary* run = find(id)) {
            selected.push_back(run->result);
        }
    }
    m_runs.setSelected(selected);
    showDifferences();
    showRemarks();
    updateActions();
}

void ComparePage::showDifferences()
{
    std::vector<RunResult> runs = m_runs.selected();
    if (runs.size() < 2) {
        m_differences->setFullText({});
        return;
    }
    const bool tooMany = runs.size() > kComparedAtOnce;
    if (tooMany) {
        runs.resize(kComparedAtOnce);
    }
    const std::vector<SettingRow> rows = differingSettings(runs);
    QStringList parts;
    for (const SettingRow& row : rows) {
        QStringList values;
        for (const std::string& value : row.values) {
            const QString text = settingText(row.key, value);
            if (!values.contains(text)) {
                values << text;
            }
        }
        if (static_cast<std::size_t>(parts.size()) < kShownDifferences) {
            parts << QString::fromStdString(row.key) + u' ' + values.join(u" / "_s);
        }
    }
    if (rows.size() > kShownDifferences) {
        parts << tr("%1 more").arg(rows.size() - kShownDifferences);
    }
    const QString differ =
        tooMany ? tr("The first %1 selected differ in: %2").arg(runs.size()) : tr("Differ in: %1");
    m_differences->setFullText(rows.empty() ? tr("The runs selected have the same settings.")
                                            : differ.arg(parts.join(u"  \u00b7  "_s)));
}

void ComparePage::showRemarks()
{
    const std::vector<RunResult>& runs = m_runs.selected();
    const QString text = runs.size() == 1 ? run_columns::remarks(runs.front()) : QString();
    if (text != m_remarks->toPlainText()) { // else a reader keeps the place
        m_remarks->setPlainText(text);
    }
    m_remarks->setVisible(!text.isEmpty());
}

void ComparePage::pickRun(const QString& id, bool add)
{
    const QModelIndex at = m_proxy->mapFromSource(m_model->index(m_model->rowOf(id), 0));
    if (at.isValid()) {
        using Flag = QItemSelectionModel;
        m_table->selectionModel()->setCurrentIndex(at, (add ? Flag::Toggle : Flag::ClearAndSelect) |
                                                           Flag::Rows);
        m_table->scrollTo(at);
    }
}

void ComparePage::setPausedRuns(const QStringList& ids)
{
    m_model->setPaused(ids);
    showCount(); // a filter may ask for them
}

void ComparePage::focusFilter()
{
    m_filter->focus();
}

void ComparePage::saveSession()
{
    m_state.settings().set(Settings::Key::RunColumns, m_table->horizontalHeader()->saveState());
    m_state.settings().set(Settings::Key::CompareSplitter, m_splitter->saveState());
    m_state.settings().set(Settings::Key::CompareViews, m_plots->session());
    m_state.settings().set(Settings::Key::RunFilter, m_filter->line()->text());
    m_state.settings().set(Settings::Key::TickedRuns, m_model->ticked());
    m_state.settings().set(Settings::Key::SelectedRuns, selectedIds() + m_kept);
}

void ComparePage::restoreSession()
{
    m_table->horizontalHeader()->restoreState(m_state.settings().bytes(Settings::Key::RunColumns));
    m_splitter->restoreState(m_state.settings().bytes(Settings::Key::CompareSplitter));
    const bool grouped = m_state.settings().flag(Settings::Key::GroupRuns);
    findChild<QAction*>(u"groupRunsAction"_s)->setChecked(grouped); // its column is there already
    m_proxy->setGrouped(grouped);
    m_plots->restoreSession(m_state.settings().value(Settings::Key::CompareViews).toMap());
    m_filter->line()->setText(m_state.settings().text(Settings::Key::RunFilter));
    m_model->setTicked(m_state.settings().list(Settings::Key::TickedRuns));
    m_kept = m_state.settings().list(Settings::Key::SelectedRuns);
    selectKept();
}

void ComparePage::selectKept()
{
    if (m_kept.isEmpty() || !m_state.runsLoaded()) {
        return;
    }
    for (const QString& id : std::exchange(m_kept, {})) {
        const int row = m_model->rowOf(id); // -1: deleted since, or of another store
        m_table->selectionModel()->select(m_proxy->mapFromSource(m_model->index(row, 0)),
                                          QItemSelectionModel::Select | QItemSelectionModel::Rows);
    }
}

} // namespace qw
