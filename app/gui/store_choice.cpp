#include "app/gui/store_choice.h"

#include <QCoreApplication>

#include "app/gui/dialogs.h"
#include "app/gui/settings.h"
#include "base/error.h"
#include "store/run_store.h"

namespace qw {

namespace {
struct Text {
    Q_DECLARE_TR_FUNCTIONS(StoreChoice)
};

/// Why the store cannot be opened, or nothing.
QString problemOf(const QString& file)
{
    try {
        const RunStore opened(file.toStdString());
        return {};
    } catch (const Error& error) {
        return QString::fromUtf8(error.what());
    }
}

/// What is to be used instead; nothing if the user gives up.
std::optional<QString> another(Dialogs& dialogs, const QString& problem, bool mayBeDefault)
{
    enum Choice { kChoose, kDefault };
    QStringList choices = {Text::tr("Choose Another Store\u2026")};
    if (mayBeDefault) {
        choices << Text::tr("Use the Default Store");
    }
    const QString title = Text::tr("The Store of Runs Cannot Be Opened");
    for (;;) {
        const int choice = dialogs.askChoice(
            nullptr, title, Text::tr("%1\nUse another one? Nothing is deleted.").arg(problem),
            choices);
        if (choice == kDefault) {
            return QString::fromStdString(RunStore::defaultFile().string());
        }
        if (choice != kChoose) {
            return std::nullopt;
        }
        const QString file =
            dialogs.askAnyFile(nullptr, Text::tr("Choose a Store of Runs"),
                               Text::tr("Stores of runs (*.sqlite);;All files (*)"));
        if (!file.isEmpty()) {
            return file;
        }
    }
}
} // namespace

std::optional<QString> usableStore(Settings& settings, Dialogs& dialogs, const QString& wanted)
{
    const QString usual = QString::fromStdString(RunStore::defaultFile().string());
    const QString own = settings.text(Settings::Key::StoreFile);
    QString file = !wanted.isEmpty() ? wanted : own.isEmpty() ? usual : own;
    bool changed = false;
    for (QString problem = problemOf(file); !problem.isEmpty(); problem = problemOf(file)) {
        qCritical("%s", qPrintable(problem));
        const std::optional<QString> other = another(dialogs, problem, file != usual);
        if (!other) {
            return std::nullopt;
        }
        file = *other;
        changed = true;
    }
    if (!wanted.isEmpty()) {
        return file;
    }
    if (changed) {
        settings.set(Settings::Key::StoreFile, file == usual ? QString() : file);
    }
    return QString();
}

} // namespace qw
