#include <QAbstractItemView>
#include <QAction>
#include <QClipboard>
#include <QComboBox>
#include <QFile>
#include <QGuiApplication>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPlainTextEdit>
#include <QTabWidget>
#include <QTableView>
#include <QTest>
#include <QToolButton>

#include "app/gui/compare_plots.h"
#include "base/files.h"
#include "report/run_tables.h"
#include "support/gui_fixture.h"
#include "support/gui_runs.h"
#include "widgets/elided_label.h"
#include "widgets/parallel_view.h"
#include "widgets/run_table_model.h"
#include "widgets/series_plot.h"

using namespace Qt::Literals::StringLiterals;
using Model = qw::RunTableModel;
using qw::Mode;
using qw::SeriesPlot;
using qw::test::GuiFixture;
using qw::test::kPatience;
using qw::test::shoot;

namespace {
/// A window on the Compare page with the runs of fillStore(); no model is open.
class Compare : public GuiFixture
{
public:
    Compare()
    {
        window.reset();
        qw::test::fillStore(storeFile().toStdString());
        reopen();
        trigger("compareAction");
        if (!QTest::qWaitFor([this] { return table()->model()->rowCount() == 8; }, kPatience)) {
            throw std::runtime_error("the runs were not read");
        }
    }
    QTableView* table() const { return find<QTableView>("runTable"); }
    QModelIndex cell(const QString& id, int column) const
    {
        const QAbstractItemModel& model = *table()->model();
        for (int row = 0; row < model.rowCount(); ++row) {
            if (model.index(row, 0).data(Model::IdRole).toString() == id) {
                return model.index(row, column);
            }
        }
        return {};
    }
    void select(const QStringList& ids) const
    {
        table()->clearSelection();
        for (const QString& id : ids) {
            table()->selectionModel()->select(cell(id, 0), QItemSelectionModel::Select |
                                                               QItemSelectionModel::Rows);
        }
    }
    void tick(const QStringList& ids) const
    {
        for (const QString& id : ids) {
            table()->model()->setData(cell(id, 0), Qt::Checked, Qt::CheckStateRole);
        }
    }
    void openTab(const char* name) const
    {
        auto* tabs = find<QTabWidget>("compareTabs");
        tabs->setCurrentWidget(find<QWidget>(name));
    }
    QStringList drawn(const char* plot) const
    {
        QStringList ids;
        for (const qw::Series& series : find<SeriesPlot>(plot)->data().series) {
            for (const std::string& key : series.keys) {
                if (series.draw != qw::Series::Draw::Steps) { // the front repeats its points
                    ids << QString::fromStdString(key);
                }
            }
        }
        ids.sort();
        return ids;
    }
    qw::RunStore store() const { return qw::RunStore(storeFile().toStdString()); }
};

const QStringList kAll = {u"l2qer16"_s, u"l2qer32"_s, u"l2qer8"_s, u"lqer16"_s,
                          u"lqer32"_s,  u"lqer8"_s,   u"rtn0"_s};
} // namespace

class TstCompare : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void drawsAllRunsOfTheModelAtFirst();
    void ticksDecideWhatIsDrawn();
    void filterNarrowsAndExplains();
    void everyTabShowsItsRuns();
    void tabLeftBeforeItWasDrawnIsDrawnLater();
    void selectionSaysWhatDiffers();
    void remarksStandWithTheRun();
    void namesAgreeEverywhere();
    void clicksSelectEverywhere();
    void pairFollowsTheSelection();
    void pairTakesBothTicked();
    void pairThatIsBeingReadIsAwaited();
    void tagsStarsAndNotesAreUndone();
    void deletionIsUndone();
    void runningRunsAreNotDeleted();
    void newRunsAppear();
    void newRunsThatAreNotDrawnAreSaid_data();
    void newRunsThatAreNotDrawnAreSaid();
    void rowsAndPlotsGoOut();
    void columnsAreChosenAndRemembered();
    void runsAreGroupedByModel();
    void howRunsWereComparedIsRemembered();
    void worksWithTheKeyboard();
    void runOpensInInspect();
    void emptyStoreSaysWhatToDo();
};

void TstCompare::drawsAllRunsOfTheModelAtFirst()
{
    Compare gui;
    qw::RunResult other = gui.store().get("other0");
    other.started = "2026-05-08T07:00:00Z";
    gui.store().save(other);
    gui.window->state().storeChanged();
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"), QStringList{u"other0"_s}, kPatience);
    gui.openDemo();
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"), kAll, kPatience);
    // The run of another model is the newest, but the open model decides.
    const QVariant tip = gui.cell(u"other0"_s, 0).data(Qt::ToolTipRole);
    QVERIFY2(tip.toString().contains(u"different models"_s), qPrintable(tip.toString()));
    QVERIFY(gui.find<QLabel>("paretoNoteLabel")->text().contains(u"1 run is not"_s));
    const auto& series = gui.find<SeriesPlot>("paretoPlot")->data().series;
    QCOMPARE(series.back().name, std::string("best for its size"));
    QCOMPARE(gui.find<QLabel>("runCountLabel")->text(), u"8 runs, 7 drawn"_s);
    shoot(*gui.window, u"compare-pareto"_s);
}

void TstCompare::ticksDecideWhatIsDrawn()
{
    Compare gui;
    gui.tick({u"rtn0"_s, u"lqer8"_s});
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"), (QStringList{u"lqer8"_s, u"rtn0"_s}),
                              kPatience);
    gui.trigger("untickRunsAction");
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"), kAll, kPatience);
    gui.trigger("tickBestRunsAction"); // sizes: rtn, then both of each rank
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"),
                              (QStringList{u"l2qer16"_s, u"l2qer32"_s, u"l2qer8"_s, u"rtn0"_s}),
                              kPatience);
}

void TstCompare::filterNarrowsAndExplains()
{
    Compare gui;
    auto* filter = gui.find<QLineEdit>("runFilterLineEdit");
    filter->setText(u"method=lqer rank<32"_s);
    QCOMPARE(gui.table()->model()->rowCount(), 2);
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"), (QStringList{u"lqer16"_s, u"lqer8"_s}),
                              kPatience);
    QCOMPARE(gui.find<QLabel>("runCountLabel")->text(), u"2 of 8 runs, all drawn"_s);
    filter->setText(u"method:none-of-these"_s);
    QCOMPARE(gui.find<QLabel>("runCountLabel")->text(), u"0 of 8 runs"_s);
    filter->setText(u"method=lqer rank<32"_s);
    filter->setText(u"method=lqer colour:red"_s);
    auto* problem = gui.find<QLabel>("runFilterProblemLabel");
    QVERIFY(problem->isVisible());
    QVERIFY(problem->text().contains(u"colour"_s));
    QCOMPARE(gui.table()->model()->rowCount(), 2); // as before
    shoot(*gui.window, u"compare-filter-problem"_s);
    filter->setFocus();
    QTest::keyClick(filter, Qt::Key_Escape);
    QCOMPARE(filter->text(), QString());
    QCOMPARE(gui.table()->model()->rowCount(), 8);
    QVERIFY(!problem->isVisible());
}

void TstCompare::everyTabShowsItsRuns()
{
    Compare gui;
    gui.openTab("rankTab");
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("rankPlot"), kAll, kPatience);
    QCOMPARE(gui.find<SeriesPlot>("rankPlot")->data().references.size(), 1U);
    shoot(*gui.window, u"compare-rank"_s);
    gui.tick({u"rtn0"_s, u"lqer16"_s, u"l2qer16"_s});
    gui.openTab("layersTab");
    auto* layers = gui.find<SeriesPlot>("layersPlot");
    QTRY_COMPARE_WITH_TIMEOUT(layers->data().series.size(), 3U, kPatience);
    QCOMPARE(layers->data().series.front().x.size(), 28U);
    shoot(*gui.window, u"compare-layers"_s);
    gui.openTab("spectraTab");
    auto* spectra = gui.find<SeriesPlot>("runSpectraPlot");
    QTRY_COMPARE_WITH_TIMEOUT(spectra->data().series.size(), 2U, kPatience); // RTN has none
    gui.window->state().selectLayer(u"model.layers.1.mlp.up_proj"_s);
    QTRY_COMPARE_WITH_TIMEOUT(gui.find<QComboBox>("spectraLayerComboBox")->currentText(),
                              gui.window->state().layer(), kPatience);
    shoot(*gui.window, u"compare-spectra"_s);
    gui.openTab("lossTab"); // sampleResult() trained a model, and learned one block
    auto* loss = gui.find<SeriesPlot>("lossPlot");
    QTRY_COMPARE_WITH_TIMEOUT(loss->data().series.size(), 3U, kPatience);
    auto* block = gui.find<QComboBox>("lossBlockComboBox");
    QCOMPARE(block->currentText(), u"whole model"_s);
    QCOMPARE(block->count(), 2);
    QCOMPARE(block->itemText(1), u"block 3"_s);
    auto* blocks = gui.find<QTableView>("compareBlockTable");
    QVERIFY(blocks->isVisible());
    QCOMPARE(blocks->model()->rowCount(), 3); // one a run
    QVERIFY(!blocks->isColumnHidden(0));      // says whose
    gui.openTab("settingsTab");
    auto* settings = gui.find<QTableView>("settingsTable");
    QTRY_COMPARE_WITH_TIMEOUT(settings->model()->columnCount(), 4, kPatience);
    shoot(*gui.window, u"compare-settings"_s);
    gui.trigger("untickRunsAction");
    gui.openTab("parallelTab");
    auto* parallel = gui.find<qw::ParallelView>("parallelPlot");
    QTRY_COMPARE_WITH_TIMEOUT(parallel->data().lines.size(), 7U, kPatience);
    gui.select({u"l2qer32"_s});
    shoot(*gui.window, u"compare-parallel"_s);
}

void TstCompare::tabLeftBeforeItWasDrawnIsDrawnLater()
{
    Compare gui;
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"), kAll, kPatience);
    gui.find<SeriesPlot>("paretoPlot")->setData({});
    gui.trigger("untickRunsAction");
    gui.tick({u"rtn0"_s, u"lqer8"_s}); // asks for the Pareto chart
    gui.openTab("rankTab");            // before it can have been answered
    QTRY_VERIFY_WITH_TIMEOUT(!gui.drawn("rankPlot").isEmpty(), kPatience);
    gui.openTab("paretoTab");
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"), (QStringList{u"lqer8"_s, u"rtn0"_s}),
                              kPatience);
}

void TstCompare::selectionSaysWhatDiffers()
{
    Compare gui;
    auto* label = gui.find<qw::ElidedLabel>("runDifferencesLabel");
    gui.select({u"lqer8"_s, u"lqer32"_s});
    QCOMPARE(label->fullText(), u"Differ in: low_rank.rank 8 / 32"_s);
    gui.openTab("settingsTab");
    auto* settings = gui.find<QTableView>("settingsTable");
    QTRY_COMPARE_WITH_TIMEOUT(settings->model()->columnCount(), 3, kPatience);
    QCOMPARE(settings->model()->rowCount(), 1);
    const auto first = [settings](int column, int role) {
        return settings->model()->index(0, column).data(role).toString();
    };
    QTRY_COMPARE_WITH_TIMEOUT(first(0, Qt::DisplayRole), u"Rank"_s, kPatience); // as in the form
    QCOMPARE(first(0, Qt::ToolTipRole), u"low_rank.rank"_s);
    gui.select({u"rtn0"_s, u"l2qer8"_s});
    QVERIFY2(label->fullText().contains(u"method L\u00b2QER / RTN"_s) ||
                 label->fullText().contains(u"method RTN / L\u00b2QER"_s),
             qPrintable(label->fullText()));
    const auto methods = [settings] {
        QStringList found;
        for (int row = 0; row < settings->model()->rowCount(); ++row) {
            if (settings->model()->index(row, 0).data(Qt::ToolTipRole).toString() == u"method"_s) {
                found << settings->model()->index(row, 1).data().toString()
                      << settings->model()->index(row, 2).data().toString();
            }
        }
        found.sort();
        return found;
    };
    QTRY_COMPARE_WITH_TIMEOUT(methods(), (QStringList{u"L\u00b2QER"_s, u"RTN"_s}), kPatience);
    gui.select({});
    QCOMPARE(label->fullText(), QString());
}

void TstCompare::remarksStandWithTheRun()
{
    Compare gui;
    qw::RunResult plain = gui.store().get("lqer8");
    plain.substitutions.clear();
    gui.store().save(plain);
    gui.window->state().storeChanged();
    QVERIFY(!gui.table()->isColumnHidden(Model::RemarksColumn));
    QTRY_COMPARE_WITH_TIMEOUT(gui.cell(u"lqer8"_s, Model::RemarksColumn).data().toString(),
                              QString(), kPatience);
    QCOMPARE(gui.cell(u"rtn0"_s, Model::RemarksColumn).data().toString(), u"1"_s);
    auto* remarks = gui.find<QPlainTextEdit>("runRemarksText");
    QVERIFY(!remarks->isVisible());
    gui.select({u"rtn0"_s});
    QVERIFY(remarks->isVisible());
    QCOMPARE(remarks->toPlainText(), u"group_size 64 instead of 128"_s);
    gui.select({u"rtn0"_s, u"lqer16"_s}); // whose would they be?
    QVERIFY(!remarks->isVisible());
    gui.select({u"lqer8"_s});
    QVERIFY(!remarks->isVisible());
}

/// A learned rank that is known of the layers only, and the largest of them.
void TstCompare::namesAgreeEverywhere()
{
    Compare gui;
    qw::RunResult learned = gui.store().get("rtn0");
    learned.id = "learned";
    learned.spec.method = "lrq";
    for (qw::LayerResult& layer : learned.layers) {
        layer.trainRank = 24;
        layer.trainedParameters = 1000;
    }
    learned.layers.back().trainRank = 48;
    gui.store().save(learned);
    gui.window->state().storeChanged();
    QTRY_COMPARE_WITH_TIMEOUT(gui.table()->model()->rowCount(), 9, kPatience);
    const QString name = gui.cell(u"learned"_s, Model::NameColumn).data().toString();
    QVERIFY2(name.endsWith(u" r48"_s), qPrintable(name));
    gui.openDemo();
    auto* inView = gui.find<QComboBox>("runInViewComboBox");
    QTRY_COMPARE_GE(inView->findText(name, Qt::MatchStartsWith), 0);
    gui.trigger("inspectAction");
    QTest::mouseClick(gui.find<QToolButton>("cornerRunsButton"), Qt::LeftButton);
    gui.window->state().selectLayer(u"model.layers.0.self_attn.q_proj"_s);
    auto* ofLayer = gui.find<QTableView>("layerRunsTable");
    const auto names = [&] {
        QStringList found;
        for (int row = 0; row < ofLayer->model()->rowCount(); ++row) {
            found << ofLayer->model()->index(row, 0).data().toString();
        }
        return found;
    };
    QTRY_VERIFY_WITH_TIMEOUT(names().contains(name), kPatience);
}

void TstCompare::clicksSelectEverywhere()
{
    Compare gui;
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"), kAll, kPatience);
    Q_EMIT gui.find<SeriesPlot>("paretoPlot")->pointClicked(u"lqer16"_s);
    const QModelIndexList rows = gui.table()->selectionModel()->selectedRows();
    QCOMPARE(rows.size(), 1);
    QCOMPARE(rows.first().data(Model::IdRole).toString(), u"lqer16"_s);
    auto* plots = gui.find<qw::ComparePlots>("compareTabs");
    const auto selected = [&] { return gui.table()->selectionModel()->selectedRows().size(); };
    Q_EMIT plots->runPicked(u"lqer8"_s, true); // with Ctrl
    QCOMPARE(selected(), 2);
    Q_EMIT plots->runPicked(u"lqer8"_s, true);
    QCOMPARE(selected(), 1);
    Q_EMIT plots->runPicked(u"rtn0"_s, false);
    QCOMPARE(selected(), 1);
    gui.openTab("layersTab");
    Q_EMIT gui.find<SeriesPlot>("layersPlot")->pointClicked(u"model.layers.2.mlp.up_proj"_s);
    QCOMPARE(gui.window->state().layer(), u"model.layers.2.mlp.up_proj"_s);
}

void TstCompare::pairFollowsTheSelection()
{
    Compare gui;
    gui.openTab("layerPairTab");
    gui.select({u"rtn0"_s, u"l2qer32"_s});
    auto* table = gui.find<QTableView>("layerPairTable");
    QTRY_COMPARE_WITH_TIMEOUT(gui.find<QComboBox>("pairBComboBox")->currentData().toString(),
                              u"l2qer32"_s, kPatience);
    QCOMPARE(gui.find<QComboBox>("pairAComboBox")->currentData().toString(), u"rtn0"_s);
    QCOMPARE(table->model()->rowCount(), 28);
    shoot(*gui.window, u"compare-pair"_s);
    table->setCurrentIndex(table->model()->index(9, 0));
    QCOMPARE(gui.window->state().layer(), u"model.layers.1.self_attn.v_proj"_s);
    gui.select({u"rtn0"_s, u"other0"_s});
    auto* note = gui.find<QLabel>("pairNoteLabel");
    QTRY_VERIFY_WITH_TIMEOUT(note->text().contains(u"different models"_s), kPatience);
    QCOMPARE(table->model()->rowCount(), 0);
    // A measure that one of the runs does not have.
    qw::RunResult unmeasured = gui.store().get("lqer8");
    for (qw::LayerResult& layer : unmeasured.layers) {
        layer.sqnrDb = qw::kMissing;
    }
    unmeasured.id = "unmeasured";
    gui.store().save(unmeasured);
    gui.window->state().storeChanged();
    QTRY_COMPARE_WITH_TIMEOUT(gui.table()->model()->rowCount(), 9, kPatience);
    gui.select({u"rtn0"_s, u"unmeasured"_s});
    QTRY_COMPARE_WITH_TIMEOUT(gui.find<QComboBox>("pairBComboBox")->currentData().toString(),
                              u"unmeasured"_s, kPatience);
    QTRY_COMPARE_WITH_TIMEOUT(table->model()->rowCount(), 28, kPatience); // another measure
    auto* metric = gui.find<QComboBox>("pairMetricComboBox");
    metric->setCurrentIndex(metric->findData(static_cast<int>(qw::LayerMetric::Sqnr)));
    Q_EMIT metric->activated(metric->currentIndex());
    QCOMPARE(table->model()->rowCount(), 0);
    QCOMPARE(metric->currentData().toInt(), static_cast<int>(qw::LayerMetric::Sqnr)); // stays
    QVERIFY2(note->text().contains(u"LQER"_s) && note->text().contains(u"has no SQNR"_s),
             qPrintable(note->text()));
}

void TstCompare::pairTakesBothTicked()
{
    Compare gui;
    gui.openTab("layerPairTab");
    const auto* a = gui.find<QComboBox>("pairAComboBox");
    const auto* b = gui.find<QComboBox>("pairBComboBox");
    gui.tick({u"lqer8"_s});
    QTRY_COMPARE_WITH_TIMEOUT(a->count(), 1, kPatience);
    gui.tick({u"l2qer32"_s});
    QTRY_COMPARE_WITH_TIMEOUT(b->count(), 2, kPatience);
    // In the order of the table.
    QCOMPARE(a->currentData().toString(), u"l2qer32"_s);
    QCOMPARE(b->currentData().toString(), u"lqer8"_s);
    QCOMPARE(a->toolTip(), u"Run A: "_s + a->currentText()); // the box may cut the name
    QVERIFY(b->view()->minimumWidth() >= b->view()->sizeHintForColumn(0));
}

void TstCompare::pairThatIsBeingReadIsAwaited()
{
    Compare gui;
    gui.openTab("layerPairTab");
    gui.tick({u"lqer8"_s, u"l2qer8"_s});
    const auto* a = gui.find<QComboBox>("pairAComboBox");
    const QAbstractItemModel& layers = *gui.find<QTableView>("layerPairTable")->model();
    QTRY_COMPARE_WITH_TIMEOUT(layers.rowCount(), 28, kPatience);
    gui.select({u"rtn0"_s, u"l2qer32"_s}); // not ticked, so that their layers are read now
    QCOMPARE(gui.find<QLabel>("pairNoteLabel")->text(), u"reading layers\u2026"_s);
    QCOMPARE(layers.rowCount(), 0); // and not those of the pair ticked
    QTRY_COMPARE_WITH_TIMEOUT(layers.rowCount(), 28, kPatience);
    QCOMPARE(a->currentData().toString(), u"rtn0"_s);
}

void TstCompare::tagsStarsAndNotesAreUndone()
{
    Compare gui;
    const auto text = [&](const QString& id, int column) {
        return gui.cell(id, column).data().toString();
    };
    gui.select({u"rtn0"_s, u"lqer8"_s});
    QTest::mouseClick(gui.find<QToolButton>("starRunsButton"), Qt::LeftButton);
    const auto starred = [&](const QString& id) {
        return gui.cell(id, Model::StarColumn).data(Qt::ToolTipRole).toString() == u"starred"_s;
    };
    QTRY_VERIFY_WITH_TIMEOUT(starred(u"rtn0"_s) && starred(u"lqer8"_s), kPatience);
    QCOMPARE(gui.table()->selectionModel()->selectedRows().size(), 2); // kept
    gui.dialogs.setNextText(u"base line"_s);
    gui.trigger("tagRunsAction");
    QTRY_COMPARE_WITH_TIMEOUT(text(u"rtn0"_s, Model::TagsColumn), u"base line"_s, kPatience);
    gui.table()->model()->setData(gui.cell(u"rtn0"_s, Model::TagsColumn), u"x, y"_s, Qt::EditRole);
    QTRY_COMPARE_WITH_TIMEOUT(text(u"rtn0"_s, Model::TagsColumn), u"x, y"_s, kPatience);
    gui.table()->model()->setData(gui.cell(u"rtn0"_s, Model::NotesColumn), u"why"_s, Qt::EditRole);
    QTRY_COMPARE_WITH_TIMEOUT(text(u"rtn0"_s, Model::NotesColumn), u"why"_s, kPatience);
    gui.select({u"rtn0"_s});
    gui.dialogs.setNextText(QString()); // emptied, not left
    gui.trigger("noteRunAction");
    QTRY_COMPARE_WITH_TIMEOUT(text(u"rtn0"_s, Model::NotesColumn), QString(), kPatience);
    gui.trigger("undoAction");
    QTRY_COMPARE_WITH_TIMEOUT(text(u"rtn0"_s, Model::NotesColumn), u"why"_s, kPatience);
    gui.trigger("undoAction");
    gui.trigger("undoAction");
    QTRY_COMPARE_WITH_TIMEOUT(text(u"rtn0"_s, Model::TagsColumn), u"base line"_s, kPatience);
    QCOMPARE(text(u"rtn0"_s, Model::NotesColumn), QString());
    gui.trigger("undoAction");
    gui.trigger("undoAction");
    QTRY_VERIFY_WITH_TIMEOUT(!starred(u"rtn0"_s) && text(u"rtn0"_s, Model::TagsColumn).isEmpty(),
                             kPatience);
    gui.trigger("redoAction");
    QTRY_VERIFY_WITH_TIMEOUT(starred(u"lqer8"_s), kPatience);
}

void TstCompare::deletionIsUndone()
{
    Compare gui;
    gui.window->state().setRunInView(u"rtn0"_s);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().runInView().has_value(), kPatience);
    gui.tick({u"rtn0"_s, u"lqer8"_s, u"l2qer8"_s});
    gui.select({u"rtn0"_s, u"lqer8"_s});
    gui.trigger("deleteRunsAction");
    QTRY_COMPARE_WITH_TIMEOUT(gui.table()->model()->rowCount(), 6, kPatience);
    QVERIFY(!gui.window->state().runInView().has_value());
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"), QStringList{u"l2qer8"_s}, kPatience);
    QVERIFY(!gui.store().find("rtn0").has_value());
    gui.trigger("undoAction");
    QTRY_COMPARE_WITH_TIMEOUT(gui.table()->model()->rowCount(), 8, kPatience);
    QCOMPARE(gui.store().get("rtn0").layers.size(), 28U);
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"),
                              (QStringList{u"l2qer8"_s, u"lqer8"_s, u"rtn0"_s}), kPatience);
}

void TstCompare::runningRunsAreNotDeleted()
{
    Compare gui;
    qw::RunResult run = gui.store().get("rtn0");
    run.status = "running";
    run.sweep = "sweep";
    run.artifactFolder = gui.folder.path().toStdString();
    gui.store().save(run);
    qw::RunResult waiting = gui.store().get("lqer8");
    waiting.status = "queued";
    waiting.sweep = "sweep";
    gui.store().save(waiting);
    gui.window->state().storeChanged();
    QTRY_COMPARE_WITH_TIMEOUT(gui.cell(u"rtn0"_s, Model::StatusColumn).data().toString(),
                              u"running"_s, kPatience);
    gui.select({u"rtn0"_s, u"lqer8"_s});
    {
        const qw::FileLock atWork(std::filesystem::path(run.artifactFolder) / qw::kArtifactLock);
        gui.trigger("deleteRunsAction");
        QVERIFY(gui.store().find("rtn0").has_value());
        QVERIFY(gui.store().find("lqer8").has_value());
        QVERIFY(!gui.find<QAction>("undoAction")->isEnabled());
    }
    gui.trigger("deleteRunsAction"); // who was at work is gone: nothing waits for these rows
    QTRY_VERIFY_WITH_TIMEOUT(!gui.store().find("rtn0") && !gui.store().find("lqer8"), kPatience);
}

void TstCompare::newRunsAppear()
{
    Compare gui;
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"), kAll, kPatience);
    gui.select({u"rtn0"_s});
    qw::RunResult run = gui.store().get("l2qer32");
    run.id = "another";
    run.started = "2026-05-07T07:00:00Z";
    gui.store().save(run);
    gui.window->state().storeChanged();
    QTRY_VERIFY_WITH_TIMEOUT(gui.drawn("paretoPlot").contains(u"another"_s), kPatience);
    QCOMPARE(gui.table()->model()->index(0, 0).data(Model::IdRole).toString(), u"another"_s);
    QCOMPARE(gui.table()->selectionModel()->selectedRows().first().data(Model::IdRole).toString(),
             u"rtn0"_s);
}

void TstCompare::newRunsThatAreNotDrawnAreSaid_data()
{
    QTest::addColumn<QString>("filter");
    QTest::addColumn<QStringList>("ticked");
    QTest::addColumn<QString>("said");
    QTest::newRow("ticks") << QString() << QStringList{u"rtn0"_s, u"lqer8"_s}
                           << u"2 new runs are not drawn: not ticked"_s;
    QTest::newRow("filter") << u"method:rtn"_s << QStringList()
                            << u"2 new runs are not drawn: hidden by the filter"_s;
    QTest::newRow("filter that shows them") << u"method=l2qer"_s << QStringList() << QString();
    QTest::newRow("neither") << QString() << QStringList() << QString();
}

void TstCompare::newRunsThatAreNotDrawnAreSaid()
{
    QFETCH(QString, filter);
    QFETCH(QStringList, ticked);
    QFETCH(QString, said);
    Compare gui;
    gui.tick(ticked);
    gui.find<QLineEdit>("runFilterLineEdit")->setText(filter);
    auto* label = gui.find<QLabel>("newRunsLabel");
    QVERIFY(!label->isVisible());
    for (const char* id : {"newer1", "newer2"}) {
        qw::RunResult run = gui.store().get("l2qer32");
        run.id = id;
        run.started = "2026-05-07T07:00:00Z";
        gui.store().save(run);
    }
    gui.window->state().storeChanged();
    QTRY_COMPARE_WITH_TIMEOUT(gui.window->state().runs().size(), std::size_t{10}, kPatience);
    QTRY_COMPARE(label->isVisible(), !said.isEmpty());
    if (said.isEmpty()) {
        return;
    }
    QCOMPARE(label->text(), said);
    shoot(*gui.window, u"compare-new-runs"_s);
    QTest::mouseClick(gui.find<QToolButton>("showAllRunsButton"), Qt::LeftButton);
    QVERIFY(!label->isVisible());
    QTRY_VERIFY_WITH_TIMEOUT(gui.drawn("paretoPlot").contains(u"newer1"_s), kPatience);
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot").size(), kAll.size() + 2, kPatience);
}

void TstCompare::rowsAndPlotsGoOut()
{
    Compare gui;
    gui.select({u"rtn0"_s});
    gui.trigger("copyRunsAction");
    const QStringList lines = QGuiApplication::clipboard()->text().split(u'\n');
    QVERIFY(lines[0].startsWith(u"run\t★\t!\tperplexity"_s));
    QVERIFY(lines[1].startsWith(u"RTN W3 g64, model demo\t"_s));
    QCOMPARE(lines.size(), 3);
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"), kAll, kPatience);
    for (const QString& name : {u"p.png"_s, u"p.pdf"_s, u"p.csv"_s}) {
        const QString file = gui.folder.filePath(name);
        gui.dialogs.setNextPath(file);
        Q_EMIT gui.find<SeriesPlot>("paretoPlot")->saveWanted(name, QString());
        QVERIFY2(QFile(file).size() > 100, qPrintable(name));
    }
    QFile csv(gui.folder.filePath(u"p.csv"_s));
    QVERIFY(csv.open(QIODevice::ReadOnly));
    QVERIFY(csv.readAll().contains("LQER W3 g64 r16"));
}

void TstCompare::columnsAreChosenAndRemembered()
{
    Compare gui;
    auto* menu = gui.find<QToolButton>("runColumnsButton")->menu();
    Q_EMIT menu->aboutToShow();
    for (QAction* action : menu->actions()) {
        if (action->text() == u"seed"_s) {
            QVERIFY(gui.table()->isColumnHidden(Model::SeedColumn));
            action->setChecked(true);
        }
    }
    QVERIFY(!gui.table()->isColumnHidden(Model::SeedColumn));
    gui.window->close();
    gui.reopen();
    gui.window->restoreSession();
    QVERIFY(!gui.table()->isColumnHidden(Model::SeedColumn));
    QVERIFY(gui.table()->isColumnHidden(Model::MemoryColumn));
}

void TstCompare::runsAreGroupedByModel()
{
    Compare gui;
    gui.table()->sortByColumn(Model::PerplexityColumn, Qt::DescendingOrder);
    const auto last = [&] {
        return gui.table()->model()->index(7, Model::ModelColumn).data().toString();
    };
    QCOMPARE(last(), u"demo"_s); // the run of the other model is among the worst
    gui.trigger("groupRunsAction");
    QVERIFY(!gui.table()->isColumnHidden(Model::ModelColumn));
    QCOMPARE(gui.table()->horizontalHeader()->visualIndex(Model::ModelColumn), 0);
    QCOMPARE(last(), u"model"_s);
    gui.window->close();
    gui.reopen();
    gui.window->restoreSession();
    QVERIFY(gui.find<QAction>("groupRunsAction")->isChecked());
    QTRY_COMPARE_WITH_TIMEOUT(gui.table()->model()->rowCount(), 8, kPatience);
    QCOMPARE(last(), u"model"_s);
    gui.trigger("groupRunsAction");
    QCOMPARE(last(), u"demo"_s);
}

void TstCompare::howRunsWereComparedIsRemembered()
{
    Compare gui;
    gui.find<QLineEdit>("runFilterLineEdit")->setText(u"method=lqer"_s);
    gui.tick({u"lqer8"_s, u"lqer16"_s});
    gui.select({u"lqer32"_s, u"lqer8"_s});
    gui.openTab("layersTab");
    auto* metric = gui.find<QComboBox>("layerMetricComboBox");
    metric->setCurrentIndex(metric->count() - 1);
    const QVariant chosen = metric->currentData();
    gui.find<QComboBox>("paretoQualityComboBox")->setCurrentIndex(2);
    gui.window->close();
    gui.reopen();
    gui.window->restoreSession();
    QCOMPARE(gui.find<QTabWidget>("compareTabs")->currentWidget()->objectName(), u"layersTab"_s);
    QCOMPARE(gui.find<QComboBox>("layerMetricComboBox")->currentData(), chosen);
    QCOMPARE(gui.find<QComboBox>("paretoQualityComboBox")->currentIndex(), 2);
    QCOMPARE(gui.find<QLineEdit>("runFilterLineEdit")->text(), u"method=lqer"_s);
    const auto selected = [&] {
        QStringList ids;
        for (const QModelIndex& row : gui.table()->selectionModel()->selectedRows()) {
            ids << row.data(Model::IdRole).toString();
        }
        ids.sort();
        return ids;
    };
    QTRY_COMPARE_WITH_TIMEOUT(selected(), (QStringList{u"lqer32"_s, u"lqer8"_s}), kPatience);
    QCOMPARE(gui.table()->model()->rowCount(), 3);
    QCOMPARE(gui.cell(u"lqer8"_s, 0).data(Qt::CheckStateRole).toInt(), int(Qt::Checked));
    QCOMPARE(gui.cell(u"lqer16"_s, 0).data(Qt::CheckStateRole).toInt(), int(Qt::Checked));
    QCOMPARE(gui.cell(u"lqer32"_s, 0).data(Qt::CheckStateRole).toInt(), int(Qt::Unchecked));
}

void TstCompare::worksWithTheKeyboard()
{
    Compare gui;
    QTest::keyClick(gui.window.get(), Qt::Key_F, Qt::ControlModifier | Qt::ShiftModifier);
    auto* filter = gui.find<QLineEdit>("runFilterLineEdit");
    filter->setFocus();
    QTest::keyClicks(filter, u"method=lqer"_s);
    QTableView* table = gui.table();
    table->setFocus();
    table->setCurrentIndex(table->model()->index(0, 0));
    QTest::keyClick(table, Qt::Key_Space);
    QTest::keyClick(table, Qt::Key_Down);
    QTest::keyClick(table, Qt::Key_Space);
    QTRY_COMPARE_WITH_TIMEOUT(gui.drawn("paretoPlot"), (QStringList{u"lqer16"_s, u"lqer32"_s}),
                              kPatience);
    QTest::keyClick(table, Qt::Key_Delete);
    QTRY_COMPARE_WITH_TIMEOUT(table->model()->rowCount(), 2, kPatience);
}

void TstCompare::runOpensInInspect()
{
    Compare gui;
    auto* inView = gui.find<QComboBox>("runInViewComboBox");
    QCOMPARE(inView->currentText(), u"choose one in Compare"_s); // no model is open
    gui.select({u"lqer8"_s});
    gui.trigger("showRunAction");
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().runInView().has_value(), kPatience);
    QCOMPARE(gui.window->state().runInView()->id, std::string("lqer8"));
    QCOMPARE(gui.window->mode(), Mode::Inspect);
    QCOMPARE(inView->itemText(0), u"none"_s);
    gui.window->state().setRunInView({});
    QTRY_COMPARE_WITH_TIMEOUT(inView->currentText(), u"choose a run"_s, kPatience);
}

void TstCompare::emptyStoreSaysWhatToDo()
{
    const GuiFixture gui;
    gui.trigger("compareAction");
    auto* plot = gui.find<SeriesPlot>("paretoPlot");
    QTRY_VERIFY_WITH_TIMEOUT(!plot->emptyText().isEmpty(), kPatience);
    QTRY_COMPARE_WITH_TIMEOUT(gui.find<QLabel>("runCountLabel")->text(), u"no runs yet"_s,
                              kPatience);
    QCOMPARE(gui.find<QComboBox>("runInViewComboBox")->currentText(), u"none yet"_s);
    shoot(*gui.window, u"compare-empty"_s);
}

QTEST_MAIN(TstCompare)
#include "tst_compare.moc"
