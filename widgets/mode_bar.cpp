#include "widgets/mode_bar.h"

#include <QActionGroup>
#include <QPainter>
#include <QStyleOption>
#include <QToolButton>

#include "widgets/theme.h"

namespace qw {

namespace {
constexpr QSize kButtonSize(76, 62);

class ModeButton final : public QToolButton
{
public:
    using QToolButton::QToolButton;
    QSize sizeHint() const override
    {
        return kButtonSize.expandedTo(QSize(fontMetrics().horizontalAdvance(text()) + 16, 0));
    }

protected:
    void paintEvent(QPaintEvent* /*event*/) override
    {
        QPainter p(this);
        const QPalette& colors = palette();
        QColor tint = colors.color(QPalette::Highlight);
        if (isChecked()) {
            tint.setAlpha(48);
            p.fillRect(rect(), tint);
            p.fillRect(QRect(0, 0, 3, height()), colors.color(QPalette::Highlight));
        } else if (underMouse() && isEnabled()) {
            tint.setAlpha(20);
            p.fillRect(rect(), tint);
        }
        const QIcon::Mode mode = isEnabled() ? QIcon::Normal : QIcon::Disabled;
        const int size = theme::kLargeIcon;
        icon().paint(&p, QRect((width() - size) / 2, 9, size, size), Qt::AlignCenter, mode);
        p.setPen(colors.color(isEnabled() ? QPalette::Active : QPalette::Disabled,
                              QPalette::WindowText));
        QFont bold = font();
        bold.setBold(isChecked());
        p.setFont(bold);
        p.drawText(QRect(0, 9 + size, width(), height() - 9 - size), Qt::AlignCenter, text());
        if (hasFocus()) {
            QStyleOptionFocusRect focus;
            focus.initFrom(this);
            focus.rect = rect().adjusted(3, 3, -3, -3);
            style()->drawPrimitive(QStyle::PE_FrameFocusRect, &focus, &p, this);
        }
    }
};
} // namespace

ModeBar::ModeBar(QWidget* parent) : QToolBar(parent), m_group(new QActionGroup(this))
{
    setOrientation(Qt::Vertical);
    setMovable(false);
    setFloatable(false);
    setContextMenuPolicy(Qt::PreventContextMenu);
    setContentsMargins(0, 0, 0, 0);
}

void ModeBar::paintEvent(QPaintEvent* /*event*/)
{
    QPainter p(this);
    p.fillRect(rect(), palette().color(QPalette::Window));
    p.fillRect(QRect(width() - 1, 0, 1, height()), theme::hairline(palette()));
}

void ModeBar::addMode(QAction* action, const QString& name)
{
    action->setCheckable(true);
    m_group->addAction(action);
    auto* button = new ModeButton(this);
    button->setDefaultAction(action);
    button->setObjectName(name + QStringLiteral("ModeButton"));
    button->setAccessibleName(action->iconText());
    button->setFocusPolicy(Qt::TabFocus);
    button->setText(action->iconText());
    addWidget(button);
}

} // namespace qw
