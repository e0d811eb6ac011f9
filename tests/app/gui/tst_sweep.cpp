#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>

#include <QCheckBox>
#include <QDialog>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QTableView>
#include <QTest>
#include <QThread>

#include "store/run_store.h"
#include "support/gui_fixture.h"
#include "support/gui_runs.h"
#include "widgets/series_plot.h"

using namespace Qt::Literals::StringLiterals;
using qw::Mode;
using qw::test::GuiFixture;
using qw::test::kPatience;
using qw::test::shoot;

namespace {
/// Stores runs with the results of sweepResults() one after the other, waiting for a nod.
struct SlowSweep {
    std::atomic<int> allowed = 0;

    std::vector<qw::RunResult> operator()(const qw::RunRequest& request,
                                          const qw::RunOptions& options, const qw::RunContext& run)
    {
        qw::RunStore store(request.storeFile);
        const std::vector<qw::RunResult> made = qw::test::sweepResults(1);
        std::vector<qw::RunResult> results;
        for (std::size_t i = 0; i < request.specs.size(); ++i) {
            while (allowed <= static_cast<int>(i)) {
                run.checkpoint();
                QThread::msleep(5);
            }
            qw::RunResult result = made[i % made.size()];
            result.id = store.newRunId();
            result.spec = request.specs[i];
            result.sweep = options.sweep;
            store.save(result);
            options.started(result);
            results.push_back(result);
        }
        return results;
    }
};

void openDialog(const GuiFixture& gui)
{
    gui.openDemo();
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().facts().has_value(), kPatience);
    gui.trigger("sweepAction");
    QTRY_VERIFY_WITH_TIMEOUT(gui.find<QDialog>("sweepDialog")->isVisible(), kPatience);
}

QString text(const GuiFixture& gui, const char* label)
{
    return gui.find<QLabel>(label)->text();
}
} // namespace

class TstSweep : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void countsAndEstimates();
    void ranksLargerThanLayersAreTold();
    void problemsAreExplainedInPlace();
    void resultsAppearAsTheyCome();
};

void TstSweep::countsAndEstimates()
{
    GuiFixture gui;
    openDialog(gui);
    QVERIFY(gui.find<QPushButton>("queueSweepButton")->isDefault()); // Return queues
    QCOMPARE(text(gui, "sweepCountLabel"), u"3 runs"_s); // the draft's method at three ranks
    gui.find<QCheckBox>("sweepMethod_rtn")->setChecked(true);
    gui.find<QCheckBox>("sweepBits3CheckBox")->setChecked(true);
    gui.find<QLineEdit>("sweepSeedsLineEdit")->setText(u"0, 1"_s);
    QCOMPARE(text(gui, "sweepCountLabel"), u"16 runs"_s); // (3 + 1) x 2 x 2
    QTRY_VERIFY_WITH_TIMEOUT(text(gui, "sweepCostLabel").contains(u"at most"_s), kPatience);
    QVERIFY(text(gui, "sweepCostLabel").contains(u"share"_s)); // L²QER's factors
    QVERIFY(!text(gui, "sweepCostLabel").contains(u"anew"_s));
    QCOMPARE(gui.find<QPushButton>("queueSweepButton")->text(), u"&Queue 16 Runs"_s);
    shoot(*gui.find<QDialog>("sweepDialog"), u"sweep-dialog"_s);
    gui.find<QDialog>("sweepDialog")->close();
    QTRY_VERIFY(gui.window->findChild<QDialog*>(u"sweepDialog"_s) == nullptr);
    qw::RunSpec draft = gui.window->state().draft();
    draft.method = "lrq";
    draft.weight = qw::WeightSpec();
    gui.window->state().setDraft(draft);
    gui.trigger("sweepAction");
    QCOMPARE(text(gui, "sweepCountLabel"), u"3 runs"_s);
    QTRY_VERIFY_WITH_TIMEOUT(text(gui, "sweepCostLabel").contains(u"LRQ is learned anew"_s),
                             kPatience);
    QVERIFY(!text(gui, "sweepCostLabel").contains(u"share"_s));
}

void TstSweep::ranksLargerThanLayersAreTold()
{
    GuiFixture gui;
    openDialog(gui);
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    std::int64_t most = 0;
    for (const qw::LayerOverview& layer : gui.window->state().model()->layers) {
        least = std::min({least, layer.rows, layer.cols});
        most = std::max(most, std::min(layer.rows, layer.cols));
    }
    QVERIFY(least < most);
    const auto cost = [&](std::int64_t rank) {
        gui.find<QLineEdit>("sweepRanksLineEdit")->setText(u"8, %1"_s.arg(rank));
        const bool known = QTest::qWaitFor(
            [&] { return text(gui, "sweepCostLabel").contains(u"at most"_s); }, kPatience);
        return known ? text(gui, "sweepCostLabel") : u"no estimate"_s;
    };
    QVERIFY2(!cost(least).contains(u"rank %1 is"_s.arg(least)), qPrintable(cost(least)));
    QVERIFY2(cost(most).contains(u"rank %1 is cut"_s.arg(most)), qPrintable(cost(most)));
    const QString beyond = cost(most + 1);
    QVERIFY2(beyond.contains(u"rank %1 is larger"_s.arg(most + 1)) &&
                 beyond.contains(u"of use is %1"_s.arg(most)),
             qPrintable(beyond));
    QVERIFY(gui.find<QPushButton>("queueSweepButton")->isEnabled()); // as qw sweep takes it
}

void TstSweep::problemsAreExplainedInPlace()
{
    GuiFixture gui;
    openDialog(gui);
    auto* queue = gui.find<QPushButton>("queueSweepButton");
    auto* ranks = gui.find<QLineEdit>("sweepRanksLineEdit");
    ranks->setText(u"8, many"_s);
    QVERIFY(text(gui, "sweepProblemLabel").contains(u"many"_s));
    QVERIFY(!queue->isEnabled());
    ranks->setText(u"8"_s);
    QCOMPARE(text(gui, "sweepProblemLabel"), QString());
    QVERIFY(queue->isEnabled());
    gui.find<QCheckBox>("sweepBits4CheckBox")->setChecked(false);
    QVERIFY(!queue->isEnabled());
    gui.find<QCheckBox>("sweepBits4CheckBox")->setChecked(true);
    gui.find<QLineEdit>("sweepGroupsLineEdit")->setText(u"7"_s); // divides no layer
    QTRY_VERIFY_WITH_TIMEOUT(!text(gui, "sweepProblemLabel").isEmpty(), kPatience);
    QVERIFY(!queue->isEnabled());
    shoot(*gui.find<QDialog>("sweepDialog"), u"sweep-problem"_s);
}

void TstSweep::resultsAppearAsTheyCome()
{
    const auto work = std::make_shared<SlowSweep>();
    GuiFixture gui([work](const qw::RunRequest& request, const qw::RunOptions& options,
                          const qw::RunContext& run) { return (*work)(request, options, run); });
    openDialog(gui);
    QTest::mouseClick(gui.find<QPushButton>("queueSweepButton"), Qt::LeftButton);
    QCOMPARE(gui.window->mode(), Mode::Compare);
    QCOMPARE(gui.window->queue().entries().size(), 1U);
    QCOMPARE(gui.window->queue().entries().front().request.specs.size(), 3U);
    QVERIFY(!gui.window->queue().entries().front().request.sweep.empty());
    for (const qw::RunSpec& spec : gui.window->queue().entries().front().request.specs) {
        QVERIFY(spec.training.text.empty()); // the form has one for methods that train
    }
    auto* table = gui.find<QTableView>("runTable");
    for (int done = 1; done <= 3; ++done) { // each before the next is allowed
        work->allowed = done;
        QTRY_COMPARE_WITH_TIMEOUT(table->model()->rowCount(), done, kPatience);
    }
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->queue().idle(), kPatience);
    auto* plot = gui.find<qw::SeriesPlot>("paretoPlot");
    QTRY_VERIFY_WITH_TIMEOUT(
        !plot->data().series.empty() && plot->data().series.front().x.size() == 3, kPatience);
}

QTEST_MAIN(TstSweep)
#include "tst_sweep.moc"
