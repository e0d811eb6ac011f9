#include "widgets/method_icon.h"

#include <QGuiApplication>
#include <QIconEngine>
#include <QPainter>
#include <QPainterPath>

#include "widgets/series_style.h"
#include "widgets/theme.h"

namespace qw {

namespace {
/// In a square from -1 to 1.
QPainterPath shapeOf(Marker marker)
{
    QPainterPath path;
    switch (marker) {
    case Marker::Circle:
        path.addEllipse(QPointF(0, 0), 1, 1);
        break;
    case Marker::Square:
        path.addRect(-0.9, -0.9, 1.8, 1.8);
        break;
    case Marker::Diamond:
        path.addPolygon(QPolygonF({{0, -1.15}, {1.15, 0}, {0, 1.15}, {-1.15, 0}, {0, -1.15}}));
        break;
    case Marker::TriangleUp:
        path.addPolygon(QPolygonF({{0, -1.05}, {1.1, 0.9}, {-1.1, 0.9}, {0, -1.05}}));
        break;
    case Marker::TriangleDown:
        path.addPolygon(QPolygonF({{0, 1.05}, {1.1, -0.9}, {-1.1, -0.9}, {0, 1.05}}));
        break;
    case Marker::Cross:
        path.moveTo(-0.9, -0.9);
        path.lineTo(0.9, 0.9);
        path.moveTo(-0.9, 0.9);
        path.lineTo(0.9, -0.9);
        break;
    }
    return path;
}

class MarkerEngine final : public QIconEngine
{
public:
    explicit MarkerEngine(std::string method) : m_method(std::move(method)) {}

    void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode,
               QIcon::State /*state*/) override
    {
        constexpr double kShare = 0.32; // of the square, for half a marker
        const SeriesStyle style =
            seriesStyle(m_method, 0, theme::isDark(QGuiApplication::palette()));
        const double scale = rect.width() * kShare;
        painter->save();
        painter->setRenderHint(QPainter::Antialiasing);
        painter->translate(QRectF(rect).center());
        painter->scale(scale, scale);
        const QColor line = mode == QIcon::Selected // the row's ground may be the marker's colour
                                ? QGuiApplication::palette().color(QPalette::HighlightedText)
                                : style.color;
        painter->setPen(QPen(line, 1.6 / scale));
        painter->setBrush(style.filled ? QBrush(style.color) : QBrush(Qt::NoBrush));
        painter->drawPath(shapeOf(style.marker));
        painter->restore();
    }
    QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State state) override
    {
        QPixmap pixmap(size);
        pixmap.fill(Qt::transparent);
        QPainter painter(&pixmap);
        paint(&painter, QRect(QPoint(0, 0), size), mode, state);
        return pixmap;
    }
    QIconEngine* clone() const override { return new MarkerEngine(m_method); }

private:
    std::string m_method;
};
} // namespace

QIcon methodIcon(const std::string& method)
{
    return QIcon(new MarkerEngine(method));
}

} // namespace qw
