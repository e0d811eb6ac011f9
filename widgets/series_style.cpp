#include "widgets/series_style.h"

#include <array>

namespace qw {

namespace {
struct Neutral {
    QRgb light, dark;
    Marker marker;
};
// Okabe and Ito; deep hues are lifted on a dark ground.
constexpr std::array<Neutral, 6> kNeutral = {{
    {0xff3a3f45, 0xffd5d9dd, Marker::Circle},
    {0xffd55e00, 0xfff07f2e, Marker::Square},
    {0xff0072b2, 0xff56b4e9, Marker::Diamond},
    {0xff009e73, 0xff2cc295, Marker::TriangleUp},
    {0xffcc79a7, 0xffe0a2c4, Marker::TriangleDown},
    {0xffb07a00, 0xffe69f00, Marker::Cross},
}};
} // namespace

SeriesStyle seriesStyle(const std::string& method, int index, bool dark)
{
    if (method.empty()) {
        const Neutral& n = kNeutral.at(static_cast<std::size_t>(index) % kNeutral.size());
        return {QColor(dark ? n.dark : n.light), n.marker, true};
    }
    const MethodStyle style = methodStyle(method);
    return {QColor(QRgb(0xff000000U | (dark ? style.dark : style.light))), style.marker,
            style.filled};
}

} // namespace qw
