#include <set>

#include <QAbstractSpinBox>
#include <QClipboard>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QGuiApplication>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSignalSpy>
#include <QSpinBox>
#include <QTest>
#include <QToolButton>
#include <QTreeView>

#include "app/gui/method_change.h"
#include "app/gui/presets.h"
#include "app/gui/spec_fields.h"
#include "base/error.h"
#include "support/gui_fixture.h"
#include "widgets/layer_tree_model.h"
#include "widgets/series_plot.h"

using namespace Qt::Literals::StringLiterals;
using qw::Mode;
using qw::RunSpec;
using qw::test::GuiFixture;
using qw::test::kPatience;
using qw::test::shoot;

namespace {
/// On the page, the bundled model open, with a run of seconds as the draft.
void openQuantize(const GuiFixture& gui)
{
    gui.openDemo();
    gui.trigger("quantizeAction");
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().facts().has_value(), kPatience);
    RunSpec draft = gui.window->state().draft();
    draft.calibration.nsamples = 2;
    draft.evaluation.windows = 2;
    gui.window->state().setDraft(draft);
}

RunSpec draftOf(const GuiFixture& gui)
{
    return gui.window->state().draft();
}

void chooseText(QComboBox& box, const QString& text)
{
    const int shown = box.findText(text);
    box.setCurrentIndex(shown >= 0 ? shown : box.findData(text)); // methods: by their id
    Q_EMIT box.activated(box.currentIndex());                     // as after a choice from the list
}

bool shown(const GuiFixture& gui, const QString& name)
{
    const auto* widget = gui.window->findChild<QWidget*>(name);
    return widget != nullptr && widget->isVisible();
}
} // namespace

class TstQuantize : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void everySettingOfEveryMethodHasAPlace();
    void presetsAreValid_data();
    void presetsAreValid();
    void formFollowsTheMethod();
    void methodsThatTrainHaveTheirGrid();
    void everyMethodTakesWhatItIsTurnedTo_data();
    void everyMethodTakesWhatItIsTurnedTo();
    void aMethodWithoutTheFormatChangesItAndSaysSo();
    void theFormatComesBackAfterSeveralMethods();
    void numbersLeftOpenSayWhatIsTaken();
    void presetFillsAndResetGoesBack();
    void wrongCombinationsAreExplainedInPlace();
    void refusedByTheModelIsExplainedInPlace();
    void estimateFollowsTheDraft();
    void editsAreUndone();
    void overridesFromTheTree();
    void recipesGoOutAndIn();
    void recipesWithAWrongRankAreExplained_data();
    void recipesWithAWrongRankAreExplained();
    void commandIsCopied();
    void draftSurvivesARestart();
    void runsWithTheKeyboardOnly();
};

void TstQuantize::everySettingOfEveryMethodHasAPlace()
{
    const qw::Json spec = qw::toJson(RunSpec{});
    const auto methods = qw::describeMethods();
    QVERIFY(methods.size() >= 5);
    for (const auto& method : methods) {
        std::set<std::string> paths;
        for (const qw::SpecField& field : qw::specFields(methods, method.id)) {
            qw::specValue(RunSpec{}, field.path); // throws where there is no such setting
            QVERIFY2(paths.insert(field.path).second, field.path.c_str());
            QVERIFY2(!field.param.help.empty(), field.path.c_str());
        }
        for (const char* path : {"weight.bits", "weight.format", "seed", "evaluation.text"}) {
            QVERIFY2(paths.count(path) == 1, path);
        }
        QCOMPARE(paths.count("low_rank.rank") == 1, method.lowRank);
    }
}

void TstQuantize::presetsAreValid_data()
{
    QTest::addColumn<int>("index");
    const auto all = qw::presets();
    for (int i = 0; i < static_cast<int>(all.size()); ++i) {
        QTest::newRow(qPrintable(all[static_cast<std::size_t>(i)].title)) << i;
    }
}

void TstQuantize::presetsAreValid()
{
    QFETCH(int, index);
    const qw::Preset preset = qw::presets()[static_cast<std::size_t>(index)];
    RunSpec draft = qw::defaultDraft();
    draft.seed = 7;
    draft.overrides = {{"down_proj", 8, {}, {}, {}}};
    const RunSpec spec = qw::applyPreset(preset, draft, 512);
    qw::validate(spec);
    QCOMPARE(spec.seed, 7);
    QCOMPARE(spec.overrides, draft.overrides);
    QCOMPARE(spec.calibration.text, draft.calibration.text);
    if (preset.spec.contains("calibration")) {
        const qw::Json& recipe = preset.spec.at("calibration");
        QCOMPARE(spec.calibration.nsamples, recipe.at("nsamples").get<std::int64_t>());
        QCOMPARE(spec.calibration.seqlen, 512); // no longer than the model sees
        QCOMPARE(qw::applyPreset(preset, draft, 0).calibration.seqlen,
                 recipe.at("seqlen").get<std::int64_t>());
    } else {
        QCOMPARE(spec.calibration, draft.calibration);
    }
    QVERIFY(preset.title.contains(u"W%1"_s.arg(spec.weight.bits)));
    QVERIFY(!preset.source.isEmpty());
}

void TstQuantize::formFollowsTheMethod()
{
    GuiFixture gui;
    openQuantize(gui);
    QCOMPARE(gui.window->mode(), Mode::Quantize);
    QTRY_VERIFY(shown(gui, u"lowRankStatisticField"_s)); // l2qer has a statistic
    auto* method = gui.find<QComboBox>("methodField");
    method->setFocus();
    chooseText(*method, u"rtn"_s);
    QCOMPARE(draftOf(gui).method, std::string("rtn"));
    QVERIFY(!shown(gui, u"lowRankRankField"_s));
    QCOMPARE(gui.find<QComboBox>("methodField")->currentText(), u"Round to nearest"_s);
    chooseText(*gui.find<QComboBox>("methodField"), u"qera-exact"_s);
    QTRY_VERIFY(shown(gui, u"lowRankRankField"_s));
    QVERIFY(!shown(gui, u"lowRankStatisticField"_s));
    // Fields that have no effect are not shown.
    QVERIFY(!shown(gui, u"activationBitsField"_s));
    chooseText(*gui.find<QComboBox>("activationFormatField"), u"mxint"_s);
    QTRY_VERIFY(shown(gui, u"activationBitsField"_s));
}

void TstQuantize::methodsThatTrainHaveTheirGrid()
{
    GuiFixture gui;
    openQuantize(gui);
    QCOMPARE(draftOf(gui).weight.format, std::string("mxint"));
    chooseText(*gui.find<QComboBox>("methodField"), u"lr-qat"_s);
    QTRY_VERIFY(shown(gui, u"trainingPhiField"_s));
    QVERIFY(draftOf(gui).weight.sym);
    QCOMPARE(draftOf(gui).weight.format, std::string("int"));
    QCOMPARE(draftOf(gui).weight.range, std::string("lp"));
    QVERIFY(!shown(gui, u"weightFormatResetButton"_s)); // nothing differs from what is usual
    QVERIFY(shown(gui, u"trainingTextField"_s) && shown(gui, u"trainingStepsField"_s));
    chooseText(*gui.find<QComboBox>("trainingPhiField"), u"int"_s);
    QCOMPARE(draftOf(gui).training.phi, std::string("int"));
    shoot(*gui.window, u"quantize-training"_s);
    chooseText(*gui.find<QComboBox>("methodField"), u"peqa"_s); // what only lr-qat has goes
    QTRY_VERIFY(!shown(gui, u"trainingPhiField"_s));
    qw::validate(draftOf(gui));
    chooseText(*gui.find<QComboBox>("activationPointsField"), u"a8"_s);
    QTRY_VERIFY(!shown(gui, u"activationFormatField"_s));
    chooseText(*gui.find<QComboBox>("methodField"), u"rtn"_s);
    QTRY_VERIFY(!draftOf(gui).weight.sym);
}

void TstQuantize::everyMethodTakesWhatItIsTurnedTo_data()
{
    QTest::addColumn<int>("index");
    const auto methods = qw::describeMethods();
    for (int i = 0; i < static_cast<int>(methods.size()); ++i) {
        QTest::newRow(methods[static_cast<std::size_t>(i)].id.c_str()) << i;
    }
}

/// Whatever the form had before, what a method makes of it is refused by nobody.
void TstQuantize::everyMethodTakesWhatItIsTurnedTo()
{
    QFETCH(int, index);
    const qw::MethodDescription method = qw::describeMethods()[static_cast<std::size_t>(index)];
    std::vector<RunSpec> before(4, qw::defaultDraft());
    before[1].weight = {.format = "int", .bits = 8, .groupSize = qw::kPerTensor, .range = "lrq"};
    before[2].activation.format = "mxint";
    before[2].activation.attention = true;
    before[3].method = "lsq";
    before[3].weight = qw::usualWeight("lsq");
    for (const RunSpec& spec : before) {
        const RunSpec turned = qw::turnedTo(spec, method).spec;
        QCOMPARE(turned.method, method.id);
        try {
            qw::validate(turned);
            qw::estimateRun(turned); // knows the model and the method's own rules
        } catch (const qw::Error& error) {
            QFAIL(error.what());
        }
    }
    // It turns no more than it must: what a method says that it does not take is refused.
    const auto refused = [](const RunSpec& spec) {
        try {
            qw::validate(spec);
            qw::estimateRun(spec);
            return false;
        } catch (const qw::Error&) {
            return true;
        }
    };
    RunSpec other = qw::turnedTo(qw::defaultDraft(), method).spec;
    other.weight = {.format = "mxint", .bits = 4, .groupSize = 16};
    QCOMPARE(refused(other), method.integerGridsOnly);
    other = qw::turnedTo(qw::defaultDraft(), method).spec;
    other.weight = qw::usualWeight(method.id);
    other.weight.range = other.weight.sym ? "lp" : "lrq";
    QCOMPARE(refused(other), method.findsRange);
}

void TstQuantize::aMethodWithoutTheFormatChangesItAndSaysSo()
{
    GuiFixture gui;
    openQuantize(gui);
    QVERIFY(!shown(gui, u"weightFormatNoteLabel"_s));
    const RunSpec before = draftOf(gui);
    chooseText(*gui.find<QComboBox>("methodField"), u"lrq"_s);
    QCOMPARE(draftOf(gui).weight.format, std::string("int"));
    QCOMPARE(draftOf(gui).weight.groupSize, 128);
    QTRY_VERIFY(shown(gui, u"weightFormatNoteLabel"_s));
    const QString said = gui.find<QLabel>("weightFormatNoteLabel")->text();
    QVERIFY2(said.contains(u"LRQ"_s) && said.contains(u"mxint"_s), qPrintable(said));
    QTRY_VERIFY_WITH_TIMEOUT(gui.find<QPushButton>("startRunButton")->isEnabled(), kPatience);
    chooseText(*gui.find<QComboBox>("methodField"), u"l2qer"_s); // going back
    QCOMPARE(draftOf(gui).weight, before.weight);
    QVERIFY(!shown(gui, u"weightFormatNoteLabel"_s));
    chooseText(*gui.find<QComboBox>("methodField"), u"lrq"_s);
    gui.trigger("undoAction");
    QCOMPARE(draftOf(gui), before);
    QVERIFY(!shown(gui, u"weightFormatNoteLabel"_s));
    // Refused by the method: beside the format, and nothing below moves.
    chooseText(*gui.find<QComboBox>("methodField"), u"lrq"_s);
    QTRY_VERIFY_WITH_TIMEOUT(gui.find<QPushButton>("startRunButton")->isEnabled(), kPatience);
    RunSpec spec = draftOf(gui);
    spec.weight.format = "mxint";
    spec.weight.groupSize = 16;
    gui.window->state().setDraft(spec);
    QTRY_VERIFY_WITH_TIMEOUT(shown(gui, u"weightFormatProblemLabel"_s), kPatience);
    QVERIFY(!shown(gui, u"formProblemLabel"_s));
}

void TstQuantize::theFormatComesBackAfterSeveralMethods()
{
    GuiFixture gui;
    openQuantize(gui);
    const auto choose = [&](const QString& method) { // the form is another one each time
        chooseText(*gui.find<QComboBox>("methodField"), method);
    };
    const RunSpec before = draftOf(gui);
    QCOMPARE(before.method, std::string("l2qer"));
    QCOMPARE(before.weight.format, std::string("mxint"));
    choose(u"lrq"_s);
    choose(u"lr-qat"_s);
    QCOMPARE(draftOf(gui).weight.format, std::string("int"));
    QTRY_VERIFY(shown(gui, u"weightFormatNoteLabel"_s));
    QVERIFY2(gui.find<QLabel>("weightFormatNoteLabel")->text().contains(u"to L\u00b2QER"_s),
             qPrintable(gui.find<QLabel>("weightFormatNoteLabel")->text()));
    QVERIFY(!shown(gui, u"weightFormatResetButton"_s));
    choose(u"l2qer"_s);
    QCOMPARE(draftOf(gui).weight, before.weight);
    QCOMPARE(draftOf(gui).activation, before.activation);
    QVERIFY(!shown(gui, u"weightFormatResetButton"_s));
    // An undone change of method forgets nothing of the ones before it.
    choose(u"lrq"_s);
    choose(u"lr-qat"_s);
    gui.trigger("undoAction");
    QCOMPARE(draftOf(gui).method, std::string("lrq"));
    QTRY_VERIFY(shown(gui, u"weightFormatNoteLabel"_s));
    choose(u"l2qer"_s);
    QCOMPARE(draftOf(gui).weight, before.weight);
    gui.trigger("undoAction"); // lrq
    gui.trigger("undoAction"); // l2qer
    QCOMPARE(draftOf(gui).weight, before.weight);
    gui.trigger("redoAction");
    choose(u"l2qer"_s);
    QCOMPARE(draftOf(gui).weight, before.weight);
    // What the user has set since stays.
    choose(u"lrq"_s);
    gui.find<QSpinBox>("weightBitsField")->setValue(3);
    choose(u"l2qer"_s);
    QCOMPARE(draftOf(gui).weight.format, std::string("int"));
    QCOMPARE(draftOf(gui).weight.bits, 3);
}

void TstQuantize::numbersLeftOpenSayWhatIsTaken()
{
    GuiFixture gui;
    openQuantize(gui);
    const auto text = [&](const char* name) { return gui.find<QAbstractSpinBox>(name)->text(); };
    const std::int64_t context = gui.window->state().model()->maxPositions;
    const QString length = u"automatic: %1"_s.arg(context);
    QTRY_COMPARE_WITH_TIMEOUT(text("calibrationSeqlenField"), length, kPatience);
    chooseText(*gui.find<QComboBox>("methodField"), u"lr-qat"_s);
    gui.find<QSpinBox>("trainingStepsField")->setValue(1000);
    QTRY_COMPARE_WITH_TIMEOUT(text("trainingLrField"), u"automatic: 0.01"_s, kPatience);
    QCOMPARE(text("trainingLrScaleField"), u"automatic: 0.0001"_s);
    QCOMPARE(text("trainingWarmupField"), u"automatic: 100"_s);
    QCOMPARE(text("trainingSeqlenField"), length);
    QVERIFY2(text("trainingRankField").startsWith(u"automatic: "_s),
             qPrintable(text("trainingRankField")));
    // One step up from there is 0, and below 0 there is nothing else.
    auto* rate = gui.find<QDoubleSpinBox>("trainingLrField");
    rate->stepUp();
    QCOMPARE(draftOf(gui).training.lr, 0);
    rate->setValue(-0.5);
    QCOMPARE(draftOf(gui).training.lr, -1);
    rate->setValue(0.002);
    QCOMPARE(text("trainingLrField"), u"0.002"_s);
    QTRY_VERIFY(shown(gui, u"trainingLrResetButton"_s));
    const QString tip = gui.find<QToolButton>("trainingLrResetButton")->toolTip();
    QVERIFY2(tip.contains(u"automatic"_s) && !tip.contains(u"-1"_s), qPrintable(tip));
    chooseText(*gui.find<QComboBox>("methodField"), u"lrq"_s);
    QTRY_VERIFY_WITH_TIMEOUT(text("reconstructionLrField").startsWith(u"automatic: 0."_s),
                             kPatience);
}

void TstQuantize::presetFillsAndResetGoesBack()
{
    GuiFixture gui;
    openQuantize(gui);
    auto* presets = gui.find<QComboBox>("presetComboBox");
    chooseText(*presets, u"QERA-exact W3, rank 64"_s);
    QCOMPARE(draftOf(gui).method, std::string("qera-exact"));
    QCOMPARE(draftOf(gui).weight.bits, 3);
    QCOMPARE(draftOf(gui).lowRank.rank, 64);
    QCOMPARE(draftOf(gui).calibration.text, std::string("demo:calibration")); // not the recipe's
    QCOMPARE(draftOf(gui).calibration.nsamples, 256);
    QCOMPARE(draftOf(gui).calibration.seqlen, 512);
    QTRY_VERIFY(shown(gui, u"calibrationNsamplesNoteLabel"_s)); // the former method's is gone
    auto* windows = gui.find<QLabel>("calibrationNsamplesNoteLabel");
    QVERIFY2(windows->text().contains(u"2048"_s), qPrintable(windows->text()));
    QVERIFY(!shown(gui, u"weightBitsResetButton"_s));
    gui.find<QSpinBox>("weightBitsField")->setValue(5);
    QCOMPARE(draftOf(gui).weight.bits, 5);
    QTRY_VERIFY(shown(gui, u"weightBitsResetButton"_s));
    // What the recipe has is told while the form has it, cut to the model, and no longer.
    RunSpec own = draftOf(gui);
    own.calibration.seqlen = 64;
    gui.window->state().setDraft(own);
    QVERIFY(!windows->isVisibleTo(gui.window.get()));
    own.calibration.seqlen = gui.window->state().model()->maxPositions;
    gui.window->state().setDraft(own);
    QVERIFY(windows->isVisibleTo(gui.window.get()));
    shoot(*gui.window, u"quantize-preset"_s);
    QTest::mouseClick(gui.find<QToolButton>("weightBitsResetButton"), Qt::LeftButton);
    QCOMPARE(draftOf(gui).weight.bits, 3);
    QVERIFY(!shown(gui, u"weightBitsResetButton"_s));
    gui.reopen(); // the preset is compared with after a restart too
    QCOMPARE(gui.find<QComboBox>("presetComboBox")->currentText(), u"QERA-exact W3, rank 64"_s);
}

void TstQuantize::wrongCombinationsAreExplainedInPlace()
{
    GuiFixture gui;
    openQuantize(gui);
    auto* start = gui.find<QPushButton>("startRunButton");
    QTRY_VERIFY_WITH_TIMEOUT(start->isEnabled(), kPatience);
    chooseText(*gui.find<QComboBox>("weightFormatField"), u"int"_s);
    QCOMPARE(draftOf(gui).weight.groupSize, 128); // each format has its usual group
    chooseText(*gui.find<QComboBox>("weightRangeField"), u"lp"_s);
    auto* problem = gui.find<QLabel>("weightRangeProblemLabel");
    QTRY_VERIFY(problem->isVisible());
    QTRY_VERIFY(!gui.find<QLabel>("whyNotLabel")->text().isEmpty());
    QVERIFY(gui.window->minimumSizeHint().width() <= 1280); // fits a small screen still
    QVERIFY(problem->text().contains(u"symmetric"_s));
    QVERIFY(!start->isEnabled());
    QVERIFY(!gui.find<QAction>("startRunAction")->isEnabled());
    shoot(*gui.window, u"quantize-invalid"_s);
    gui.find<QWidget>("weightSymField")->setFocus();
    QTest::keyClick(gui.find<QWidget>("weightSymField"), Qt::Key_Space);
    QVERIFY(!shown(gui, u"weightRangeProblemLabel"_s));
    QTRY_VERIFY_WITH_TIMEOUT(start->isEnabled(), kPatience);

    // What is no value at all never reaches the draft.
    auto* group = gui.find<QComboBox>("weightGroupSizeField");
    group->lineEdit()->setFocus();
    group->lineEdit()->selectAll();
    QTest::keyClicks(group->lineEdit(), u"many"_s);
    QTest::keyClick(group->lineEdit(), Qt::Key_Return);
    QVERIFY(gui.find<QLabel>("weightGroupSizeProblemLabel")->text().contains(u"many"_s));
    QVERIFY(!start->isEnabled());
    QCOMPARE(draftOf(gui).weight.groupSize, 128);
    group->lineEdit()->selectAll();
    QTest::keyClicks(group->lineEdit(), u"64"_s);
    QTest::keyClick(group->lineEdit(), Qt::Key_Return);
    QCOMPARE(draftOf(gui).weight.groupSize, 64);
    QTRY_VERIFY_WITH_TIMEOUT(start->isEnabled(), kPatience);
}

void TstQuantize::refusedByTheModelIsExplainedInPlace()
{
    GuiFixture gui;
    openQuantize(gui);
    RunSpec draft = draftOf(gui);
    draft.weight.format = "int";
    draft.weight.groupSize = 24; // divides no layer of the bundled model
    gui.window->state().setDraft(draft);
    QTRY_VERIFY_WITH_TIMEOUT(shown(gui, u"formProblemLabel"_s), kPatience);
    const QString sentence = gui.find<QLabel>("formProblemLabel")->text();
    QVERIFY2(sentence.contains(u"24"_s), qPrintable(sentence));
    QVERIFY(!gui.find<QPushButton>("startRunButton")->isEnabled());
    draft.adjust = true;
    gui.window->state().setDraft(draft);
    QTRY_VERIFY_WITH_TIMEOUT(gui.find<QPushButton>("startRunButton")->isEnabled(), kPatience);
    QVERIFY(!shown(gui, u"formProblemLabel"_s));
}

void TstQuantize::estimateFollowsTheDraft()
{
    GuiFixture gui;
    openQuantize(gui);
    auto* bits = gui.find<QLabel>("estimateBitsLabel");
    QTRY_VERIFY_WITH_TIMEOUT(bits->text() != u"\u2013"_s, kPatience);
    const QString before = bits->text();
    gui.find<QSpinBox>("weightBitsField")->setValue(3);
    QTRY_VERIFY_WITH_TIMEOUT(bits->text() != before &&
                                 !gui.find<QLabel>("estimateNoteLabel")->text().contains(u'\u2026'),
                             kPatience);
    // One bit less in each of the weights, whatever the factors take.
    QVERIFY(std::abs(before.toDouble() - bits->text().toDouble() - 1) < 0.02);
    QVERIFY(!gui.find<QLabel>("estimateTimeLabel")->text().isEmpty());
    auto* exports = gui.find<QLabel>("estimateExportsLabel");
    QTRY_COMPARE_WITH_TIMEOUT(exports->text(), u"Lossless on export: compressed-tensors, gguf"_s,
                              kPatience);
    QVERIFY(exports->toolTip().contains(u"awq: "_s));
    shoot(*gui.window, u"quantize"_s);
    qw::RunSpec draft = draftOf(gui);
    draft.activation.format = "mxint";
    gui.window->state().setDraft(draft);
    QTRY_COMPARE_WITH_TIMEOUT(exports->text(), u"Lossless on export: none"_s, kPatience);
    QVERIFY(exports->toolTip().contains(u"the quantization of activations"_s));
    gui.trigger("darkThemeAction");
    shoot(*gui.window, u"quantize-dark"_s);
    gui.trigger("lightThemeAction");
}

void TstQuantize::editsAreUndone()
{
    GuiFixture gui;
    openQuantize(gui);
    auto* rank = gui.find<QSpinBox>("lowRankRankField");
    rank->setFocus();
    QTest::keyClick(rank, Qt::Key_Up);
    QTest::keyClick(rank, Qt::Key_Up);
    QCOMPARE(draftOf(gui).lowRank.rank, 34);
    gui.find<QSpinBox>("weightBitsField")->setValue(2);
    gui.trigger("undoAction");
    QCOMPARE(draftOf(gui).weight.bits, 4);
    QCOMPARE(gui.find<QSpinBox>("weightBitsField")->value(), 4);
    gui.trigger("undoAction"); // steps in one field go back together
    QCOMPARE(draftOf(gui).lowRank.rank, 32);
    gui.trigger("redoAction");
    QCOMPARE(draftOf(gui).lowRank.rank, 34);
}

void TstQuantize::overridesFromTheTree()
{
    GuiFixture gui;
    openQuantize(gui);
    auto* tree = gui.find<QTreeView>("layerTree");
    QVERIFY(!tree->isColumnHidden(qw::LayerTreeModel::PlanBitsColumn));
    QVERIFY(tree->isColumnHidden(qw::LayerTreeModel::OutputErrorColumn));
    const QModelIndex block = tree->model()->index(0, 0);
    const QModelIndex first = tree->model()->index(0, 0, block);
    const QModelIndex second = tree->model()->index(1, 0, block);
    tree->setCurrentIndex(first);
    tree->selectionModel()->select(second, QItemSelectionModel::Select | QItemSelectionModel::Rows);
    tree->model()->setData(first.siblingAtColumn(qw::LayerTreeModel::PlanBitsColumn), 8,
                           Qt::EditRole);
    for (const QModelIndex& index : {first, second}) {
        const auto layer = index.data(qw::LayerTreeModel::LayerRole).toString().toStdString();
        QCOMPARE(qw::settingsFor(draftOf(gui), layer).weight.bits, 8);
    }
    QVERIFY(gui.find<QLabel>("overridesLabel")
                ->text()
                .contains(u"layers.0.self_attn.q_proj: 8 bits"_s));
    shoot(*gui.window, u"quantize-overrides"_s);
    gui.trigger("undoAction");
    QVERIFY(draftOf(gui).overrides.empty());
    gui.trigger("redoAction");
    QTest::mouseClick(gui.find<QPushButton>("clearOverridesButton"), Qt::LeftButton);
    QVERIFY(draftOf(gui).overrides.empty());
}

void TstQuantize::recipesGoOutAndIn()
{
    GuiFixture gui;
    openQuantize(gui);
    const QString file = gui.folder.filePath(u"recipe.json"_s);
    RunSpec wanted = draftOf(gui);
    wanted.weight.bits = 3;
    wanted.overrides = {{"down_proj$", 8, {}, 0, {}}};
    gui.window->state().setDraft(wanted);
    gui.dialogs.setNextPath(file);
    QTest::mouseClick(gui.find<QPushButton>("exportRecipeButton"), Qt::LeftButton);
    gui.window->state().setDraft(qw::defaultDraft());
    gui.dialogs.setNextPath(file);
    gui.trigger("importRecipeAction");
    QCOMPARE(draftOf(gui), wanted);
    gui.trigger("undoAction");
    QCOMPARE(draftOf(gui), qw::defaultDraft());
    gui.window->openPath(file); // as when dropped on the window
    QCOMPARE(draftOf(gui), wanted);

    QFile broken(file);
    QVERIFY(broken.open(QIODevice::WriteOnly) && broken.write("{\"bitz\": 3}") > 0);
    broken.close();
    QSignalSpy shownProblems(&gui.dialogs, &qw::Dialogs::problemShown);
    gui.window->openPath(file);
    QCOMPARE(shownProblems.size(), 1);
    QVERIFY(shownProblems.first().first().toString().contains(u"bitz"_s));
    QCOMPARE(draftOf(gui), wanted);
}

void TstQuantize::recipesWithAWrongRankAreExplained_data()
{
    QTest::addColumn<QString>("rank");
    QTest::newRow("a word") << u"half"_s;
    QTest::newRow("nothing") << QString();
    QTest::newRow("a number beyond all") << u"12345678901234567890"_s;
}

/// The layers' plans and the estimate read the rank too: the window goes on, now and next time.
void TstQuantize::recipesWithAWrongRankAreExplained()
{
    QFETCH(QString, rank);
    GuiFixture gui;
    gui.openDemo();
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().facts().has_value(), kPatience);
    const QString file = gui.folder.filePath(u"recipe.json"_s);
    const qw::Json recipe = {
        {"model", "demo"}, {"method", "lrq"}, {"reconstruction", {{"rank", rank.toStdString()}}}};
    QFile written(file);
    QVERIFY(written.open(QIODevice::WriteOnly) && written.write(recipe.dump().c_str()) > 0);
    written.close();
    QSignalSpy shownProblems(&gui.dialogs, &qw::Dialogs::problemShown);
    gui.window->openPath(file);
    QCOMPARE(shownProblems.size(), 0);
    for (int i = 0; i < 2; ++i) { // imported, then read again by the next start
        QCOMPARE(draftOf(gui).reconstruction.rank, rank.toStdString());
        gui.trigger("quantizeAction");
        QTRY_VERIFY_WITH_TIMEOUT(shown(gui, u"reconstructionRankProblemLabel"_s), kPatience);
        QVERIFY(!gui.find<QPushButton>("startRunButton")->isEnabled());
        if (i == 0) {
            gui.window->close();
            gui.reopen();
            gui.openDemo();
            QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().facts().has_value(), kPatience);
        }
    }
}

void TstQuantize::commandIsCopied()
{
    GuiFixture gui;
    openQuantize(gui);
    gui.trigger("copyCommandAction");
    const QString command = QGuiApplication::clipboard()->text();
    QVERIFY2(command.startsWith(u"qw run demo "_s), qPrintable(command));
    QVERIFY(command.contains(u"--method l2qer"_s) && command.contains(u"--nsamples 2"_s));
}

void TstQuantize::draftSurvivesARestart()
{
    GuiFixture gui;
    openQuantize(gui);
    gui.find<QSpinBox>("weightBitsField")->setValue(7);
    const RunSpec before = draftOf(gui);
    gui.window->close();
    gui.reopen();
    QCOMPARE(draftOf(gui), before);
    gui.window->restoreSession();
    QCOMPARE(gui.window->mode(), Mode::Quantize);
}

void TstQuantize::runsWithTheKeyboardOnly()
{
    GuiFixture gui;
    gui.window->activateWindow();
    QVERIFY(QTest::qWaitForWindowActive(gui.window.get()));
    QTest::keyClick(gui.window.get(), Qt::Key_O, Qt::ControlModifier | Qt::ShiftModifier);
    QTRY_COMPARE_WITH_TIMEOUT(gui.window->state().modelState(), qw::AppState::ModelState::Ready,
                              kPatience);
    QTest::keyClick(gui.window.get(), Qt::Key_3, Qt::ControlModifier);
    QCOMPARE(gui.window->mode(), Mode::Quantize);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->findChild<QWidget*>(u"weightBitsField"_s), kPatience);
    const auto type = [&](const char* name, const QString& value) {
        auto* field = gui.find<QSpinBox>(name);
        for (int i = 0; i < 200 && !field->hasFocus(); ++i) {
            QTest::keyClick(gui.window->focusWidget(), Qt::Key_Tab);
        }
        QVERIFY2(field->hasFocus(), name); // reachable by Tab alone
        field->selectAll();
        QTest::keyClicks(field, value);
        QTest::keyClick(field, Qt::Key_Return);
    };
    type("weightBitsField", u"3"_s);
    type("lowRankRankField", u"8"_s);
    type("calibrationNsamplesField", u"2"_s);
    type("evaluationWindowsField", u"2"_s);
    QCOMPARE(draftOf(gui).weight.bits, 3);
    QCOMPARE(draftOf(gui).lowRank.rank, 8);
    QTRY_VERIFY_WITH_TIMEOUT(gui.find<QAction>("startRunAction")->isEnabled(), kPatience);
    QTest::keyClick(gui.window.get(), Qt::Key_R, Qt::ControlModifier);
    auto* plot = gui.find<qw::SeriesPlot>("queuePlot");
    QTRY_VERIFY_WITH_TIMEOUT(plot->isVisible() && !plot->data().series.empty(), kPatience);
    shoot(*gui.window, u"queue-running"_s);
    QTRY_VERIFY_WITH_TIMEOUT(gui.window->state().runInView().has_value(), kPatience);
    QTRY_VERIFY_WITH_TIMEOUT(shown(gui, u"queueInspectButton"_s), kPatience);
    const qw::RunResult run = *gui.window->state().runInView();
    QCOMPARE(run.spec.weight.bits, 3);
    QCOMPARE(run.status, std::string("finished"));
    QCOMPARE(plot->data().series.front().y.size(), run.layers.size());
    QVERIFY(gui.find<QLabel>("queueStateLabel")->text().contains(u"perplexity"_s));
    shoot(*gui.window, u"queue-finished"_s);
}

QTEST_MAIN(TstQuantize)
#include "tst_quantize.moc"
