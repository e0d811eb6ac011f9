#include "widgets/elided_label.h"

#include <algorithm>

#include <QResizeEvent>

namespace qw {

ElidedLabel::ElidedLabel(const QString& text, QWidget* parent) : QLabel(parent)
{
    setTextFormat(Qt::PlainText);
    setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Fixed);
    setFullText(text);
}

void ElidedLabel::setFullText(const QString& text, const QString& yielding)
{
    m_text = text;
    m_yielding = yielding;
    updateGeometry();
    elide();
}

QSize ElidedLabel::minimumSizeHint() const
{
    return {fontMetrics().averageCharWidth() * 4, QLabel::minimumSizeHint().height()};
}

QSize ElidedLabel::sizeHint() const
{
    return {fontMetrics().horizontalAdvance(m_text) + 2, QLabel::sizeHint().height()};
}

void ElidedLabel::resizeEvent(QResizeEvent* event)
{
    QLabel::resizeEvent(event);
    elide();
}

void ElidedLabel::elide()
{
    QString shown = m_text;
    const qsizetype place = m_yielding.isEmpty() ? -1 : m_text.indexOf(m_yielding);
    const int missing = fontMetrics().horizontalAdvance(m_text) + 2 - width();
    if (place >= 0 && missing > 0) {
        const int room = std::max(fontMetrics().horizontalAdvance(QChar(0x2026)),
                                  fontMetrics().horizontalAdvance(m_yielding) - missing);
        shown.replace(place, m_yielding.size(),
                      fontMetrics().elidedText(m_yielding, Qt::ElideMiddle, room));
    }
    shown = fontMetrics().elidedText(shown, Qt::ElideMiddle, width());
    setText(shown);
    setToolTip(shown == m_text ? QString() : m_text);
    setAccessibleName(m_text);
}

} // namespace qw
