#include "widgets/spec_form.h"

#include <algorithm>
#include <cmath>

#include <QEvent>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QToolButton>
#include <QVBoxLayout>

#include "base/error.h"
#include "report/open_numbers.h"
#include "widgets/spec_control.h"
#include "widgets/theme.h"

namespace qw {

namespace {
template <class AnyJson>
auto& at(AnyJson& json, const std::string& path)
{
    const auto dot = path.find('.');
    return dot == std::string::npos ? json.at(path)
                                    : json.at(path.substr(0, dot)).at(path.substr(dot + 1));
}

/// "weight.group_size" -> "weightGroupSize"
QString camel(const std::string& path)
{
    QString name;
    bool upper = false;
    for (const QChar c : QString::fromStdString(path)) {
        if (c == u'.' || c == u'_') {
            upper = true;
        } else {
            name += upper ? c.toUpper() : c;
            upper = false;
        }
    }
    return name;
}

/// Which of the two a label takes depends on what it lies on.
QPalette problemColors(QPalette palette)
{
    const QColor color = theme::problemText(palette);
    palette.setColor(QPalette::WindowText, color);
    palette.setColor(QPalette::Text, color);
    return palette;
}

/// "1024", "0.006", "0.00001": whole numbers as they are, others to four digits.
QString shortNumber(double value)
{
    const double shown =
        value == std::floor(value) ? value : QString::number(value, 'g', 4).toDouble();
    return QString::number(shown, 'f', QLocale::FloatingPointShortest);
}

QLabel* quiet(const QString& text)
{
    auto* label = new QLabel(text);
    label->setForegroundRole(QPalette::PlaceholderText);
    label->setTextFormat(Qt::PlainText);
    return label;
}
} // namespace

Json specValue(const RunSpec& spec, const std::string& path)
{
    const Json json = toJson(spec);
    return at(json, path);
}

RunSpec withSpecValue(const RunSpec& spec, const std::string& path, const Json& value)
{
    Json json = toJson(spec);
    at(json, path) = value;
    return runSpecFromJson(json);
}

struct SpecForm::Row {
    SpecField field;
    QLabel* label = nullptr;
    SpecControl control;
    QWidget* cell = nullptr; ///< control, unit and reset button
    QToolButton* reset = nullptr;
    QLabel* help = nullptr; ///< these three share one place
    QLabel* note = nullptr;
    QLabel* problem = nullptr;

    void setVisible(bool visible) const
    {
        label->setVisible(visible);
        cell->setVisible(visible);
        help->setVisible(visible);
        note->hide();
        problem->hide();
    }
    /// A sentence where the help is, so that nothing below moves.
    void say(QLabel* where, const QString& sentence) const
    {
        where->setText(sentence);
        help->hide();
        note->setVisible(where == note);
        problem->setVisible(where == problem);
    }
};

SpecForm::SpecForm(QWidget* parent)
    : QWidget(parent), m_layout(new QVBoxLayout(this)), m_general(new QLabel)
{
    m_layout->setContentsMargins(0, 0, 0, 0);
    m_layout->setSpacing(theme::kSection);
    m_general->setObjectName(QStringLiteral("formProblemLabel"));
    m_general->setTextFormat(Qt::PlainText);
    m_general->setWordWrap(true);
    QSizePolicy kept = m_general->sizePolicy();
    kept.setRetainSizeWhenHidden(true); // or all below it would jump
    m_general->setSizePolicy(kept);
    m_general->hide();
    m_layout->addWidget(m_general);
    m_layout->addStretch(1);
}

SpecForm::~SpecForm() = default;

QGridLayout* SpecForm::addSection(const QString& title, QVBoxLayout* into)
{
    auto* section = new QWidget;
    auto* grid = new QGridLayout(section);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setHorizontalSpacing(theme::kMargin);
    grid->setVerticalSpacing(2);
    grid->setColumnMinimumWidth(0, kLabelWidth);
    grid->setColumnStretch(1, 1);
    auto* heading = new QLabel(title);
    QFont bold = heading->font();
    bold.setBold(true);
    heading->setFont(bold);
    grid->addWidget(heading, 0, 0, 1, 2);
    if (into == m_layout) {
        m_layout->insertWidget(m_layout->count() - 1, section);
        m_sections.push_back(section);
    } else {
        into->addWidget(section);
    }
    return grid;
}

void SpecForm::addAdvanced()
{
    const bool unfolded = m_more != nullptr && m_more->isChecked();
    m_more = new QToolButton;
    m_more->setObjectName(QStringLiteral("advancedButton"));
    m_more->setText(tr("Advanced"));
    m_more->setCheckable(true);
    m_more->setAutoRaise(true);
    m_more->setFocusPolicy(Qt::StrongFocus);
    m_more->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    m_advanced = new QWidget;
    m_advancedLayout = new QVBoxLayout(m_advanced);
    m_advancedLayout->setContentsMargins(0, 0, 0, 0);
    m_advancedLayout->setSpacing(theme::kSection);
    for (QWidget* part : {static_cast<QWidget*>(m_more), m_advanced}) {
        m_layout->insertWidget(m_layout->count() - 1, part);
        m_sections.push_back(part);
    }
    const auto fold = [button = m_more, content = m_advanced](bool on) {
        button->setArrowType(on ? Qt::DownArrow : Qt::RightArrow);
        content->setVisible(on);
    };
    connect(m_more, &QToolButton::toggled, m_advanced, fold);
    m_more->setChecked(unfolded);
    fold(unfolded);
}

void SpecForm::setFields(const std::vector<SpecField>& fields)
{
    const QWidget* focused = focusWidget();
    const QString keeper = focused != nullptr ? focused->objectName() : QString();
    for (QWidget* section : m_sections) { // may hold the control that is speaking right now
        section->hide();
        section->setParent(nullptr);
        section->deleteLater();
    }
    m_sections.clear();
    m_rows.clear();
    for (const bool advanced : {false, true}) {
        if (advanced) {
            addAdvanced();
        }
        QGridLayout* grid = nullptr;
        QString current;
        for (const SpecField& field : fields) {
            if (field.advanced != advanced) {
                continue;
            }
            if (grid == nullptr || field.section != current) {
                current = field.section;
                grid = addSection(current, advanced ? m_advancedLayout : m_layout);
            }
            addRow(field, *grid);
        }
    }
    QWidget* before = nullptr; // the keyboard goes through the form as the eye does
    for (const auto& row : m_rows) {
        if (before != nullptr) {
            QWidget::setTabOrder(before, row->control.widget);
        }
        QWidget::setTabOrder(row->control.widget, row->reset);
        before = row->reset;
        if (!keeper.isEmpty() && row->control.widget->objectName() == keeper) {
            row->control.widget->setFocus();
        }
    }
    refresh();
}

void SpecForm::addRow(const SpecField& field, QGridLayout& grid)
{
    auto row = std::make_unique<Row>();
    row->field = field;
    const QString label = QString::fromStdString(field.param.label);
    const QString help = QString::fromStdString(field.param.help);
    QString tip = help;
    if (!field.param.source.empty()) {
        tip += u'\n' + tr("Source: %1").arg(QString::fromStdString(field.param.source));
    }
    row->label = new QLabel(label);
    row->label->setToolTip(tip);
    row->control = makeSpecControl(
        field.param, [this, path = field.path](const Json& value) { change(path, value); },
        [this, path = field.path](const QString& sentence) {
            showProblems();
            m_problem = sentence;
            refuse(path, sentence);
            Q_EMIT problemChanged();
        },
        field.names);
    row->control.widget->setObjectName(camel(field.path) + QStringLiteral("Field"));
    row->control.widget->setAccessibleName(label);
    row->control.widget->setAccessibleDescription(help);
    row->control.widget->setToolTip(tip);
    row->label->setBuddy(row->control.widget);
    row->cell = makeCell(*row);
    row->help = quiet(help);
    row->help->setWordWrap(true);
    row->problem = new QLabel;
    row->problem->setObjectName(camel(field.path) + QStringLiteral("ProblemLabel"));
    row->problem->setTextFormat(Qt::PlainText);
    row->problem->setWordWrap(true);
    row->problem->hide();
    row->note = new QLabel;
    row->note->setObjectName(camel(field.path) + QStringLiteral("NoteLabel"));
    row->note->setTextFormat(Qt::PlainText);
    row->note->setWordWrap(true);
    row->note->hide();
    const int line = grid.rowCount();
    grid.addWidget(row->label, line, 0);
    grid.addWidget(row->cell, line, 1);
    grid.addWidget(row->help, line + 1, 1);
    grid.addWidget(row->note, line + 1, 1);
    grid.addWidget(row->problem, line + 1, 1);
    m_rows.push_back(std::move(row));
}

QWidget* SpecForm::makeCell(Row& row)
{
    auto* cell = new QWidget;
    auto* layout = new QHBoxLayout(cell);
    layout->setContentsMargins(0, theme::kTight, 0, 0);
    layout->setSpacing(theme::kGap);
    layout->addWidget(row.control.widget, row.field.isFile ? 1 : 0);
    const QString label = QString::fromStdString(row.field.param.label);
    if (row.field.isFile) {
        auto* browse = new QToolButton;
        browse->setObjectName(camel(row.field.path) + QStringLiteral("BrowseButton"));
        browse->setText(QStringLiteral("\u2026"));
        browse->setFocusPolicy(Qt::StrongFocus);
        browse->setAccessibleName(tr("Choose a file: %1").arg(label));
        browse->setToolTip(tr("Choose a file"));
        connect(browse, &QToolButton::clicked, this, [this, path = row.field.path] {
            Q_EMIT browseWanted(QString::fromStdString(path));
        });
        layout->addWidget(browse);
    }
    if (!row.field.param.unit.empty()) {
        layout->addWidget(quiet(QString::fromStdString(row.field.param.unit)));
    }
    row.reset = new QToolButton;
    row.reset->setObjectName(camel(row.field.path) + QStringLiteral("ResetButton"));
    row.reset->setText(tr("\u25cf reset"));
    row.reset->setAutoRaise(true);
    row.reset->setFocusPolicy(Qt::StrongFocus);
    row.reset->setAccessibleName(tr("Back to the preset: %1").arg(label));
    connect(row.reset, &QToolButton::clicked, this,
            [this, path = row.field.path] { change(path, specValue(m_preset, path)); });
    layout->addWidget(row.reset);
    if (!row.field.isFile) {
        layout->addStretch(1);
    }
    return cell;
}

void SpecForm::setSpec(const RunSpec& spec, const RunSpec& preset)
{
    m_spec = spec;
    m_preset = preset;
    refresh();
}

void SpecForm::setOutsideProblem(const QString& sentence)
{
    if (sentence != m_outside) {
        m_outside = sentence;
        showProblems();
    }
}

void SpecForm::setNote(const std::string& path, const QString& sentence)
{
    m_notes[path] = sentence;
}

void SpecForm::setSettled(const std::map<std::string, double>& settled)
{
    if (settled != m_settled) {
        m_settled = settled;
        for (const auto& row : m_rows) { // no more: something may be typed at this moment
            nameLeast(*row);
        }
    }
}

void SpecForm::nameLeast(const Row& row) const
{
    const double least = row.field.param.minimum;
    if (row.control.nameLeast) {
        row.control.nameLeast(openNumber(row.field.path, least).empty() ? QString()
                                                                        : shownValue(row, least));
    }
}

QString SpecForm::shownValue(const Row& row, const Json& value) const
{
    const std::string word =
        value.is_number() ? openNumber(row.field.path, value.get<double>()) : std::string();
    if (word.empty()) {
        return plainText(value);
    }
    const auto settled = m_settled.find(row.field.path);
    return settled == m_settled.end()
               ? QString::fromStdString(word)
               : tr("%1: %2").arg(QString::fromStdString(word), shortNumber(settled->second));
}

void SpecForm::showNotes()
{
    for (const auto& row : m_rows) {
        const auto found = m_notes.find(row->field.path);
        if (found != m_notes.end() && !found->second.isEmpty() && !row->label->isHidden()) {
            row->say(row->note, found->second);
        }
    }
}

void SpecForm::change(const std::string& path, const Json& value)
{
    if (specValue(m_spec, path) == value) {
        refresh(); // the old value typed anew takes back what was refused
        Q_EMIT problemChanged();
        return;
    }
    QString label;
    for (const auto& row : m_rows) {
        if (row->field.path == path) {
            label = row->label->text();
        }
    }
    m_spec = withSpecValue(m_spec, path, value);
    refresh();
    Q_EMIT edited(m_spec, label);
}

void SpecForm::refresh()
{
    const Json spec = toJson(m_spec);
    const Json preset = toJson(m_preset);
    for (const auto& row : m_rows) {
        const Json& value = at(spec, row->field.path);
        const Json& usual = at(preset, row->field.path);
        row->control.show(value);
        nameLeast(*row);
        row->setVisible(!row->field.relevant || row->field.relevant(m_spec));
        row->reset->setVisible(usual != value);
        row->reset->setToolTip(
            tr("Changed; the preset has %1")
                .arg(usual == "" ? tr("nothing here") : shownValue(*row, usual)));
    }
    showProblems();
}

void SpecForm::showProblems()
{
    m_problem.clear();
    m_general->clear();
    m_general->hide();
    for (const auto& row : m_rows) {
        if (!row->problem->isHidden()) {
            row->problem->hide();
            row->help->show();
        }
    }
    showNotes();
    try {
        validate(m_spec);
    } catch (const Error& error) {
        m_problem = QString::fromStdString(error.what());
    }
    showProblem(m_problem.isEmpty() ? m_outside : m_problem);
}

void SpecForm::showProblem(const QString& sentence)
{
    if (sentence.isEmpty()) {
        return;
    }
    for (const auto& row : m_rows) {
        const QString path = QString::fromStdString(row->field.path);
        if (sentence.startsWith(path + u' ') || sentence.startsWith(path + u':')) {
            refuse(row->field.path, sentence.mid(path.size() + 1).trimmed());
            return;
        }
    }
    m_general->setPalette(problemColors(palette()));
    m_general->setText(QStringLiteral("\u26a0 ") + sentence);
    m_general->show();
}

void SpecForm::refuse(const std::string& path, const QString& sentence)
{
    for (const auto& row : m_rows) {
        if (row->field.path != path) {
            continue;
        }
        row->setVisible(true); // a setting in the way is shown even where it has no effect
        if (row->field.advanced) {
            m_more->setChecked(true);
        }
        row->problem->setPalette(problemColors(palette()));
        row->say(row->problem, QStringLiteral("\u26a0 ") + sentence);
    }
}

void SpecForm::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::PaletteChange) {
        showProblems();
    }
}

} // namespace qw
