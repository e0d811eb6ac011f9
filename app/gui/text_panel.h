#pragma once

#include <optional>

#include <QPair>
#include <QWidget>

#include "app/gui/background.h"
#include "text_comparison.h"

class QComboBox;
class QLabel;
class QPlainTextEdit;
class QPushButton;
class QTextEdit;

namespace qw {

class AppState;
class ComparedRuns;
class ElidedLabel;
class TokenText;

/// One text in full precision and as a run deployed it: where probability falls, token by token,
/// and how both go on.
class TextPanel : public QWidget
{
    Q_OBJECT
public:
    TextPanel(AppState& state, ComparedRuns& runs, QWidget* parent = nullptr);
    /// Offers the runs that are drawn or selected and kept their artifact.
    void refresh();

private:
    QWidget* makeInput();
    QWidget* makeResult();
    QTextEdit* makeContinuation(const QString& name, const QString& label);
    void takeLine();
    void compare();
    /// What the run box and the text ask for now.
    QPair<QString, QString> wanted() const;
    void stop(const QString& why);
    /// Greys out a result that is of another run or text than chosen now, and says so.
    void showStale();
    void show(const TextComparison& result, bool complete);
    void showTokens(const TextComparison& result);
    void showContinuations(const TextComparison& result);
    void updateButtons();

    AppState& m_state;
    ComparedRuns& m_runs;
    QComboBox* m_run = nullptr;
    QPlainTextEdit* m_text = nullptr;
    QPushButton* m_line = nullptr;
    QPushButton* m_compare = nullptr;
    QPushButton* m_cancel = nullptr;
    QLabel* m_note = nullptr;
    QLabel* m_stale = nullptr;
    QLabel* m_token = nullptr;
    TokenText* m_tokens = nullptr;
    QTextEdit* m_full = nullptr;
    QTextEdit* m_quantized = nullptr;
    std::vector<std::string> m_lines; ///< of the evaluation text
    std::string m_linesOf;            ///< its name
    std::size_t m_nextLine = 0;
    QPair<QString, QString> m_shown; ///< run and text of the result; empty: none
    QString m_shownName;             ///< that run as the box named it
    Background m_worker;
    Background m_reader;
};

} // namespace qw
