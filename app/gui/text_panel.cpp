#include "app/gui/text_panel.h"

#include <algorithm>
#include <cmath>

#include <QAction>
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QTextCursor>
#include <QTextEdit>
#include <QVBoxLayout>

#include "app/gui/app_state.h"
#include "app/gui/compared_runs.h"
#include "report/run_groups.h"
#include "widgets/method_icon.h"
#include "widgets/number_text.h"
#include "widgets/theme.h"
#include "widgets/token_text.h"

namespace qw {

using namespace Qt::Literals::StringLiterals;

namespace {
constexpr std::size_t kMostRuns = 50;     // in the box
constexpr std::int64_t kMostLines = 1000; // of the evaluation text
constexpr double kLeastLimit = 0.5;       // nats: smaller falls stay pale
constexpr int kTextLines = 4;

QString percent(double logProb)
{
    return text::percent(std::exp(logProb));
}

QString quoted(const std::string& text)
{
    return u'\u201c' + QString::fromStdString(text).replace(u'\n', u'\u21b5') + u'\u201d';
}

QString tipOf(const TokenComparison& token)
{
    if (!std::isfinite(token.logProb)) {
        return TextPanel::tr("%1: the first token is given").arg(quoted(token.text));
    }
    return TextPanel::tr("%1: probability %2 in full precision, %3 quantized; likeliest %4, %5")
        .arg(quoted(token.text), percent(token.fpLogProb), percent(token.logProb),
             quoted(token.fpBest), quoted(token.best));
}
} // namespace

TextPanel::TextPanel(AppState& state, ComparedRuns& runs, QWidget* parent)
    : QWidget(parent), m_state(state), m_runs(runs)
{
    setAutoFillBackground(true);
    setBackgroundRole(QPalette::Base);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(theme::kGap, theme::kGap, theme::kGap, theme::kGap);
    layout->setSpacing(theme::kGap);
    layout->addWidget(makeInput());
    layout->addWidget(makeResult(), 1);
    connect(&m_worker, &Background::failed, this, &TextPanel::stop);
    connect(&m_reader, &Background::failed, this,
            [this](const QString& sentence) { m_note->setText(sentence); });
    connect(&m_worker, &Background::started, this, &TextPanel::updateButtons);
    connect(&m_worker, &Background::finished, this, &TextPanel::updateButtons);
    connect(m_text, &QPlainTextEdit::textChanged, this, &TextPanel::updateButtons);
    connect(m_text, &QPlainTextEdit::textChanged, this, &TextPanel::showStale);
    connect(m_run, &QComboBox::activated, this, &TextPanel::showStale);
    updateButtons();
}

QWidget* TextPanel::makeInput()
{
    m_run = new QComboBox;
    m_run->setObjectName(u"textRunComboBox"_s);
    m_run->setAccessibleName(tr("Quantized run"));
    m_run->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    m_run->setMinimumContentsLength(18);
    m_text = new QPlainTextEdit;
    m_text->setObjectName(u"promptTextEdit"_s);
    m_text->setAccessibleName(tr("Text"));
    m_text->setPlaceholderText(tr("Type a text, or take a line of the evaluation text"));
    m_text->setTabChangesFocus(true);
    m_text->setFixedHeight(kTextLines * m_text->fontMetrics().lineSpacing() + 2 * theme::kMargin);
    m_line = new QPushButton(tr("Take a &Line"));
    m_line->setObjectName(u"takeLineButton"_s);
    m_line->setToolTip(tr("The next line of the text the run was measured on"));
    m_compare = new QPushButton(tr("Compare &Text"));
    m_compare->setObjectName(u"compareTextButton"_s);
    m_compare->setDefault(true);
    m_compare->setToolTip(tr("Runs the text through both models (Ctrl+Return)"));
    m_cancel = new QPushButton(tr("Ca&ncel"));
    m_cancel->setObjectName(u"cancelTextButton"_s);
    auto* go = new QAction(m_text);
    go->setShortcut(QKeySequence(Qt::CTRL | Qt::Key_Return));
    go->setShortcutContext(Qt::WidgetShortcut);
    m_text->addAction(go);
    connect(go, &QAction::triggered, m_compare, &QPushButton::click);
    connect(m_line, &QPushButton::clicked, this, &TextPanel::takeLine);
    connect(m_compare, &QPushButton::clicked, this, &TextPanel::compare);
    connect(m_cancel, &QPushButton::clicked, this, [this] {
        m_worker.cancel();
        stop(tr("cancelled"));
    });
    auto* line = new QHBoxLayout;
    line->setSpacing(theme::kGap);
    line->addWidget(m_run, 1);
    for (QPushButton* button : {m_line, m_cancel, m_compare}) {
        line->addWidget(button);
    }
    auto* widget = new QWidget;
    auto* layout = new QVBoxLayout(widget);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(theme::kGap);
    layout->addLayout(line);
    layout->addWidget(m_text);
    return widget;
}

QTextEdit* TextPanel::makeContinuation(const QString& name, const QString& label)
{
    auto* edit = new QTextEdit;
    edit->setObjectName(name);
    edit->setAccessibleName(label);
    edit->setReadOnly(true);
    edit->setTabChangesFocus(true);
    edit->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    return edit;
}

QWidget* TextPanel::makeResult()
{
    m_note = new QLabel;
    m_note->setObjectName(u"textNoteLabel"_s);
    m_note->setTextFormat(Qt::PlainText);
    m_note->setWordWrap(true);
    m_stale = new QLabel;
    m_stale->setObjectName(u"staleTextLabel"_s);
    m_stale->setTextFormat(Qt::PlainText);
    m_stale->setWordWrap(true);
    m_stale->hide();
    m_tokens = new TokenText;
    m_tokens->setObjectName(u"tokenText"_s);
    m_tokens->setAccessibleName(tr("Tokens, coloured by the fall of their probability"));
    m_token = new QLabel(
        tr("orange: less likely than in full precision, blue: more; underlined: another token "
           "became the likeliest"));
    m_token->setObjectName(u"tokenLabel"_s);
    m_token->setTextFormat(Qt::PlainText);
    m_token->setWordWrap(true);
    m_token->setForegroundRole(QPalette::PlaceholderText);
    connect(m_tokens, &TokenText::currentChanged, this, [this](int token) {
        m_token->setText(m_tokens->tokens()[static_cast<std::size_t>(token)].tip);
    });
    m_full = makeContinuation(u"fullContinuationText"_s, tr("Full precision goes on"));
    m_quantized = makeContinuation(u"quantizedContinuationText"_s, tr("Quantized goes on"));
    auto* pair = new QHBoxLayout;
    pair->setSpacing(theme::kGap);
    for (QTextEdit* edit : {m_full, m_quantized}) {
        auto* column = new QVBoxLayout;
        column->setSpacing(theme::kTight);
        auto* title = new QLabel(edit->accessibleName());
        title->setBuddy(edit);
        column->addWidget(title);
        column->addWidget(edit, 1);
        pair->addLayout(column, 1);
    }
    auto* widget = new QWidget;
    auto* layout = new QVBoxLayout(widget);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(theme::kGap);
    layout->addWidget(m_stale);
    layout->addWidget(m_note);
    layout->addWidget(m_tokens, 3);
    layout->addWidget(m_token);
    layout->addLayout(pair, 2);
    return widget;
}

void TextPanel::refresh()
{
    std::vector<RunResult> offered = m_runs.selected();
    for (const RunResult& run : m_runs.runs()) {
        if (std::none_of(offered.begin(), offered.end(),
                         [&](const RunResult& other) { return other.id == run.id; })) {
            offered.push_back(run);
        }
    }
    offered.erase(std::remove_if(offered.begin(), offered.end(),
                                 [](const RunResult& run) {
                                     return run.status != "finished" || run.artifactFolder.empty();
                                 }),
                  offered.end());
    offered.resize(std::min(offered.size(), kMostRuns));
    const std::vector<std::string> names = distinctNames(offered);
    const QVariant before = m_runs.selected().empty() ? m_run->currentData() : QVariant();
    m_run->clear();
    for (std::size_t i = 0; i < offered.size(); ++i) {
        m_run->addItem(methodIcon(offered[i].spec.method), QString::fromStdString(names[i]),
                       QString::fromStdString(offered[i].id));
    }
    m_run->setCurrentIndex(std::max(0, m_run->findData(before)));
    if (offered.empty()) {
        m_note->setText(tr("No run drawn here kept its artifact; run one with artifacts kept."));
    } else if (m_tokens->tokens().empty() && !m_worker.busy()) {
        m_note->clear();
    }
    updateButtons();
    showStale();
}

QPair<QString, QString> TextPanel::wanted() const
{
    return {m_run->currentData().toString(), m_text->toPlainText()};
}

void TextPanel::stop(const QString& why)
{
    m_note->setText(why);
    if (m_tokens->tokens().empty()) {
        m_shown = {};
    }
    for (QTextEdit* edit : {m_full, m_quantized}) {
        edit->clear(); // what was to come does not
    }
    showStale();
}

void TextPanel::showStale()
{
    const bool stale = !m_shown.first.isEmpty() && m_shown != wanted();
    for (QWidget* part : {static_cast<QWidget*>(m_tokens), static_cast<QWidget*>(m_full),
                          static_cast<QWidget*>(m_quantized)}) {
        part->setEnabled(!stale);
    }
    m_stale->setVisible(stale);
    if (stale) {
        m_stale->setText(
            m_shown.first != wanted().first
                ? tr("Of %1, not of the run chosen now: Compare Text brings it up to date")
                      .arg(m_shownName)
                : tr("Of another text: Compare Text brings it up to date"));
    }
}

void TextPanel::updateButtons()
{
    const bool possible = m_run->count() > 0;
    m_line->setEnabled(possible);
    m_compare->setEnabled(possible && !m_worker.busy() &&
                          !m_text->toPlainText().trimmed().isEmpty());
    m_cancel->setEnabled(m_worker.busy());
}

void TextPanel::takeLine()
{
    const auto& runs = m_state.runs();
    const auto run = std::find_if(runs.begin(), runs.end(), [this](const RunSummary& summary) {
        return QString::fromStdString(summary.result.id) == m_run->currentData().toString();
    });
    if (run == runs.end() || run->result.spec.evaluation.text.empty()) {
        m_note->setText(tr("This run was not measured on a text."));
        return;
    }
    const std::string name = run->result.spec.evaluation.text;
    const auto take = [this] {
        if (m_lines.empty()) {
            m_note->setText(tr("The evaluation text has no line of forty letters or more."));
            return;
        }
        m_text->setPlainText(QString::fromStdString(m_lines[m_nextLine++ % m_lines.size()]));
    };
    if (name == m_linesOf) {
        take();
        return;
    }
    m_reader.ask(
        [name](const RunContext& /*run*/) { return engine_calls::textLines(name, kMostLines); },
        [this, name, take](std::vector<std::string> lines) {
            m_lines = std::move(lines);
            m_linesOf = name;
            m_nextLine = 0;
            take();
        });
}

void TextPanel::compare()
{
    TextComparisonRequest request;
    request.text = m_text->toPlainText().toStdString();
    m_note->setText(tr("running the text through both models\u2026"));
    m_shown = wanted();
    m_shownName = m_run->currentText();
    m_tokens->setTokens({}, kLeastLimit); // of what was compared before
    m_full->clear();
    m_quantized->clear();
    showStale();
    const std::uint64_t generation = m_worker.generation() + 1;
    m_worker.ask(
        [this, generation, request, file = m_state.storeFile(),
         id = m_run->currentData().toString().toStdString()](const RunContext& run) {
            return engine_calls::compareText(
                id, file, request,
                [this, generation](const TextComparison& measured) {
                    m_worker.post(generation, [this, measured] { show(measured, false); });
                },
                run);
        },
        [this](const TextComparison& result) { show(result, true); });
}

void TextPanel::show(const TextComparison& result, bool complete)
{
    showTokens(result);
    if (complete) {
        showContinuations(result);
    } else {
        m_full->setPlainText(tr("going on\u2026"));
        m_quantized->setPlainText(tr("going on\u2026"));
    }
}

void TextPanel::showTokens(const TextComparison& result)
{
    std::vector<ShadedToken> shaded;
    double limit = kLeastLimit;
    const TokenComparison* worst = nullptr;
    for (const TokenComparison& token : result.tokens) {
        const double fall = token.fpLogProb - token.logProb;
        shaded.push_back(
            {QString::fromStdString(token.text), fall, token.best != token.fpBest, tipOf(token)});
        if (std::isfinite(fall)) {
            limit = std::max(limit, std::abs(fall));
            if (worst == nullptr || fall > worst->fpLogProb - worst->logProb) {
                worst = &token;
            }
        }
    }
    m_tokens->setTokens(shaded, limit);
    QString note = tr("mean loss %1 nats per token in full precision, %2 quantized (%3)")
                       .arg(text::number(result.fpNll, 3), text::number(result.nll, 3),
                            (result.nll >= result.fpNll ? u"+"_s : QString()) +
                                text::number(result.nll - result.fpNll, 3));
    if (worst != nullptr) {
        note += tr("; the largest fall: %1, %2 to %3")
                    .arg(quoted(worst->text), percent(worst->fpLogProb), percent(worst->logProb));
    }
    m_note->setText(note);
}

void TextPanel::showContinuations(const TextComparison& result)
{
    const QString full = QString::fromStdString(result.fpContinuation);
    const QString quantized = QString::fromStdString(result.continuation);
    const auto parting =
        std::mismatch(full.begin(), full.end(), quantized.begin(), quantized.end());
    const auto shared = parting.first - full.begin();
    for (const auto& [edit, text] : {std::pair(m_full, full), std::pair(m_quantized, quantized)}) {
        edit->clear();
        QTextCursor cursor(edit->document());
        cursor.insertText(text.left(shared), QTextCharFormat());
        QTextCharFormat own; // from where they part
        own.setFontWeight(QFont::Bold);
        cursor.insertText(text.mid(shared), own);
    }
}

} // namespace qw
