#pragma once

#include <vector>

#include <QDialog>

#include "app/gui/background.h"
#include "engine_export.h"
#include "report/run_result.h"

class QComboBox;
class QFormLayout;
class QLabel;
class QLineEdit;
class QListWidget;
class QProgressBar;
class QPushButton;
class QTextBrowser;

namespace qw {

class AppState;
class Dialogs;

/// Writes a stored run for another program: says for each target what would be kept and lost, how
/// large it is and why it may not be possible, before anything is written.
class ExportDialog : public QDialog
{
    Q_OBJECT
public:
    /// @param run  a finished one of the state's store
    ExportDialog(AppState& state, Dialogs& dialogs, RunResult run, QWidget* parent = nullptr);

    /// While it writes, Esc and Cancel stop that and leave the dialog open.
    void reject() override;

private:
    QWidget* makeOptions();
    QComboBox* makeChoice(QFormLayout& form, const QString& name, const QString& label,
                          const std::vector<std::pair<QString, QString>>& choices,
                          const QString& tip);
    QWidget* makeTargets();
    QWidget* makePlace();
    QWidget* makeOutcome();
    QWidget* makeButtons();
    ExportOptions options() const;
    const ExportPlan* chosen() const; ///< of the target selected; null before plans are known
    void plan();
    void showPlans(std::vector<ExportPlan> plans);
    void showTarget();
    void chooseTarget(const std::string& target);
    void suggestPlace();
    bool writesFile() const; ///< GGUF: a name that ends in .gguf is the file, else a folder
    void browse();
    /// Whether all is said that writing needs; shows what is wrong.
    void check();
    void start();
    void finish(const ExportReport& report);
    void setWriting(bool writing);

    AppState& m_state;
    Dialogs& m_dialogs;
    RunResult m_run;
    std::vector<ExportPlan> m_plans;
    bool m_ownPlace = false; ///< the user chose the folder
    QString m_written;       ///< what the last export made
    QComboBox* m_type = nullptr;
    QComboBox* m_gptq = nullptr;
    QComboBox* m_lora = nullptr; ///< null for runs without a correction
    QLineEdit* m_base = nullptr; ///< the same
    QListWidget* m_targets = nullptr;
    QTextBrowser* m_details = nullptr;
    QPushButton* m_nearest = nullptr;
    QLabel* m_placeLabel = nullptr;
    QLineEdit* m_place = nullptr;
    QPushButton* m_browse = nullptr;
    QLabel* m_space = nullptr;
    QLabel* m_problem = nullptr;
    QLabel* m_verdict = nullptr;
    QPushButton* m_open = nullptr;
    QProgressBar* m_bar = nullptr;
    QPushButton* m_export = nullptr;
    QPushButton* m_close = nullptr;
    Background m_planner;
    Background m_writer; // last: stopped and joined before the rest goes
};

} // namespace qw
