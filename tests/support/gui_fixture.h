#pragma once

#include <QDir>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTest>
#include <QWidget>

#include "app/gui/dialogs.h"
#include "app/gui/main_window.h"
#include "app/gui/settings.h"

namespace qw::test {

/// Generous: the machine may be busy with something else.
constexpr int kPatience = 60000; // milliseconds

/// A window on settings, store and data of its own; the user's are never touched.
class GuiFixture
{
public:
    explicit GuiFixture(RunJob::Work work = RunJob::engineWork()) : m_work(std::move(work))
    {
        qputenv("XDG_DATA_HOME", folder.filePath(QStringLiteral("data")).toUtf8());
        reopen();
    }
    ~GuiFixture() { window.reset(); }

    /// As after a restart of the program: same settings, same store.
    void reopen()
    {
        window.reset();
        settings = std::make_unique<Settings>(folder.filePath(QStringLiteral("settings.ini")));
        settings->set(Settings::Key::Theme, QStringLiteral("light"));
        settings->set(Settings::Key::Threads, 1);
        window = std::make_unique<MainWindow>(*settings, dialogs, storeFile(), m_work);
        window->resize(1280, 800);
        window->show();
    }
    QString storeFile() const { return folder.filePath(QStringLiteral("runs.sqlite")); }

    /// The widget of that name in the window. @throws if there is none, so that tests fail cleanly
    template <class T>
    T* find(const char* name) const
    {
        T* found = window->findChild<T*>(QString::fromLatin1(name));
        if (found == nullptr) {
            throw std::runtime_error(std::string("no widget named ") + name);
        }
        return found;
    }
    void trigger(const char* action) const { find<QAction>(action)->trigger(); }
    void openDemo() const
    {
        window->openPath(QStringLiteral("demo"));
        if (!QTest::qWaitFor(
                [this] { return window->state().modelState() == AppState::ModelState::Ready; },
                kPatience)) {
            throw std::runtime_error("the bundled model did not open");
        }
    }

    QTemporaryDir folder;
    std::unique_ptr<Settings> settings;
    Dialogs dialogs;
    std::unique_ptr<MainWindow> window;

private:
    RunJob::Work m_work;
};

/// Saves a picture for a person to look at, if $QW_SCREENSHOTS names a folder.
inline void shoot(QWidget& widget, const QString& name)
{
    const QString target = qEnvironmentVariable("QW_SCREENSHOTS");
    if (!target.isEmpty()) {
        QCoreApplication::processEvents();
        QDir().mkpath(target);
        widget.grab().save(QStringLiteral("%1/%2.png").arg(target, name));
    }
}

} // namespace qw::test
