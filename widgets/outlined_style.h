#pragma once

#include <QProxyStyle>

namespace qw {

/// Fusion, with outlines of fields and check boxes that can be seen on a dark ground: Fusion makes
/// them darker than the window, which dark palettes have no room for.
class OutlinedStyle : public QProxyStyle
{
    Q_OBJECT
public:
    OutlinedStyle();
    void drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                       const QWidget* widget) const override;
    void drawComplexControl(ComplexControl control, const QStyleOptionComplex* option,
                            QPainter* painter, const QWidget* widget) const override;
};

} // namespace qw
