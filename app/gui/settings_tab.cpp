#include "app/gui/settings_tab.h"

#include <algorithm>

#include <QHeaderView>
#include <QLabel>
#include <QStandardItemModel>
#include <QTableView>
#include <QVBoxLayout>

#include "app/gui/app_state.h"
#include "app/gui/compared_runs.h"
#include "app/gui/spec_fields.h"
#include "report/run_groups.h"
#include "report/run_tables.h"
#include "widgets/method_icon.h"
#include "widgets/table_text.h"
#include "widgets/theme.h"

namespace qw {

using namespace Qt::Literals::StringLiterals;

namespace {
constexpr std::size_t kMostColumns = 12; // more cannot be read side by side

std::vector<RunResult> shownRuns(const ComparedRuns& runs)
{
    std::vector<RunResult> found = runs.selected().size() > 1 ? runs.selected() : runs.runs();
    found.resize(std::min(found.size(), kMostColumns));
    return found;
}
} // namespace

SettingsTab::SettingsTab(AppState& state, ComparedRuns& runs, QWidget* parent)
    : QWidget(parent), m_state(state), m_runs(runs), m_note(new QLabel),
      m_model(new QStandardItemModel(this)), m_table(new QTableView)
{
    setAutoFillBackground(true);
    setBackgroundRole(QPalette::Base);
    m_note->setObjectName(u"settingsNoteLabel"_s);
    m_note->setForegroundRole(QPalette::PlaceholderText);
    m_note->setTextFormat(Qt::PlainText);
    m_note->setContentsMargins(theme::kGap, theme::kGap, theme::kGap, theme::kTight);
    m_table->setObjectName(u"settingsTable"_s);
    m_table->setAccessibleName(tr("Settings that differ"));
    m_table->setModel(m_model);
    m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setTextElideMode(Qt::ElideMiddle);
    m_table->setShowGrid(false);
    m_table->setFrameShape(QFrame::NoFrame);
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setDefaultSectionSize(fontMetrics().height() + theme::kGap);
    m_table->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    enableCopy(*m_table);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_note);
    layout->addWidget(m_table, 1);
    connect(&m_state, &AppState::factsKnown, this, [this] {
        if (isVisible()) {
            refresh(); // by their labels now
        }
    });
}

void SettingsTab::refresh()
{
    const std::vector<RunResult> runs = shownRuns(m_runs);
    const std::vector<SettingRow> rows = differingSettings(runs);
    const std::vector<std::string> names = distinctNames(runs);
    if (m_labels.empty() && m_state.facts()) {
        m_labels = settingLabels(m_state.facts()->methods);
        m_labels.emplace("provenance.factor_rank", tr("Rank of the stored factors").toStdString());
    }
    m_model->clear();
    m_model->setColumnCount(static_cast<int>(runs.size()) + 1);
    m_model->setHeaderData(0, Qt::Horizontal, tr("setting"));
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const int column = static_cast<int>(i) + 1;
        m_model->setHeaderData(column, Qt::Horizontal, QString::fromStdString(names[i]));
        m_model->setHeaderData(column, Qt::Horizontal, methodIcon(runs[i].spec.method),
                               Qt::DecorationRole);
        m_model->setHeaderData(column, Qt::Horizontal,
                               QString::fromStdString(names[i] + "\n" + runs[i].id),
                               Qt::ToolTipRole);
    }
    for (const SettingRow& row : rows) {
        const auto label = m_labels.find(row.key);
        const std::string& shown = label == m_labels.end() ? row.key : label->second;
        QList<QStandardItem*> items = {new QStandardItem(QString::fromStdString(shown))};
        items.back()->setToolTip(QString::fromStdString(row.key));
        for (const std::string& value : row.values) {
            const QString text = settingText(row.key, value);
            items << new QStandardItem(text);
            items.back()->setToolTip(text);
        }
        m_model->appendRow(items);
    }
    m_table->resizeColumnsToContents();
    m_note->setText(
        runs.size() < 2 ? tr("Select two runs or more to see where their settings differ.")
        : rows.empty()  ? tr("These %1 runs have the same settings.").arg(runs.size())
        : m_runs.selected().size() > 1 ? tr("Where the %1 runs selected differ").arg(runs.size())
        : runs.size() < m_runs.runs().size()
            ? tr("Where the first %1 of %2 runs differ; select some to compare them")
                  .arg(runs.size())
                  .arg(m_runs.runs().size())
            : tr("Where the %1 runs drawn differ").arg(runs.size()));
}

} // namespace qw
