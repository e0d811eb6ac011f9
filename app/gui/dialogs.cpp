#include "app/gui/dialogs.h"

#include <utility>

#include <QFileDialog>
#include <QInputDialog>
#include <QMessageBox>
#include <QPushButton>
#include <QRegularExpression>

#include "app/gui/log_file.h"
#include "widgets/error_dialog.h"

namespace qw {

Dialogs::Dialogs(QObject* parent) : QObject(parent) {}

QString Dialogs::askFolder(QWidget* parent, const QString& title, const QString& start)
{
    if (m_nextPath) {
        return *std::exchange(m_nextPath, std::nullopt);
    }
    return QFileDialog::getExistingDirectory(parent, title, start);
}

QString Dialogs::askOpenFile(QWidget* parent, const QString& title, const QString& filter)
{
    if (m_nextPath) {
        return *std::exchange(m_nextPath, std::nullopt);
    }
    return QFileDialog::getOpenFileName(parent, title, {}, filter);
}

QString Dialogs::askSaveFile(QWidget* parent, const QString& title, const QString& name,
                             const QString& filter)
{
    if (m_nextPath) {
        return *std::exchange(m_nextPath, std::nullopt);
    }
    QFileDialog dialog(parent, title, {}, filter);
    dialog.setAcceptMode(QFileDialog::AcceptSave);
    dialog.selectFile(name);
    const auto follow = [&dialog](const QString& chosen) { // "Document (*.pdf)": pdf
        static const QRegularExpression kFirst(QStringLiteral("\\*\\.(\\w+)"));
        dialog.setDefaultSuffix(kFirst.match(chosen).captured(1));
    };
    follow(filter);
    connect(&dialog, &QFileDialog::filterSelected, &dialog, follow);
    return dialog.exec() == QDialog::Accepted ? dialog.selectedFiles().value(0) : QString();
}

QString Dialogs::askAnyFile(QWidget* parent, const QString& title, const QString& filter)
{
    if (m_nextPath) {
        return *std::exchange(m_nextPath, std::nullopt);
    }
    QFileDialog dialog(parent, title, {}, filter);
    dialog.setAcceptMode(QFileDialog::AcceptSave);
    dialog.setOption(QFileDialog::DontConfirmOverwrite); // nothing is
    dialog.setLabelText(QFileDialog::Accept, tr("&Open"));
    return dialog.exec() == QDialog::Accepted ? dialog.selectedFiles().value(0) : QString();
}

QString Dialogs::askText(QWidget* parent, const QString& title, const QString& label,
                         const QString& text)
{
    if (m_nextText) {
        return *std::exchange(m_nextText, std::nullopt);
    }
    bool accepted = false;
    const QString answer =
        QInputDialog::getText(parent, title, label, QLineEdit::Normal, text, &accepted);
    return accepted ? answer : QString();
}

std::optional<QString> Dialogs::askLongText(QWidget* parent, const QString& title,
                                            const QString& label, const QString& text)
{
    if (m_nextText) {
        return std::exchange(m_nextText, std::nullopt);
    }
    bool accepted = false;
    const QString answer = QInputDialog::getMultiLineText(parent, title, label, text, &accepted);
    return accepted ? std::optional(answer) : std::nullopt;
}

int Dialogs::askChoice(QWidget* parent, const QString& title, const QString& sentence,
                       const QStringList& choices)
{
    if (m_nextChoice) {
        return *std::exchange(m_nextChoice, std::nullopt);
    }
    QMessageBox box(QMessageBox::Question, title, sentence, QMessageBox::NoButton, parent);
    QList<QAbstractButton*> buttons;
    for (const QString& choice : choices) {
        buttons.append(box.addButton(choice, QMessageBox::AcceptRole));
    }
    QPushButton* cancel = box.addButton(QMessageBox::Cancel);
    box.setEscapeButton(cancel);
    box.exec();
    return static_cast<int>(buttons.indexOf(box.clickedButton()));
}

void Dialogs::showProblem(QWidget* parent, const QString& title, const QString& sentence,
                          const QString& details)
{
    qWarning("%s", qUtf8Printable(details.isEmpty() ? sentence : sentence + u'\n' + details));
    auto* dialog = new ErrorDialog(title, sentence, details, logFile(), parent);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->open();
    Q_EMIT problemShown(sentence);
}

} // namespace qw
