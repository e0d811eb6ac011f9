#include "widgets/outlined_style.h"

#include <optional>

#include <QPlainTextEdit>
#include <QStyleOption>
#include <QTextEdit>

#include "widgets/icons.h"
#include "widgets/theme.h"

namespace qw {

namespace {
/// Fusion's outline is the window's colour, darker by 140 %.
const QColor kDarkGround(0x96, 0x9c, 0xa4);

/// A copy of the option whose outline is seen; nothing if it is of another kind.
template <class Option>
std::optional<Option> outlined(const QStyleOption* option)
{
    const auto* known = qstyleoption_cast<const Option*>(option);
    if (known == nullptr || !theme::isDark(option->palette)) {
        return std::nullopt;
    }
    Option copy = *known;
    copy.palette.setColor(QPalette::Window, kDarkGround);
    return copy;
}
} // namespace

OutlinedStyle::OutlinedStyle() : QProxyStyle(QStringLiteral("Fusion")) {}

void OutlinedStyle::drawPrimitive(PrimitiveElement element, const QStyleOption* option,
                                  QPainter* painter, const QWidget* widget) const
{
    const auto draw = [&](const auto& copy) {
        QProxyStyle::drawPrimitive(element, copy ? &*copy : option, painter, widget);
    };
    switch (element) {
    case PE_IndicatorCheckBox:
    case PE_IndicatorRadioButton:
        draw(outlined<QStyleOptionButton>(option));
        break;
    case PE_IndicatorItemViewItemCheck:
        draw(outlined<QStyleOptionViewItem>(option));
        break;
    case PE_FrameLineEdit:
    case PE_PanelLineEdit:
        draw(outlined<QStyleOptionFrame>(option));
        break;
    case PE_Frame: // other frames are only a line beside what fills them
        if (qobject_cast<const QTextEdit*>(widget) != nullptr ||
            qobject_cast<const QPlainTextEdit*>(widget) != nullptr) {
            draw(outlined<QStyleOptionFrame>(option));
            break;
        }
        [[fallthrough]];
    default:
        QProxyStyle::drawPrimitive(element, option, painter, widget);
    }
}

void OutlinedStyle::drawComplexControl(ComplexControl control, const QStyleOptionComplex* option,
                                       QPainter* painter, const QWidget* widget) const
{
    if (control == CC_SpinBox) {
        if (const auto copy = outlined<QStyleOptionSpinBox>(option)) {
            QProxyStyle::drawComplexControl(control, &*copy, painter, widget);
            return;
        }
    } else if (control == CC_ComboBox) {
        if (const auto copy = outlined<QStyleOptionComboBox>(option)) {
            QProxyStyle::drawComplexControl(control, &*copy, painter, widget);
            return;
        }
    }
    QProxyStyle::drawComplexControl(control, option, painter, widget);
}

QIcon OutlinedStyle::standardIcon(StandardPixmap picture, const QStyleOption* option,
                                  const QWidget* widget) const
{
    switch (picture) {
    case SP_TitleBarCloseButton:
        return icons::icon(icons::Shape::Close);
    case SP_TitleBarNormalButton:
        return icons::icon(icons::Shape::Float);
    default:
        return QProxyStyle::standardIcon(picture, option, widget);
    }
}

} // namespace qw
