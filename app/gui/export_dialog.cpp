#include "app/gui/export_dialog.h"

#include <QComboBox>
#include <QDesktopServices>
#include <QDialogButtonBox>
#include <QFileInfo>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QProgressBar>
#include <QPushButton>
#include <QTextBrowser>
#include <QUrl>
#include <QVBoxLayout>

#include "app/gui/app_state.h"
#include "app/gui/export_text.h"
#include "app/gui/run_text.h"
#include "widgets/theme.h"

namespace qw {

using namespace Qt::Literals::StringLiterals;

namespace {
constexpr QSize kSize(820, 620);
constexpr int kTargetsWidth = 300;

QLabel* makeLabel(const QString& name)
{
    auto* label = new QLabel;
    label->setObjectName(name);
    label->setTextFormat(Qt::PlainText);
    label->setWordWrap(true);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
    return label;
}

void paint(QLabel& label, const QColor& color)
{
    QPalette colors = label.palette();
    colors.setColor(QPalette::WindowText, color);
    label.setPalette(colors);
}
} // namespace

ExportDialog::ExportDialog(AppState& state, Dialogs& dialogs, RunResult run, QWidget* parent)
    : QDialog(parent), m_state(state), m_dialogs(dialogs), m_run(std::move(run))
{
    setObjectName(u"exportDialog"_s);
    setWindowTitle(tr("Export Model"));
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(theme::kSection, theme::kSection, theme::kSection, theme::kSection);
    layout->setSpacing(theme::kMargin);
    auto* intro = new QLabel(tr("%1 of %2, run %3, as files of another program.")
                                 .arg(run_text::settings(m_run),
                                      run_text::path(QString::fromStdString(m_run.spec.model)),
                                      QString::fromStdString(m_run.id)));
    intro->setTextFormat(Qt::PlainText);
    intro->setWordWrap(true);
    layout->addWidget(intro);
    layout->addWidget(makeTargets(), 1);
    layout->addWidget(makeOptions());
    layout->addWidget(makeOutcome());
    layout->addWidget(makeButtons());
    connect(&m_planner, &Background::failed, this, [this](const QString& sentence) {
        m_details->clear();
        m_problem->setText(sentence);
    });
    connect(&m_writer, &Background::failed, this, [this](const QString& sentence) {
        setWriting(false);
        m_problem->setText(sentence);
    });
    connect(&m_writer, &Background::progressed, this, [this](const Progress& progress) {
        m_bar->setRange(0, static_cast<int>(progress.total));
        m_bar->setValue(static_cast<int>(progress.done));
        m_space->setText(export_text::progress(progress));
    });
    resize(kSize);
    setTabOrder(m_browse, m_close);
    setTabOrder(m_close, m_open);
    setTabOrder(m_open, m_export);
    setWriting(false);
    plan();
}

QWidget* ExportDialog::makeTargets()
{
    m_targets = new QListWidget;
    m_targets->setObjectName(u"exportTargetList"_s);
    m_targets->setAccessibleName(tr("Targets"));
    m_targets->setFixedWidth(kTargetsWidth);
    m_targets->setSpacing(theme::kTight);
    connect(m_targets, &QListWidget::currentRowChanged, this, &ExportDialog::showTarget);
    m_details = new QTextBrowser;
    m_details->setObjectName(u"exportDetailsText"_s);
    m_details->setAccessibleName(tr("What is kept and lost"));
    m_details->document()->setDocumentMargin(theme::kMargin);
    m_details->document()->setIndentWidth(theme::kSection);
    m_nearest = new QPushButton;
    m_nearest->setObjectName(u"exportNearestButton"_s);
    m_nearest->setAutoDefault(false);
    connect(m_nearest, &QPushButton::clicked, this, [this] {
        if (const ExportPlan* one = chosen()) {
            chooseTarget(one->nearest);
        }
    });
    auto* widget = new QWidget;
    auto* right = new QVBoxLayout;
    right->setSpacing(theme::kGap);
    right->addWidget(m_details, 1);
    right->addWidget(m_nearest, 0, Qt::AlignLeft);
    auto* line = new QHBoxLayout(widget);
    line->setContentsMargins(0, 0, 0, 0);
    line->setSpacing(theme::kMargin);
    line->addWidget(m_targets);
    line->addLayout(right, 1);
    return widget;
}

QComboBox* ExportDialog::makeChoice(QFormLayout& form, const QString& name, const QString& label,
                                    const std::vector<std::pair<QString, QString>>& choices,
                                    const QString& tip)
{
    auto* box = new QComboBox;
    box->setObjectName(name);
    box->setToolTip(tip);
    box->setAccessibleName(QString(label).remove(u'&'));
    for (const auto& [value, text] : choices) {
        box->addItem(text, value);
    }
    connect(box, &QComboBox::currentIndexChanged, this, &ExportDialog::plan);
    form.addRow(label, box);
    return box;
}

QWidget* ExportDialog::makeOptions()
{
    auto* widget = new QWidget;
    auto* form = new QFormLayout(widget);
    form->setContentsMargins(0, 0, 0, 0);
    form->setHorizontalSpacing(theme::kSection);
    form->setVerticalSpacing(theme::kGap);
    m_type = makeChoice(
        *form, u"exportTypeComboBox"_s, tr("&Number type"),
        {{QString(), tr("As the target has it")},
         {u"f32"_s, tr("F32")},
         {u"f16"_s, tr("F16")},
         {u"bf16"_s, tr("BF16")}},
        tr("Of all that is no code. GGUF writes no codes if a type is chosen: all weights in it"));
    m_gptq = makeChoice(*form, u"exportGptqComboBox"_s, tr("&GPTQ version"),
                        {{u"1"_s, tr("1, which every client reads")},
                         {u"2"_s, tr("2, which keeps zero points of 0")}},
                        tr("How a GPTQ checkpoint stores zero points"));
    if (m_run.rank > 0) {
        m_lora = makeChoice(*form, u"exportLoraComboBox"_s, tr("&Low-rank correction"),
                            {{QString(), tr("As the target has it")},
                             {u"separate"_s, tr("An adapter of its own")},
                             {u"merge"_s, tr("Merged into the weights")}},
                            tr("Codes cannot take it up: merged layers are plain numbers"));
        m_base = new QLineEdit;
        m_base->setObjectName(u"exportBaseLineEdit"_s);
        m_base->setAccessibleName(tr("Base of the adapter"));
        m_base->setPlaceholderText(tr("Folder or name of the quantized base, if you know it"));
        form->addRow(tr("&Base of the adapter"), m_base);
    }
    m_placeLabel = new QLabel(tr("&Folder"));
    m_placeLabel->setObjectName(u"exportPlaceLabel"_s);
    form->addRow(m_placeLabel, makePlace());
    m_placeLabel->setBuddy(m_place);
    return widget;
}

QWidget* ExportDialog::makePlace()
{
    m_place = new QLineEdit;
    m_place->setObjectName(u"exportPlaceLineEdit"_s);
    connect(m_place, &QLineEdit::textEdited, this, [this] { m_ownPlace = true; });
    connect(m_place, &QLineEdit::textChanged, this, &ExportDialog::check);
    m_browse = new QPushButton(tr("B&rowse\u2026"));
    m_browse->setObjectName(u"exportBrowseButton"_s);
    m_browse->setAutoDefault(false);
    connect(m_browse, &QPushButton::clicked, this, &ExportDialog::browse);
    auto* widget = new QWidget;
    auto* line = new QHBoxLayout(widget);
    line->setContentsMargins(0, 0, 0, 0);
    line->setSpacing(theme::kGap);
    line->addWidget(m_place, 1);
    line->addWidget(m_browse);
    return widget;
}

QWidget* ExportDialog::makeOutcome()
{
    m_space = makeLabel(u"exportSpaceLabel"_s);
    m_space->setForegroundRole(QPalette::PlaceholderText);
    m_bar = new QProgressBar;
    m_bar->setObjectName(u"exportProgressBar"_s);
    m_bar->setAccessibleName(tr("Progress of the phase"));
    m_bar->setTextVisible(false);
    m_problem = makeLabel(u"exportProblemLabel"_s);
    paint(*m_problem, theme::problemText(palette()));
    m_verdict = makeLabel(u"exportVerdictLabel"_s);
    paint(*m_verdict, theme::goodText(palette()));
    auto* widget = new QWidget;
    auto* column = new QVBoxLayout(widget);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(theme::kTight);
    column->addWidget(m_space);
    column->addWidget(m_bar);
    column->addWidget(m_problem);
    column->addWidget(m_verdict);
    return widget;
}

QWidget* ExportDialog::makeButtons()
{
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    m_close = buttons->button(QDialogButtonBox::Close);
    m_close->setObjectName(u"exportCloseButton"_s);
    m_close->setAutoDefault(false);
    m_open = buttons->addButton(tr("&Open Folder"), QDialogButtonBox::ActionRole);
    m_open->setObjectName(u"exportOpenButton"_s);
    m_open->setAutoDefault(false);
    m_open->setToolTip(tr("Shows what was written in a file manager"));
    connect(m_open, &QPushButton::clicked, this, [this] {
        const QFileInfo written(m_written);
        QDesktopServices::openUrl(QUrl::fromLocalFile(written.isDir() ? written.absoluteFilePath()
                                                                      : written.absolutePath()));
    });
    m_export = buttons->addButton(tr("&Export"), QDialogButtonBox::ActionRole);
    m_export->setObjectName(u"exportStartButton"_s);
    m_export->setDefault(true);
    connect(m_export, &QPushButton::clicked, this, &ExportDialog::start);
    connect(buttons, &QDialogButtonBox::rejected, this, &ExportDialog::reject);
    return buttons;
}

} // namespace qw
