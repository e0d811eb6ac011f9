#include "widgets/series_plot.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <QMenu>

#include "widgets/qcustomplot_include.h"
#include "widgets/series_style.h"
#include "widgets/theme.h"

namespace qw {

namespace {
constexpr int kDirectLabels = 4;  // at most so many series are labelled at their ends
constexpr double kReach = 12;     // pixels from a point that count as on it
constexpr double kGuideReach = 8; // pixels from the cursor line
constexpr double kMarkerSize = 7;
constexpr std::size_t kMarkersUpTo = 200; // more points than this are drawn as a line only

QCPScatterStyle scatter(const SeriesStyle& style, double size)
{
    QCPScatterStyle::ScatterShape shape = QCPScatterStyle::ssCircle;
    switch (style.marker) {
    case Marker::Circle:
        shape = QCPScatterStyle::ssCircle;
        break;
    case Marker::Square:
        shape = QCPScatterStyle::ssSquare;
        break;
    case Marker::Diamond:
        shape = QCPScatterStyle::ssDiamond;
        break;
    case Marker::TriangleUp:
        shape = QCPScatterStyle::ssTriangle;
        break;
    case Marker::TriangleDown:
        shape = QCPScatterStyle::ssTriangleInverted;
        break;
    case Marker::Cross:
        shape = QCPScatterStyle::ssCross;
        break;
    }
    return {shape, style.color, style.filled ? style.color : QColor(Qt::transparent), size};
}

QVector<double> vectorOf(const std::vector<double>& values)
{
    return {values.begin(), values.end()};
}

QSharedPointer<QCPAxisTicker> logTicker()
{
    return QSharedPointer<QCPAxisTickerLog>::create();
}

/// Powers on a log axis, plain numbers where it spans less than a few of them.
void setNumbers(QCPAxis* axis)
{
    const QCPRange range = axis->range();
    const bool powers = axis->scaleType() == QCPAxis::stLogarithmic && range.lower > 0 &&
                        range.upper / range.lower > 50;
    axis->setNumberFormat(powers ? QStringLiteral("eb") : QStringLiteral("gb"));
    axis->setNumberPrecision(powers ? 0 : 5);
}

void setScale(QCPAxis* axis, bool log)
{
    axis->setScaleType(log ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
    setNumbers(axis);
}

/// What a step falls to where nothing was counted: out of sight on any axis.
constexpr double kNothing = 1e-30;

struct Span {
    double low = std::numeric_limits<double>::infinity();
    double high = -std::numeric_limits<double>::infinity();
    void add(double value, bool log)
    {
        if (std::isfinite(value) && (!log || value > 0)) {
            low = std::min(low, value);
            high = std::max(high, value);
        }
    }
    bool empty() const { return low > high; }
    QCPRange padded(bool log, double share) const
    {
        if (log) {
            const double factor = low == high ? 2 : std::pow(high / low, share);
            return {low / factor, high * factor};
        }
        const double pad = low == high ? std::max(std::abs(low) * 0.1, 0.5) : (high - low) * share;
        return {low - pad, high + pad};
    }
};
} // namespace

SeriesPlot::SeriesPlot(QWidget* parent) : PlotView(parent)
{
    connect(plot(), &QCustomPlot::mousePress, this, &SeriesPlot::pressed);
    connect(plot(), &QCustomPlot::mouseMove, this, &SeriesPlot::moved);
    connect(plot(), &QCustomPlot::mouseRelease, this, &SeriesPlot::released);
    connect(plot(), &QCustomPlot::afterLayout, this, &SeriesPlot::placeLabels);
    for (QCPAxis* axis : {plot()->xAxis, plot()->yAxis}) {
        connect(axis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), this,
                [axis] { setNumbers(axis); });
    }
    connect(plot(), &QCustomPlot::legendClick, this,
            [this](QCPLegend* /*legend*/, QCPAbstractLegendItem* item) {
                auto* entry = qobject_cast<QCPPlottableLegendItem*>(item);
                for (std::size_t i = 0; entry != nullptr && i < m_drawn.size(); ++i) {
                    if (m_drawn[i].plottable == entry->plottable()) {
                        toggle(i, !m_drawn[i].shown);
                    }
                }
            });
}

void SeriesPlot::setData(const PlotData& data)
{
    m_data = data;
    rebuild();
    showAll();
}

void SeriesPlot::setHighlighted(const std::vector<std::string>& keys)
{
    if (keys != m_highlighted) {
        m_highlighted = keys;
        rebuild();
        plot()->replot(QCustomPlot::rpQueuedReplot);
    }
}

void SeriesPlot::setVerticals(const std::vector<double>& places)
{
    m_verticals = places;
    rebuild();
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void SeriesPlot::setLogAxes(bool logX, bool logY)
{
    if (logX != m_data.logX || logY != m_data.logY) {
        m_data.logX = logX;
        m_data.logY = logY;
        setTickers();
        showAll();
        Q_EMIT logAxesChanged(logX, logY);
    }
}

void SeriesPlot::rebuild()
{
    plot()->clearItems();
    plot()->clearPlottables();
    m_drawn.clear();
    m_referenceLabels.clear();
    m_guide = nullptr;
    setEmptyText(m_data.series.empty() ? QString::fromStdString(m_data.empty) : QString());
    plot()->xAxis->setLabel(QString::fromStdString(m_data.xLabel));
    plot()->yAxis->setLabel(QString::fromStdString(m_data.yLabel));
    setTickers();
    reserveLabelRoom();
    for (std::size_t i = 0; i < m_data.series.size(); ++i) {
        drawSeries(i);
    }
    drawVerticals();
    drawReferences();
    drawHighlights();
    const bool legend = m_data.series.size() > 1 && !directLabels();
    plot()->legend->setVisible(legend);
    plot()->legend->setBorderPen(Qt::NoPen);
    plot()->legend->setFont(plot()->xAxis->tickLabelFont());
    plot()->legend->setTextColor(palette().color(QPalette::Text));
    QColor ground = palette().color(QPalette::Base);
    ground.setAlpha(200);
    plot()->legend->setBrush(ground);
    plot()->axisRect()->insetLayout()->setInsetAlignment(0, Qt::AlignTop | Qt::AlignRight);
    if (m_guideX >= 0) {
        setGuide(m_guideX, m_guideLast);
    }
}

void SeriesPlot::drawSeries(std::size_t index)
{
    const Series& series = m_data.series[index];
    const SeriesStyle style =
        seriesStyle(series.method, static_cast<int>(index), theme::isDark(palette()));
    const QPen pen(style.color, 1.6, series.variant > 0 ? Qt::DashLine : Qt::SolidLine);
    Drawn drawn;
    if (series.draw == Series::Draw::Bars) {
        auto* bars = new QCPBars(plot()->xAxis, plot()->yAxis);
        QColor fill = style.color;
        fill.setAlpha(index == 0 ? 190 : 120);
        bars->setPen(Qt::NoPen);
        bars->setBrush(fill);
        const double step = series.x.size() > 1 ? series.x[1] - series.x[0] : 1;
        bars->setWidth(step * 0.85);
        for (std::size_t p = 0; p < series.x.size(); ++p) {
            if (std::isfinite(series.y[p])) { // a missing bar is a gap
                bars->addData(series.x[p], series.y[p]);
            }
        }
        drawn.plottable = bars;
    } else {
        auto* graph = plot()->addGraph();
        graph->setPen(pen);
        graph->setAdaptiveSampling(true); // draws extremes of what falls on one pixel column
        graph->setLineStyle(series.draw == Series::Draw::Points  ? QCPGraph::lsNone
                            : series.draw == Series::Draw::Steps ? QCPGraph::lsStepCenter
                                                                 : QCPGraph::lsLine);
        const bool markers =
            series.draw == Series::Draw::Points ||
            (series.draw == Series::Draw::LineAndPoints && series.x.size() <= kMarkersUpTo);
        if (markers) {
            graph->setScatterStyle(scatter(style, kMarkerSize));
        }
        QVector<double> y = vectorOf(series.y);
        if (series.draw == Series::Draw::Steps) {
            for (double& value : y) {
                value = std::isfinite(value) ? value : kNothing;
            }
        }
        graph->setData(vectorOf(series.x), y, false);
        drawn.plottable = graph;
        if (!series.yError.empty()) {
            auto* errors = new QCPErrorBars(plot()->xAxis, plot()->yAxis);
            errors->setDataPlottable(graph);
            errors->setPen(QPen(style.color, 1));
            errors->setWhiskerWidth(5);
            errors->setSymbolGap(3);
            errors->setData(vectorOf(series.yError));
            errors->removeFromLegend();
            drawn.errors = errors;
        }
    }
    drawn.plottable->setName(QString::fromStdString(series.name));
    if (directLabels()) {
        drawn.label = new QCPItemText(plot());
        drawn.label->setText(QString::fromStdString(series.name));
        drawn.label->setColor(style.color);
        drawn.label->setFont(plot()->xAxis->tickLabelFont());
        drawn.label->setClipToAxisRect(false);
        drawn.label->setPositionAlignment(Qt::AlignLeft | Qt::AlignVCenter);
        drawn.label->position->setType(QCPItemPosition::ptAbsolute);
    }
    m_drawn.push_back(drawn);
}

void SeriesPlot::drawReferences()
{
    for (const ReferenceLine& reference : m_data.references) {
        auto* line = new QCPItemStraightLine(plot());
        line->setPen(QPen(theme::quietText(palette()), 1, Qt::DashLine));
        line->point1->setCoords(1, reference.y);
        line->point2->setCoords(2, reference.y);
        auto* label = new QCPItemText(plot());
        label->setText(QString::fromStdString(reference.name));
        label->setColor(theme::quietText(palette()));
        label->setFont(plot()->xAxis->tickLabelFont());
        label->setPositionAlignment(Qt::AlignLeft | Qt::AlignBottom);
        label->position->setTypeX(QCPItemPosition::ptAxisRectRatio);
        label->position->setTypeY(QCPItemPosition::ptPlotCoords);
        label->position->setCoords(0.01, reference.y);
        m_referenceLabels.push_back(label);
    }
}

void SeriesPlot::drawVerticals()
{
    QColor color = theme::quietText(palette());
    color.setAlpha(110);
    for (const double x : m_verticals) {
        auto* line = new QCPItemLine(plot());
        line->setPen(QPen(color, 1));
        for (QCPItemPosition* end : {line->start, line->end}) {
            end->setTypeX(QCPItemPosition::ptPlotCoords);
            end->setTypeY(QCPItemPosition::ptAxisRectRatio);
        }
        line->start->setCoords(x, 0);
        line->end->setCoords(x, 1);
    }
}

void SeriesPlot::drawHighlights()
{
    for (std::size_t i = 0; i < m_data.series.size(); ++i) {
        const Series& series = m_data.series[i];
        for (std::size_t p = 0; p < series.keys.size(); ++p) {
            if (std::find(m_highlighted.begin(), m_highlighted.end(), series.keys[p]) ==
                m_highlighted.end()) {
                continue;
            }
            if (series.draw == Series::Draw::Bars) {
                auto* frame = new QCPItemRect(plot());
                const double half = qobject_cast<QCPBars*>(m_drawn[i].plottable)->width() / 2;
                frame->topLeft->setCoords(series.x[p] - half,
                                          std::isfinite(series.y[p]) ? series.y[p] : 0);
                frame->bottomRight->setCoords(series.x[p] + half, 0);
                frame->setPen(QPen(palette().color(QPalette::Text), 2));
                frame->setBrush(Qt::NoBrush);
                continue;
            }
            if (!std::isfinite(series.y[p])) {
                continue; // a missing value has no place to be marked at
            }
            auto* ring = new QCPItemTracer(plot());
            ring->setStyle(QCPItemTracer::tsCircle);
            ring->setSize(kMarkerSize * 2);
            ring->setPen(QPen(palette().color(QPalette::Highlight), 2));
            ring->setBrush(Qt::NoBrush);
            ring->position->setCoords(series.x[p], series.y[p]);
        }
    }
}

void SeriesPlot::setTickers()
{
    setScale(plot()->xAxis, m_data.logX);
    setScale(plot()->yAxis, m_data.logY);
    if (!m_data.xTicks.empty()) {
        const auto ticker = QSharedPointer<QCPAxisTickerText>::create();
        for (const PlotTick& tick : m_data.xTicks) {
            ticker->addTick(tick.position, QString::fromStdString(tick.label));
        }
        plot()->xAxis->setTicker(ticker);
    } else {
        plot()->xAxis->setTicker(m_data.logX ? logTicker()
                                             : QSharedPointer<QCPAxisTicker>::create());
    }
    plot()->yAxis->setTicker(m_data.logY ? logTicker() : QSharedPointer<QCPAxisTicker>::create());
}

bool SeriesPlot::directLabels() const
{
    return m_data.series.size() > 1 && m_data.series.size() <= kDirectLabels &&
           std::none_of(m_data.series.begin(), m_data.series.end(), [](const Series& s) {
               return s.draw == Series::Draw::Bars || s.draw == Series::Draw::Points;
           });
}

void SeriesPlot::reserveLabelRoom()
{
    int widest = 0;
    if (directLabels()) {
        const QFontMetrics metrics(plot()->xAxis->tickLabelFont());
        for (const Series& series : m_data.series) {
            widest =
                std::max(widest, metrics.horizontalAdvance(QString::fromStdString(series.name)));
        }
    }
    plot()->axisRect()->setMinimumMargins(QMargins(8, 10, widest > 0 ? widest + 14 : 10, 8));
}

void SeriesPlot::placeLabels()
{
    if (!directLabels()) {
        return;
    }
    const QFontMetrics metrics(plot()->xAxis->tickLabelFont());
    struct Place {
        double y = 0;
        QCPItemText* label = nullptr;
    };
    std::vector<Place> places;
    const QCPRange visible = plot()->xAxis->range();
    for (std::size_t i = 0; i < m_drawn.size(); ++i) {
        const Series& series = m_data.series[i];
        Drawn& drawn = m_drawn[i];
        drawn.label->setVisible(drawn.shown && !series.x.empty());
        if (!drawn.label->visible()) {
            continue;
        }
        double y = series.y.front();
        for (std::size_t p = 0; p < series.x.size(); ++p) {
            if (visible.contains(series.x[p]) && std::isfinite(series.y[p]) &&
                (!m_data.logY || series.y[p] > 0)) {
                y = series.y[p];
            }
        }
        places.push_back({plot()->yAxis->coordToPixel(y), drawn.label});
    }
    std::sort(places.begin(), places.end(),
              [](const Place& a, const Place& b) { return a.y < b.y; });
    const QRect area = plot()->axisRect()->rect();
    double lowest = area.top() + metrics.height() / 2.0;
    for (Place& place : places) { // downwards, so that no label covers another
        place.y = std::max(place.y, lowest);
        lowest = place.y + metrics.height();
    }
    double highest = area.bottom();
    for (auto place = places.rbegin(); place != places.rend(); ++place) {
        place->y = std::min(place->y, highest);
        highest = place->y - metrics.height();
        place->label->position->setPixelPosition(QPointF(area.right() + 6, place->y));
    }
}

void SeriesPlot::toggle(std::size_t series, bool shown)
{
    Drawn& drawn = m_drawn[series];
    drawn.shown = shown;
    drawn.plottable->setVisible(shown);
    if (drawn.errors != nullptr) {
        drawn.errors->setVisible(shown);
    }
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void SeriesPlot::showAll()
{
    Span x;
    Span y;
    bool bars = false;
    for (std::size_t i = 0; i < m_data.series.size(); ++i) {
        const Series& series = m_data.series[i];
        bars = bars || series.draw == Series::Draw::Bars;
        for (std::size_t p = 0; p < series.x.size(); ++p) {
            const double error =
                p < series.yError.size() && std::isfinite(series.yError[p]) ? series.yError[p] : 0;
            x.add(series.x[p], m_data.logX);
            y.add(series.y[p] - error, m_data.logY);
            y.add(series.y[p] + error, m_data.logY);
        }
    }
    for (const ReferenceLine& reference : m_data.references) {
        y.add(reference.y, m_data.logY);
    }
    if (bars && !m_data.logY) {
        y.add(0, false);
    }
    if (!x.empty() && !y.empty()) {
        plot()->xAxis->setRange(x.padded(m_data.logX, 0.03));
        QCPRange range = y.padded(m_data.logY, 0.06);
        if (bars && !m_data.logY && y.low == 0) {
            range.lower = 0;
        }
        plot()->yAxis->setRange(range);
    }
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void SeriesPlot::restyle()
{
    rebuild();
}

std::optional<SeriesPlot::Hit> SeriesPlot::nearest(const QPoint& position, double reach) const
{
    std::optional<Hit> best;
    double distance = reach;
    for (std::size_t i = 0; i < m_data.series.size(); ++i) {
        const Series& series = m_data.series[i];
        if (!m_drawn[i].shown) {
            continue;
        }
        const bool bars = series.draw == Series::Draw::Bars;
        for (std::size_t p = 0; p < series.x.size(); ++p) {
            if (!std::isfinite(series.y[p])) {
                continue;
            }
            const double dx = plot()->xAxis->coordToPixel(series.x[p]) - position.x();
            const double dy = bars ? 0 : plot()->yAxis->coordToPixel(series.y[p]) - position.y();
            const double d = std::hypot(dx, dy);
            if (d < distance) {
                distance = d;
                best = Hit{i, p};
            }
        }
    }
    return best;
}

QString SeriesPlot::describe(const Hit& hit) const
{
    const Series& series = m_data.series[hit.series];
    QString text = QString::fromStdString(series.name);
    if (hit.point < series.labels.size()) {
        text += (text.isEmpty() ? QString() : QStringLiteral("\n")) +
                QString::fromStdString(series.labels[hit.point]);
    }
    const auto line = [](const std::string& label, double value) {
        return QStringLiteral("\n%1%2").arg(
            label.empty() ? QString() : QString::fromStdString(label) + QStringLiteral(": "),
            QLocale::c().toString(value, 'g', 5));
    };
    if (m_data.xTicks.empty()) {
        text += line(m_data.xLabel, series.x[hit.point]);
    }
    text += line(m_data.yLabel, series.y[hit.point]);
    if (hit.point < series.yError.size() && std::isfinite(series.yError[hit.point])) {
        text +=
            QStringLiteral(" \u00b1 ") + QLocale::c().toString(series.yError[hit.point], 'g', 2);
    }
    return text.trimmed();
}

void SeriesPlot::hover(const QPoint& position)
{
    const auto hit = nearest(position, kReach);
    showTip(position, hit ? describe(*hit) : QString());
    const bool onGuide =
        m_guide != nullptr && std::abs(plot()->xAxis->coordToPixel(static_cast<double>(m_guideX)) -
                                       position.x()) < kGuideReach;
    plot()->setCursor(onGuide ? Qt::SizeHorCursor : Qt::ArrowCursor);
}

void SeriesPlot::setGuide(std::int64_t x, std::int64_t last)
{
    m_guideLast = last;
    m_guideX = std::clamp<std::int64_t>(x, 0, last);
    if (m_guide == nullptr) {
        m_guide = new QCPItemStraightLine(plot());
    }
    m_guide->setPen(QPen(palette().color(QPalette::Highlight), 2));
    // On a log axis rank 0 has no place: the line stands at the left edge of 1.
    const double place =
        m_data.logX ? std::max(0.8, static_cast<double>(m_guideX)) : static_cast<double>(m_guideX);
    m_guide->point1->setCoords(place, 1);
    m_guide->point2->setCoords(place, 2);
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void SeriesPlot::hideGuide()
{
    m_guideX = -1;
    if (m_guide != nullptr) {
        plot()->removeItem(m_guide);
        m_guide = nullptr;
        plot()->replot(QCustomPlot::rpQueuedReplot);
    }
}

std::optional<std::int64_t> SeriesPlot::guide() const
{
    return m_guideX >= 0 ? std::optional(m_guideX) : std::nullopt;
}

void SeriesPlot::moveGuide(double x)
{
    const std::int64_t before = m_guideX;
    setGuide(static_cast<std::int64_t>(std::llround(x)), m_guideLast);
    if (m_guideX != before) {
        Q_EMIT guideMoved(m_guideX);
    }
}

void SeriesPlot::pressed(QMouseEvent* event)
{
    setFocus(Qt::MouseFocusReason);
    m_pressedAt = event->pos();
    if (m_guide != nullptr && event->button() == Qt::LeftButton &&
        std::abs(m_guide->point1->pixelPosition().x() - event->pos().x()) < kGuideReach) {
        m_dragging = true;
        plot()->setInteraction(QCP::iRangeDrag, false);
    }
}

void SeriesPlot::moved(QMouseEvent* event)
{
    if (m_dragging) {
        moveGuide(plot()->xAxis->pixelToCoord(event->pos().x()));
    }
}

void SeriesPlot::released(QMouseEvent* event)
{
    plot()->setInteraction(QCP::iRangeDrag, true);
    const bool click = (event->pos() - m_pressedAt).manhattanLength() < 4;
    if (!std::exchange(m_dragging, false) && click && event->button() == Qt::LeftButton) {
        const auto hit = nearest(event->pos(), kReach);
        if (hit && hit->point < m_data.series[hit->series].keys.size()) {
            Q_EMIT pointClicked(
                QString::fromStdString(m_data.series[hit->series].keys[hit->point]));
        }
    }
}

void SeriesPlot::keyPressEvent(QKeyEvent* event)
{
    const int step = event->modifiers().testFlag(Qt::ShiftModifier) ? 8 : 1;
    if (m_guide != nullptr && event->key() == Qt::Key_Left) {
        moveGuide(static_cast<double>(m_guideX - step));
    } else if (m_guide != nullptr && event->key() == Qt::Key_Right) {
        moveGuide(static_cast<double>(m_guideX + step));
    } else {
        PlotView::keyPressEvent(event);
    }
}

void SeriesPlot::extendMenu(QMenu& menu)
{
    menu.addSeparator();
    const auto addLog = [&](const QString& text, bool on, auto change) {
        QAction* action = menu.addAction(text);
        action->setCheckable(true);
        action->setChecked(on);
        connect(action, &QAction::toggled, this, change);
    };
    if (m_data.xTicks.empty()) {
        addLog(tr("Logarithmic &X Axis"), m_data.logX,
               [this](bool on) { setLogAxes(on, m_data.logY); });
    }
    addLog(tr("Logarithmic &Y Axis"), m_data.logY,
           [this](bool on) { setLogAxes(m_data.logX, on); });
    if (m_drawn.size() > 1) {
        QMenu* series = menu.addMenu(tr("S&how"));
        for (std::size_t i = 0; i < m_drawn.size(); ++i) {
            QAction* action = series->addAction(m_drawn[i].plottable->name());
            action->setCheckable(true);
            action->setChecked(m_drawn[i].shown);
            connect(action, &QAction::toggled, this, [this, i](bool on) { toggle(i, on); });
        }
    }
}

QString SeriesPlot::csv() const
{
    const auto quoted = [](const std::string& text) {
        return u'"' + QString::fromStdString(text).replace(u'"', QStringLiteral("\"\"")) + u'"';
    };
    const auto number = [](double value) {
        return std::isfinite(value) ? QLocale::c().toString(value, 'g', 17) : QString();
    };
    QString out = QStringLiteral("series,%1,%2,standard error,label\n")
                      .arg(quoted(m_data.xLabel), quoted(m_data.yLabel));
    for (const Series& series : m_data.series) {
        for (std::size_t p = 0; p < series.x.size(); ++p) {
            out += quoted(series.name) + u',' + number(series.x[p]) + u',' + number(series.y[p]) +
                   u',' + (p < series.yError.size() ? number(series.yError[p]) : QString()) + u',' +
                   (p < series.labels.size() ? quoted(series.labels[p]) : QString()) + u'\n';
        }
    }
    return out;
}

} // namespace qw
