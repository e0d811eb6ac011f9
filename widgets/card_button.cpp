#include "widgets/card_button.h"

#include <QEvent>
#include <QPainter>

#include "widgets/theme.h"

namespace qw {

CardButton::CardButton(const QString& title, const QString& subtitle, const QString& note,
                       QWidget* parent)
    : QAbstractButton(parent), m_subtitle(subtitle), m_note(note)
{
    setText(title);
    setAccessibleName(title);
    setAccessibleDescription(subtitle);
    setFocusPolicy(Qt::StrongFocus);
    setAttribute(Qt::WA_Hover);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
}

void CardButton::setSubtitle(const QString& subtitle)
{
    m_subtitle = subtitle;
    setAccessibleDescription(subtitle);
    update();
}

void CardButton::setNote(const QString& note)
{
    m_note = note;
    update();
}

void CardButton::setPrimary(bool primary)
{
    m_primary = primary;
    update();
}

QSize CardButton::sizeHint() const
{
    const int line = fontMetrics().height();
    return {40 * fontMetrics().averageCharWidth(), 2 * line + 3 * theme::kGap};
}

QSize CardButton::minimumSizeHint() const
{
    return {20 * fontMetrics().averageCharWidth(), sizeHint().height()};
}

bool CardButton::event(QEvent* event)
{
    if (event->type() == QEvent::KeyPress) { // Return presses a card as Space does
        const int key = static_cast<QKeyEvent*>(event)->key();
        if (key == Qt::Key_Return || key == Qt::Key_Enter) {
            click();
            return true;
        }
    }
    return QAbstractButton::event(event);
}

void CardButton::paintEvent(QPaintEvent* /*event*/)
{
    QPainter p(this);
    p.setRenderHint(QPainter::Antialiasing);
    const QPalette& colors = palette();
    QColor fill = colors.color(QPalette::Base);
    QColor border = theme::hairline(colors);
    QColor title =
        colors.color(isEnabled() ? QPalette::Active : QPalette::Disabled, QPalette::Text);
    QColor second = theme::quietText(colors);
    if (m_primary && isEnabled()) {
        fill = border = colors.color(QPalette::Highlight);
        title = second = colors.color(QPalette::HighlightedText);
    }
    if (underMouse() && isEnabled()) {
        fill = m_primary ? fill.darker(112) : colors.color(QPalette::AlternateBase);
        border = colors.color(QPalette::Highlight);
    }
    if (isDown()) {
        fill = fill.darker(108);
    }
    p.setPen(QPen(border, 1));
    p.setBrush(fill);
    p.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), theme::kRadius,
                      theme::kRadius);
    if (hasFocus()) {
        p.setPen(
            QPen(m_primary ? colors.color(QPalette::Text) : colors.color(QPalette::Highlight), 2));
        p.setBrush(Qt::NoBrush);
        p.drawRoundedRect(QRectF(rect()).adjusted(1.5, 1.5, -1.5, -1.5), theme::kRadius,
                          theme::kRadius);
    }
    int left = theme::kMargin;
    if (!icon().isNull()) {
        icon().paint(
            &p,
            QRect(left, (height() - theme::kLargeIcon) / 2, theme::kLargeIcon, theme::kLargeIcon),
            Qt::AlignCenter,
            !isEnabled() ? QIcon::Disabled
            : m_primary  ? QIcon::Selected
                         : QIcon::Normal);
        left += theme::kLargeIcon + theme::kMargin;
    }
    const int noteWidth = m_note.isEmpty() ? 0 : fontMetrics().horizontalAdvance(m_note);
    const int width =
        this->width() - left - theme::kMargin - (noteWidth > 0 ? noteWidth + theme::kMargin : 0);
    const int line = fontMetrics().height();
    const int top = (height() - 2 * line - theme::kTight) / 2;
    QFont bold = font();
    bold.setBold(true);
    p.setFont(bold);
    p.setPen(title);
    p.drawText(QRect(left, top, width, line), Qt::AlignLeft | Qt::AlignVCenter,
               QFontMetrics(bold).elidedText(text(), Qt::ElideRight, width));
    p.setFont(font());
    p.setPen(second);
    p.drawText(QRect(left, top + line + theme::kTight, width, line),
               Qt::AlignLeft | Qt::AlignVCenter,
               fontMetrics().elidedText(m_subtitle, Qt::ElideMiddle, width));
    if (noteWidth > 0) {
        p.drawText(QRect(this->width() - theme::kMargin - noteWidth, 0, noteWidth, height()),
                   Qt::AlignVCenter, m_note);
    }
}

} // namespace qw
