#include "app/gui/export_dialog.h"

#include <algorithm>

#include <QComboBox>
#include <QDir>
#include <QFileInfo>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QProgressBar>
#include <QPushButton>
#include <QTextBrowser>

#include "app/gui/app_state.h"
#include "app/gui/dialogs.h"
#include "app/gui/export_text.h"
#include "app/gui/settings.h"
#include "base/files.h"
#include "widgets/number_text.h"
#include "widgets/theme.h"

/// What the export dialog does.
namespace qw {

using namespace Qt::Literals::StringLiterals;
using Key = Settings::Key;

ExportOptions ExportDialog::options() const
{
    ExportOptions options;
    options.dtype = m_type->currentData().toString().toStdString();
    options.gptqVersion = m_gptq->currentData().toLongLong();
    if (m_lora != nullptr) {
        options.lora = m_lora->currentData().toString().toStdString();
        options.base = m_base->text().trimmed().toStdString();
    }
    return options;
}

const ExportPlan* ExportDialog::chosen() const
{
    const int row = m_targets->currentRow();
    return row < 0 || row >= static_cast<int>(m_plans.size())
               ? nullptr
               : &m_plans[static_cast<std::size_t>(row)];
}

void ExportDialog::plan()
{
    if (m_export == nullptr) {
        return; // still being made
    }
    m_plans.clear();
    m_verdict->clear();
    m_details->setPlainText(tr("reading the run\u2026"));
    check();
    m_planner.ask(
        [id = m_run.id, file = m_state.storeFile(), options = options()](const RunContext& run) {
            return engine_calls::planExports(id, file, options, run);
        },
        [this](std::vector<ExportPlan> plans) { showPlans(std::move(plans)); });
}

void ExportDialog::showPlans(std::vector<ExportPlan> plans)
{
    m_plans = std::move(plans);
    const int before = m_targets->currentRow();
    {
        const QSignalBlocker quiet(m_targets);
        m_targets->clear();
        for (const ExportPlan& plan : m_plans) {
            auto* item = new QListWidgetItem(QString::fromStdString(plan.title) + u'\n' +
                                             export_text::headline(plan));
            if (!plan.possible) { // can still be looked at, to see why
                item->setForeground(theme::quietText(palette()));
                item->setToolTip(QString::fromStdString(plan.refusal));
            }
            m_targets->addItem(item);
        }
        const auto first = std::find_if(m_plans.begin(), m_plans.end(),
                                        [](const ExportPlan& plan) { return plan.possible; });
        m_targets->setCurrentRow(before >= 0 ? before : static_cast<int>(first - m_plans.begin()));
    }
    showTarget();
}

void ExportDialog::showTarget()
{
    const ExportPlan* plan = chosen();
    m_nearest->setVisible(plan != nullptr && !plan->possible);
    m_gptq->setEnabled(plan != nullptr && plan->target == "gptq");
    if (m_base != nullptr) {
        m_base->setEnabled(plan != nullptr && plan->target == "peft");
    }
    m_verdict->clear();
    m_open->hide();
    if (plan != nullptr) {
        m_details->setHtml(export_text::details(*plan));
        m_nearest->setText(tr("Choose %1").arg(QString::fromStdString(plan->nearest)));
        suggestPlace();
    }
    check();
}

void ExportDialog::chooseTarget(const std::string& target)
{
    const auto found = std::find_if(m_plans.begin(), m_plans.end(),
                                    [&](const ExportPlan& plan) { return plan.target == target; });
    if (found != m_plans.end()) {
        m_targets->setCurrentRow(static_cast<int>(found - m_plans.begin()));
    }
}

void ExportDialog::suggestPlace()
{
    if (m_ownPlace) {
        return;
    }
    const QDir folder(m_state.settings().text(Key::ExportFolder).isEmpty()
                          ? QDir::homePath()
                          : m_state.settings().text(Key::ExportFolder));
    const QString name = export_text::folderName(m_run.spec, chosen()->target);
    QString place = folder.absoluteFilePath(name);
    for (int number = 2; QFileInfo::exists(place); ++number) {
        place = folder.absoluteFilePath(u"%1-%2"_s.arg(name).arg(number));
    }
    m_place->setText(place);
}

void ExportDialog::browse()
{
    const QString folder = m_dialogs.askFolder(this, tr("Export into This Folder"),
                                               QFileInfo(m_place->text()).absolutePath());
    if (!folder.isEmpty()) {
        m_state.settings().set(Key::ExportFolder, folder);
        m_ownPlace = false;
        if (chosen() != nullptr) {
            suggestPlace();
        }
    }
}

bool ExportDialog::writesFile() const
{
    return chosen() != nullptr && chosen()->target == "gguf" &&
           m_place->text().trimmed().endsWith(u".gguf"_s);
}

void ExportDialog::check()
{
    m_problem->clear();
    m_space->clear();
    m_placeLabel->setText(writesFile() ? tr("&File") : tr("&Folder"));
    m_place->setAccessibleName(writesFile() ? tr("File to write") : tr("Folder to write"));
    const ExportPlan* plan = chosen();
    const QFileInfo place(m_place->text().trimmed());
    bool ready = plan != nullptr && plan->possible && !m_place->text().trimmed().isEmpty();
    if (ready) {
        const std::int64_t free = freeBytes(place.absolutePath().toStdString());
        m_space->setText(tr("Takes %1; %2 are free there.")
                             .arg(text::megabytes(plan->bytes), text::megabytes(free)));
        QString problem;
        if (!place.isAbsolute()) {
            problem = writesFile() ? tr("Give the file with its full path.")
                                   : tr("Give the folder with its full path.");
        } else if (place.exists()) {
            problem = tr("%1 is there already; exports replace nothing.").arg(place.fileName());
        } else if (!QFileInfo(place.absolutePath()).isDir()) {
            problem = tr("There is no folder %1 to export into.").arg(place.absolutePath());
        } else if (free < plan->bytes) {
            problem = tr("There is not enough space.");
        }
        m_problem->setText(problem);
        ready = problem.isEmpty();
    }
    m_export->setEnabled(ready);
}

void ExportDialog::start()
{
    const ExportPlan* plan = chosen();
    if (plan == nullptr || !m_export->isEnabled()) {
        return;
    }
    ExportOptions options = this->options();
    options.target = plan->target;
    options.out = m_place->text().trimmed().toStdString();
    m_verdict->clear();
    m_problem->clear();
    setWriting(true);
    m_writer.ask(
        [id = m_run.id, file = m_state.storeFile(), options](const RunContext& run) {
            return engine_calls::exportModel(id, file, options, run);
        },
        [this](const ExportReport& report) { finish(report); });
}

void ExportDialog::finish(const ExportReport& report)
{
    m_written = m_place->text().trimmed();
    m_state.settings().set(Key::ExportFolder, QFileInfo(m_written).absolutePath());
    setWriting(false);
    m_problem->clear(); // the folder is there now, which is as it should be
    m_space->setText(
        tr("Written: %1 files, %2.").arg(report.files.size()).arg(text::megabytes(report.bytes)));
    m_verdict->setText(QString::fromStdString(report.verdict));
    m_open->show();
    m_ownPlace = false;
    m_state.storeChanged();
}

void ExportDialog::setWriting(bool writing)
{
    for (QWidget* widget : {static_cast<QWidget*>(m_targets), static_cast<QWidget*>(m_type),
                            static_cast<QWidget*>(m_place), static_cast<QWidget*>(m_browse)}) {
        widget->setEnabled(!writing);
    }
    const ExportPlan* plan = chosen();
    m_gptq->setEnabled(!writing && plan != nullptr && plan->target == "gptq");
    if (m_lora != nullptr) {
        m_lora->setEnabled(!writing);
        m_base->setEnabled(!writing && plan != nullptr && plan->target == "peft");
    }
    m_bar->setRange(0, 0);
    m_bar->setVisible(writing);
    m_nearest->setVisible(!writing && plan != nullptr && !plan->possible);
    m_open->hide();
    m_close->setText(writing ? tr("&Cancel") : tr("&Close"));
    check();
    m_export->setEnabled(m_export->isEnabled() && !writing);
}

void ExportDialog::reject()
{
    if (m_writer.busy()) {
        m_writer.cancel();
        setWriting(false);
        m_problem->setText(tr("Cancelled; nothing is left behind."));
        return;
    }
    QDialog::reject();
}

} // namespace qw
