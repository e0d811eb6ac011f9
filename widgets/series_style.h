#pragma once

#include <QColor>
#include <QString>

#include "report/method_style.h"

namespace qw {

constexpr double kMarkerSize = 7; ///< diameter, pixels

/// How the i-th series of a plot looks: a method's colour and marker, or for series without a
/// method (several curves of one layer) the i-th of a palette that colour-blind people tell apart.
struct SeriesStyle {
    QColor color;
    Marker marker = Marker::Circle;
    bool filled = true;
};
SeriesStyle seriesStyle(const std::string& method, int index, bool dark);

} // namespace qw
