#include <algorithm>
#include <csignal>
#include <cstdio>

#include <unistd.h>

#include <QLabel>
#include <QListView>
#include <QPlainTextEdit>
#include <QProcess>
#include <QPushButton>
#include <QRegularExpression>
#include <QScrollBar>
#include <QStatusBar>
#include <QTabWidget>
#include <QTest>
#include <QToolButton>

#include "app/gui/queue_dock.h"
#include "app/gui/queue_memory.h"
#include "app/gui/run_text.h"
#include "store/run_store.h"
#include "support/base_results.h"
#include "support/gui_fixture.h"
#include "support/gui_steered_work.h"
#include "widgets/block_table.h"
#include "widgets/card_button.h"
#include "widgets/elided_label.h"
#include "widgets/series_plot.h"

using namespace Qt::Literals::StringLiterals;
using qw::RunState;
using qw::test::GuiFixture;
using qw::test::kPatience;
using qw::test::shoot;
using qw::test::Steered;

namespace {
constexpr const char* kVictimFolder = "QW_TEST_VICTIM_FOLDER";

/// A run of the bundled model that takes a second or two.
qw::RunSpec smallRun()
{
    qw::RunSpec spec = qw::defaultDraft();
    spec.calibration.nsamples = 2;
    spec.evaluation.windows = 2;
    spec.lowRank.rank = 8;
    spec.threads = 1;
    return spec;
}

void prepare(const GuiFixture& gui)
{
    gui.openDemo();
    gui.trigger("quantizeAction");
    gui.window->state().setDraft(smallRun());
    QTRY_VERIFY_WITH_TIMEOUT(gui.find<QAction>("startRunAction")->isEnabled(), kPatience);
}

RunState stateOf(const GuiFixture& gui, std::size_t place)
{
    return gui.window->queue().entries().at(place).state;
}

QString summary(const GuiFixture& gui)
{
    return gui.find<qw::ElidedLabel>("queueSummaryLabel")->fullText();
}

void click(const GuiFixture& gui, const char* button)
{
    QTest::mouseClick(gui.find<QAbstractButton>(button), Qt::LeftButton);
}
} // namespace

class TstQueueDock : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void lineSaysWhatGoesOn();
    void lineSaysWhatWasCancelled();
    void detailsShowErrorsAndLog();
    void detailsShowTheLossOfATraining();
    void detailsShowTheLossOfBlocks();
    void learnedRoundingGoesOnInTheMiddleOfABlock();
    void detailsOfASweepAreThoseOfOneRun();
    void theLogStaysWhereItIsRead();
    void pauseResumeCancel();
    void closingAsksAndCancelsNothingUnasked();
    void closingKeepsTheQueue();
    void queueOfAnotherStoreStaysOut();
    void killedWindowOffersToResume();
    void aFinishedRunLeavesTheOneChosenInView();
    void whoLooksElsewhereIsNotified();
    void withoutADesktopNobodyIsNotified();
};

void TstQueueDock::lineSaysWhatGoesOn()
{
    Steered steered;
    GuiFixture gui(steered.work());
    QCOMPARE(summary(gui), u"empty"_s);
    QVERIFY(!gui.find<QToolButton>("queuePauseButton")->isEnabled());
    prepare(gui);
    gui.trigger("enqueueRunAction");
    gui.trigger("enqueueRunAction");
    QTRY_VERIFY(summary(gui).contains(u"quantize"_s) && summary(gui).contains(u"block 1"_s));
    QVERIFY(summary(gui).contains(u"1 waiting"_s));
    QVERIFY2(summary(gui).contains(u"to the end of the run"_s), qPrintable(summary(gui)));
    QVERIFY(gui.find<QWidget>("queueProgressBar")->isVisible());
    QVERIFY(!gui.find<QWidget>("queueList")->isVisible()); // Add to Queue unfolds nothing
    QCOMPARE(gui.find<QWidget>("queueDock")->width(),
             gui.window->width() - gui.find<QWidget>("modeBar")->width());
    shoot(*gui.window, u"queue-line"_s);
    steered.finish = true;
    QTRY_COMPARE(summary(gui), u"all done"_s);
    QVERIFY(!gui.find<QWidget>("queueProgressBar")->isVisible());
    click(gui, "queueDetailsButton");
    QTRY_VERIFY(gui.find<QWidget>("clearDoneButton")->height() > 0); // laid out
    click(gui, "clearDoneButton");
    QTRY_COMPARE(summary(gui), u"empty"_s);
}

void TstQueueDock::lineSaysWhatWasCancelled()
{
    Steered steered;
    GuiFixture gui(steered.work());
    prepare(gui);
    gui.trigger("enqueueRunAction");
    QTRY_COMPARE(steered.begun, 1);
    gui.window->queue().cancel(gui.window->queue().entries().front().number);
    QTRY_COMPARE(summary(gui), u"1 cancelled"_s);
    steered.finish = true;
    gui.trigger("enqueueRunAction");
    QTRY_COMPARE(summary(gui), u"1 finished, 1 cancelled"_s);
}

void TstQueueDock::detailsShowErrorsAndLog()
{
    Steered steered;
    GuiFixture gui(steered.work());
    prepare(gui);
    gui.trigger("startRunAction"); // shows what it does
    auto* plot = gui.find<qw::SeriesPlot>("queuePlot");
    QTRY_VERIFY(plot->isVisible() && plot->data().series.size() == 1);
    QCOMPARE(plot->data().series.front().y, std::vector<double>{12});
    const QString log = gui.find<QPlainTextEdit>("queueLog")->toPlainText();
    static const QRegularExpression began(
        u"^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d  run run1$"_s,
        QRegularExpression::MultilineOption);
    QVERIFY2(log.contains(began), qPrintable(log));
    gui.trigger("enqueueRunAction");
    auto* list = gui.find<QListView>("queueList");
    QTRY_COMPARE(list->currentIndex().row(), 1); // what was added last
    QTRY_VERIFY(plot->data().series.empty());
    QVERIFY(!plot->emptyText().isEmpty());
    list->setFocus();
    QTest::keyClick(list, Qt::Key_Up);
    QTRY_COMPARE(plot->data().series.size(), 1U);
    steered.finish = true;
    QTRY_VERIFY(gui.window->queue().idle());
}

void TstQueueDock::detailsShowTheLossOfATraining()
{
    std::atomic<bool> quantize = false;
    GuiFixture gui(
        [&](const qw::RunRequest&, const qw::RunOptions& options, const qw::RunContext& run) {
            qw::RunResult result;
            result.id = "run1";
            options.started(result);
            run.beginPhase("train", 9);
            for (const double loss : {3.0, 2.0, 1.5}) {
                options.stepDone({loss});
            }
            while (!quantize) {
                run.checkpoint(3, "3 of 9 steps, loss 1.5");
                QThread::msleep(1);
            }
            qw::LayerResult layer;
            layer.name = "model.layers.0.self_attn.q_proj";
            layer.outputError = 0.12;
            options.layerDone(layer);
            result.status = "finished";
            return std::vector{result};
        });
    prepare(gui);
    gui.trigger("startRunAction");
    auto* plot = gui.find<qw::SeriesPlot>("queueLossPlot");
    QTRY_VERIFY(plot->data().series.size() == 1 && plot->data().series.front().y.size() == 3);
    QCOMPARE(plot->data().series.front().y, (std::vector<double>{3, 2, 1.5}));
    QVERIFY(plot->data().yLabel.find("loss") != std::string::npos);
    QTRY_VERIFY2(summary(gui).contains(u"3 of 9 steps"_s), qPrintable(summary(gui)));
    QVERIFY(!gui.find<QLabel>("queueStateLabel")->isVisible()); // the line has said it
    QCOMPARE(plot->data().series.front().x.back(), 3.0);        // as many as that says are done
    shoot(*gui.window, u"queue-training"_s);
    QVERIFY(plot->isVisible());
    QVERIFY(!gui.find<qw::BlockTable>("queueBlockTable")->isVisible());
    quantize = true;
    auto* errors = gui.find<qw::SeriesPlot>("queuePlot");
    QTRY_VERIFY(errors->data().series.size() == 1);
    QCOMPARE(errors->data().series.front().y, std::vector<double>{12});
    gui.find<QTabWidget>("queueTabs")->setCurrentWidget(errors);
    QVERIFY(errors->isVisible());
    QTRY_VERIFY(gui.window->queue().idle());
}

void TstQueueDock::detailsShowTheLossOfBlocks()
{
    std::atomic<int> wanted = 1;
    GuiFixture gui(
        [&](const qw::RunRequest&, const qw::RunOptions& options, const qw::RunContext& run) {
            qw::RunResult result;
            result.id = "run1";
            options.started(result);
            run.beginPhase("quantize", 8);
            const auto wait = [&](int next) {
                while (wanted < next) {
                    run.checkpoint(1, "block 1/2, iteration 3 of 4");
                    QThread::msleep(1);
                }
            };
            options.lossesCame({0, 0, {4, 3}});
            wait(2);
            options.lossesCame({0, 2, {2, 1}});
            qw::LayerResult layer;
            layer.name = "model.layers.0.self_attn.q_proj";
            layer.outputError = 0.12;
            layer.rows = layer.cols = 8;
            layer.moved0 = 0.5;
            layer.moved1 = 0.375;
            layer.moved2plus = 0.125;
            options.layerDone(layer);
            options.blockDone({0, 1e-3, {4, 3, 2, 1}, 4, 0.5, 910, 12.5, 4000000, {}});
            options.lossesCame({1, 0, {9}});
            wait(3);
            options.lossesCame({1, 0, {9, 8, 7}}); // goes on after an interruption
            wait(4);
            return std::vector{result};
        });
    prepare(gui);
    gui.trigger("startRunAction");
    auto* plot = gui.find<qw::SeriesPlot>("queueLossPlot");
    QTRY_VERIFY(plot->isVisible()); // comes to the front by itself
    QTRY_COMPARE(plot->data().series.size(), 1U);
    QCOMPARE(plot->data().series[0].y, (std::vector<double>{4, 3}));
    wanted = 2;
    QTRY_COMPARE(plot->data().series.size(), 2U);
    QCOMPARE(plot->data().series[0].y, (std::vector<double>{4, 3, 2, 1}));
    QVERIFY(plot->data().series[0].quiet);
    QCOMPARE(plot->data().series[1].name, std::string("block 1"));
    shoot(*gui.window, u"queue-blocks-loss"_s);
    auto* tabs = gui.find<QTabWidget>("queueTabs");
    auto* table = gui.find<qw::BlockTable>("queueBlockTable");
    tabs->setCurrentWidget(table);
    table->selectRow(1);
    wanted = 3; // what comes leaves tab and selection alone
    const auto cell = [&](int row, int column) {
        return table->model()->index(row, column).data().toString();
    };
    QTRY_COMPARE(cell(1, qw::BlockTableModel::IterationsColumn), u"3"_s);
    QVERIFY(table->isVisible());
    QCOMPARE(table->currentIndex().row(), 1);
    QCOMPARE(cell(0, qw::BlockTableModel::BeforeColumn), u"4"_s);
    QCOMPARE(cell(0, qw::BlockTableModel::AfterColumn), u"0.5"_s);
    QCOMPARE(cell(0, qw::BlockTableModel::MovedColumn), u"38 %"_s);
    QCOMPARE(cell(1, qw::BlockTableModel::AfterColumn), u"\u2013"_s);
    shoot(*gui.window, u"queue-blocks"_s);
    wanted = 4;
    QTRY_VERIFY(gui.window->queue().idle());
}

/// No steered work here: one block of the bundled model, cut after the state that it keeps.
void TstQueueDock::learnedRoundingGoesOnInTheMiddleOfABlock()
{
    constexpr std::size_t kIterations = 1000;
    constexpr std::size_t kKept = 500;
    GuiFixture gui;
    gui.openDemo();
    gui.trigger("quantizeAction");
    qw::RunSpec spec = smallRun();
    spec.method = "lrq";
    spec.weight = {};
    spec.calibration.seqlen = 32;
    spec.reconstruction.iterations = kIterations;
    spec.reconstruction.batchSize = 1;
    spec.reconstruction.lr = 1e-3;
    qw::LayerOverride& others = spec.overrides.emplace_back();
    others.pattern = "layers\\.[1-9]\\.";
    others.skip = true;
    gui.window->state().setDraft(spec);
    QTRY_VERIFY_WITH_TIMEOUT(gui.find<QAction>("startRunAction")->isEnabled(), kPatience);
    gui.trigger("startRunAction");
    const auto losses = [&] {
        const std::vector<qw::BlockResult>& blocks = gui.window->queue().entries().front().blocks;
        return blocks.empty() ? std::vector<double>() : blocks.front().losses;
    };
    QTRY_VERIFY_WITH_TIMEOUT(losses().size() > kKept + 20, kPatience);
    QVERIFY(summary(gui).contains(QRegularExpression(u"iteration \\d+ of 1000"_s)));
    auto* pause = gui.find<QToolButton>("queuePauseButton");
    pause->click();
    QTRY_COMPARE_WITH_TIMEOUT(stateOf(gui, 0), RunState::Paused, kPatience);
    QTRY_COMPARE(pause->text(), u"Resume"_s);
    const std::vector<double> seen = losses();
    QVERIFY(seen.size() < kIterations);

    std::size_t least = kIterations; // that were there after the resume
    connect(&gui.window->queue(), &qw::RunQueue::blocksChanged, this,
            [&] { least = std::min(least, losses().size()); });
    pause->click();
    QTRY_COMPARE_WITH_TIMEOUT(stateOf(gui, 0), RunState::Finished, kPatience);
    QVERIFY2(least >= kKept, qPrintable(QString::number(least)));
    const qw::RunResult resumed = gui.window->queue().entries().front().results.front();
    const std::vector<double>& all = resumed.blocks.front().losses;
    QCOMPARE(all.size(), kIterations);
    QVERIFY(std::equal(seen.begin(), seen.end(), all.begin()));

    gui.trigger("startRunAction");
    QTRY_COMPARE_WITH_TIMEOUT(stateOf(gui, 1), RunState::Finished, kPatience);
    const qw::RunResult whole = gui.window->queue().entries().back().results.front();
    QVERIFY(whole.blocks.front().losses == all);
    QVERIFY(!whole.artifactHash.empty());
    QCOMPARE(resumed.artifactHash, whole.artifactHash);
}

void TstQueueDock::detailsOfASweepAreThoseOfOneRun()
{
    std::atomic<bool> second = false;
    std::atomic<bool> finish = false;
    GuiFixture gui([&](const qw::RunRequest& request, const qw::RunOptions& options,
                       const qw::RunContext& run) {
        const std::array<std::atomic<bool>*, 2> ends = {&second, &finish};
        for (std::size_t i = 0; i < 2; ++i) {
            qw::RunResult result;
            result.id = "run" + std::to_string(i);
            result.spec = request.specs[i];
            options.started(result);
            run.beginPhase("quantize", 1);
            qw::LayerResult layer;
            layer.name = "model.layers.0.self_attn.q_proj";
            layer.outputError = 0.5 * static_cast<double>(i + 1);
            options.layerDone(layer);
            layer.name = i == 0 ? "model.layers.0.self_attn.k_proj" : "model.layers.1.mlp.up_proj";
            options.layerDone(layer);
            while (!*ends[i]) {
                run.checkpoint();
                QThread::msleep(1);
            }
        }
        return std::vector<qw::RunResult>();
    });
    prepare(gui);
    qw::RunRequest sweep;
    sweep.specs = {smallRun(), smallRun()};
    sweep.specs[1].method = "gptq";
    gui.window->queue().add(sweep, u"sweep"_s);
    gui.find<qw::QueueDock>("queueDock")->setDetailsShown(true);
    auto* plot = gui.find<qw::SeriesPlot>("queuePlot");
    const auto drawn = [plot] {
        return plot->data().series.size() == 1 ? plot->data().series.front().y
                                               : std::vector<double>();
    };
    QTRY_COMPARE(drawn(), (std::vector<double>{50, 50}));
    const std::string method = plot->data().series.front().method;
    second = true; // as many layers as before: of another run all the same
    QTRY_COMPARE(drawn(), (std::vector<double>{100, 100}));
    QVERIFY(plot->data().series.front().method != method);
    QVERIFY2(summary(gui).contains(u"run 2 of 2"_s), qPrintable(summary(gui)));
    finish = true;
    QTRY_VERIFY(gui.window->queue().idle());
}

void TstQueueDock::theLogStaysWhereItIsRead()
{
    std::atomic<int> wanted = 200;
    GuiFixture gui(
        [&](const qw::RunRequest&, const qw::RunOptions& options, const qw::RunContext& run) {
            qw::RunResult result;
            result.id = "run1";
            options.started(result);
            for (int line = 0; line < 220; ++line) {
                run.log("line " + std::to_string(line));
                while (line + 1 >= wanted) {
                    run.checkpoint();
                    QThread::msleep(1);
                }
            }
            result.substitutions = {"4 bits instead of 3"};
            return std::vector{result};
        });
    prepare(gui);
    gui.trigger("startRunAction");
    auto* log = gui.find<QPlainTextEdit>("queueLog");
    QTRY_VERIFY(log->toPlainText().contains(u"line 199"_s));
    QScrollBar* bar = log->verticalScrollBar();
    QTRY_COMPARE_GT(bar->maximum(), 10);
    QCOMPARE(bar->value(), bar->maximum()); // follows
    const int last = bar->maximum();
    log->setMaximumHeight(log->height() / 2); // in less room, too
    QTRY_COMPARE_GT(bar->maximum(), last);
    QTRY_COMPARE(bar->value(), bar->maximum());
    bar->setValue(3);
    wanted = 210;
    QTRY_VERIFY(log->toPlainText().contains(u"line 209"_s));
    QCOMPARE(bar->value(), 3);
    bar->setValue(bar->maximum());
    wanted = 1000;
    QTRY_VERIFY(gui.window->queue().idle());
    QTRY_VERIFY(log->toPlainText().contains(u"line 219"_s));
    QTRY_VERIFY(log->toPlainText().contains(u"4 bits instead of 3"_s)); // with the result
    QCOMPARE(bar->value(), bar->maximum());
}

void TstQueueDock::pauseResumeCancel()
{
    Steered steered;
    GuiFixture gui(steered.work());
    prepare(gui);
    gui.trigger("startRunAction");
    QTRY_COMPARE(steered.begun, 1);
    auto* pause = gui.find<QToolButton>("queuePauseButton");
    QTRY_VERIFY(pause->isEnabled());
    QCOMPARE(pause->text(), u"Pause"_s);
    pause->click();
    QTRY_COMPARE(stateOf(gui, 0), RunState::Paused);
    QTRY_COMPARE(pause->text(), u"Resume"_s);
    QVERIFY(!summary(gui).contains(u"block 1"_s));
    gui.trigger("startAction");
    pause->click();
    QTRY_COMPARE(steered.begun, 2);
    QTRY_COMPARE(stateOf(gui, 0), RunState::Running);
    {
        const std::lock_guard guard(steered.lock);
        QCOMPARE(steered.resumed.back(), std::string("run1"));
    }
    QTRY_VERIFY(summary(gui).contains(u"block 1"_s)); // what it works on is told as before
    click(gui, "queueCancelButton");
    QTRY_COMPARE(stateOf(gui, 0), RunState::Cancelled);
    QVERIFY(gui.settings->text(qw::Settings::Key::Queue) == u"[]"_s); // nothing to offer again
}

void TstQueueDock::closingAsksAndCancelsNothingUnasked()
{
    Steered steered;
    GuiFixture gui(steered.work());
    prepare(gui);
    gui.trigger("startRunAction");
    QTRY_COMPARE(steered.begun, 1);
    gui.dialogs.setNextChoice(-1); // Escape
    QVERIFY(!gui.window->close());
    QVERIFY(gui.window->isVisible());
    QCOMPARE(stateOf(gui, 0), RunState::Running);
    gui.dialogs.setNextChoice(0);
    QVERIFY(gui.window->close());
    gui.window.reset(); // waits for the run to obey
}

void TstQueueDock::closingKeepsTheQueue()
{
    Steered steered;
    GuiFixture gui(steered.work());
    prepare(gui);
    gui.trigger("startRunAction");
    gui.trigger("enqueueRunAction");
    QTRY_COMPARE(gui.window->queue().entries().front().runId, u"run1"_s);
    qw::RunResult stopped; // as the engine leaves it in the store
    stopped.id = "run1";
    stopped.spec = smallRun();
    stopped.status = "cancelled";
    gui.window->state().store().save(stopped);
    gui.dialogs.setNextChoice(0);
    QVERIFY(gui.window->close());
    gui.reopen();
    QCOMPARE(gui.window->queue().entries().size(), 2U);
    QCOMPARE(stateOf(gui, 0), RunState::Paused); // nothing runs before the user says so
    QCOMPARE(stateOf(gui, 1), RunState::Paused);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->findChild<QWidget*>(u"resumeButton"_s), kPatience);
    QVERIFY(gui.find<QWidget>("resumeButton")->accessibleDescription().contains(u"paused"_s));
    QVERIFY(gui.window->findChild<QWidget*>(u"continueQueueButton"_s));
    shoot(*gui.window, u"start-unfinished"_s);
    steered.finish = true;
    click(gui, "resumeButton");
    QTRY_COMPARE(stateOf(gui, 0), RunState::Finished);
    {
        const std::lock_guard guard(steered.lock);
        QCOMPARE(steered.resumed.back(), std::string("run1"));
    }
    QTRY_VERIFY(gui.window->findChild<QWidget*>(u"resumeButton"_s) == nullptr);
    click(gui, "continueQueueButton");
    QTRY_COMPARE(stateOf(gui, 1), RunState::Finished);
    const std::lock_guard guard(steered.lock);
    QCOMPARE(steered.resumed.back(), std::string()); // it had not begun
}

void TstQueueDock::aFinishedRunLeavesTheOneChosenInView()
{
    Steered steered;
    GuiFixture gui(steered.work());
    qw::RunStore store(gui.storeFile().toStdString());
    for (const char* id : {"aaaaaaaa1111", "bbbbbbbb2222", "cccccccc3333"}) {
        store.save(qw::test::sampleResult(id));
    }
    prepare(gui);
    const qw::AppState& state = gui.window->state();
    const auto finish = [&gui](const char* id) {
        Q_EMIT gui.window->queue().runFinished({qw::test::sampleResult(id)});
    };
    const auto shown = [&state](const char* id) {
        return QTest::qWaitFor([&] { return state.runInView() && state.runInView()->id == id; },
                               kPatience);
    };
    gui.trigger("enqueueRunAction");
    finish("aaaaaaaa1111");
    QVERIFY(shown("aaaaaaaa1111"));
    finish("bbbbbbbb2222"); // the one in view came by itself
    QVERIFY(shown("bbbbbbbb2222"));
    gui.window->state().setRunInView(u"cccccccc3333"_s);
    QVERIFY(shown("cccccccc3333"));
    finish("aaaaaaaa1111");
    QVERIFY(!QTest::qWaitFor([&] { return state.runInView()->id != "cccccccc3333"; }, 400));
    gui.trigger("enqueueRunAction"); // whoever starts one wants to see it
    finish("aaaaaaaa1111");
    QVERIFY(shown("aaaaaaaa1111"));
}

void TstQueueDock::whoLooksElsewhereIsNotified()
{
    Steered steered;
    steered.finish = true;
    GuiFixture gui(steered.work());
    QStringList sent;
    gui.window->setNotifier(
        [&sent](const QString& title, const QString& text) { sent << title << text; });
    prepare(gui);
    const auto run = [&gui](RunState outcome) {
        gui.trigger("enqueueRunAction");
        return QTest::qWaitFor(
            [&] { return gui.window->queue().entries().back().state == outcome; }, kPatience);
    };
    QVERIFY(QTest::qWaitForWindowActive(gui.window.get()));
    QVERIFY(run(RunState::Finished));
    QCOMPARE(sent, QStringList()); // it is in front

    QApplication::setActiveWindow(nullptr);
    QVERIFY(run(RunState::Finished));
    const QStringList finished = {u"A run is finished"_s, qw::run_text::title(qw::RunResult())};
    QCOMPARE(sent, finished); // the result is as Steered makes it

    sent.clear();
    gui.settings->set(qw::Settings::Key::Notify, false);
    QVERIFY(run(RunState::Finished));
    QCOMPARE(sent, QStringList());

    gui.settings->set(qw::Settings::Key::Notify, true);
    steered.fail = true;
    QVERIFY(run(RunState::Failed));
    QCOMPARE(sent.value(0), u"A run failed"_s);
    QVERIFY2(sent.value(1).contains(u"the disk is full"_s), qPrintable(sent.value(1)));
}

/// The desktop's own way, which finds no session bus here (see main()).
void TstQueueDock::withoutADesktopNobodyIsNotified()
{
    Steered steered;
    steered.finish = true;
    GuiFixture gui(steered.work());
    prepare(gui);
    QApplication::setActiveWindow(nullptr);
    gui.trigger("enqueueRunAction");
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->statusBar()->currentMessage().startsWith(u"Finished"_s),
                             kPatience);
    QCOMPARE(stateOf(gui, 0), RunState::Finished);
}

void TstQueueDock::queueOfAnotherStoreStaysOut()
{
    Steered steered;
    qw::RunQueue queue(steered.work());
    qw::RunRequest request;
    request.specs = {smallRun(), smallRun()};
    request.storeFile = "/a/store.sqlite";
    request.sweep = "sweep1";
    queue.restore(request, u"two runs"_s, {});
    const qw::Json remembered = qw::rememberedQueue(queue);
    qw::RunQueue other(steered.work());
    qw::restoreQueue(remembered, "/another/store.sqlite", other);
    QCOMPARE(other.rowCount(), 0);
    qw::restoreQueue(remembered, "/a/store.sqlite", other);
    QCOMPARE(other.rowCount(), 1);
    QCOMPARE(other.entries().front().request.specs, request.specs);
    QCOMPARE(qw::rememberedQueue(other), remembered);
    steered.finish = true;
    other.resumeAll();
    QTRY_COMPARE(other.entries().front().state, RunState::Finished);
    const std::lock_guard guard(steered.lock);
    QCOMPARE(steered.resumed, std::vector<std::string>{""}); // a sweep that had not begun
}

/// The window as a process of its own, killed in a run: what is left must be offered and go on to
/// the bits of a run that nobody disturbed.
void TstQueueDock::killedWindowOffersToResume()
{
    GuiFixture gui;
    gui.window.reset();
    gui.settings.reset();
    QProcess victim;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.insert(QString::fromLatin1(kVictimFolder), gui.folder.path());
    victim.setProcessEnvironment(environment);
    victim.setProcessChannelMode(QProcess::MergedChannels);
    victim.start(QCoreApplication::applicationFilePath(), {});
    QByteArray said;
    while (!said.contains("a layer is done")) {
        QVERIFY2(victim.waitForReadyRead(kPatience), said.constData());
        said += victim.readAll();
    }
    ::kill(static_cast<pid_t>(victim.processId()), SIGKILL);
    QVERIFY(victim.waitForFinished(kPatience));
    QCOMPARE(victim.exitStatus(), QProcess::CrashExit);

    gui.reopen();
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->findChild<QWidget*>(u"resumeButton"_s), kPatience);
    QCOMPARE(gui.window->findChildren<QWidget*>(u"resumeButton"_s).size(), 1);
    QVERIFY(gui.find<QWidget>("resumeButton")->accessibleDescription().contains(u"interrupted"_s));
    click(gui, "resumeButton");
    QTRY_COMPARE_WITH_TIMEOUT(stateOf(gui, 0), RunState::Finished, kPatience);
    const qw::RunResult resumed = gui.window->queue().entries().front().results.front();
    // The layers that were done before the kill are shown again.
    QCOMPARE(gui.window->queue().entries().front().layers.size(), resumed.layers.size());
    gui.openDemo();
    gui.window->state().setDraft(smallRun());
    QTRY_VERIFY_WITH_TIMEOUT(gui.find<QAction>("startRunAction")->isEnabled(), kPatience);
    gui.trigger("startRunAction");
    QTRY_COMPARE_WITH_TIMEOUT(stateOf(gui, 1), RunState::Finished, kPatience);
    const qw::RunResult whole = gui.window->queue().entries().back().results.front();
    QVERIFY(!resumed.artifactHash.empty());
    QCOMPARE(resumed.artifactHash, whole.artifactHash);
    QCOMPARE(resumed.score.nll, whole.score.nll);
}

namespace {
/// Opens the bundled model, starts a run and says so when a layer is done; then waits to be killed.
int beVictim(const QString& folder)
{
    qw::Settings settings(folder + u"/settings.ini"_s);
    qw::Dialogs dialogs;
    qw::MainWindow window(settings, dialogs, folder + u"/runs.sqlite"_s, qw::RunJob::engineWork());
    window.show();
    QObject::connect(&window.queue(), &qw::RunQueue::layerDone, &window, [] {
        std::puts("a layer is done");
        std::fflush(stdout);
        ::pause(); // the worker goes on until the kill comes
    });
    QObject::connect(&window.state(), &qw::AppState::modelChanged, &window, [&window] {
        if (window.state().modelState() == qw::AppState::ModelState::Ready) {
            window.state().setDraft(smallRun());
            window.findChild<QAction*>(u"startRunAction"_s)->trigger();
        }
    });
    window.openPath(u"demo"_s);
    return QApplication::exec();
}
} // namespace

int main(int argc, char** argv)
{
    qputenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/at/all");
    QApplication app(argc, argv);
    const QString folder = qEnvironmentVariable(kVictimFolder);
    if (!folder.isEmpty()) {
        return beVictim(folder);
    }
    TstQueueDock test;
    return QTest::qExec(&test, argc, argv);
}

#include "tst_queue_dock.moc"
