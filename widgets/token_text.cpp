#include "widgets/token_text.h"

#include <algorithm>
#include <cmath>

#include <QHelpEvent>
#include <QSignalBlocker>
#include <QToolTip>

#include "widgets/theme.h"

namespace qw {

namespace {
constexpr double kReadable = 4.5; // contrast of text

QTextCharFormat formatOf(const ShadedToken& token, double limit)
{
    QTextCharFormat format;
    if (std::isfinite(token.value)) {
        const QColor ground = theme::diverging(std::clamp(token.value / limit, -1.0, 1.0));
        const QColor dark(Qt::black);
        format.setBackground(ground);
        format.setForeground(theme::contrast(dark, ground) >= kReadable ? dark : QColor(Qt::white));
    }
    if (token.marked) {
        format.setFontUnderline(true);
        format.setFontWeight(QFont::Bold);
    }
    return format;
}

/// Line ends and text that shows nothing get a sign of their own.
QString visible(const QString& text)
{
    QString shown = text.isEmpty() ? QStringLiteral("\u2026") : text;
    return shown.replace(u'\n', QStringLiteral("\u21b5\n"));
}
} // namespace

TokenText::TokenText(QWidget* parent) : QTextEdit(parent)
{
    setReadOnly(true);
    setTabChangesFocus(true);
    setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    setLineWrapMode(QTextEdit::WidgetWidth);
    setWordWrapMode(QTextOption::WrapAtWordBoundaryOrAnywhere);
    viewport()->setMouseTracking(true);
    connect(this, &QTextEdit::cursorPositionChanged, this, [this] {
        const int token = tokenAt(textCursor().position());
        if (token >= 0) {
            Q_EMIT currentChanged(token);
        }
    });
}

void TokenText::setTokens(const std::vector<ShadedToken>& tokens, double limit)
{
    m_tokens = tokens;
    m_limit = limit;
    rebuild();
}

void TokenText::rebuild()
{
    const QSignalBlocker quiet(this);
    clear();
    m_ends.clear();
    QTextCursor cursor(document());
    for (const ShadedToken& token : m_tokens) {
        cursor.insertText(visible(token.text), formatOf(token, m_limit));
        m_ends.push_back(cursor.position());
    }
    moveCursor(QTextCursor::Start);
}

int TokenText::tokenAt(int position) const
{
    const auto found = std::upper_bound(m_ends.begin(), m_ends.end(), position);
    return found == m_ends.end() ? -1 : static_cast<int>(found - m_ends.begin());
}

bool TokenText::event(QEvent* event)
{
    if (event->type() == QEvent::PaletteChange && !m_tokens.empty()) {
        rebuild();
    }
    return QTextEdit::event(event);
}

bool TokenText::viewportEvent(QEvent* event)
{
    if (event->type() == QEvent::ToolTip) {
        const auto* help = static_cast<QHelpEvent*>(event);
        const int token = tokenAt(cursorForPosition(help->pos()).position());
        QToolTip::showText(help->globalPos(),
                           token >= 0 ? m_tokens[static_cast<std::size_t>(token)].tip : QString(),
                           viewport());
        return true;
    }
    return QTextEdit::viewportEvent(event);
}

} // namespace qw
