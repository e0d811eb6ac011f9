#include <atomic>
#include <functional>

#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <QThread>

#include "app/gui/background.h"
#include "app/gui/engine_calls.h"
#include "base/error.h"
#include "store/run_store.h"

using namespace Qt::Literals::StringLiterals;
using qw::Background;
using qw::RunContext;

namespace {
void waitUntilCancelled(const RunContext& run)
{
    for (;;) {
        run.checkpoint();
        QThread::msleep(1);
    }
}
} // namespace

class TstBackground : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void answersOnTheOwnersThread();
    void newerQuestionWins();
    void failureIsASentence();
    void cancelledIsSilent();
    void deletingWhileWorkingWaits();
    void engineRefusesTheGuiThread_data();
    void engineRefusesTheGuiThread();
    void engineAnswersAThread();
};

void TstBackground::answersOnTheOwnersThread()
{
    Background background;
    QThread* worked = nullptr;
    QThread* answered = nullptr;
    int result = 0;
    background.ask(
        [&](const RunContext&) {
            worked = QThread::currentThread();
            return 7;
        },
        [&](int value) {
            answered = QThread::currentThread();
            result = value;
        });
    QVERIFY(background.busy());
    QTRY_COMPARE(result, 7);
    QVERIFY(!background.busy());
    QCOMPARE(answered, QThread::currentThread());
    QVERIFY(worked != answered);
}

void TstBackground::newerQuestionWins()
{
    Background background;
    QStringList answers;
    std::atomic<bool> firstStarted = false;
    background.ask(
        [&](const RunContext& run) {
            firstStarted = true;
            waitUntilCancelled(run);
            return 1;
        },
        [&](int) { answers << u"first"_s; });
    QTRY_VERIFY(firstStarted);
    background.ask([](const RunContext&) { return 2; }, [&](int) { answers << u"second"_s; });
    background.ask([](const RunContext&) { return 3; }, [&](int) { answers << u"third"_s; });
    QTRY_COMPARE(answers, QStringList{u"third"_s});
    QTest::qWait(20);
    QCOMPARE(answers, QStringList{u"third"_s});
}

void TstBackground::failureIsASentence()
{
    Background background;
    QSignalSpy failed(&background, &Background::failed);
    QSignalSpy finished(&background, &Background::finished);
    bool answered = false;
    background.ask(
        [](const RunContext&) -> int {
            throw qw::Error(qw::ErrorCode::NotFound, "there is no such folder");
        },
        [&](int) { answered = true; });
    QTRY_COMPARE(finished.size(), 1);
    QCOMPARE(failed.size(), 1);
    QCOMPARE(failed.first().first().toString(), u"there is no such folder"_s);
    QVERIFY(!answered);
}

void TstBackground::cancelledIsSilent()
{
    Background background;
    QSignalSpy failed(&background, &Background::failed);
    QSignalSpy finished(&background, &Background::finished);
    bool answered = false;
    background.ask(
        [](const RunContext& run) {
            waitUntilCancelled(run);
            return 1;
        },
        [&](int) { answered = true; });
    background.cancel();
    QTRY_COMPARE(finished.size(), 1);
    QTest::qWait(20);
    QVERIFY(!answered);
    QVERIFY(failed.isEmpty());
    QCOMPARE(finished.size(), 1);
}

void TstBackground::deletingWhileWorkingWaits()
{
    std::atomic<bool> started = false;
    std::atomic<bool> left = false;
    auto background = std::make_unique<Background>();
    background->ask(
        [&](const RunContext& run) -> int {
            started = true;
            try {
                waitUntilCancelled(run);
            } catch (...) {
                left = true;
                throw;
            }
            return 0;
        },
        [](int) { QFAIL("an answer after the owner is gone"); });
    QTRY_VERIFY(started);
    background.reset();
    QVERIFY(left);
}

/// Every function of engine_calls.h.
void TstBackground::engineRefusesTheGuiThread_data()
{
    using Call = std::function<void(const std::string& store)>;
    namespace calls = qw::engine_calls;
    QTest::addColumn<Call>("call");
    const auto add = [](const char* name, Call call) { QTest::newRow(name) << std::move(call); };
    const RunContext run;
    const qw::RunSpec spec;
    add("facts", [](const auto&) { calls::facts(1); });
    add("inspect", [=](const auto&) { calls::inspect("demo", run); });
    add("quantize", [=](const auto& file) {
        qw::RunStore store(file);
        calls::quantize({spec}, store, {}, run);
    });
    add("resume", [=](const auto& file) {
        qw::RunStore store(file);
        calls::resume("run", store, {}, run);
    });
    add("spectra", [=](const auto& file) { calls::spectra(spec, "layer", file, run); });
    add("view", [=](const auto&) { calls::view(spec, nullptr, {}, run); });
    add("weights", [=](const auto&) {
        calls::weights(
            "demo", [](const auto&) {}, run);
    });
    add("channels", [=](const auto&) {
        calls::channels(
            spec, [](const auto&) {}, run);
    });
    add("textLines", [](const auto&) { calls::textLines("demo:evaluation", 1); });
    add("compareText", [=](const auto& file) {
        calls::compareText(
            "run", file, {}, [](const auto&) {}, run);
    });
    add("estimate", [=](const auto&) { calls::estimate(spec); });
    add("foreseeExports", [=](const auto&) { calls::foreseeExports(spec); });
    add("settled", [=](const auto&) { calls::settled(spec); });
    add("planExports", [=](const auto& file) { calls::planExports("run", file, {}, run); });
    add("exportModel", [=](const auto& file) { calls::exportModel("run", file, {}, run); });
    add("findQuantized", [](const auto& file) { calls::findQuantized(file); });
    add("importModel", [=](const auto& file) { calls::importModel({}, file, run); });
}

void TstBackground::engineRefusesTheGuiThread()
{
    QFETCH(const std::function<void(const std::string&)>, call);
    const QTemporaryDir folder;
    QString sentence;
    try {
        call(folder.filePath(u"runs.sqlite"_s).toStdString());
    } catch (const qw::Error& error) {
        sentence = QString::fromUtf8(error.what());
    }
    QVERIFY2(sentence.contains(u"on the thread of the window"_s), qPrintable(sentence));
}

void TstBackground::engineAnswersAThread()
{
    Background background;
    std::int64_t blocks = 0;
    background.ask([](const RunContext& run) { return qw::engine_calls::inspect("demo", run); },
                   [&](const qw::ModelOverview& model) { blocks = model.blocks; });
    QTRY_VERIFY_WITH_TIMEOUT(blocks > 0, 60000);
}

QTEST_MAIN(TstBackground)
#include "tst_background.moc"
