#include "widgets/icons.h"

#include <QApplication>
#include <QIconEngine>
#include <QPainter>
#include <QPainterPath>
#include <QPalette>

namespace qw::icons {

namespace {
constexpr double kGrid = 24; // every shape is drawn on a square of this size

QPen line(const QColor& color, double width = 1.8)
{
    return {color, width, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin};
}

void drawBars(QPainter& p, const QColor& color, std::initializer_list<double> heights)
{
    double x = 4.5;
    for (const double height : heights) {
        p.fillRect(QRectF(x, 20 - height, 3, height), color);
        x += 4;
    }
}

void drawStar(QPainter& p, const QColor& color, bool filled)
{
    QPolygonF star;
    for (int i = 0; i < 10; ++i) {
        QLineF ray({12, 12.6}, {12, 12.6 - (i % 2 == 0 ? 9.5 : 4.2)});
        ray.setAngle(90 + 36 * i);
        star << ray.p2();
    }
    p.setPen(line(color, 1.5));
    p.setBrush(filled ? QBrush(color) : QBrush(Qt::NoBrush));
    p.drawPolygon(star);
}

void draw(QPainter& p, Shape shape, const QColor& color)
{
    p.setPen(line(color));
    switch (shape) {
    case Shape::Start:
        p.drawPolyline(QPolygonF({{3.5, 11.5}, {12, 4}, {20.5, 11.5}}));
        p.drawPolyline(QPolygonF({{6, 10}, {6, 20}, {18, 20}, {18, 10}}));
        p.drawLine(QPointF(12, 20), QPointF(12, 14));
        break;
    case Shape::Inspect:
        p.drawEllipse(QPointF(10.5, 10.5), 6.5, 6.5);
        p.drawLine(QPointF(15.5, 15.5), QPointF(20.5, 20.5));
        break;
    case Shape::Quantize: { // a smooth curve and its steps
        QPainterPath curve;
        curve.moveTo(3.5, 19);
        curve.cubicTo(10, 18, 13, 6, 20.5, 5);
        p.setPen(line(color, 1.1));
        p.drawPath(curve);
        p.setPen(line(color));
        p.drawPolyline(QPolygonF({{3.5, 18},
                                  {8.5, 18},
                                  {8.5, 13.5},
                                  {12.5, 13.5},
                                  {12.5, 9},
                                  {16, 9},
                                  {16, 5},
                                  {20.5, 5}}));
        break;
    }
    case Shape::Compare:
        drawBars(p, color, {7, 13, 9, 16});
        break;
    case Shape::Layers:
        for (const double y : {6.0, 12.0, 18.0}) {
            p.drawLine(QPointF(4, y), QPointF(20, y));
        }
        break;
    case Shape::Queue:
        p.setBrush(color);
        p.drawPolygon(QPolygonF({{7, 5}, {18, 12}, {7, 19}}));
        break;
    case Shape::Star:
    case Shape::StarFilled:
        drawStar(p, color, shape == Shape::StarFilled);
        break;
    case Shape::Folder:
        p.drawPolygon(
            QPolygonF({{3.5, 6}, {9.5, 6}, {11.5, 8.5}, {20.5, 8.5}, {20.5, 19}, {3.5, 19}}));
        break;
    case Shape::Close:
        p.drawLine(QPointF(6, 6), QPointF(18, 18));
        p.drawLine(QPointF(18, 6), QPointF(6, 18));
        break;
    case Shape::Float: // a window before another
        p.drawPolyline(QPolygonF({{9, 9}, {9, 4.5}, {19.5, 4.5}, {19.5, 15}, {15, 15}}));
        p.drawRect(QRectF(4.5, 9, 10.5, 10.5));
        break;
    case Shape::App: { // as in resources/packaging/org.quantworkbench.QuantWorkbench.svg
        p.setPen(Qt::NoPen);
        p.setBrush(QColor(0x0a, 0x64, 0xad));
        p.drawRoundedRect(QRectF(1, 1, 22, 22), 5, 5);
        p.setPen(line(Qt::white, 2));
        p.setBrush(Qt::NoBrush);
        p.drawPolyline(QPolygonF(
            {{5, 19}, {9, 19}, {9, 14.5}, {13, 14.5}, {13, 10}, {16.5, 10}, {16.5, 6}, {19, 6}}));
        QPainterPath curve;
        curve.moveTo(5, 15.5);
        curve.cubicTo(10, 14.5, 11, 7.5, 15.5, 4.5);
        p.setPen(line(QColor(0xff, 0xb7, 0x33), 1.6));
        p.drawPath(curve);
        break;
    }
    }
}

class Engine final : public QIconEngine
{
public:
    explicit Engine(Shape shape) : m_shape(shape) {}
    void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode,
               QIcon::State /*state*/) override
    {
        const QPalette palette = QApplication::palette();
        const QColor color = mode == QIcon::Disabled
                                 ? palette.color(QPalette::Disabled, QPalette::WindowText)
                             : mode == QIcon::Selected ? palette.color(QPalette::HighlightedText)
                                                       : palette.color(QPalette::WindowText);
        painter->save();
        painter->setRenderHint(QPainter::Antialiasing);
        painter->translate(rect.topLeft());
        painter->scale(rect.width() / kGrid, rect.height() / kGrid);
        draw(*painter, m_shape, color);
        painter->restore();
    }
    QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State state) override
    {
        QPixmap map(size);
        map.fill(Qt::transparent);
        QPainter painter(&map);
        paint(&painter, QRect(QPoint(), size), mode, state);
        return map;
    }
    QIconEngine* clone() const override { return new Engine(m_shape); }

private:
    Shape m_shape;
};
} // namespace

QIcon icon(Shape shape)
{
    return QIcon(new Engine(shape));
}

} // namespace qw::icons
