#pragma once

#include <QProxyStyle>

namespace qw {

/// Fusion, with outlines of fields and check boxes and buttons of docks that can be seen on a dark
/// ground: Fusion makes the former darker than the window, which dark palettes have no room for,
/// and has pictures of dark lines for the latter.
class OutlinedStyle : public QProxyStyle
{
    Q_OBJECT
public:
    OutlinedStyle();
    void drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                       const QWidget* widget) const override;
    void drawComplexControl(ComplexControl control, const QStyleOptionComplex* option,
                            QPainter* painter, const QWidget* widget) const override;
    QIcon standardIcon(StandardPixmap picture, const QStyleOption* option,
                       const QWidget* widget) const override;
};

} // namespace qw
