#include "widgets/heatmap_plot.h"

#include <algorithm>
#include <cmath>

#include <QTimer>

#include "widgets/qcustomplot_include.h"
#include "widgets/report_text.h"
#include "widgets/theme.h"

namespace qw {

namespace {
constexpr int kSettle = 180; // milliseconds after the last zoom step
constexpr int kColors = 256;
constexpr int kScaleWidth = 10; // pixels

QCPColorGradient gradient(bool diverging)
{
    QCPColorGradient colors;
    colors.clearColorStops();
    constexpr int kStops = 16;
    for (int i = 0; i <= kStops; ++i) {
        const double t = static_cast<double>(i) / kStops;
        colors.setColorStopAt(t, diverging ? theme::diverging(2 * t - 1) : theme::sequential(t));
    }
    colors.setLevelCount(kColors);
    colors.setNanHandling(QCPColorGradient::nhTransparent);
    return colors;
}
} // namespace

HeatmapPlot::HeatmapPlot(QWidget* parent) : PlotView(parent), m_settle(new QTimer(this))
{
    m_map = new QCPColorMap(plot()->xAxis, plot()->yAxis);
    m_map->setInterpolate(false);
    m_map->setTightBoundary(false);
    m_scale = new QCPColorScale(plot());
    m_scale->setType(QCPAxis::atRight);
    m_scale->setBarWidth(kScaleWidth);
    m_scale->setRangeDrag(false);
    m_scale->setRangeZoom(false);
    plot()->plotLayout()->addElement(0, 1, m_scale);
    m_map->setColorScale(m_scale);
    auto* margins = new QCPMarginGroup(plot());
    plot()->axisRect()->setMarginGroup(QCP::msTop | QCP::msBottom, margins);
    m_scale->setMarginGroup(QCP::msTop | QCP::msBottom, margins);
    plot()->yAxis->setRangeReversed(true);
    plot()->xAxis->grid()->setVisible(false);
    plot()->yAxis->grid()->setVisible(false);
    m_settle->setSingleShot(true);
    m_settle->setInterval(kSettle);
    connect(m_settle, &QTimer::timeout, this, [this] {
        const QCPRange x = plot()->xAxis->range();
        const QCPRange y = plot()->yAxis->range();
        Q_EMIT areaWanted(QRectF(QPointF(x.lower, y.lower), QPointF(x.upper, y.upper))
                              .intersected(QRectF(QPointF(), m_whole)));
    });
    connect(plot()->xAxis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), this,
            &HeatmapPlot::rangeChanged);
    connect(plot()->yAxis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), this,
            &HeatmapPlot::rangeChanged);
    restyle();
}

void HeatmapPlot::setData(const Heatmap& map, const QRectF& area, const QSizeF& whole)
{
    const bool newMatrix = whole != m_whole;
    m_data = report_text::translated(map);
    m_area = area;
    m_whole = whole;
    setEmptyText(map.values.empty() ? QString::fromStdString(m_data.empty) : QString());
    plot()->xAxis->setLabel(QString::fromStdString(m_data.xLabel));
    plot()->yAxis->setLabel(QString::fromStdString(m_data.yLabel));
    m_scale->setLabel(QString::fromStdString(m_data.valueLabel));
    if (map.values.empty()) {
        plot()->replot(QCustomPlot::rpQueuedReplot);
        return;
    }
    QCPColorMapData* cells = m_map->data();
    cells->setSize(static_cast<int>(map.cols), static_cast<int>(map.rows));
    // Ranges of a color map name the centres of its outermost cells.
    const double dx = area.width() / static_cast<double>(map.cols);
    const double dy = area.height() / static_cast<double>(map.rows);
    cells->setRange({area.left() + dx / 2, area.right() - dx / 2},
                    {area.top() + dy / 2, area.bottom() - dy / 2});
    for (std::int64_t row = 0; row < map.rows; ++row) {
        for (std::int64_t col = 0; col < map.cols; ++col) {
            cells->setCell(static_cast<int>(col), static_cast<int>(row),
                           map.values[static_cast<std::size_t>(row * map.cols + col)]);
        }
    }
    recolor();
    if (newMatrix) {
        showAll();
    }
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void HeatmapPlot::recolor()
{
    double low = 0;
    double high = 0;
    for (const double value : m_data.values) {
        if (std::isfinite(value)) {
            low = std::min(low, value);
            high = std::max(high, value);
        }
    }
    if (m_data.diverging) {
        high = std::max(high, -low);
        low = -high;
    }
    m_map->setGradient(gradient(m_data.diverging));
    m_map->setDataRange({low, high > low ? high : low + 1});
}

void HeatmapPlot::showAll()
{
    const QSignalBlocker quietX(plot()->xAxis);
    const QSignalBlocker quietY(plot()->yAxis);
    plot()->xAxis->setRange(0, std::max(1.0, m_whole.width()));
    plot()->yAxis->setRange(0, std::max(1.0, m_whole.height()));
    plot()->replot(QCustomPlot::rpQueuedReplot);
    if (m_area.size() != m_whole) {
        m_settle->start();
    }
}

void HeatmapPlot::rangeChanged()
{
    if (!m_data.values.empty()) {
        m_settle->start();
    }
}

void HeatmapPlot::restyle()
{
    QCPAxis* axis = m_scale->axis();
    axis->setTickLabelColor(palette().color(QPalette::Text));
    axis->setLabelColor(palette().color(QPalette::Text));
    axis->setBasePen(QPen(theme::quietText(palette())));
    axis->setTickPen(QPen(theme::quietText(palette())));
    axis->setSubTickPen(Qt::NoPen);
    axis->setTickLabelFont(plot()->xAxis->tickLabelFont());
    axis->setLabelFont(plot()->xAxis->labelFont());
    axis->setNumberFormat(QStringLiteral("gb"));
    axis->setNumberPrecision(3);
    plot()->xAxis->grid()->setVisible(false);
    plot()->yAxis->grid()->setVisible(false);
}

void HeatmapPlot::hover(const QPoint& position)
{
    const double x = plot()->xAxis->pixelToCoord(position.x());
    const double y = plot()->yAxis->pixelToCoord(position.y());
    if (m_data.values.empty() || !m_area.contains(x, y)) {
        showTip(position, {});
        return;
    }
    const auto col =
        std::min(m_data.cols - 1, static_cast<std::int64_t>((x - m_area.left()) / m_area.width() *
                                                            static_cast<double>(m_data.cols)));
    const auto row =
        std::min(m_data.rows - 1, static_cast<std::int64_t>((y - m_area.top()) / m_area.height() *
                                                            static_cast<double>(m_data.rows)));
    const double value = m_data.values[static_cast<std::size_t>(row * m_data.cols + col)];
    const bool thinned = m_area.width() > static_cast<double>(m_data.cols) ||
                         m_area.height() > static_cast<double>(m_data.rows);
    showTip(position,
            tr("row %1, column %2\n%3: %4%5")
                .arg(std::floor(y))
                .arg(std::floor(x))
                .arg(QString::fromStdString(m_data.valueLabel),
                     QLocale::c().toString(value, 'g', 5),
                     thinned ? tr("\nlargest of its neighbours; zoom in for single values")
                             : QString()));
}

QString HeatmapPlot::csv() const
{
    QString out = QStringLiteral("row,column,value\n");
    const double dx = m_area.width() / std::max(1.0, static_cast<double>(m_data.cols));
    const double dy = m_area.height() / std::max(1.0, static_cast<double>(m_data.rows));
    for (std::int64_t row = 0; row < m_data.rows; ++row) {
        for (std::int64_t col = 0; col < m_data.cols; ++col) {
            out +=
                QStringLiteral("%1,%2,%3\n")
                    .arg(std::floor(m_area.top() + dy * static_cast<double>(row)))
                    .arg(std::floor(m_area.left() + dx * static_cast<double>(col)))
                    .arg(QLocale::c().toString(
                        m_data.values[static_cast<std::size_t>(row * m_data.cols + col)], 'g', 9));
        }
    }
    return out;
}

} // namespace qw
