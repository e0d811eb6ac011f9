#include "widgets/parallel_view.h"

#include <algorithm>
#include <cmath>

#include "report/axis_ticks.h"
#include "widgets/qcustomplot_include.h"
#include "widgets/report_text.h"
#include "widgets/series_style.h"
#include "widgets/theme.h"

namespace qw {

namespace {
constexpr int kTicks = 5;
constexpr double kReach = 8;   // pixels from a line that count as on it
constexpr double kSide = 0.35; // room beside the outer axes, in distances of axes
constexpr double kThin = 1.3;  // pens
constexpr double kHair = 1;    // what Qt draws fast
constexpr double kThick = 3;
constexpr std::size_t kCrowded = 40; // more lines than this are drawn fainter
constexpr int kFaint = 110;          // alpha

std::vector<PlotTick> ticksOf(const ParallelAxis& axis)
{
    if (!axis.ticks.empty() || !(axis.low < axis.high)) {
        return axis.ticks;
    }
    return axis.log && axis.low > 0 ? logTicks(axis.low, axis.high, kTicks).major
                                    : linearTicks(axis.low, axis.high, kTicks).major;
}

double distance(const QPointF& p, const QPointF& a, const QPointF& b)
{
    const QPointF along = b - a;
    const double length = QPointF::dotProduct(along, along);
    const double share =
        length > 0 ? std::clamp(QPointF::dotProduct(p - a, along) / length, 0.0, 1.0) : 0;
    const QPointF gap = p - (a + share * along);
    return std::hypot(gap.x(), gap.y());
}
} // namespace

double placeOnAxis(const ParallelAxis& axis, double value)
{
    if (!(axis.low < axis.high)) {
        return std::isfinite(value) ? 0.5 : NAN;
    }
    if (axis.log && axis.low > 0) {
        return value > 0 ? std::log(value / axis.low) / std::log(axis.high / axis.low) : NAN;
    }
    return (value - axis.low) / (axis.high - axis.low);
}

ParallelView::ParallelView(QWidget* parent) : PlotView(parent)
{
    for (QCPAxis* axis : {plot()->xAxis, plot()->yAxis}) {
        axis->setVisible(false);
        axis->grid()->setVisible(false);
    }
    plot()->axisRect()->setMargins(QMargins(4, 4, 4, 4));
    plot()->setAutoAddPlottableToLegend(false); // which a thousand lines would lay out each time
    connect(plot(), &QCustomPlot::mousePress, this,
            [this](QMouseEvent* event) { m_pressedAt = event->pos(); });
    connect(plot(), &QCustomPlot::mouseRelease, this, [this](QMouseEvent* event) {
        const auto hit = nearest(event->pos());
        if (hit && event->button() == Qt::LeftButton &&
            (event->pos() - m_pressedAt).manhattanLength() < 4) {
            Q_EMIT lineClicked(QString::fromStdString(m_data.lines[*hit].key));
        }
    });
}

void ParallelView::setData(const ParallelPlot& data)
{
    m_data = report_text::translated(data);
    rebuild();
    showAll();
}

void ParallelView::setHighlighted(const std::vector<std::string>& keys)
{
    if (keys != m_highlighted) {
        m_highlighted = keys;
        rebuild();
        plot()->replot(QCustomPlot::rpQueuedReplot);
    }
}

bool ParallelView::highlighted(const ParallelLine& line) const
{
    return std::find(m_highlighted.begin(), m_highlighted.end(), line.key) != m_highlighted.end();
}

void ParallelView::rebuild()
{
    plot()->clearItems();
    plot()->clearPlottables();
    if (m_data.axes.empty()) {
        setEmptyText(m_data.empty.empty() ? tr("These runs do not differ in anything drawn here.")
                                          : QString::fromStdString(m_data.empty));
        return;
    }
    setEmptyText({});
    for (const bool front : {false, true}) {
        for (const ParallelLine& line : m_data.lines) {
            if (highlighted(line) == front) {
                drawLine(line);
            }
        }
    }
    for (std::size_t i = 0; i < m_data.axes.size(); ++i) {
        drawAxis(i);
    }
}

void ParallelView::drawLine(const ParallelLine& line)
{
    const SeriesStyle style = seriesStyle(line.method, 0, theme::isDark(palette()));
    const bool front = highlighted(line);
    const bool crowded = m_data.lines.size() > kCrowded;
    QColor color = style.color;
    if (!front && (!m_highlighted.empty() || crowded)) {
        color.setAlpha(kFaint);
    }
    QCPGraph* graph = plot()->addGraph();
    graph->setAntialiased(front || !crowded);
    graph->setPen(QPen(color, front ? kThick : crowded ? kHair : kThin));
    graph->setAdaptiveSampling(false);
    QVector<double> x;
    QVector<double> y;
    for (std::size_t i = 0; i < line.values.size(); ++i) {
        x << static_cast<double>(i);
        y << placeOnAxis(m_data.axes[i], line.values[i]);
    }
    graph->setData(x, y, true);
}

void ParallelView::drawAxis(std::size_t index)
{
    const ParallelAxis& axis = m_data.axes[index];
    const auto x = static_cast<double>(index);
    auto* line = new QCPItemLine(plot());
    line->setPen(QPen(theme::quietText(palette()), 1));
    line->start->setCoords(x, 0);
    line->end->setCoords(x, 1);
    const auto addText = [&](double y, const QString& text, const QPointF& offset,
                             Qt::Alignment alignment) {
        auto* anchor = new QCPItemTracer(plot());
        anchor->setStyle(QCPItemTracer::tsNone);
        anchor->position->setCoords(x, y);
        auto* label = new QCPItemText(plot());
        label->position->setParentAnchor(anchor->position);
        label->position->setCoords(offset);
        label->setPositionAlignment(alignment);
        label->setText(text);
        label->setFont(plot()->xAxis->tickLabelFont());
        label->setColor(palette().color(QPalette::Text));
        label->setClipToAxisRect(false);
        return label;
    };
    for (const PlotTick& tick : ticksOf(axis)) {
        QCPItemText* label =
            addText(placeOnAxis(axis, tick.position), QString::fromStdString(tick.label),
                    QPointF(5, 0), Qt::AlignLeft | Qt::AlignVCenter);
        QColor ground = palette().color(QPalette::Base);
        ground.setAlpha(190); // lines pass behind the numbers
        label->setBrush(ground);
    }
    // A unit stands on a line of its own: names are as wide as the axes are apart.
    QString title = QString::fromStdString(axis.label);
    title.replace(QStringLiteral(", "), QStringLiteral(",\n"));
    title.replace(QStringLiteral(" per "), QStringLiteral("\nper "));
    QCPItemText* label = addText(1, title, QPointF(0, -10), Qt::AlignHCenter | Qt::AlignBottom);
    label->setTextAlignment(Qt::AlignHCenter);
}

void ParallelView::showAll()
{
    constexpr double kAbove = 0.16; // for three lines of a name
    plot()->xAxis->setRange(-kSide, static_cast<double>(m_data.axes.size()) - 1 + 2 * kSide);
    plot()->yAxis->setRange(-0.05, 1 + kAbove);
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void ParallelView::restyle()
{
    rebuild();
}

std::optional<std::size_t> ParallelView::nearest(const QPoint& position) const
{
    std::optional<std::size_t> best;
    double least = kReach;
    for (std::size_t i = 0; i < m_data.lines.size(); ++i) {
        const ParallelLine& line = m_data.lines[i];
        std::optional<QPointF> before;
        for (std::size_t a = 0; a < line.values.size(); ++a) {
            const double y = placeOnAxis(m_data.axes[a], line.values[a]);
            if (!std::isfinite(y)) {
                before.reset();
                continue;
            }
            const QPointF at(plot()->xAxis->coordToPixel(static_cast<double>(a)),
                             plot()->yAxis->coordToPixel(y));
            const double gap = distance(position, before.value_or(at), at);
            if (gap < least) {
                least = gap;
                best = i;
            }
            before = at;
        }
    }
    return best;
}

void ParallelView::hover(const QPoint& position)
{
    const auto hit = nearest(position);
    QString text;
    if (hit) {
        const ParallelLine& line = m_data.lines[*hit];
        text = QString::fromStdString(line.name);
        for (std::size_t i = 0; i < line.values.size(); ++i) {
            const ParallelAxis& axis = m_data.axes[i];
            QString value = std::isfinite(line.values[i])
                                ? QLocale::c().toString(line.values[i], 'g', 5)
                                : QStringLiteral("\u2013");
            for (const PlotTick& tick : axis.ticks) {
                if (tick.position == line.values[i]) {
                    value = QString::fromStdString(tick.label);
                }
            }
            text += QStringLiteral("\n%1: %2").arg(QString::fromStdString(axis.label), value);
        }
    }
    showTip(position, text);
}

QString ParallelView::csv() const
{
    const auto quoted = [](const std::string& text) {
        return u'"' + QString::fromStdString(text).replace(u'"', QStringLiteral("\"\"")) + u'"';
    };
    QString out = QStringLiteral("run");
    for (const ParallelAxis& axis : m_data.axes) {
        out += u',' + quoted(axis.label);
    }
    out += u'\n';
    for (const ParallelLine& line : m_data.lines) {
        out += quoted(line.name);
        for (std::size_t i = 0; i < line.values.size(); ++i) {
            QString value = std::isfinite(line.values[i])
                                ? QLocale::c().toString(line.values[i], 'g', 17)
                                : QString();
            for (const PlotTick& tick : m_data.axes[i].ticks) {
                if (tick.position == line.values[i]) {
                    value = quoted(tick.label);
                }
            }
            out += u',' + value;
        }
        out += u'\n';
    }
    return out;
}

} // namespace qw
