#include <QAction>
#include <QComboBox>
#include <QFile>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QTableView>
#include <QTest>
#include <QToolButton>
#include <QTreeView>

#include "app/gui/inspect_page.h"
#include "app/gui/inspect_plots.h"
#include "app/gui/layer_inspector.h"
#include "app/gui/overrides.h"
#include "app/gui/shortcuts_dialog.h"
#include "base/error.h"
#include "store/run_store.h"
#include "support/gui_fixture.h"
#include "widgets/elided_label.h"
#include "widgets/heatmap_plot.h"
#include "widgets/layer_tree_model.h"
#include "widgets/number_text.h"
#include "widgets/series_plot.h"

using namespace Qt::Literals::StringLiterals;
using qw::SeriesPlot;
using qw::test::GuiFixture;
using qw::test::kPatience;
using qw::test::shoot;

namespace {
/// The rank's readout, its unbreakable spaces as ordinary ones.
QString rankText(const GuiFixture& gui)
{
    return gui.find<QLabel>("rankLabel")->text().replace(QChar::Nbsp, u' ');
}

/// A real, small run of the bundled model, made once.
qw::RunResult demoRun(const std::string& store, const std::string& workFolder)
{
    qw::startEngine(1);
    qw::RunSpec spec = qw::defaultDraft();
    spec.calibration.nsamples = 2;
    spec.evaluation.windows = 2;
    spec.weight.bits = 3;
    spec.lowRank.rank = 16;
    spec.threads = 1;
    qw::RunStore runs(store);
    qw::RunOptions options;
    options.workFolder = workFolder;
    return qw::runQuantization(spec, runs, options, {});
}
} // namespace

class TstInspect : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void overridesMerge();
    void outliersAreFarAboveTheMedian();
    void modelBytesLeaveOutWhatIsSkipped();
    void withoutARun();
    void withARun();
    void theMapSaysWhoseErrorItShows();
    void measuringTheInputsStopsAndStartsAgain();
    void theNextLayerIsSeenAtTheSamePlace();
    void fiveHundredLayersAskForLittle();
};

void TstInspect::overridesMerge()
{
    namespace overrides = qw::overrides;
    qw::RunSpec spec;
    spec.lowRank.rank = 32;
    qw::LayerOverride rank;
    rank.rank = 8;
    spec = overrides::forLayers(spec, {u"model.layers.1.mlp.up_proj"_s}, rank);
    QCOMPARE(qw::settingsFor(spec, "model.layers.1.mlp.up_proj").rank, 8);
    QCOMPARE(qw::settingsFor(spec, "model.layers.11.mlp.up_proj").rank, 32); // exact name only
    qw::LayerOverride bits;
    bits.bits = 8;
    spec = overrides::forLayers(spec, {u"model.layers.1.mlp.up_proj"_s}, bits);
    QCOMPARE(spec.overrides.size(), 1U); // one entry holds both
    rank.rank = 4;
    spec = overrides::forKind(spec, u"model.layers.0.mlp.up_proj"_s, rank);
    QCOMPARE(qw::settingsFor(spec, "model.layers.1.mlp.up_proj").rank, 4);
    QCOMPARE(qw::settingsFor(spec, "model.layers.1.mlp.up_proj").weight.bits, 8);
    QCOMPARE(qw::settingsFor(spec, "model.layers.1.mlp.down_proj").rank, 32);
    spec = overrides::rankForAll(spec, 2);
    QCOMPARE(qw::settingsFor(spec, "model.layers.1.mlp.up_proj").rank, 2);
    QCOMPARE(spec.overrides.size(), 1U); // only the bits are left
    QVERIFY(overrides::none(spec).overrides.empty());
}

void TstInspect::outliersAreFarAboveTheMedian()
{
    QCOMPARE(qw::inspect_plots::outliers({1, 1, 1, 6, 1, 6.1}), (std::vector<std::size_t>{5}));
    QVERIFY(qw::inspect_plots::outliers({}).empty());
}

void TstInspect::modelBytesLeaveOutWhatIsSkipped()
{
    qw::ModelOverview model;
    model.layers.resize(3);
    for (std::size_t i = 0; i < model.layers.size(); ++i) {
        model.layers[i].name = "model.layers." + std::to_string(i) + ".mlp.up_proj";
        model.layers[i].rows = 64;
        model.layers[i].cols = i == 1 ? 8 : 32;
    }
    qw::RunSpec spec;
    spec.lowRank.factorBits = 0; // float32
    qw::LayerOverride skipped;
    skipped.skip = true;
    spec = qw::overrides::forLayers(spec, {u"model.layers.2.mlp.up_proj"_s}, skipped);
    QCOMPARE(qw::inspect_plots::modelBytes(spec, model, 1000, 0), 1000);
    QCOMPARE(qw::inspect_plots::modelBytes(spec, model, 1000, 16),
             1000 + 4 * (16 * (64 + 32) + 8 * (64 + 8))); // the second has room for 8
}

void TstInspect::withoutARun()
{
    GuiFixture gui;
    gui.openDemo();
    gui.trigger("inspectAction");
    QCOMPARE(gui.window->mode(), qw::Mode::Inspect);
    QVERIFY(gui.find<QWidget>("layerDock")->isVisible());
    auto* inspector = &gui.find<qw::InspectPage>("inspectPage")->inspector();
    auto* spectra = gui.find<SeriesPlot>("spectraPlot");
    // W and E first, then S·E and R½·E when the calibration text went through the model.
    QTRY_COMPARE_WITH_TIMEOUT(spectra->data().series.size(), 4U, kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(!inspector->channelsBusy(), kPatience);
    QTRY_COMPARE_WITH_TIMEOUT(gui.window->state().weights().size(),
                              gui.window->state().model()->layers.size(), kPatience);
    QVERIFY(!gui.find<SeriesPlot>("weightsPlot")->data().series.empty());
    QVERIFY(!gui.find<SeriesPlot>("channelsPlot")->data().series.empty());
    QVERIFY(!gui.find<qw::HeatmapPlot>("mapPlot")->data().values.empty());
    QCOMPARE(spectra->guide(), std::optional<std::int64_t>(32)); // the rank of the draft
    QVERIFY(rankText(gui).startsWith(u"rank 32"_s));
    QVERIFY2(rankText(gui).contains(u"S\u00b7E left"_s), qPrintable(rankText(gui)));
    QVERIFY(gui.find<SeriesPlot>("channelsPlot")->data().yLabel.find("largest batch") !=
            std::string::npos);
    shoot(*gui.window, u"inspect-no-run"_s);

    // What all layers would take at the rank of the line is known before any run, to the byte.
    const auto planned = [&](std::int64_t rank) {
        qw::RunSpec spec = qw::overrides::rankForAll(gui.window->state().draft(), rank);
        spec.model = "demo";
        return u"All layers at this rank: "_s + qw::text::exactBytes(qw::estimateRun(spec).bytes);
    };
    QTRY_VERIFY_WITH_TIMEOUT(rankText(gui).contains(u"all layers at this rank"_s), kPatience);
    QString exact = gui.find<QLabel>("rankLabel")->toolTip();
    QVERIFY2(exact.startsWith(u"This layer: "_s) && exact.endsWith(planned(32)), qPrintable(exact));

    // The form keeps the rank of a correction for when it is wanted again; LR-QAT has none.
    const qw::RunSpec corrected = gui.window->state().draft();
    qw::RunSpec trained = qw::withMethod(corrected, "lr-qat");
    trained.weight.format = "int";
    trained.weight.groupSize = qw::kPerChannel;
    gui.window->state().setDraft(trained);
    QTRY_VERIFY_WITH_TIMEOUT(rankText(gui).startsWith(u"rank 0, no correction"_s), kPatience);
    gui.window->state().setDraft(corrected);
    QTRY_VERIFY_WITH_TIMEOUT(rankText(gui).startsWith(u"rank 32"_s), kPatience);

    // The rank is moved with keys and goes into the next run, undoably.
    spectra->setFocus();
    QTest::keyClick(spectra, Qt::Key_Left, Qt::ShiftModifier);
    QVERIFY(rankText(gui).startsWith(u"rank 24"_s));
    QTRY_VERIFY_WITH_TIMEOUT(rankText(gui).contains(u"all layers at this rank"_s), kPatience);
    exact = gui.find<QLabel>("rankLabel")->toolTip();
    QVERIFY2(exact.endsWith(planned(24)), qPrintable(exact));
    gui.find<QToolButton>("useRankButton")->menu()->actions().at(0)->trigger();
    const std::string layer = gui.window->state().layer().toStdString();
    QCOMPARE(qw::settingsFor(gui.window->state().draft(), layer).rank, 24);
    gui.trigger("undoAction");
    QCOMPARE(qw::settingsFor(gui.window->state().draft(), layer).rank, 32);

    // The Model menu and the palette have that too, while the line is in sight.
    auto* everywhere = gui.find<QAction>("rankForAllAction");
    QCOMPARE(qw::actionTitle(*everywhere), u"Use This Rank For: All Layers"_s);
    QVERIFY(gui.window->actions().contains(everywhere) && everywhere->isEnabled());
    gui.trigger("quantizeAction");
    QVERIFY(!everywhere->isEnabled());
    gui.trigger("inspectAction");
    QTRY_VERIFY_WITH_TIMEOUT(everywhere->isEnabled(), kPatience);
    everywhere->trigger();
    QCOMPARE(gui.window->state().draft().lowRank.rank, 24);
}

void TstInspect::withARun()
{
    GuiFixture gui;
    const qw::RunResult run =
        demoRun(gui.storeFile().toStdString(), gui.folder.filePath(u"runs"_s).toStdString());
    gui.reopen();
    gui.openDemo();
    gui.trigger("inspectAction");
    gui.window->state().setRunInView(QString::fromStdString(run.id));
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().runInView().has_value(), kPatience);
    auto* overview = gui.find<SeriesPlot>("overviewPlot");
    QTRY_COMPARE_WITH_TIMEOUT(overview->data().series.size(), 1U, kPatience);
    QCOMPARE(overview->data().series.front().y.size(), run.layers.size());
    auto* inspector = &gui.find<qw::InspectPage>("inspectPage")->inspector();
    QTRY_VERIFY_WITH_TIMEOUT(inspector->view() && inspector->view()->fromRun, kPatience);
    QTRY_COMPARE_WITH_TIMEOUT(gui.find<SeriesPlot>("spectraPlot")->data().series.size(), 4U,
                              kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(!inspector->channelsBusy(), kPatience);

    // At the run's own rank the readout is what the run measured.
    const auto& stored = run.layers.front();
    QCOMPARE(gui.window->state().layer(), QString::fromStdString(stored.name));
    const qw::RankPoint point =
        qw::atRank(qw::inspect_plots::correction(run.spec, &stored, nullptr, nullptr), 16);
    QCOMPARE(point.bytes, stored.bytes);
    QVERIFY(rankText(gui).startsWith(u"rank 16"_s));
    const QString exact = gui.find<QLabel>("rankLabel")->toolTip();
    QVERIFY2(exact.startsWith(u"This layer: "_s + qw::text::exactBytes(stored.bytes)),
             qPrintable(exact));

    // Past that rank the whole spectrum tells.
    auto* spectra = gui.find<SeriesPlot>("spectraPlot");
    spectra->setFocus();
    QTest::keyClick(spectra, Qt::Key_Right, Qt::ShiftModifier);
    QVERIFY(rankText(gui).startsWith(u"rank 24"_s));
    QVERIFY2(rankText(gui).contains(u"output error"_s), qPrintable(rankText(gui)));
    QVERIFY2(!rankText(gui).contains(u"\u2013"_s), qPrintable(rankText(gui)));

    // Clicking the worst bar goes there, and the tree and plots follow.
    const auto& bars = overview->data().series.front();
    const auto worst = std::max_element(bars.y.begin(), bars.y.end()) - bars.y.begin();
    Q_EMIT overview->pointClicked(
        QString::fromStdString(bars.keys[static_cast<std::size_t>(worst)]));
    QCOMPARE(gui.window->state().layer().toStdString(), bars.keys[static_cast<std::size_t>(worst)]);
    auto* tree = gui.find<QTreeView>("layerTree");
    QCOMPARE(tree->currentIndex().data(qw::LayerTreeModel::LayerRole).toString(),
             gui.window->state().layer());
    QTest::mouseClick(gui.find<QToolButton>("map2Button"), Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(inspector->view() &&
                                 inspector->view()->map.valueLabel == "error times input size",
                             kPatience);
    QTRY_COMPARE_WITH_TIMEOUT(gui.find<SeriesPlot>("spectraPlot")->data().series.size(), 4U,
                              kPatience);
    shoot(*gui.window, u"inspect-run"_s);

    // The layer's numbers over all runs.
    QTest::mouseClick(gui.find<QToolButton>("cornerRunsButton"), Qt::LeftButton);
    auto* runs = gui.find<QTableView>("layerRunsTable");
    QTRY_COMPARE_WITH_TIMEOUT(runs->model()->rowCount(), 1, kPatience);
    const auto& worstLayer = run.layers[static_cast<std::size_t>(worst)];
    QCOMPARE(runs->model()->index(0, 1).data().toString(),
             qw::text::percent(worstLayer.outputError));
    gui.window->state().setRunInView({});
    QVERIFY(!gui.window->state().runInView());
    runs->setFocus();
    runs->setCurrentIndex(runs->model()->index(0, 0));
    QTest::keyClick(runs, Qt::Key_Return);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().runInView().has_value(), kPatience);
    shoot(*gui.window, u"inspect-all-runs"_s);
    gui.trigger("darkThemeAction");
    QTest::qWait(50);
    shoot(*gui.window, u"inspect-run-dark"_s);
    gui.trigger("lightThemeAction");
}

void TstInspect::theMapSaysWhoseErrorItShows()
{
    GuiFixture gui;
    qw::RunResult run; // whose artifact was not kept
    run.id = "aaaaaaaa1111";
    run.status = "finished";
    run.spec = qw::defaultDraft();
    run.spec.calibration.text.clear();
    run.spec.method = "rtn";
    qw::LayerOverride skip;
    skip.pattern = "k_proj";
    skip.skip = true;
    run.spec.overrides = {skip};
    gui.window->state().store().save(run);
    gui.openDemo();
    gui.trigger("inspectAction");
    auto* inspector = &gui.find<qw::InspectPage>("inspectPage")->inspector();
    auto* note = gui.find<qw::ElidedLabel>("mapNoteLabel");
    QVERIFY(gui.find<QToolButton>("map2Button")->isEnabled());
    QTest::mouseClick(gui.find<QToolButton>("map2Button"), Qt::LeftButton);
    gui.window->state().setRunInView(u"aaaaaaaa1111"_s);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().runInView().has_value(), kPatience);
    // Without a calibration text nobody knows the sizes of the inputs.
    QVERIFY(!gui.find<QToolButton>("map2Button")->isEnabled());
    QVERIFY(gui.find<QToolButton>("map1Button")->isChecked());
    gui.window->state().selectLayer(u"model.layers.0.self_attn.q_proj"_s);
    QTRY_VERIFY_WITH_TIMEOUT(inspector->viewIsCurrent(), kPatience);
    QVERIFY(inspector->view()->relativeError > 0);
    QVERIFY2(note->fullText().contains(u"kept no artifact"_s), qPrintable(note->fullText()));
    const auto* spectra = gui.find<qw::ElidedLabel>("spectraNoteLabel");
    QTRY_VERIFY_WITH_TIMEOUT(spectra->fullText().size() > 30, kPatience);
    QVERIFY(spectra->minimumSizeHint().width() < spectra->sizeHint().width());
    QVERIFY(gui.window->minimumSizeHint().width() <= 1280); // sentences do not widen it
    gui.window->state().selectLayer(u"model.layers.0.self_attn.k_proj"_s);
    QTRY_VERIFY_WITH_TIMEOUT(inspector->viewIsCurrent(), kPatience);
    QCOMPARE(inspector->view()->relativeError, 0.0);
    QVERIFY2(note->fullText().contains(u"left as it is"_s), qPrintable(note->fullText()));
    gui.window->state().setRunInView({});
    QVERIFY(gui.find<QToolButton>("map2Button")->isEnabled());
}

void TstInspect::measuringTheInputsStopsAndStartsAgain()
{
    GuiFixture gui;
    gui.openDemo();
    gui.trigger("inspectAction");
    auto* inspector = &gui.find<qw::InspectPage>("inspectPage")->inspector();
    auto* button = gui.find<QToolButton>("measureChannelsButton");
    auto* note = gui.find<qw::ElidedLabel>("channelsNoteLabel");
    const auto* plot = gui.find<SeriesPlot>("channelsPlot");
    QTRY_VERIFY_WITH_TIMEOUT(note->fullText().contains(u"block 1 of"_s), kPatience);
    QVERIFY(inspector->channelsBusy());
    gui.trigger("startAction"); // nobody looks any more
    QVERIFY(!inspector->channelsBusy());
    gui.trigger("inspectAction");
    QVERIFY(inspector->channelsBusy());
    QVERIFY(button->isVisible());
    QTest::mouseClick(button, Qt::LeftButton);
    QVERIFY(!inspector->channelsBusy());
    QTRY_VERIFY(plot->emptyText().contains(u"Cancelled"_s));
    gui.window->state().selectLayer(u"model.layers.1.mlp.down_proj"_s);
    QVERIFY(!inspector->channelsBusy()); // cancelled is cancelled

    // What failed is said and can be tried again.
    qw::RunSpec draft = gui.window->state().draft();
    const QString file = gui.folder.filePath(u"text.txt"_s);
    draft.calibration.text = file.toStdString();
    draft.calibration.nsamples = 2;
    draft.calibration.seqlen = 64;
    gui.window->state().setDraft(draft);
    QTRY_VERIFY2_WITH_TIMEOUT(plot->emptyText().contains(u"text.txt"_s),
                              qPrintable(plot->emptyText()), kPatience);
    QVERIFY(
        QFile::copy(QString::fromStdString(qw::resolveText("demo:calibration").string()), file));
    QCOMPARE(button->text(), u"Measure"_s);
    QTest::mouseClick(button, Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(!plot->data().series.empty(), kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(!inspector->channelsBusy(), kPatience);
    QVERIFY(!button->isVisible());
    // The statistic of a method is not the pass's business.
    draft.lowRank.statistic = "rms";
    gui.window->state().setDraft(draft);
    QVERIFY(!inspector->channelsBusy());
}

void TstInspect::theNextLayerIsSeenAtTheSamePlace()
{
    GuiFixture gui;
    gui.openDemo();
    qw::RunSpec draft = gui.window->state().draft();
    draft.calibration.text.clear();
    draft.method = "lqer"; // whose curve needs no data
    gui.window->state().setDraft(draft);
    gui.trigger("inspectAction");
    auto* inspector = &gui.find<qw::InspectPage>("inspectPage")->inspector();
    const auto select = [&](const QString& layer) {
        gui.window->state().selectLayer(layer);
        QTRY_VERIFY_WITH_TIMEOUT(inspector->viewIsCurrent(), kPatience);
        QTRY_VERIFY_WITH_TIMEOUT(!inspector->spectraBusy(), kPatience);
    };
    select(u"model.layers.0.mlp.up_proj"_s);
    Q_EMIT gui.find<qw::HeatmapPlot>("mapPlot")->areaWanted(QRectF(4, 8, 16, 12));
    QTRY_COMPARE_WITH_TIMEOUT(inspector->view()->mapCols, 16, kPatience);
    select(u"model.layers.1.mlp.up_proj"_s);
    QCOMPARE(inspector->view()->firstCol, 4);
    QCOMPARE(inspector->view()->firstRow, 8);
    QCOMPARE(inspector->view()->mapRows, 12);
    QVERIFY(!rankText(gui).isEmpty());
    select(u"model.layers.1.mlp.down_proj"_s); // another shape
    QCOMPARE(inspector->view()->mapRows, inspector->view()->rows);
    // Going back, curves are known at once, bytes only with the layer.
    gui.window->state().selectLayer(u"model.layers.1.mlp.up_proj"_s);
    QVERIFY(inspector->spectra().has_value());
    QCOMPARE(rankText(gui), QString());
    QTRY_VERIFY_WITH_TIMEOUT(!rankText(gui).isEmpty(), kPatience);
}

// How long that takes on a machine is measured by ./workbench bench gui.
void TstInspect::fiveHundredLayersAskForLittle()
{
    struct Counted : qw::LayerTreeModel {
        mutable int asked = 0;
        QVariant data(const QModelIndex& index, int role) const override
        {
            ++asked;
            return LayerTreeModel::data(index, role);
        }
    };
    constexpr int kScreenful = 3000; // what is in sight, in all roles, a few times over
    constexpr int kAll = 12000;      // each row some tens of times, as sorting does
    std::vector<qw::LayerRow> rows;
    std::vector<qw::LayerResult> results;
    for (int i = 0; i < 504; ++i) {
        qw::LayerRow row;
        row.name = u"model.layers.%1.mlp.p%2_proj"_s.arg(i / 7).arg(i % 7);
        row.rows = row.cols = 64;
        rows.push_back(row);
        qw::LayerResult& result = results.emplace_back();
        result.name = row.name.toStdString();
        result.outputError = 0.01 * ((i * 37) % 101 + 1);
    }
    Counted model;
    qw::LayerTreeProxy proxy;
    proxy.setSourceModel(&model);
    QTreeView tree;
    tree.setModel(&proxy);
    tree.setUniformRowHeights(true);
    tree.setSortingEnabled(true);
    tree.resize(400, 700);
    tree.show();
    const auto counted = [&](const char* what, int most, auto action) {
        model.asked = 0;
        action();
        QCoreApplication::processEvents();
        qInfo("%s asks %d times", what, model.asked);
        QVERIFY2(model.asked < most,
                 qPrintable(u"%1 asked %2 times"_s.arg(QLatin1String(what)).arg(model.asked)));
    };
    counted("opening", kScreenful, [&] {
        model.setLayers(rows);
        model.setResults(results);
    });
    counted("unfolding", kScreenful, [&] { tree.expandAll(); });
    counted("sorting", kAll,
            [&] { tree.sortByColumn(qw::LayerTreeModel::OutputErrorColumn, Qt::DescendingOrder); });
    counted("filtering", kAll, [&] { proxy.setQuery(qw::LayerQuery::parse(u"p3"_s)); });
    counted("selecting", kScreenful,
            [&] { tree.setCurrentIndex(proxy.mapFromSource(model.indexOf(rows[500].name))); });
    counted("filling in", kAll, [&] {
        for (const qw::LayerRow& row : rows) {
            model.setWeights(row.name, -1, 1, 5, 20);
        }
    });
}

QTEST_MAIN(TstInspect)
#include "tst_inspect.moc"
