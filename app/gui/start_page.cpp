#include "app/gui/start_page.h"

#include <algorithm>
#include <map>
#include <set>

#include <QDateTime>
#include <QDirIterator>
#include <QFileInfo>
#include <QFormLayout>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

#include "app/gui/app_state.h"
#include "app/gui/run_text.h"
#include "app/gui/settings.h"
#include "store/run_activity.h"
#include "widgets/card_button.h"
#include "widgets/icons.h"
#include "widgets/number_text.h"
#include "widgets/theme.h"

namespace qw {

namespace {
constexpr int kMaxUnfinished = 3;
constexpr int kMaxRecent = 5;
constexpr int kColumnWidth = 560;

QLabel* heading(const QString& text, double scale = 1.15)
{
    auto* label = new QLabel(text);
    QFont font = label->font();
    font.setBold(true);
    font.setPointSizeF(font.pointSizeF() * scale);
    label->setFont(font);
    return label;
}

/// The widget of that key, brought to its place in the list, or else the one that make() returns:
/// what is shown again stays as it is, with the focus and a pressed button.
template <class Make>
QWidget* place(QVBoxLayout* list, int index, const QString& key, Make make)
{
    constexpr const char* kKey = "key";
    for (int i = index; i < list->count(); ++i) {
        QWidget* there = list->itemAt(i)->widget();
        if (there->property(kKey).toString() == key) {
            list->removeWidget(there);
            list->insertWidget(index, there);
            return there;
        }
    }
    QWidget* made = make();
    made->setProperty(kKey, key);
    list->insertWidget(index, made);
    return made;
}

/// Takes away what is not shown any more.
void shorten(QVBoxLayout* list, int count)
{
    while (QLayoutItem* item = list->takeAt(count)) {
        QWidget* widget = item->widget();
        widget->hide();
        widget->setParent(nullptr); // nobody finds it any more; it may be in its own signal
        widget->deleteLater();
        delete item;
    }
}

qint64 weightBytes(const QString& folder)
{
    qint64 bytes = 0;
    QDirIterator files(folder, {QStringLiteral("*.safetensors")}, QDir::Files);
    while (files.hasNext()) {
        bytes += files.nextFileInfo().size();
    }
    return bytes;
}
} // namespace

StartPage::StartPage(AppState& state, QWidget* parent) : QScrollArea(parent), m_state(state)
{
    setObjectName(QStringLiteral("startPage"));
    setWidgetResizable(true);
    setFrameShape(QFrame::NoFrame);
    auto* content = new QWidget;
    auto* columns = new QHBoxLayout(content);
    columns->setContentsMargins(32, 24, 32, 24);
    columns->setSpacing(32);
    columns->addStretch(1);
    columns->addWidget(makeOffers(), 100);
    columns->addWidget(makeModelPanel(), 70, Qt::AlignTop);
    columns->addStretch(1);
    setWidget(content);
    connect(&m_state, &AppState::modelChanged, this, &StartPage::showModel);
    connect(&m_state, &AppState::modelChanged, this, &StartPage::showRecents);
    connect(&m_state, &AppState::runsChanged, this, &StartPage::showRecents);
    connect(&m_state, &AppState::runsChanged, this, &StartPage::showUnfinished);
    showModel();
    showRecents();
    showUnfinished();
}

void StartPage::changeEvent(QEvent* event)
{
    QScrollArea::changeEvent(event);
    if (event->type() == QEvent::PaletteChange) { // a label keeps the colour its links had
        const QString text = m_links->text();
        m_links->clear();
        m_links->setText(text);
    }
}

void StartPage::offerMode(Mode mode)
{
    m_modes.insert(mode);
    if (const auto button = m_modeButtons.find(mode); button != m_modeButtons.end()) {
        button->second->show();
    }
    const std::map<Mode, QString> sentences = {
        {Mode::Inspect,
         tr("<a href='%1'>Inspect</a> each layer: its singular values, its weights on the grid, "
            "and where its error comes from.")},
        {Mode::Quantize,
         tr("<a href='%1'>Quantize</a> with a method, a number format and a rank, and measure "
            "perplexity and divergence.")},
        {Mode::Compare,
         tr("<a href='%1'>Compare</a> all runs ever made: quality against size, rank by rank, "
            "layer by layer.")}};
    QString text;
    for (const auto& [place, sentence] : sentences) {
        if (m_modes.count(place) > 0) {
            text += QStringLiteral("<p style='margin:4px 0'>%1</p>")
                        .arg(sentence.arg(static_cast<int>(place)));
        }
    }
    m_links->setText(text);
}

void StartPage::setQueuedRuns(const QStringList& working, const QStringList& paused)
{
    if (working != m_workingRuns || paused != m_pausedRuns) {
        m_workingRuns = working;
        m_pausedRuns = paused;
        showUnfinished();
    }
}

QWidget* StartPage::makeOffers()
{
    auto* column = new QWidget;
    column->setMaximumWidth(kColumnWidth + 80);
    auto* layout = new QVBoxLayout(column);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(theme::kGap);
    layout->addWidget(heading(tr("Quant Workbench"), 1.9));
    auto* what = new QLabel(tr("See what few bits and a low-rank correction do to a language "
                               "model:\nin every layer, and in what it predicts."));
    what->setWordWrap(true);
    what->setForegroundRole(QPalette::PlaceholderText);
    layout->addWidget(what);
    layout->addSpacing(theme::kGap);
    m_unfinished = new QVBoxLayout;
    m_unfinished->setSpacing(theme::kGap);
    layout->addLayout(m_unfinished);

    m_bundled = new CardButton(
        tr("Open the bundled model"),
        tr("A small Llama trained on public-domain prose, with texts to calibrate and measure on"));
    m_bundled->setObjectName(QStringLiteral("openBundledButton"));
    m_bundled->setIcon(icons::icon(icons::Shape::Queue));
    connect(m_bundled, &QAbstractButton::clicked, this,
            [this] { Q_EMIT openWanted(QStringLiteral("demo")); });
    layout->addWidget(m_bundled);
    auto* folder = new CardButton(
        tr("Open a model folder\u2026"),
        tr("Hugging Face layout: Llama, Mistral, Qwen2, Qwen3, OPT, GPT-2, GPT-NeoX"));
    folder->setObjectName(QStringLiteral("openFolderButton"));
    folder->setIcon(icons::icon(icons::Shape::Folder));
    connect(folder, &QAbstractButton::clicked, this, &StartPage::openFolderWanted);
    layout->addWidget(folder);

    m_recentsTitle = heading(tr("Recent models"));
    layout->addSpacing(theme::kGap);
    layout->addWidget(m_recentsTitle);
    m_recents = new QVBoxLayout;
    m_recents->setSpacing(theme::kGap);
    layout->addLayout(m_recents);

    layout->addSpacing(theme::kGap);
    layout->addWidget(heading(tr("What you can do")));
    m_links = new QLabel;
    m_links->setObjectName(QStringLiteral("linksLabel"));
    m_links->setWordWrap(true);
    m_links->setTextInteractionFlags(Qt::LinksAccessibleByMouse | Qt::LinksAccessibleByKeyboard);
    connect(m_links, &QLabel::linkActivated, this,
            [this](const QString& mode) { Q_EMIT modeWanted(static_cast<Mode>(mode.toInt())); });
    layout->addWidget(m_links);
    layout->addStretch(1);
    return column;
}

QWidget* StartPage::makeModelPanel()
{
    m_modelPanel = new QFrame;
    m_modelPanel->setObjectName(QStringLiteral("modelPanel"));
    m_modelPanel->setMaximumWidth(kColumnWidth);
    m_modelPanel->setAutoFillBackground(true);
    m_modelPanel->setBackgroundRole(QPalette::Base);
    auto* layout = new QVBoxLayout(m_modelPanel);
    layout->setContentsMargins(theme::kSection, theme::kSection, theme::kSection, theme::kSection);
    layout->setSpacing(theme::kGap);
    m_modelTitle = heading({}, 1.3);
    m_modelTitle->setObjectName(QStringLiteral("openedModelLabel"));
    m_modelTitle->setWordWrap(true);
    layout->addWidget(m_modelTitle);
    m_modelFacts = new QFormLayout;
    m_modelFacts->setHorizontalSpacing(theme::kSection);
    m_modelFacts->setVerticalSpacing(theme::kTight);
    m_modelFacts->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    layout->addLayout(m_modelFacts);
    m_remarks = new QLabel;
    m_remarks->setObjectName(QStringLiteral("remarksLabel"));
    m_remarks->setWordWrap(true);
    m_remarks->setTextFormat(Qt::PlainText);
    m_remarks->setTextInteractionFlags(Qt::TextSelectableByMouse);
    layout->addWidget(m_remarks);
    layout->addSpacing(theme::kGap);
    auto* buttons = new QHBoxLayout;
    buttons->addStretch(1);
    const auto add = [&](Mode mode, const QString& text, const char* name) {
        auto* button = new QPushButton(text);
        button->setObjectName(QString::fromLatin1(name));
        button->setMinimumWidth(button->sizeHint().width() + theme::kSection);
        button->setDefault(mode == Mode::Quantize);
        button->hide();
        connect(button, &QPushButton::clicked, this, [this, mode] { Q_EMIT modeWanted(mode); });
        buttons->addWidget(button);
        m_modeButtons[mode] = button;
    };
    add(Mode::Inspect, tr("&Inspect Layers"), "startInspectButton");
    add(Mode::Quantize, tr("&Quantize"), "startQuantizeButton");
    layout->addLayout(buttons);
    return m_modelPanel;
}

void StartPage::showModel()
{
    const bool ready = m_state.modelState() == AppState::ModelState::Ready;
    m_modelPanel->setVisible(ready);
    m_bundled->setPrimary(!ready); // with a model open, quantizing it comes next
    if (!ready) {
        return;
    }
    const ModelOverview& model = *m_state.model();
    m_modelTitle->setText(m_state.modelTitle());
    while (m_modelFacts->rowCount() > 0) {
        m_modelFacts->removeRow(0);
    }
    const auto add = [this](const QString& label, const QString& value, const QString& tip = {}) {
        auto* name = new QLabel(label);
        name->setForegroundRole(QPalette::PlaceholderText);
        auto* shown = new QLabel(value);
        shown->setTextFormat(Qt::PlainText);
        shown->setTextInteractionFlags(Qt::TextSelectableByMouse);
        shown->setToolTip(tip);
        shown->setWordWrap(true);
        m_modelFacts->addRow(name, shown);
    };
    add(tr("Architecture"), QString::fromStdString(model.architecture));
    add(tr("Parameters"), text::count(model.parameters), QString::number(model.parameters));
    add(tr("Size"), text::megabytes(model.bytes), text::exactBytes(model.bytes));
    add(tr("Blocks"), QString::number(model.blocks));
    add(tr("Linear layers"), QString::number(model.layers.size()));
    add(tr("Hidden size"), QString::number(model.hidden));
    add(tr("MLP size"), QString::number(model.intermediate));
    add(tr("Heads"), model.kvHeads == model.heads
                         ? tr("%1 of %2").arg(model.heads).arg(model.headDim)
                         : tr("%1 of %2, %3 for keys and values")
                               .arg(model.heads)
                               .arg(model.headDim)
                               .arg(model.kvHeads));
    add(tr("Vocabulary"), QString::number(model.vocabSize));
    add(tr("Context"), tr("%1 tokens").arg(model.maxPositions));
    add(tr("Embeddings"), model.tiedEmbeddings ? tr("shared with the output") : tr("separate"));
    add(tr("Folder"), run_text::path(QString::fromStdString(model.folder)),
        QString::fromStdString(model.folder));
    QStringList remarks;
    for (const std::string& remark : model.remarks) {
        remarks.append(QStringLiteral("\u2022 ") + QString::fromStdString(remark));
    }
    m_remarks->setText(remarks.isEmpty() ? tr("Nothing unusual was found in this folder.")
                                         : remarks.join(u'\n'));
}

void StartPage::showRecents()
{
    std::map<QString, double> best; // smallest perplexity by model
    for (const RunSummary& run : m_state.runs()) {
        const double perplexity = run.result.score.perplexity;
        double& smallest =
            best.try_emplace(QString::fromStdString(run.result.spec.model), kMissing).first->second;
        if (perplexity < smallest || !(smallest == smallest)) {
            smallest = perplexity;
        }
    }
    int shown = 0;
    for (const QString& model : m_state.settings().list(Settings::Key::RecentModels)) {
        const QFileInfo folder(model);
        if (!folder.isDir() || shown == kMaxRecent) {
            continue;
        }
        QString note = text::megabytes(weightBytes(model)) + QStringLiteral("  \u00b7  ") +
                       folder.lastModified().toString(QStringLiteral("yyyy-MM-dd"));
        const auto found = best.find(model);
        if (found != best.end()) {
            note += tr("  \u00b7  best run %1").arg(text::number(found->second, 3));
        }
        QWidget* card = place(m_recents, shown++, model, [&] {
            auto* made = new CardButton(folder.fileName(), run_text::path(folder.absolutePath()));
            made->setObjectName(QStringLiteral("recentModelButton"));
            connect(made, &QAbstractButton::clicked, this,
                    [this, model] { Q_EMIT openWanted(model); });
            return made;
        });
        static_cast<CardButton*>(card)->setNote(note);
    }
    shorten(m_recents, shown);
    m_recentsTitle->setVisible(shown > 0);
}

void StartPage::showUnfinished()
{
    int shown = 0;
    const auto waiting = m_pausedRuns.count(QString());
    if (waiting > 0) {
        QWidget* card = place(m_unfinished, shown++, QString(), [this] {
            auto* made =
                new CardButton(QString(), tr("Queued and not begun; the queue below lists them"));
            made->setObjectName(QStringLiteral("continueQueueButton"));
            connect(made, &QAbstractButton::clicked, this, &StartPage::continueQueueWanted);
            return made;
        });
        const QString text = waiting == 1 ? tr("Continue the queue: 1 run waits")
                                          : tr("Continue the queue: %1 runs wait").arg(waiting);
        static_cast<CardButton*>(card)->setText(text);
        card->setAccessibleName(text);
    }
    const int last = shown + kMaxUnfinished;
    std::set<std::string> sweeps; // one card for all runs of a sweep
    for (const RunSummary& run : m_state.runs()) {
        const RunResult& result = run.result;
        const QString id = QString::fromStdString(result.id);
        if (m_workingRuns.contains(id)) {
            sweeps.insert(result.sweep); // its lock is ours: not to be tried
            continue;
        }
        const bool interrupted = isInterrupted(result);
        if ((!interrupted && !m_pausedRuns.contains(id)) ||
            (!result.sweep.empty() && !sweeps.insert(result.sweep).second) || shown == last) {
            continue;
        }
        const QString key = id + (interrupted ? QString() : QStringLiteral(" paused"));
        place(m_unfinished, shown++, key, [&] { return makeUnfinished(result, interrupted); });
    }
    shorten(m_unfinished, shown);
}

QWidget* StartPage::makeUnfinished(const RunResult& result, bool interrupted)
{
    const QString id = QString::fromStdString(result.id);
    auto* row = new QWidget;
    auto* layout = new QHBoxLayout(row);
    layout->setContentsMargins(0, 0, 0, 0);
    const QString began =
        interrupted ? tr("Started %1, interrupted; %2") : tr("Started %1, paused; %2");
    auto* card =
        new CardButton(tr("Resume %1").arg(run_text::settings(result)),
                       began.arg(run_text::localTime(result.started), run_text::kept(result.spec)));
    card->setObjectName(QStringLiteral("resumeButton"));
    auto* dismiss = new QPushButton(tr("Dismiss"));
    dismiss->setObjectName(QStringLiteral("dismissButton"));
    dismiss->setToolTip(tr("Marks the run as cancelled; what is finished is kept"));
    layout->addWidget(card, 1);
    layout->addWidget(dismiss);
    connect(card, &QAbstractButton::clicked, this, [this, id] { Q_EMIT resumeWanted(id); });
    connect(dismiss, &QPushButton::clicked, this, [this, id] { Q_EMIT discardWanted(id); });
    return row;
}

} // namespace qw
