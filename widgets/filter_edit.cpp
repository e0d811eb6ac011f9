#include "widgets/filter_edit.h"

#include <QAction>
#include <QLabel>
#include <QLineEdit>
#include <QVBoxLayout>

#include "base/error.h"
#include "widgets/theme.h"

namespace qw {

using namespace Qt::Literals::StringLiterals;

FilterEdit::FilterEdit(const QString& name, QWidget* parent)
    : QWidget(parent), m_line(new QLineEdit), m_problem(new QLabel)
{
    m_line->setObjectName(name + u"LineEdit"_s);
    m_line->setClearButtonEnabled(true);
    setFocusProxy(m_line);
    connect(m_line, &QLineEdit::textChanged, this, &FilterEdit::textChanged);
    auto* clear = new QAction(m_line);
    clear->setShortcut(QKeySequence(Qt::Key_Escape));
    clear->setShortcutContext(Qt::WidgetShortcut);
    connect(clear, &QAction::triggered, m_line, &QLineEdit::clear);
    m_line->addAction(clear);
    m_problem->setObjectName(name + u"ProblemLabel"_s);
    m_problem->setTextFormat(Qt::PlainText);
    m_problem->setWordWrap(true);
    m_problem->hide();
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(theme::kTight);
    layout->addWidget(m_line);
    layout->addWidget(m_problem);
}

void FilterEdit::applyTo(const std::function<void(const QString& text)>& filter)
{
    QString problem;
    try {
        filter(m_line->text());
    } catch (const Error& error) {
        problem = QString::fromStdString(error.what());
    }
    m_problem->setText(problem);
    m_problem->setVisible(!problem.isEmpty());
    QPalette colors = palette();
    colors.setColor(QPalette::WindowText, theme::problemText(colors));
    m_problem->setPalette(colors);
}

void FilterEdit::focus()
{
    setFocus(Qt::ShortcutFocusReason);
    m_line->selectAll();
}

} // namespace qw
