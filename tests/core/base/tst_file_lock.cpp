#include "base/error.h"
#include "base/files.h"

#include <QtTest>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using qw::FileLock;

class TstFileLock : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void init()
    {
        m_folder = std::make_unique<QTemporaryDir>();
        m_file = m_folder->filePath(QStringLiteral("lock")).toStdString();
    }
    void heldUntilDestroyed();
    void heldByAnotherProcess();
    void whoAsksIsNotInTheWay();

private:
    std::unique_ptr<QTemporaryDir> m_folder;
    std::filesystem::path m_file;
};

void TstFileLock::heldUntilDestroyed()
{
    QVERIFY(!FileLock::held(m_file)); // not there
    {
        const FileLock lock(m_file);
        QVERIFY(FileLock::held(m_file));
        try {
            const FileLock second(m_file);
            QFAIL("was not refused");
        } catch (const qw::Error& refusal) {
            QCOMPARE(refusal.code(), qw::ErrorCode::BadInput);
            QCOMPARE(std::string(refusal.what()),
                     m_folder->path().toStdString() + ": another process is at work on it");
        }
        QVERIFY(FileLock::held(m_file)); // whoever was refused took nothing away
    }
    QVERIFY(!FileLock::held(m_file));
    const FileLock again(m_file);
}

void TstFileLock::heldByAnotherProcess()
{
    int ready[2];
    QCOMPARE(::pipe(ready), 0);
    const pid_t child = ::fork();
    if (child == 0) { // holds it until it is killed, and never gets out of here
        try {
            const FileLock lock(m_file);
            const bool told = ::write(ready[1], "x", 1) == 1;
            while (told) {
                ::pause();
            }
        } catch (...) {
        }
        ::_exit(1);
    }
    ::close(ready[1]); // so that a child that is gone ends the read
    const auto closed = qScopeGuard([&] { ::close(ready[0]); });
    QVERIFY(child > 0);
    {
        const auto killed = qScopeGuard([&] {
            ::kill(child, SIGKILL);
            ::waitpid(child, nullptr, 0);
        });
        char x = 0;
        QCOMPARE(::read(ready[0], &x, 1), 1);
        QVERIFY(FileLock::held(m_file));
        QVERIFY_EXCEPTION_THROWN(FileLock{m_file}, qw::Error);
    }
    QVERIFY(!FileLock::held(m_file));
    const FileLock lock(m_file);
}

void TstFileLock::whoAsksIsNotInTheWay()
{
    std::atomic<bool> done = false;
    std::vector<std::jthread> asking(32); // so many that some are always halted while they ask
    std::latch begun(static_cast<std::ptrdiff_t>(asking.size()));
    for (std::jthread& one : asking) {
        one = std::jthread([&] {
            begun.count_down();
            while (!done) {
                FileLock::held(m_file);
            }
        });
    }
    begun.wait();
    std::string problem;
    for (int i = 0; i < 100 && problem.empty(); ++i) {
        try {
            const FileLock lock(m_file);
        } catch (const qw::Error& refusal) {
            problem = refusal.what();
        }
    }
    done = true;
    QCOMPARE(problem, std::string());
}

QTEST_GUILESS_MAIN(TstFileLock)
#include "tst_file_lock.moc"
