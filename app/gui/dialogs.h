#pragma once

#include <optional>

#include <QObject>
#include <QString>
#include <QStringList>

class QWidget;

namespace qw {

/// The window's only way to ask the user something in a native or modal dialog, so that tests can
/// give the answers: each ask... takes the next answer set, if there is one, and shows nothing.
class Dialogs : public QObject
{
    Q_OBJECT
public:
    explicit Dialogs(QObject* parent = nullptr);

    /// Empty if the user changes their mind.
    QString askFolder(QWidget* parent, const QString& title, const QString& start = {});
    QString askOpenFile(QWidget* parent, const QString& title, const QString& filter);
    QString askSaveFile(QWidget* parent, const QString& title, const QString& name,
                        const QString& filter);
    /// One that is there, or a name for a new one.
    QString askAnyFile(QWidget* parent, const QString& title, const QString& filter);
    QString askText(QWidget* parent, const QString& title, const QString& label,
                    const QString& text);
    /// Of several lines. Nothing if the user changes their mind.
    std::optional<QString> askLongText(QWidget* parent, const QString& title, const QString& label,
                                       const QString& text);
    /// @param choices  button texts; @return the index, or -1 for Escape
    int askChoice(QWidget* parent, const QString& title, const QString& sentence,
                  const QStringList& choices);
    /// An error dialog with details and the log file at hand. Never blocks.
    void showProblem(QWidget* parent, const QString& title, const QString& sentence,
                     const QString& details = {});

    void setNextPath(const QString& path) { m_nextPath = path; }
    void setNextText(const QString& text) { m_nextText = text; }
    void setNextChoice(int choice) { m_nextChoice = choice; }

Q_SIGNALS:
    void problemShown(const QString& sentence);

private:
    std::optional<QString> m_nextPath;
    std::optional<QString> m_nextText;
    std::optional<int> m_nextChoice;
};

} // namespace qw
