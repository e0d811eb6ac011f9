#include "app/gui/quantize_page.h"

#include <algorithm>

#include <QClipboard>
#include <QComboBox>
#include <QFileInfo>
#include <QGridLayout>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QScrollArea>
#include <QVBoxLayout>

#include "app/gui/app_state.h"
#include "app/gui/dialogs.h"
#include "app/gui/estimate_panel.h"
#include "app/gui/method_change.h"
#include "app/gui/overrides.h"
#include "app/gui/presets.h"
#include "app/gui/settings.h"
#include "app/gui/spec_fields.h"
#include "base/error.h"
#include "base/files.h"
#include "report/spec_command.h"
#include "store/run_store.h"
#include "widgets/spec_form.h"
#include "widgets/theme.h"

namespace qw {

namespace {
constexpr int kFormWidth = 620;
constexpr int kSideWidth = 280;

QLabel* titled(const QString& text)
{
    auto* label = new QLabel(text);
    QFont bold = label->font();
    bold.setBold(true);
    label->setFont(bold);
    return label;
}
} // namespace

QuantizePage::QuantizePage(AppState& state, Dialogs& dialogs, QWidget* parent)
    : QWidget(parent), m_state(state), m_dialogs(dialogs), m_recipes(presets())
{
    setObjectName(QStringLiteral("quantizePage"));
    auto* columns = new QHBoxLayout;
    columns->setSpacing(theme::kSection);
    columns->addWidget(makeForm(), 1);
    columns->addWidget(makeSide());
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(theme::kSection, theme::kMargin, theme::kSection, theme::kMargin);
    layout->setSpacing(theme::kMargin);
    layout->addLayout(columns, 1);
    layout->addWidget(makeButtons());
    connect(&m_state, &AppState::factsKnown, this, &QuantizePage::rebuildFields);
    connect(&m_state, &AppState::draftChanged, this, &QuantizePage::showDraft);
    connect(&m_state, &AppState::modelChanged, this, &QuantizePage::showDraft);
    rebuildFields();
}

QWidget* QuantizePage::makeForm()
{
    m_presets = new QComboBox;
    m_presets->setObjectName(QStringLiteral("presetComboBox"));
    m_presets->setAccessibleName(tr("Preset"));
    m_presets->addItem(tr("choose a recipe of a paper\u2026"));
    for (const Preset& preset : m_recipes) {
        m_presets->addItem(preset.title);
        m_presets->setItemData(m_presets->count() - 1, preset.source, Qt::ToolTipRole);
    }
    connect(m_presets, &QComboBox::activated, this, &QuantizePage::choosePreset);
    m_presetSource = new QLabel;
    m_presetSource->setWordWrap(true);
    m_presetSource->setForegroundRole(QPalette::PlaceholderText);
    auto* presetLine = new QGridLayout;
    presetLine->setHorizontalSpacing(theme::kMargin);
    presetLine->setVerticalSpacing(2);
    auto* presetLabel = titled(tr("&Preset"));
    presetLabel->setBuddy(m_presets);
    presetLine->setColumnMinimumWidth(0, SpecForm::kLabelWidth);
    presetLine->setColumnStretch(1, 1);
    presetLine->addWidget(presetLabel, 0, 0);
    presetLine->addWidget(m_presets, 0, 1, Qt::AlignLeft);
    presetLine->addWidget(m_presetSource, 1, 1);
    showPreset(m_presets->findText(m_state.settings().text(Settings::Key::LastPreset)));
    m_form = new SpecForm;
    m_form->setObjectName(QStringLiteral("specForm"));
    connect(m_form, &SpecForm::edited, this, &QuantizePage::takeEdit);
    connect(m_form, &SpecForm::problemChanged, this, &QuantizePage::showButtons);
    connect(m_form, &SpecForm::browseWanted, this, &QuantizePage::browse);
    auto* content = new QWidget;
    content->setMaximumWidth(kFormWidth);
    auto* column = new QVBoxLayout(content);
    column->setContentsMargins(theme::kSection, theme::kSection, theme::kSection, theme::kSection);
    column->setSpacing(theme::kSection);
    column->addLayout(presetLine);
    column->addWidget(m_form, 1);
    auto* scroll = new QScrollArea;
    scroll->setObjectName(QStringLiteral("formScrollArea"));
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setBackgroundRole(QPalette::Base);
    scroll->setWidget(content);
    content->setAutoFillBackground(true);
    content->setBackgroundRole(QPalette::Base);
    scroll->setAlignment(Qt::AlignTop | Qt::AlignLeft);
    return scroll;
}

QWidget* QuantizePage::makeSide()
{
    auto* side = new QWidget;
    side->setFixedWidth(kSideWidth);
    m_estimate = new EstimatePanel(m_state);
    connect(m_estimate, &EstimatePanel::changed, this, [this] {
        m_form->setOutsideProblem(m_estimate->problem());
        showButtons();
    });
    m_overridesLabel = new QLabel;
    m_overridesLabel->setObjectName(QStringLiteral("overridesLabel"));
    m_overridesLabel->setWordWrap(true);
    m_overridesLabel->setTextFormat(Qt::PlainText);
    m_clearOverrides = new QPushButton(tr("&Remove All"));
    m_clearOverrides->setObjectName(QStringLiteral("clearOverridesButton"));
    connect(m_clearOverrides, &QPushButton::clicked, this, &QuantizePage::clearOverrides);
    auto* layout = new QVBoxLayout(side);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(theme::kGap);
    layout->addWidget(titled(tr("What it will take")));
    layout->addWidget(m_estimate);
    layout->addSpacing(theme::kSection);
    layout->addWidget(titled(tr("Single layers")));
    layout->addWidget(m_overridesLabel);
    layout->addWidget(m_clearOverrides, 0, Qt::AlignLeft);
    layout->addStretch(1);
    return side;
}

QWidget* QuantizePage::makeButtons()
{
    auto* line = new QWidget;
    m_start = new QPushButton(tr("&Start"));
    m_start->setObjectName(QStringLiteral("startRunButton"));
    m_start->setDefault(true);
    m_start->setToolTip(tr("Run this now, or as soon as the queue gets there"));
    m_enqueue = new QPushButton(tr("Add to &Queue"));
    m_enqueue->setObjectName(QStringLiteral("enqueueButton"));
    m_enqueue->setToolTip(tr("Queue it and stay here, to prepare the next one"));
    auto* import = new QPushButton(tr("Imp&ort Recipe\u2026"));
    import->setObjectName(QStringLiteral("importRecipeButton"));
    import->setToolTip(tr("Fill the form from a recipe (JSON)"));
    auto* save = new QPushButton(tr("E&xport Recipe\u2026"));
    save->setObjectName(QStringLiteral("exportRecipeButton"));
    save->setToolTip(tr("Write the form as a recipe (JSON) that qw run takes too"));
    auto* copy = new QPushButton(tr("Cop&y as Command"));
    copy->setObjectName(QStringLiteral("copyCommandButton"));
    copy->setToolTip(tr("The qw command that does the same, for scripts and clusters"));
    m_sweep = new QPushButton(tr("S&weep\u2026"));
    m_sweep->setObjectName(QStringLiteral("sweepButton"));
    m_sweep->setToolTip(tr("Run every combination of methods, bits, ranks, groups and seeds"));
    connect(m_sweep, &QPushButton::clicked, this, &QuantizePage::sweepWanted);
    if (const QString problem = m_state.storeProblem(); !problem.isEmpty()) {
        m_sweep->setEnabled(false);
        for (QPushButton* button : {m_start, m_enqueue, m_sweep}) {
            button->setToolTip(problem);
        }
    }
    m_why = new QLabel;
    m_why->setObjectName(QStringLiteral("whyNotLabel"));
    m_why->setForegroundRole(QPalette::PlaceholderText);
    m_why->setTextFormat(Qt::PlainText);
    m_why->setWordWrap(true); // else the window grows with it
    auto* layout = new QHBoxLayout(line);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(theme::kGap);
    for (QPushButton* button : {import, save, copy, m_sweep, m_enqueue, m_start}) {
        button->setMinimumWidth(button->sizeHint().width() + theme::kSection);
    }
    layout->addWidget(import);
    layout->addWidget(save);
    layout->addWidget(copy);
    layout->addWidget(m_why, 1);
    layout->addWidget(m_sweep);
    layout->addWidget(m_enqueue);
    layout->addWidget(m_start);
    connect(m_start, &QPushButton::clicked, this, [this] { Q_EMIT runWanted(true); });
    connect(m_enqueue, &QPushButton::clicked, this, [this] { Q_EMIT runWanted(false); });
    connect(import, &QPushButton::clicked, this, &QuantizePage::chooseRecipe);
    connect(save, &QPushButton::clicked, this, &QuantizePage::exportRecipe);
    connect(copy, &QPushButton::clicked, this, &QuantizePage::copyCommand);
    return line;
}

QString QuantizePage::whyNot() const
{
    if (!m_state.storeProblem().isEmpty()) {
        return tr("The run store can only be read");
    }
    if (m_state.modelState() != AppState::ModelState::Ready) {
        return tr("Open a model first");
    }
    const bool fits = m_form->problem().isEmpty() && m_estimate->problem().isEmpty();
    return fits ? QString() : tr("Mend the setting marked \u26a0 first");
}

std::int64_t QuantizePage::context() const
{
    return m_state.model() ? m_state.model()->maxPositions : 0;
}

QString QuantizePage::calibrationNote() const
{
    const int index = m_presets->currentIndex();
    if (index < 1 || context() == 0) {
        return {};
    }
    const Json& recipe = m_recipes.at(static_cast<std::size_t>(index - 1)).spec;
    if (!recipe.contains("calibration")) {
        return {};
    }
    const auto nsamples = recipe.at("calibration").at("nsamples").get<std::int64_t>();
    const auto seqlen = recipe.at("calibration").at("seqlen").get<std::int64_t>();
    const CalibrationSpec& draft = m_state.draft().calibration;
    if (seqlen <= context() || draft.nsamples != nsamples || draft.seqlen != context()) {
        return {}; // the recipe's own, or the user's
    }
    return tr("The recipe has %1 windows of %2 tokens; this model sees %3 at most")
        .arg(nsamples)
        .arg(seqlen)
        .arg(context());
}

RunSpec QuantizePage::preset() const
{
    const int index = m_presets->currentIndex();
    const MethodDescription* method = m_state.method(m_state.draft().method);
    if (index > 0) {
        RunSpec recipe = applyPreset(m_recipes.at(static_cast<std::size_t>(index - 1)),
                                     m_state.draft(), context());
        if (method != nullptr && recipe.method != method->id) {
            // What the method chosen since has to change was not chosen itself.
            const std::string own = recipe.method;
            recipe = turnedTo(recipe, *method).spec;
            recipe.method = own;
        }
        return recipe;
    }
    RunSpec usual = defaultDraft(); // of this program, for the method chosen
    usual.model = m_state.draft().model;
    return method != nullptr ? turnedTo(usual, *method).spec
                             : withMethod(usual, m_state.draft().method);
}

void QuantizePage::rebuildFields()
{
    if (m_state.facts()) {
        m_method = m_state.draft().method;
        m_form->setFields(specFields(m_state.facts()->methods, m_method));
    }
    showDraft();
}

void QuantizePage::showDraft()
{
    if (m_state.draft().method != m_method && m_state.facts()) {
        rebuildFields();
        return;
    }
    const RunSpec& draft = m_state.draft();
    m_form->setNote("weight.format", asTurned() ? m_state.turn()->said : QString());
    m_form->setNote("calibration.nsamples", calibrationNote());
    m_form->setSpec(draft, preset());
    QStringList lines;
    for (const LayerOverride& entry : m_state.draft().overrides) {
        lines << overrides::title(entry);
    }
    constexpr int kShown = 8;
    if (lines.size() > kShown) {
        const auto more = lines.size() - kShown;
        lines = lines.mid(0, kShown);
        lines << tr("and %1 more").arg(more);
    }
    m_overridesLabel->setText(
        lines.isEmpty() ? tr("All layers alike. Select layers in the tree and edit their bits, "
                             "rank or skip to treat them differently.")
                        : lines.join(u'\n'));
    m_clearOverrides->setVisible(!lines.isEmpty());
    m_form->setOutsideProblem({});
    m_estimate->ask(m_form->problem().isEmpty());
    askSettled();
    showButtons();
}

void QuantizePage::askSettled()
{
    if (m_state.modelState() != AppState::ModelState::Ready) {
        m_settling.cancel();
        m_form->setSettled({});
    } else if (m_form->problem().isEmpty()) {
        m_settling.ask(
            [spec = m_state.draft()](const RunContext&) { return engine_calls::settled(spec); },
            [this](std::map<std::string, double> settled) {
                const std::int64_t threads = m_state.settings().number(Settings::Key::Threads);
                if (threads > 0) {
                    settled["threads"] = static_cast<double>(threads);
                } else if (m_state.facts()) {
                    settled["threads"] = static_cast<double>(m_state.facts()->info.physicalCores);
                }
                m_form->setSettled(settled);
            });
    }
}

bool QuantizePage::asTurned() const
{
    const RunSpec& draft = m_state.draft();
    const std::optional<MethodTurn>& turn = m_state.turn();
    return turn && draft.method == turn->turned.method && draft.weight == turn->turned.weight &&
           draft.activation == turn->turned.activation;
}

void QuantizePage::turnTo(const MethodDescription& method, const QString& field)
{
    RunSpec own = m_state.draft();
    if (asTurned()) {
        const RunSpec& before = m_state.turn()->own;
        if (before.weight != own.weight || before.activation != own.activation) {
            own.method = before.method;
            own.weight = before.weight;
            own.activation = before.activation;
        }
    }
    MethodChange change = turnedTo(own, method);
    QString said;
    if (own.method == method.id) { // back where the formats are from
        change.spec.weight = own.weight;
        change.spec.activation = own.activation;
    } else if (!change.said.isEmpty()) {
        const MethodDescription* home = m_state.method(own.method);
        said = home == nullptr ? change.said
                               : tr("%1; going back to %2 restores it")
                                     .arg(change.said, QString::fromStdString(home->title));
    }
    m_state.turnDraft(change.spec, MethodTurn{std::move(own), change.spec, said},
                      tr("Change %1").arg(field));
}

void QuantizePage::takeEdit(const RunSpec& edited, const QString& field)
{
    const RunSpec& before = m_state.draft();
    const MethodDescription* method = m_state.method(edited.method);
    if (edited.method != before.method && method != nullptr) {
        turnTo(*method, field);
        return;
    }
    RunSpec spec = edited;
    if (spec.weight.format != before.weight.format) { // each format has its usual group
        spec.weight.groupSize = spec.weight.format == "mxint" ? 16 : 128;
    }
    m_state.editDraft(spec, tr("Change %1").arg(field), QStringLiteral("form/") + field);
}

void QuantizePage::showPreset(int index)
{
    m_presets->setCurrentIndex(std::max(0, index));
    m_presetSource->setText(index > 0 ? m_recipes.at(static_cast<std::size_t>(index - 1)).source
                                      : QString());
    m_presetSource->setVisible(index > 0);
    m_state.settings().set(Settings::Key::LastPreset,
                           index > 0 ? m_presets->currentText() : QString());
}

void QuantizePage::choosePreset(int index)
{
    showPreset(index);
    if (index > 0) {
        const Preset& preset = m_recipes.at(static_cast<std::size_t>(index - 1));
        m_state.turnDraft(applyPreset(preset, m_state.draft(), context()), std::nullopt,
                          tr("Preset %1").arg(preset.title));
    }
    showDraft();
}

void QuantizePage::browse(const QString& path)
{
    const QString file =
        m_dialogs.askOpenFile(this, tr("Choose a Text"), tr("Texts (*.txt *.raw);;All files (*)"));
    if (!file.isEmpty()) {
        m_state.editDraft(withSpecValue(m_state.draft(), path.toStdString(), file.toStdString()),
                          tr("Choose %1").arg(file));
    }
}

void QuantizePage::showButtons()
{
    const QString why = whyNot();
    m_start->setEnabled(why.isEmpty());
    m_enqueue->setEnabled(why.isEmpty());
    m_why->setText(why);
    Q_EMIT canRunChanged();
}

void QuantizePage::chooseRecipe()
{
    const QString file =
        m_dialogs.askOpenFile(this, tr("Import Recipe"), tr("Recipes (*.json);;All files (*)"));
    if (!file.isEmpty()) {
        importRecipe(file);
    }
}

void QuantizePage::importRecipe(const QString& file)
{
    try {
        RunSpec draft = runSpecFromJson(readJsonFile(file.toStdString()));
        if (m_state.model()) { // a recipe says how, the window says which model
            draft.model = m_state.modelName().toStdString();
        }
        showPreset(0);
        m_state.turnDraft(draft, std::nullopt, tr("Import %1").arg(QFileInfo(file).fileName()));
        Q_EMIT message(tr("Recipe read from %1").arg(file));
    } catch (const Error& error) {
        m_dialogs.showProblem(this, tr("Cannot Read the Recipe"),
                              QString::fromStdString(error.what()));
    }
}

void QuantizePage::exportRecipe()
{
    const QString file = m_dialogs.askSaveFile(
        this, tr("Export Recipe"), QStringLiteral("recipe.json"), tr("Recipes (*.json)"));
    if (file.isEmpty()) {
        return;
    }
    try {
        AtomicFile out(file.toStdString());
        out.write(toJson(m_state.draft()).dump(2) + "\n");
        out.commit();
        Q_EMIT message(tr("Recipe written to %1").arg(file));
    } catch (const Error& error) {
        m_dialogs.showProblem(this, tr("Cannot Write the Recipe"),
                              QString::fromStdString(error.what()));
    }
}

void QuantizePage::clearOverrides()
{
    m_state.editDraft(overrides::none(m_state.draft()), tr("Treat All Layers Alike"));
}

void QuantizePage::copyCommand()
{
    RunSpec spec = m_state.draft();
    if (spec.threads == 0) {
        spec.threads = m_state.settings().number(Settings::Key::Threads); // as when it is queued
    }
    std::string command = runCommand(spec);
    if (command.empty()) {
        m_dialogs.showProblem(this, tr("No Command"),
                              tr("A setting of this form has no option on the command line. Export "
                                 "the recipe and run it with: qw run recipe.json"));
        return;
    }
    if (m_state.storeFile() != RunStore::defaultFile()) {
        command += " --store " + shellQuoted(m_state.storeFile().string());
    }
    QGuiApplication::clipboard()->setText(QString::fromStdString(command));
    Q_EMIT message(tr("Copied: %1").arg(QString::fromStdString(command)));
}

} // namespace qw
